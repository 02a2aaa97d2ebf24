"""The lake on a live object store and database: never half a day, nothing twice, and nothing left of who is forgotten."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from kit.settings import to_environment
from kit.step import run_step
from kit.storage import MissingObject
from kit.storage.s3 import open_storage
from kit.world import World
from recommend import bundle, importing, lake, lake_steps, lake_store, store
from recommend.interactions import Interactions, Signal
from recommend.ranked import signals
from recommend.tables import forgotten_viewers, view_events
from tests.api_client import Api, open_api
from tests.local_stack import command
from tests.viewing import DURATION_S, a_title, event, watched
from worker.flow import VideoFlow

DAY_S = 86_400.0
STEPS = {step.kind: step for step in lake_steps.STEPS}


@pytest.fixture(autouse=True)
def _empty_lake(world: World) -> Iterator[None]:
    yield
    for found in [*world.storage.list(lake.PREFIX), *world.storage.list("models/")]:
        world.storage.delete(found.key)


@pytest.fixture
def api(world: World) -> Api:
    return open_api(world)


def send(api: Api, *events: Any) -> None:
    reply = api.post("/v1/events", json=list(events))
    assert reply.json()["dropped"] == [], reply.text


def rows_of(found: Interactions) -> list[tuple[str, str, float, int]]:
    return sorted(
        (found.viewer_ids[viewer], found.item_ids[item], round(float(fraction), 4), int(signal))
        for viewer, item, fraction, signal in zip(found.viewers, found.items, found.watched_fraction, found.signal, strict=True)
    )


def every_row(world: World) -> list[dict[str, Any]]:
    """Of every Parquet object in the lake, named by the manifest or not."""
    objects = [world.storage.get(found.key) for found in world.storage.list(lake.EVENTS)]
    return [row for data in objects for row in pq.read_table(io.BytesIO(data)).to_pylist()]


def test_events_reach_the_lake_once(api: Api, world: World) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id), watched("w", asset.id, share=0.5, ago_s=DAY_S))
    assert lake.compact(world) == lake.Compacted(2, 2, 0)
    assert lake.compact(world) == lake.Compacted(0, 0, 0)
    send(api, watched("u", asset.id, ago_s=DAY_S))
    assert lake.compact(world).events == 1
    assert len({row["event_id"] for row in every_row(world)}) == len(every_row(world)) == 3
    assert sum(file.rows for file in lake.manifest(world.storage).values()) == 3
    assert rows_of(lake.read_interactions(world)) == [
        ("u", asset.id, 1.0, Signal.COMPLETED), ("v", asset.id, 1.0, Signal.COMPLETED), ("w", asset.id, 0.5, Signal.WATCHED),
    ]  # fmt: skip


def test_a_compaction_that_was_cut_off_is_repeated_without_doubling(api: Api, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id))
    with monkeypatch.context() as broken:
        broken.setattr(lake_store, "mark_compacted", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            lake.compact(world)
    assert len(every_row(world)) == 1
    assert lake.compact(world).events == 1
    assert len(every_row(world)) == 1


def test_a_writer_that_dies_before_the_manifest_changes_nothing(api: Api, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id))
    lake.compact(world)
    before = rows_of(lake.read_interactions(world))
    send(api, watched("w", asset.id))
    with monkeypatch.context() as broken:
        broken.setattr(lake, "_publish", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            lake.compact(world)
    assert len(list(world.storage.list(lake.EVENTS))) == 2  # a file that nobody names
    assert rows_of(lake.read_interactions(world)) == before
    lake.compact(world)
    assert len(list(world.storage.list(lake.EVENTS))) == 1
    assert len(rows_of(lake.read_interactions(world))) == 2


def test_a_reader_whose_files_are_replaced_reads_the_new_ones(api: Api, world: World) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id))
    lake.compact(world)
    fetches = itertools.count()

    class Replacing:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.storage, name)

        def download(self, key: str, target: Path) -> None:
            if next(fetches) == 0:
                send(api, watched("w", asset.id))
                lake.compact(world)
                with pytest.raises(MissingObject):
                    world.storage.stat(key)
            world.storage.download(key, target)

    assert len(lake.read_interactions(replace(world, storage=Replacing()))) == 2


def test_a_damaged_file_is_refused(api: Api, world: World) -> None:
    send(api, watched("v", a_title(world).id))
    lake.compact(world)
    (found,) = world.storage.list(lake.EVENTS)
    world.storage.put(found.key, world.storage.get(found.key)[:-1] + b"x")
    with pytest.raises(lake.BrokenLake):
        lake.read_interactions(world)
    with pytest.raises(lake.BrokenLake):
        send(api, watched("w", a_title(world).id))
        lake.compact(world)


def test_p24_the_lake_and_the_tables_say_the_same_of_a_viewer(api: Api, world: World) -> None:
    """Training reads the lake in SQL, serving the sums in Python: row by row they agree."""
    assets = [a_title(world).id for _ in range(8)]
    send(
        api,
        watched("v", assets[0]), watched("v", assets[1], share=0.4),
        event("v", assets[2], "abandon", position_s=1.0, watched_s=1.0),
        event("v", assets[3], position_s=1.0, watched_s=1.0), event("v", assets[3], "seek", position_s=12.9, watched_s=1.0),
        event("v", assets[4], position_s=12.5, watched_s=9.0), event("v", assets[4], position_s=2.0, watched_s=1.0, session_id="other"),
        event("v", assets[5], "rating", value=-1, ago_s=9), event("v", assets[5], "rating", value=1), event("v", assets[6], "start"),
        event("v", assets[6], "not_interested"), event("v", assets[7], "rating", value=0),
        event("v", assets[7], position_s=6.0), event("v", assets[7], "abandon", position_s=6.5, watched_s=2.0),
    )  # fmt: skip
    with world.db.connect() as conn:
        said = signals(store.seen_by(conn, "v"), world.clock.now().timestamp())
    lake.compact(world)
    assert rows_of(lake.read_interactions(world)) == sorted(("v", asset, round(part, 4), int(kind)) for asset, _, part, kind in said)


def test_reading_since_a_moment(api: Api, world: World) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id, ago_s=3 * DAY_S), watched("w", asset.id))
    lake.compact(world)
    since = datetime.fromtimestamp(world.clock.now().timestamp() - DAY_S, UTC)
    assert [row[0] for row in rows_of(lake.read_interactions(world, since))] == ["w"]


def test_an_empty_lake_is_an_empty_history(world: World) -> None:
    assert len(lake.read_interactions(world)) == 0


def work(world: World) -> None:
    while run_step(world, STEPS, VideoFlow(), "test"):
        pass


def test_forgetting_a_viewer_leaves_nothing_anywhere(world: World) -> None:
    own = replace(world.settings, s3_bucket=f"forgetting-{secrets.token_hex(4)}")  # every object in it is read below
    storage = open_storage(own)
    storage.ensure_bucket()
    world = replace(world, settings=own, storage=storage)
    api, asset = open_api(world), a_title(world)
    send(api, *(watched(viewer, asset.id, ago_s=ago) for viewer in ("secret-viewer", "other") for ago in (0.0, DAY_S, 2 * DAY_S)))
    api.get("/v1/viewers/secret-viewer/home")
    lake.compact(world)
    send(api, event("secret-viewer", asset.id))  # one that has not reached the lake
    assert any(b"secret-viewer" in str(row).encode() for row in every_row(world))
    assert api.delete("/v1/viewers/secret-viewer/history").status_code == 204
    assert api.get("/v1/viewers/secret-viewer/history").json()["data"] == []
    assert {row[0] for row in rows_of(lake.read_interactions(world))} == {"other"}  # before the lake is rewritten
    work(world)
    assert {row["viewer_id"] for row in every_row(world)} == {"other"}
    for found in world.storage.list(""):
        assert b"secret-viewer" not in world.storage.get(found.key), found.key
    with world.db.connect() as conn:
        tables = [table for table in view_events.metadata.sorted_tables if "viewer_id" in table.c]
        for table in tables:
            assert conn.execute(select(func.count()).where(table.c.viewer_id == "secret-viewer")).scalar_one() == 0, table.name
        assert conn.execute(select(func.count()).select_from(forgotten_viewers)).scalar_one() == 0


def test_what_a_viewer_does_after_being_forgotten_is_a_new_history(api: Api, world: World) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id, ago_s=60))
    lake.compact(world)
    api.delete("/v1/viewers/v/history")
    send(api, watched("v", asset.id, share=0.5))
    lake.compact(world)
    work(world)
    assert rows_of(lake.read_interactions(world)) == [("v", asset.id, 0.5, Signal.WATCHED)]


def test_compaction_is_asked_for_once_a_night(world: World) -> None:
    with world.db.begin() as conn:
        for hour in (1, 4, 5):
            lake_steps.ask_for_compaction(conn, datetime(2026, 11, 22, hour, tzinfo=UTC))
    work(world)
    with world.db.begin() as conn:
        assert conn.exec_driver_sql("SELECT subject, state FROM jobs").all() == [("2026-11-22", "succeeded")]


def test_a_night_with_viewers_ends_with_a_new_model(api: Api, world: World) -> None:
    titles = [a_title(world, f"Title {n}").id for n in range(5)]
    send(api, *(watched(f"v{n}", title) for n in range(8) for k, title in enumerate(titles) if k != n % 5))
    with world.db.begin() as conn:
        lake_steps.ask_for_compaction(conn, datetime(2026, 11, 22, 4, tzinfo=UTC))
    work(world)
    with world.db.connect() as conn:
        states = conn.exec_driver_sql("SELECT kind, state, error_detail FROM jobs ORDER BY kind").all()
    assert [tuple(row) for row in states] == [("recommend.compact", "succeeded", None), ("recommend.train", "succeeded", None)]
    version = bundle.current_version(world.storage)
    assert version is not None
    assert api.delete("/v1/viewers/v3/history").status_code == 204
    work(world)
    found = bundle.load(world.storage, world.settings.scratch_dir / "models", version)
    assert found.viewer_code("v3") is None
    assert found.viewer_code("v2") is not None
    assert len(found.history(len(found.viewer_ids) - 1)[0]) == 4


CSV = """user,movieId,timestamp,progress,rating
u1,film-1,1700000000,100,5
u1,other,1700000100,40,
u2,film-1,2023-11-15T00:00:00Z,95,1
,x,1,1,1
u3,film-1,never,1,1
"""


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_history_from_elsewhere(api: Api, world: World, tmp_path: Path, form: str) -> None:
    asset = a_title(world)
    with world.db.begin() as conn:
        conn.exec_driver_sql("UPDATE assets SET external_id = 'film-1' WHERE id = %s", (asset.id,))
    path = tmp_path / f"history.{form}"
    if form == "parquet":
        with lake.open_duckdb(tmp_path) as db:
            (tmp_path / "plain.csv").write_text(CSV)
            db.execute(f"COPY (SELECT * FROM read_csv_auto('{tmp_path / 'plain.csv'}')) TO '{path}' (FORMAT parquet)")
    else:
        path.write_bytes(CSV.encode() if form == "csv" else gzip.compress(CSV.encode()))
    done = importing.import_history(world, path)
    assert (done.rows, done.dropped, done.viewers, done.titles, done.unknown_titles, done.days) == (3, 2, 2, 2, 1, 2)
    importing.import_history(world, path)  # adds nothing
    assert rows_of(lake.read_interactions(world)) == [
        ("u1", asset.id, 1.0, Signal.COMPLETED), ("u1", asset.id, 1.0, Signal.LIKED), ("u1", "other", 0.4, Signal.WATCHED),
        ("u2", asset.id, 0.0, Signal.DISLIKED), ("u2", asset.id, 0.95, Signal.COMPLETED),
    ]  # fmt: skip
    entry = next(one for one in api.get("/v1/viewers/u1/history").json()["data"] if one["asset_id"] == asset.id)
    assert (entry["completed"], entry["watched_fraction"], DURATION_S) == (True, 1.0, 13.0)


def test_a_file_that_is_no_history_says_what_is_missing(world: World, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(importing.BadHistory, match="viewer_id or viewer or user_id and a column asset_id"):
        importing.import_history(world, path)
    path.write_bytes(b"\x00\xff\x00")
    with pytest.raises(importing.BadHistory):
        importing.import_history(world, path)


def test_history_comes_in_by_one_command(world: World, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(CSV)
    done = command("import-history", str(path), "--json", environment=to_environment(world.settings))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 3
    path.write_text("a,b\n1,2\n")
    refused = command("import-history", str(path), environment=to_environment(world.settings))
    assert (refused.returncode, refused.stderr.count("\n")) == (5, 1)
    assert "A history needs a column" in refused.stderr
