"""History from elsewhere: CSV, TSV (`.gz` too) or Parquet, one row for each viewing, into the lake and into what answers are made of.

Columns are known by several names (`COLUMNS`); who and what are needed, the rest may be missing. A title is named by its asset id
or by the `external_id` that its owner gave it. Without a share, a row is a whole view. Shares above 1 say that
the column counts per cent, ratings above 1 that it counts stars, up to 5.
The id of a row follows from what it says, so importing the same file again adds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from kit.errors import BadRequest
from kit.world import World
from recommend import lake, lake_store, store
from recommend.viewing import Opinion, Session

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "viewer": ("viewer_id", "viewer", "user_id", "user", "userid", "profile_id"),
    "item": ("asset_id", "external_id", "item_id", "item", "itemid", "title_id", "video_id", "movieid", "movie_id"),
    "at": ("at", "timestamp", "time", "watched_at", "date", "datetime"),
    "fraction": ("watched_fraction", "fraction", "progress", "watched_pct", "watch_ratio"),
    "completed": ("completed", "finished"),
    "rating": ("rating", "stars"),
}
_CHUNK = 20_000


class BadHistory(BadRequest):
    """The file is not a history."""

    code = "bad_history"


@dataclass(frozen=True, slots=True)
class Imported:
    rows: int
    dropped: int  # without a viewer, a title or a readable time
    viewers: int
    titles: int
    unknown_titles: int  # of them not in the catalogue
    days: int


def columns_of(names: list[str]) -> dict[str, str]:
    """Which column of a file says what. Raises BadHistory."""
    by_lower = {name.lower(): name for name in reversed(names)}
    found = {what: by_lower[name] for what, known in COLUMNS.items() for name in known[::-1] if name in by_lower}
    missing = [" or ".join(COLUMNS[what][:3]) for what in ("viewer", "item") if what not in found]
    if missing:
        raise BadHistory(f"A history needs a column {' and a column '.join(missing)}; this file has {', '.join(names[:20])}.")
    return found


def import_history(world: World, path: Path) -> Imported:
    """Reads the whole file, then adds it at once. Raises BadHistory, and what the store and the database raise."""
    with world.db.connect() as conn:
        known = lake_store.by_external_id(conn)
        durations = {title.asset_id: title.duration_s for title in store.titles(conn)}
    with lake.open_duckdb(world.settings.scratch_dir) as db:
        total = _load(db, path, known, durations, world.clock.now().timestamp())
        rows, viewers, titles, days = db.execute(
            "SELECT count(*), count(DISTINCT viewer_id), count(DISTINCT asset_id), count(DISTINCT day) FROM history"
        ).fetchall()[0]
        unknown = db.execute("SELECT count(DISTINCT asset_id) FROM history WHERE NOT known").fetchall()[0][0]
        with lake_store.only_writer(world.db):
            lake.add(world, _days(db, world.clock.now().timestamp()))
        _merge(world, db)
    return Imported(rows, total - rows, viewers, titles, unknown, days)


def _load(db: duckdb.DuckDBPyConnection, path: Path, known: Mapping[str, str], durations: Mapping[str, float | None], now_s: float) -> int:
    """The table `history`, a row for each viewing. Returns how many rows the file has."""
    reader = "read_parquet" if path.suffix == ".parquet" else "read_csv_auto"
    try:
        db.execute(f"CREATE TEMP VIEW given AS SELECT * FROM {reader}('{str(path).replace(chr(39), chr(39) * 2)}')")  # noqa: S608
        names = columns_of([row[0] for row in db.execute("DESCRIBE given").fetchall()])
        told = {what: '"' + name.replace('"', '""') + '"' for what, name in names.items()}
        db.execute("CREATE TEMP TABLE external (external_id TEXT, asset_id TEXT)")
        db.execute("CREATE TEMP TABLE durations (asset_id TEXT, duration_s DOUBLE)")
        _fill(db, "external", list(known.items()))
        _fill(db, "durations", list(durations.items()))
        db.execute(_history_query(told, now_s))
        return int(db.execute("SELECT count(*) FROM given").fetchall()[0][0])
    except duckdb.Error as error:
        raise BadHistory(f"{path.name} cannot be read as a history: {str(error).splitlines()[0]}") from error


def _fill(db: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        given = pa.table([pa.array(column) for column in zip(*rows, strict=True)], names=["one", "other"])
        db.register("filling", given)
        db.execute(f"INSERT INTO {table} SELECT one, other FROM filling")  # noqa: S608
        db.unregister("filling")


def _history_query(told: Mapping[str, str], now_s: float) -> str:
    """Titles by their ids here, times as times, shares and ratings in one measure."""
    at = told.get("at")
    seconds = f"coalesce(TRY_CAST({at} AS DOUBLE), epoch(TRY_CAST({at} AS TIMESTAMPTZ)))" if at else str(now_s)
    fraction = f"TRY_CAST({told['fraction']} AS DOUBLE)" if "fraction" in told else "NULL"
    completed = f"TRY_CAST({told['completed']} AS BOOLEAN)" if "completed" in told else "NULL"
    rating = f"TRY_CAST({told['rating']} AS DOUBLE)" if "rating" in told else "NULL"
    return f"""
      CREATE TEMP TABLE history AS
      WITH raw AS (
        SELECT CAST({told["viewer"]} AS TEXT) AS viewer_id, CAST({told["item"]} AS TEXT) AS named, {seconds} AS told_s,
               {fraction} AS share, {completed} AS done, {rating} AS stars FROM given),
      clean AS (
        SELECT viewer_id, named, least(if(told_s > 1e11, told_s / 1000, told_s), {now_s}) AS at_s,
               if(share IS NULL, NULL, least(1.0, greatest(0.0, if((SELECT max(share) > 1.5 FROM raw), share / 100, share)))) AS share,
               done,
               CASE WHEN stars IS NULL THEN NULL WHEN (SELECT max(stars) > 1 FROM raw) THEN least(1.0, greatest(-1.0, (stars - 3) / 2))
                    ELSE greatest(-1.0, stars) END AS rating
        FROM raw WHERE viewer_id <> '' AND named <> '' AND length(viewer_id) <= 128 AND length(named) <= 255
                   AND isfinite(told_s) AND told_s > 0)
      SELECT DISTINCT clean.viewer_id, coalesce(external.asset_id, named) AS asset_id, at_s,
             make_timestamp(CAST(at_s * 1e6 AS BIGINT)) AS "at", strftime(make_timestamp(CAST(at_s * 1e6 AS BIGINT)), '%Y-%m-%d') AS day,
             durations.asset_id IS NOT NULL AS known,
             coalesce(durations.duration_s, 1.0) AS duration_s, coalesce(done, coalesce(share, 1.0) >= 0.92) AS completed,
             if(coalesce(done, false), 1.0, coalesce(share, 1.0)) AS fraction, rating,
             md5(concat_ws(chr(10), clean.viewer_id, named, at_s, share, done, rating)) AS id
      FROM clean LEFT JOIN external ON external.external_id = named
                 LEFT JOIN durations ON durations.asset_id = coalesce(external.asset_id, named)
    """  # noqa: S608


def _days(db: duckdb.DuckDBPyConnection, now_s: float) -> Iterator[tuple[str, pa.Table]]:
    """The history as events, a day at a time: one for each viewing, and one for each rating."""
    for (day,) in db.execute("SELECT DISTINCT day FROM history ORDER BY day").fetchall():
        found = db.sql(
            """
            SELECT id AS event_id, viewer_id, asset_id, 'import' AS session_id, if(completed, 'complete', 'heartbeat') AS kind,
                   fraction * duration_s AS position_s, 0.0 AS watched_s, NULL::DOUBLE AS value, duration_s, "at",
                   make_timestamp($2) AS received_at
            FROM history WHERE day = $1
            UNION ALL
            SELECT id || 'r', viewer_id, asset_id, 'import', 'rating', NULL, 0.0, rating, duration_s, "at", make_timestamp($2)
            FROM history WHERE day = $1 AND rating IS NOT NULL""",
            params=[day, int(now_s * 1e6)],
        ).to_arrow_reader()
        assert found is not None
        yield day, found.read_all().cast(lake.SCHEMA)


def _merge(world: World, db: duckdb.DuckDBPyConnection) -> None:
    """The sums, so that answers know of it at once. In pieces, sorted as row locks are."""
    query = db.execute("""
        SELECT viewer_id, asset_id, max(fraction * duration_s), max(duration_s), bool_or(completed), min(at_s), max(at_s),
               arg_max(rating, at_s)
        FROM history GROUP BY viewer_id, asset_id ORDER BY viewer_id, asset_id""")
    while rows := query.fetchmany(_CHUNK):
        sessions = [
            Session(viewer, asset, "import", seen_s, seen_s, 0.0, duration_s, completed, False, first_s, last_s)
            for viewer, asset, seen_s, duration_s, completed, first_s, last_s, _ in rows
        ]
        opinions = [Opinion(row[0], row[1], row[7], row[6], None) for row in rows if row[7] is not None]
        with world.db.begin() as conn:
            store.merge_sessions(conn, sessions)
            store.merge_opinions(conn, opinions)
