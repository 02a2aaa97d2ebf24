"""Objects that nothing names: found, told apart from what is needed, and removed only when asked for. On live servers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from catalog import inventory, orphans, store
from catalog.asset import NewAsset
from ingest.store import NewUpload, create, is_unfreed
from kit import job_store
from kit.clock import SystemClock
from kit.jobs import NewJob
from kit.world import World
from media import keys
from media.ids import AssetId, PlanDigest, UploadId
from tests.published import published


class Tomorrow(SystemClock):
    """A day and an hour ahead: what was stored just now is old enough."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=25)


@pytest.fixture
def tomorrow(world: World) -> World:
    return replace(world, clock=Tomorrow())


def found(world: World, *mine: str) -> set[str]:
    """The orphans among the objects of this test: the bucket has those of other tests too."""
    return {item.key for item in orphans.find(world, is_unfreed) if any(name in item.key for name in mine)}


def test_what_is_named_is_no_orphan(tomorrow: World) -> None:
    made = published(tomorrow)
    assert found(tomorrow, made.asset) == set()
    with tomorrow.db.begin() as conn:  # titles of earlier releases have playlists that nothing is recorded of
        conn.exec_driver_sql("DELETE FROM playlists")
    assert found(tomorrow, made.asset) == set()


def test_what_nothing_names_is_found_when_it_is_a_day_old(world: World, tomorrow: World) -> None:
    made = published(world)
    asset, plan = made.asset, made.title.plan.digest
    other = PlanDigest("0" * 64)
    stray = {
        keys.media_segment(asset, plan, "480p", 77), keys.media_segment(asset, other, "480p", 0), keys.init_segment(asset, plan, "no-such"),
        keys.poster(asset, other), keys.source(asset), keys.source(AssetId("ast_nobody_knows")),
        keys.poster(AssetId("ast_nobody_knows"), plan), keys.upload_tail(UploadId("upl_nobody_knows"), 1, 9), keys.import_note(asset),
    }  # fmt: skip
    for key in stray:
        world.storage.put(key, b"left behind")
    mine = (asset, "nobody_knows")
    assert found(world, *mine) == set(), "it may be that its row is not written yet"
    assert found(tomorrow, *mine) == stray
    for item in orphans.find(tomorrow, is_unfreed):
        if item.key in stray:
            assert orphans.remove(tomorrow, item, is_unfreed)
    assert found(tomorrow, *mine) == set()
    with world.db.connect() as conn:
        assert all(world.storage.stat(part.key) for part in inventory.parts_of(conn, asset))


def test_what_others_keep_is_left_alone(tomorrow: World) -> None:
    made = published(tomorrow)
    theirs = (f"{keys.asset_prefix(made.asset)}cues/1.json", f"{keys.plan_prefix(made.asset, made.title.plan.digest)}t/320/00001.jpg")
    for key in theirs:
        tomorrow.storage.put(key, b"of another room")
    assert found(tomorrow, made.asset) == set()


def test_nothing_is_an_orphan_while_something_is_being_done(tomorrow: World) -> None:
    made = published(tomorrow)
    key = keys.media_segment(made.asset, made.title.plan.digest, "480p", 77)
    tomorrow.storage.put(key, b"stored, and not yet recorded")
    with tomorrow.db.begin() as conn:
        job_store.enqueue(conn, NewJob("transcode.encode", "a chunk", made.asset))
        uploading = store.create_asset(conn, NewAsset())
        upload = create(conn, NewUpload(UploadId(f"upl_of_{uploading.id}"), uploading.id, 10, 5, 3600, "me"))
    tail = keys.upload_tail(upload.id, 1, 5)
    tomorrow.storage.put(tail, b"five!")
    assert found(tomorrow, made.asset, upload.id) == set()
    with tomorrow.db.begin() as conn:
        job_store.cancel_asset(conn, made.asset)
        conn.exec_driver_sql("UPDATE uploads SET state = 'expired', freed_at = now()")
    assert found(tomorrow, made.asset, upload.id) == {key, tail}


def test_an_object_that_was_written_again_stays(tomorrow: World) -> None:
    made = published(tomorrow)
    key = keys.media_segment(made.asset, made.title.plan.digest, "480p", 77)
    tomorrow.storage.put(key, b"first")
    (orphan,) = [item for item in orphans.find(tomorrow, is_unfreed) if item.key == key]
    assert not orphans.remove(tomorrow, replace(orphan, modified_at=orphan.modified_at - timedelta(days=2)), is_unfreed)
    assert tomorrow.storage.get(key) == b"first"


def test_what_is_left_of_a_deleted_asset_is_an_orphan(tomorrow: World) -> None:
    made = published(tomorrow)
    with tomorrow.db.begin() as conn:
        store.delete_asset(conn, made.asset)
        job_store.cancel_asset(conn, made.asset)  # as if its purge had been given up
        names = {item.key for item in tomorrow.storage.list(keys.asset_prefix(made.asset))}
    assert found(tomorrow, made.asset) == names
