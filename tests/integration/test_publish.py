"""`packager.publish` on live servers: what it refuses, what it stores, and that a title appears as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from catalog import store
from catalog.asset import NewPresentation
from kit.step import Beat
from kit.world import World
from media import keys
from media.ids import AssetId
from packager import steps
from packager.steps import NotWhole
from tests.published import publish_job
from tests.titles import Title, names_of, new_asset, plan_of, put_objects, save_tables, title_of


def publish(world: World, asset: AssetId, title: Title, stage: str) -> NewPresentation:
    job = publish_job(asset, title, stage)
    result: NewPresentation = steps.publish(world, job, Beat())
    with world.db.begin() as conn:
        steps.save(conn, world, job, result)
    return result


def encoded(world: World, title: Title, renditions: Sequence[str], **more: Any) -> AssetId:
    asset, _ = new_asset(world, title)
    put_objects(world, asset, title, renditions, **more)
    save_tables(world, asset, title, renditions)
    return asset


def asset_is(conn: Connection, asset: AssetId) -> tuple[str, bool]:
    found = store.get_asset(conn, asset)
    return str(found.status), found.playable


def test_playable_needs_the_first_group_and_the_audio_only(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p")))
    asset = encoded(world, title, ["480p", "audio"])
    row = publish(world, asset, title, "playable")
    assert "480p/index.m3u8" in row.multivariant["playlist"]
    assert "720p" not in row.multivariant["playlist"]
    assert not row.has_poster
    with world.db.begin() as conn:
        assert asset_is(conn, asset) == ("processing", True)
    with pytest.raises(NotWhole, match="720p"):
        publish(world, asset, title, "ready")


def test_ready_offers_everything_and_is_not_taken_back(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p", "1080p")), seed=2)
    asset = encoded(world, title, names_of(title.plan), poster=b"picture")
    row = publish(world, asset, title, "ready")
    assert row.multivariant["playlist"].count("#EXT-X-STREAM-INF") == 3
    assert row.multivariant["poster"]["size_bytes"] == 7
    publish(world, asset, title, "playable")  # a late repeat of the earlier stage
    with world.db.begin() as conn:
        assert asset_is(conn, asset) == ("ready", True)
        current = store.current_presentation(conn, asset)
    assert current is not None and current.stage == "ready"
    stored = {found.key for found in world.storage.list(keys.plan_prefix(asset, title.plan.digest))}
    for name in ("480p", "720p", "1080p", "audio"):
        assert keys.media_playlist(asset, title.plan.digest, name) in stored
        assert (keys.iframe_playlist(asset, title.plan.digest, name) in stored) == (name != "audio")


def test_doing_it_again_writes_the_same_bytes(world: World) -> None:
    title = title_of(plan_of(), seed=3)
    asset = encoded(world, title, names_of(title.plan))
    first = publish(world, asset, title, "ready")
    playlists = keys.media_playlist(asset, title.plan.digest, "480p"), keys.iframe_playlist(asset, title.plan.digest, "480p")
    before = [world.storage.get(key) for key in playlists]
    assert publish(world, asset, title, "ready") == first
    assert [world.storage.get(key) for key in playlists] == before


@pytest.mark.parametrize("fault", ["segment missing", "segment short", "init missing", "audio missing", "table with a gap"])
def test_nothing_is_published_that_is_not_whole(world: World, fault: str) -> None:
    title = title_of(plan_of(), seed=4)
    asset, _ = new_asset(world, title)
    put_objects(world, asset, title, [name for name in names_of(title.plan) if (name, fault) != ("audio", "audio missing")])
    digest = title.plan.digest
    for name in names_of(title.plan):
        with world.db.begin() as conn:
            rows = title.tables[name][1:] if (name, fault) == ("480p", "table with a gap") else title.tables[name]
            store.save_segments(conn, asset, digest, name, rows)
    if fault == "segment missing":
        world.storage.delete(keys.media_segment(asset, digest, "480p", 1))
    elif fault == "segment short":
        world.storage.put(keys.media_segment(asset, digest, "480p", 1), title.bodies["480p"][1][:-1])
    elif fault == "init missing":
        world.storage.delete(keys.init_segment(asset, digest, "480p"))
    for stage in ("playable", "ready"):
        with pytest.raises(NotWhole):
            publish(world, asset, title, stage)
    with world.db.begin() as conn:
        assert store.current_presentation(conn, asset) is None


def test_measurements_without_objects_do_not_count(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p")), seed=5)
    twin, _ = new_asset(world, title)
    save_tables(world, twin, title, names_of(title.plan))
    put_objects(world, twin, title, ["480p", "audio"])
    row = publish(world, twin, title, "playable")
    assert "720p" not in row.multivariant["playlist"]
    with pytest.raises(NotWhole, match="720p"):
        publish(world, twin, title, "ready")
