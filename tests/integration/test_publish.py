"""`packager.publish` on live servers: what it refuses, what it stores, and that a title appears as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection

from catalog import lost, store
from catalog.asset import NewPresentation
from catalog.lost import Lost
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


BOTH = (keys.media_playlist, keys.iframe_playlist)


def playlists_of(world: World, asset: AssetId, title: Title) -> dict[str, bytes]:
    """The stored ones, by key."""
    found = world.storage.list(keys.plan_prefix(asset, title.plan.digest))
    return {item.key: world.storage.get(item.key) for item in found if item.key.endswith(".m3u8")}


def asset_is(conn: Connection, asset: AssetId) -> tuple[str, bool]:
    found = store.get_asset(conn, asset)
    return str(found.status), found.playable


def test_the_planned_stage_needs_nothing_but_the_plan(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p")))
    asset, _ = new_asset(world, title)
    row = publish(world, asset, title, "planned")
    assert row.multivariant["playlist"].count("#EXT-X-STREAM-INF") == 2
    assert not row.has_poster
    with world.db.begin() as conn:
        assert asset_is(conn, asset) == ("processing", False)
    wanted = {spell(asset, title.plan.digest, rung) for rung in ("480p", "720p") for spell in BOTH}
    assert set(playlists_of(world, asset, title)) == {*wanted, keys.media_playlist(asset, title.plan.digest, "audio")}
    with pytest.raises(NotWhole, match="480p, 720p, audio"):
        publish(world, asset, title, "ready")


def test_ready_changes_nothing_but_the_rates_and_is_not_taken_back(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p", "1080p")), seed=2)
    asset = encoded(world, title, names_of(title.plan), poster=b"picture")
    planned = publish(world, asset, title, "planned")
    before = playlists_of(world, asset, title)
    row = publish(world, asset, title, "ready")
    assert playlists_of(world, asset, title) == before
    texts = [str(found.multivariant["playlist"]) for found in (planned, row)]
    assert texts[0] != texts[1]
    assert len({re.sub(r"BANDWIDTH=\d+", "", text) for text in texts}) == 1
    assert row.multivariant["poster"]["size_bytes"] == 7
    publish(world, asset, title, "planned")  # a late repeat of the earlier stage
    with world.db.begin() as conn:
        assert asset_is(conn, asset) == ("ready", True)
        current = store.current_presentation(conn, asset)
    assert current is not None and current.stage == "ready"


def test_what_was_given_up_is_left_out_and_not_asked_for(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p", "1080p")), seed=7)
    asset = encoded(world, title, ("480p", "1080p", "audio"))
    with world.db.begin() as conn:
        lost.lose(conn, asset, title.plan.digest, ["720p"], Lost("encode_failed", "The encoder crashed."))
    for stage in ("planned", "ready"):
        row = publish(world, asset, title, stage)
        named = re.findall(r"/(\w+)/index", row.multivariant["playlist"])
        assert set(named) == {"480p", "1080p", "audio"}
    with world.db.begin() as conn:
        assert asset_is(conn, asset) == ("ready", True)


def test_a_presentation_of_what_was_given_up_meanwhile_is_not_published(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p")), seed=8)
    asset, _ = new_asset(world, title)
    job = publish_job(asset, title, "planned")
    row = steps.publish(world, job, Beat())
    with world.db.begin() as conn:
        lost.lose(conn, asset, title.plan.digest, ["480p"], Lost("encode_failed", "The encoder crashed."))
    with pytest.raises(steps.Overtaken), world.db.begin() as conn:
        steps.save(conn, world, job, row)
    with world.db.begin() as conn:
        assert store.current_presentation(conn, asset) is None


def test_ready_replaces_a_playlist_that_was_lost(world: World) -> None:
    title = title_of(plan_of(), seed=6)
    asset = encoded(world, title, names_of(title.plan))
    publish(world, asset, title, "planned")
    before = playlists_of(world, asset, title)
    world.storage.delete(keys.media_playlist(asset, title.plan.digest, "audio"))
    publish(world, asset, title, "ready")
    assert playlists_of(world, asset, title) == before


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
    with pytest.raises(NotWhole):
        publish(world, asset, title, "ready")
    with world.db.begin() as conn:
        assert store.current_presentation(conn, asset) is None


def test_measurements_without_objects_do_not_count(world: World) -> None:
    title = title_of(plan_of(rungs=("480p", "720p")), seed=5)
    twin, _ = new_asset(world, title)
    save_tables(world, twin, title, names_of(title.plan))
    put_objects(world, twin, title, ["480p", "audio"])
    with pytest.raises(NotWhole, match="720p"):
        publish(world, twin, title, "ready")
