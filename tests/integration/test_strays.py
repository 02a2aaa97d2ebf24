"""Multipart uploads whose makers were killed before anybody knew of them are freed, and no other is."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import catalog.store
from catalog.asset import NewAsset
from ingest import importing, sessions, strays
from ingest.upload import Offer, UploadSession, UploadState
from kit import job_store
from kit.clock import SystemClock
from kit.jobs import State
from kit.step import run_step
from kit.world import World
from media import keys
from worker import sweeper
from worker.flow import VideoFlow


class LaterClock(SystemClock):
    """Two days ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=2)


def upload_of(world: World) -> UploadSession:
    created = sessions.create(world, NewAsset(title="strays"), owner="tester", size_bytes=100)
    return sessions.begin(world, created.id, Offer(0, 100))


def left(world: World) -> set[str]:
    return {found.upload_id for found in world.storage.open_multiparts("")}


def sweep_days_later(world: World) -> None:
    later = replace(world, clock=LaterClock())
    sweeper.ask_for_strays(later)
    sweeper.ask_for_strays(later)
    steps = {step.kind: step for step in strays.STEPS}
    assert run_step(later, steps, VideoFlow(), "tester")
    assert not run_step(later, steps, VideoFlow(), "tester")


def test_one_killed_before_its_id_was_saved_is_freed_when_the_upload_ends(world: World) -> None:
    session = upload_of(world)
    stray = world.storage.create_multipart(keys.source(session.asset_id))
    known = sessions.open_multipart(world, session)
    assert {stray, known} <= left(world)
    sessions.cancel(world, session.id)
    assert not {stray, known} & left(world)


def test_a_complete_upload_leaves_none_either(world: World) -> None:
    session = upload_of(world)
    key = keys.source(session.asset_id)
    stray = world.storage.create_multipart(key)
    multipart_id = sessions.open_multipart(world, session)
    part = world.storage.put_part(key, multipart_id, 1, bytes(100))
    sessions.commit(world, session, offset=100, tails=(), parts=(part,), size_bytes=100)
    assert sessions.close(world, session.id).state is UploadState.COMPLETE
    assert not {stray, multipart_id} & left(world)
    assert world.storage.get(key) == bytes(100)


def test_once_a_day_all_old_ones_go_that_nobody_needs(world: World) -> None:
    session = upload_of(world)
    needed = sessions.open_multipart(world, session)
    with world.db.begin() as conn:
        gone, importing_now = (catalog.store.create_asset(conn, NewAsset(title="strays")).id for _ in range(2))
        importing.request_import(conn, importing_now, "http://example.com/clip.mp4")
    stray, running = (world.storage.create_multipart(keys.source(asset)) for asset in (gone, importing_now))
    world.storage.put(keys.import_note(gone), stray.encode())
    theirs = world.storage.create_multipart(f"{keys.INCOMING}{gone}.mp4")
    sweep_days_later(world)
    assert {needed, running, theirs, stray} & left(world) == {needed, running, theirs}
    assert list(world.storage.list(keys.import_note(gone))) == []
    world.storage.abort_multipart(f"{keys.INCOMING}{gone}.mp4", theirs)


def test_none_is_touched_on_its_first_day(world: World) -> None:
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(title="strays"))
    young = world.storage.create_multipart(keys.source(asset.id))
    sweeper.ask_for_strays(world)
    assert run_step(world, {step.kind: step for step in strays.STEPS}, VideoFlow(), "tester")
    with world.db.begin() as conn:
        assert [job.state for job in job_store.jobs_of_asset(conn, "")] == [State.SUCCEEDED]
    assert young in left(world)
    world.storage.abort_multipart(keys.source(asset.id), young)
