"""A deleted asset leaves nothing behind, and takes nothing of others with it."""

from __future__ import annotations

from catalog import store
from catalog.asset import AssetStatus
from catalog.steps import STEPS
from kit import job_store
from kit.jobs import Job, State
from kit.step import Beat
from kit.world import World
from media import keys
from media.ids import AssetId
from tests.assets import a_plan, an_asset

(PURGE,) = (step for step in STEPS if step.kind == store.PURGE)


def fill(world: World, asset_id: AssetId) -> list[str]:
    """Store a few objects as ingest, transcode and packager do."""
    plan = a_plan()
    names = [
        keys.source(asset_id), keys.poster(asset_id, plan.digest), keys.init_segment(asset_id, plan.digest, "360p"),
        keys.media_segment(asset_id, plan.digest, "360p", 0), keys.media_playlist(asset_id, plan.digest, "360p"),
    ]  # fmt: skip
    for name in names:
        world.storage.put(name, b"x")
    return names


def stored(world: World, asset_id: AssetId) -> list[str]:
    return [item.key for prefix in (keys.SOURCES, keys.PRESENTATIONS) for item in world.storage.list(prefix) if asset_id in item.key]


def purge_jobs(world: World, asset_id: str) -> list[Job]:
    with world.db.connect() as conn:
        return [job for job in job_store.jobs_of_asset(conn, asset_id) if job.kind == store.PURGE]


def carry_out(world: World, job: Job) -> None:
    result = PURGE.run(world, job, Beat())
    with world.db.begin() as conn:
        PURGE.save(conn, world, job, result)


def test_a_purge_removes_what_is_the_assets_and_nothing_else(world: World) -> None:
    with world.db.begin() as conn:
        gone, kept = an_asset(conn, AssetStatus.READY), an_asset(conn, AssetStatus.READY)
    fill(world, gone.id)
    others = fill(world, kept.id)
    with world.db.begin() as conn:
        store.delete_asset(conn, gone.id)
    first, again = purge_jobs(world, gone.id)
    carry_out(world, first)
    assert stored(world, gone.id) == []
    assert sorted(stored(world, kept.id)) == sorted(others)
    # An encode that had not heard of the deletion yet stores one more segment.
    world.storage.put(keys.media_segment(gone.id, a_plan().digest, "360p", 1), b"late")
    carry_out(world, again)
    assert stored(world, gone.id) == []
    with world.db.connect() as conn:
        assert store.get_asset(conn, gone.id).title == ""
        assert store.load_plan(conn, kept.id) == a_plan()


def test_the_second_look_comes_when_no_old_lease_can_hold(world: World) -> None:
    with world.db.begin() as conn:
        asset = an_asset(conn, AssetStatus.READY)
        deleted = store.delete_asset(conn, asset.id)
        first = job_store.claim(conn, "worker")
        assert first is not None
        assert first.kind == store.PURGE
        assert job_store.claim(conn, "worker") is None, "the second is not due yet"
    (again,) = [job for job in purge_jobs(world, asset.id) if job.state is State.QUEUED]
    assert deleted.deleted_at is not None
    assert (again.not_before - deleted.deleted_at).total_seconds() > job_store.LEASE_S
