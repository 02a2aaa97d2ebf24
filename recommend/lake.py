"""The lake: view events as Parquet in the object store, one file for each day, and one manifest that says which files count.

    lake/events/day=2026-11-22/<sha256>.parquet    sorted by viewer; never changed
    lake/manifest.json                             replaced last, whole

A reader that goes by the manifest sees each day as it was before a compaction or after it, never half of it. Writers work one after
the other (`lake_store.only_writer`): compaction, import and forgetting each write new files, exchange the manifest, then delete the
files that it names no more. A writer that dies leaves files that nobody names; the next one removes them. A compaction that is
repeated finds its events in the file already and adds none twice.

pyarrow writes, DuckDB reads: the aggregation of a large history spills to disk instead of filling the memory. Files are fetched to a
temporary folder for as long as a reading lasts, so that no copy outlives a viewer who is forgotten.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kit import scratch
from kit.errors import HeadwaterError, Unavailable
from kit.storage import MissingObject, Storage
from kit.world import World
from recommend import lake_store, store
from recommend.events import COMPLETE_SHARE
from recommend.interactions import Interactions, from_codes
from recommend.lake_store import COLUMNS, Forgotten
from recommend.viewing import GLANCE_S, GLANCE_SHARE

PREFIX = "lake/"
EVENTS = f"{PREFIX}events/"
MANIFEST = f"{PREFIX}manifest.json"
FORMAT = 1
TOGETHER_EVENTS = 200_000  # of small days that are compacted in one go
_TRIES = 4  # of a reader whose files are replaced while it fetches them

_TIME = pa.timestamp("us", tz="UTC")
_FIELDS: list[pa.Field[Any]] = [
    *(pa.field(name, pa.string(), nullable=False) for name in ("event_id", "viewer_id", "asset_id", "session_id", "kind")),
    *(pa.field(name, pa.float64()) for name in ("position_s", "watched_s", "value", "duration_s")),
    *(pa.field(name, _TIME, nullable=False) for name in ("at", "received_at")),
]
SCHEMA = pa.schema(_FIELDS)
assert tuple(SCHEMA.names) == COLUMNS


class BrokenLake(HeadwaterError):
    """The manifest is not one of ours, or a file is not what it says."""

    code = "broken_lake"


@dataclass(frozen=True, slots=True)
class DayFile:
    key: str
    day: str  # 2026-11-22
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one compaction did."""

    events: int
    days: int
    pruned: int


def manifest(storage: Storage) -> dict[str, DayFile]:
    """The files that count, by day. Raises BrokenLake."""
    try:
        found = json.loads(storage.get(MANIFEST))
        if found["format"] != FORMAT:
            raise BrokenLake("The lake is of another format.")
        return {item["day"]: DayFile(**item) for item in found["files"]}
    except MissingObject:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenLake("The manifest of the lake cannot be read.") from error


def _publish(storage: Storage, files: Mapping[str, DayFile], now: datetime) -> None:
    """Exchanges the manifest, then removes every file that it does not name. Only under the lock."""
    listed = [asdict(files[day]) for day in sorted(files)]
    body = {"format": FORMAT, "written_at": now.isoformat(), "files": listed}
    storage.put(MANIFEST, json.dumps(body, sort_keys=True).encode(), content_type="application/json")
    named = {item.key for item in files.values()}
    for found in list(storage.list(EVENTS)):
        if found.key not in named:
            storage.delete(found.key)


def _write(storage: Storage, day: str, table: pa.Table) -> DayFile:
    buffer = io.BytesIO()
    pq.write_table(table.sort_by([("viewer_id", "ascending"), ("at", "ascending")]), buffer, compression="zstd", row_group_size=100_000)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    key = f"{EVENTS}day={day}/{digest[:32]}.parquet"
    storage.put(key, data, content_type="application/vnd.apache.parquet")
    return DayFile(key, day, table.num_rows, len(data), digest)


def _read(storage: Storage, file: DayFile) -> pa.Table:
    data = storage.get(file.key)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise BrokenLake(f"{file.key} is not what was written.")
    return pq.read_table(io.BytesIO(data), schema=SCHEMA)


def without(table: pa.Table, gone: Sequence[Forgotten]) -> pa.Table:
    """The rows that may be kept."""
    for item in gone:
        theirs = pc.and_(
            pc.equal(table["viewer_id"], pa.scalar(item.viewer_id)), pc.less_equal(table["received_at"], pa.scalar(item.at, _TIME))
        )
        table = table.filter(pc.invert(theirs))
    return table


def merged(old: pa.Table | None, new: pa.Table) -> pa.Table:
    """Both together; an event that is in both counts once."""
    if old is not None:
        known = pc.is_in(new["event_id"], value_set=old["event_id"].combine_chunks())
        new = pa.concat_tables([old, new.filter(pc.invert(known))])
    return new


def add(world: World, days: Iterable[tuple[str, pa.Table]], gone: Sequence[Forgotten] = ()) -> None:
    """Adds rows (of `SCHEMA`, each day once) to the lake: all of it, or nothing. Only under the lock."""
    files = manifest(world.storage)
    for day, table in days:
        before = files.get(day)
        whole = without(merged(_read(world.storage, before) if before else None, table), gone)
        if whole.num_rows:
            files[day] = _write(world.storage, day, whole)
        else:
            files.pop(day, None)
    _publish(world.storage, files, world.clock.now())


def compact(world: World, stop: Callable[[], bool] = lambda: False) -> Compacted:
    """Moves what viewers did since the last time into the lake, some days at a time, then prunes what the database need not know any
    more."""
    events = done = 0
    with lake_store.only_writer(world.db):
        with world.db.connect() as conn:
            days = lake_store.pending_days(conn)
        for some in together(days, TOGETHER_EVENTS):
            if stop():
                break
            events += _compact_days(world, some)
            done += len(some)
    with world.db.begin() as conn:
        pruned = store.prune(conn, world.clock.now().timestamp())
    return Compacted(events, done, pruned)


def together(days: Sequence[tuple[date, int]], most: int) -> list[list[date]]:
    """Days in groups of at most so many events; a day with more is a group of its own. Each group is one exchange of the manifest."""
    groups: list[list[date]] = []
    left = 0
    for day, count in days:
        if not groups or count > left:
            groups.append([])
            left = most
        groups[-1].append(day)
        left -= count
    return groups


def _compact_days(world: World, days: Sequence[date]) -> int:
    ids: list[str] = []
    with world.db.connect() as conn:
        gone = lake_store.forgotten(conn)

        def read() -> Iterator[tuple[str, pa.Table]]:
            for day in days:
                pieces = [_table(rows) for rows in lake_store.pending(conn, day)]
                table = pa.concat_tables(pieces) if pieces else SCHEMA.empty_table()
                ids.extend(str(one) for one in table["event_id"].to_pylist())
                yield day.isoformat(), table

        add(world, read(), gone)
    with world.db.begin() as conn:
        lake_store.mark_compacted(conn, ids)
    return len(ids)


def _table(rows: Sequence[Any]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table([pa.array(column, kind.type) for column, kind in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)


def forget(world: World, gone: Sequence[Forgotten]) -> int:
    """Rewrites every day that names one of these viewers. Returns how many days did."""
    rewritten = 0
    with lake_store.only_writer(world.db):
        files = manifest(world.storage)
        for day, file in list(files.items()):
            table = _read(world.storage, file)
            kept = without(table, gone)
            if kept.num_rows != table.num_rows:
                rewritten += 1
                if kept.num_rows:
                    files[day] = _write(world.storage, day, kept)
                else:
                    del files[day]
        _publish(world.storage, files, world.clock.now())
    return rewritten


@contextmanager
def fetched(world: World, since: datetime | None = None) -> Iterator[list[Path]]:
    """The files of the lake as local ones, for as long as the block lasts. Raises Unavailable when they are replaced again and again."""
    with scratch.work_dir(world.settings.scratch_dir, "lake") as folder:
        yield _fetch_all(world.storage, folder, "" if since is None else since.astimezone(UTC).date().isoformat())


def _fetch_all(storage: Storage, folder: Path, first_day: str) -> list[Path]:
    for _ in range(_TRIES):
        try:
            return [_fetch(storage, file, folder) for day, file in sorted(manifest(storage).items()) if day >= first_day]
        except MissingObject:  # replaced since we read the manifest
            continue
    raise Unavailable("The lake is being rewritten; try again in a moment.")


def _fetch(storage: Storage, file: DayFile, folder: Path) -> Path:
    path = folder / f"{file.day}-{file.sha256[:16]}.parquet"
    if not path.exists():
        storage.download(file.key, path)
        with path.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != file.sha256:
                raise BrokenLake(f"{file.key} is not what was written.")
    return path


# -- reading

# What `recommend.viewing.session_of`, `joined` and `signal_of` say, as one query; a test holds the two together.
_SIGNALS = f"""
    CREATE TEMP TABLE signals AS
    WITH sessions AS (
      SELECT viewer_id, asset_id, coalesce(max(position_s) FILTER (kind <> 'seek'), 0) AS furthest_s, max(watched_s) AS watched_s,
             arg_max(duration_s, "at") FILTER (duration_s IS NOT NULL) AS duration_s, bool_or(kind = 'abandon') AS abandoned,
             bool_or(kind = 'complete' OR coalesce(kind <> 'seek' AND duration_s > 0 AND position_s >= {COMPLETE_SHARE} * duration_s
                                                   AND watched_s >= 0.5 * duration_s, false)) AS completed, max("at") AS "at"
      FROM events WHERE kind NOT IN ('rating', 'not_interested') GROUP BY viewer_id, asset_id, session_id),
    parts AS (
      SELECT *, CASE WHEN coalesce(duration_s, 0) <= 0 THEN CAST(completed AS DOUBLE)
                     ELSE least(1.0, greatest(0.0, if(watched_s > 0, least(furthest_s, watched_s), furthest_s) / duration_s))
                     END AS fraction
      FROM sessions)
    SELECT viewer_id, asset_id, epoch("at") AS at_s, fraction,
           CASE WHEN completed THEN 1 WHEN abandoned AND fraction < {GLANCE_SHARE} AND if(watched_s > 0, watched_s, furthest_s) < {GLANCE_S}
                THEN 2 ELSE 0 END AS signal FROM parts
    UNION ALL
    SELECT viewer_id, asset_id, epoch(max("at")), if(arg_max(value, "at") > 0, 1.0, 0.0), if(arg_max(value, "at") > 0, 3, 4)
    FROM events WHERE kind = 'rating' GROUP BY viewer_id, asset_id HAVING arg_max(value, "at") <> 0
    UNION ALL
    SELECT viewer_id, asset_id, epoch(max("at")), 0.0, 4 FROM events WHERE kind = 'not_interested' GROUP BY viewer_id, asset_id
"""  # noqa: S608 - numbers of ours


def read_interactions(world: World, since: datetime | None = None) -> Interactions:
    """The history in the lake, one row for each sitting and each opinion, without viewers who are being forgotten.

    What happened since the last compaction is not in it: call `compact` first. Raises BrokenLake, Unavailable.
    """
    with world.db.connect() as conn:
        gone = lake_store.forgotten(conn)
    with fetched(world, since) as paths, open_duckdb(world.settings.scratch_dir) as db:
        if not paths:
            return from_codes([], [], [], [], [])
        db.execute('CREATE TEMP TABLE gone (viewer_id TEXT, "at" TIMESTAMPTZ)')
        for item in gone:
            db.execute("INSERT INTO gone VALUES (?, ?)", [item.viewer_id, item.at])
        after = f"AND \"at\" >= '{since.astimezone(UTC).isoformat()}'::TIMESTAMPTZ" if since else ""
        db.execute(f"""CREATE TEMP VIEW events AS SELECT * FROM read_parquet({[str(path) for path in paths]}) AS found
            WHERE NOT EXISTS (SELECT 1 FROM gone WHERE gone.viewer_id = found.viewer_id AND found.received_at <= gone."at") {after}""")  # noqa: S608
        db.execute(_SIGNALS)
        return _interactions(db)


def _interactions(db: duckdb.DuckDBPyConnection) -> Interactions:
    """The table `signals` with ids coded by DuckDB, so that no column of a million texts comes into Python."""
    ids = {}
    for name in ("viewer_id", "asset_id"):
        db.execute(
            f"CREATE TEMP TABLE {name}s AS SELECT {name}, row_number() OVER (ORDER BY {name}) - 1 AS code "  # noqa: S608
            f"FROM (SELECT DISTINCT {name} FROM signals)"
        )
        ids[name] = [row[0] for row in db.execute(f"SELECT {name} FROM {name}s ORDER BY code").fetchall()]  # noqa: S608
    columns = db.execute("""
        SELECT CAST(v.code AS INTEGER) AS viewer, CAST(a.code AS INTEGER) AS item, at_s, CAST(fraction AS FLOAT) AS fraction,
               CAST(signal AS TINYINT) AS signal
        FROM signals JOIN viewer_ids v USING (viewer_id) JOIN asset_ids a USING (asset_id)""").fetchnumpy()
    return from_codes(
        columns["viewer"], columns["item"], columns["at_s"], ids["viewer_id"], ids["asset_id"],
        watched_fraction=columns["fraction"], signal=columns["signal"],
    )  # fmt: skip


@contextmanager
def open_duckdb(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that spills into `folder` beyond 1.5 GB, and asks nothing of the network."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "1500MB", "temp_directory": str(folder / "duckdb"), "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    opened = duckdb.connect(":memory:", config=config)
    try:
        yield opened
    finally:
        opened.close()
