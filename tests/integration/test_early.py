"""Work on a source that is still arriving, on live servers with the real steps: what can be watched before the last byte is sent, and
that nothing stays of a file that is not the one after all."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import catalog.store
from catalog import early
from catalog.asset import Asset, AssetStatus, NewAsset
from catalog.kinds import AUDIO, ENCODE, POSTER, PROBE
from ingest import sessions
from ingest.receive import BodyBroken, Receiver
from ingest.received import received
from ingest.upload import Offer, TakenOver, UploadSession, UploadState
from kit import job_store
from kit.errors import HeadwaterError, NotFound
from kit.jobs import Job, State
from kit.step import run_step
from kit.storage import MissingObject
from kit.world import World
from media import keys
from tests.clips import Clips
from tests.delays import end_delay
from tests.eventually import eventually
from worker.flow import VideoFlow
from worker.main import all_duties

PARTS = 3  # of the file, after which it is looked at what has been made


@pytest.fixture
def slow(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Every upload counts as one that will take long."""
    monkeypatch.setattr("ingest.early_copy.SOON_S", -1.0)
    return replace(world, settings=replace(world.settings, chunk_s=6.0))


def work(world: World) -> None:
    """Everything that is due."""
    steps = dict(all_duties().steps)
    while run_step(world, steps, VideoFlow(), "tester") or end_delay(world):
        pass


def asset_of(world: World, session: UploadSession) -> Asset:
    with world.db.begin() as conn:
        return catalog.store.get_asset(conn, session.asset_id)


def jobs_of(world: World, session: UploadSession) -> list[Job]:
    with world.db.begin() as conn:
        return list(job_store.jobs_of_asset(conn, session.asset_id))


def arrived(world: World, session: UploadSession) -> int:
    with world.db.begin() as conn:
        found = early.load(conn, session.asset_id)
    return 0 if found is None else found.arrived_bytes


def create(world: World, data: bytes) -> UploadSession:
    return sessions.create(world, NewAsset(title="early"), owner="tester", size_bytes=len(data))


def send(
    world: World, session: UploadSession, data: bytes, pause: Callable[[], None], *, restart: bool = False, breaks: bool = False
) -> UploadSession:
    """Sends `data`, and calls `pause` when so many parts of it have arrived that work can begin."""

    async def body() -> AsyncIterator[bytes]:
        stop = PARTS * session.part_bytes
        for start in range(0, stop, 1 << 20):
            yield data[start : start + (1 << 20)]
        if breaks:
            raise BodyBroken("The connection ended before the body did.")
        assert await asyncio.to_thread(eventually, lambda: arrived(world, session) >= stop)
        await asyncio.to_thread(pause)
        yield data[stop:]

    return asyncio.run(Receiver(world).receive(session.id, Offer(0, len(data), restart=restart), body()))


def objects(world: World, prefix: str) -> dict[str, bytes]:
    return {found.key.removeprefix(prefix): world.storage.get(found.key) for found in world.storage.list(prefix)}


def is_watched(world: World, session: UploadSession) -> bool:
    with world.db.begin() as conn:
        playback = catalog.store.playbacks_of(conn, [session.asset_id])[session.asset_id]
        try:
            catalog.store.resolve_playback(conn, playback[0].id if playback else "none")
        except NotFound:
            return False
    return True


def made_whole(world: World, path: Path) -> Asset:
    """The title of the same file, made after all of it had come."""
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(title="whole"))
    world.storage.put(keys.source(asset.id), path)
    with world.db.begin() as conn:
        received(conn, asset.id, keys.source(asset.id), path.stat().st_size)
    work(world)
    with world.db.begin() as conn:
        return catalog.store.get_asset(conn, asset.id)


@pytest.mark.parametrize("name", ["heavy", "mkv-cues-first"])
def test_it_can_be_watched_before_its_last_byte_is_sent(slow: World, clips: Clips, name: str) -> None:
    data = clips(name).read_bytes()
    session = create(slow, data)

    def look() -> None:
        work(slow)
        asset = asset_of(slow, session)
        assert (asset.status, asset.playable, is_watched(slow, session)) == (AssetStatus.UPLOADING, True, True)
        with pytest.raises(MissingObject):
            slow.storage.stat(keys.source(session.asset_id))
        jobs = jobs_of(slow, session)
        assert {job.state for job in jobs} == {State.SUCCEEDED, State.QUEUED}
        chunks = [job.state for job in jobs if job.kind == ENCODE]
        assert State.SUCCEEDED in chunks  # what has arrived is encoded …
        assert chunks[-1] is State.QUEUED  # … and the rest waits
        assert {job.state for job in jobs if job.kind in (AUDIO, POSTER)} == {State.QUEUED}

    done = send(slow, session, data, look)
    assert done.state is UploadState.COMPLETE
    work(slow)
    asset = asset_of(slow, session)
    assert asset.status is AssetStatus.READY
    assert {job.state for job in jobs_of(slow, session)} == {State.SUCCEEDED}
    assert list(slow.storage.list(keys.upload_prefix(session.id))) == []  # no copy is left
    whole = made_whole(slow, clips(name))
    assert asset.plan_digest == whole.plan_digest is not None
    assert asset.source == whole.source
    mine, theirs = (objects(slow, keys.plan_prefix(one.id, whole.plan_digest)) for one in (asset, whole))
    assert mine.keys() == theirs.keys()
    assert {name for name in mine if "audio/" not in name and mine[name] != theirs[name]} == set()


def test_a_cancelled_upload_leaves_nothing(slow: World, clips: Clips) -> None:
    data = clips("heavy").read_bytes()
    session = create(slow, data)

    def cancel() -> None:
        work(slow)
        assert is_watched(slow, session)
        sessions.cancel(slow, session.id)

    with pytest.raises(HeadwaterError) as ended:
        send(slow, session, data, cancel)
    assert isinstance(ended.value, TakenOver) or ended.value.status in (409, 410)
    work(slow)
    assert not is_watched(slow, session)
    assert objects(slow, keys.asset_prefix(session.asset_id)) == {}
    assert list(slow.storage.list(keys.upload_prefix(session.id))) == []
    with slow.db.begin() as conn:
        assert early.load(conn, session.asset_id) is None


def test_another_file_in_its_place_drops_what_was_made(slow: World, clips: Clips) -> None:
    data = clips("heavy").read_bytes()
    other = bytearray(data)
    struct.pack_into(">I", other, data.index(b"mvhd") + 8, 12345)  # the time of its creation: the same length, another index
    session = create(slow, data)
    with pytest.raises(BodyBroken):
        send(slow, session, data, lambda: None, breaks=True)
    work(slow)
    first = asset_of(slow, session)
    assert first.playable
    assert first.plan_digest is not None

    def look() -> None:
        asset = asset_of(slow, session)
        assert (asset.playable, asset.plan_digest, is_watched(slow, session)) == (False, None, False)
        work(slow)
        assert asset_of(slow, session).playable  # of the other file

    done = send(slow, session, bytes(other), look, restart=True)
    assert done.state is UploadState.COMPLETE
    work(slow)
    asset = asset_of(slow, session)
    assert asset.status is AssetStatus.READY
    assert asset.source_digest != first.source_digest
    assert asset.plan_digest != first.plan_digest
    assert slow.storage.get(keys.source(session.asset_id)) == bytes(other)


def test_the_same_file_sent_again_is_made_again(slow: World, clips: Clips) -> None:
    """A PUT that broke off begins anew, with the same bytes and so with the same plan."""
    data = clips("heavy").read_bytes()
    session = create(slow, data)
    with pytest.raises(BodyBroken):
        send(slow, session, data, lambda: None, breaks=True)
    work(slow)
    assert is_watched(slow, session)
    send(slow, session, data, lambda: work(slow), restart=True)
    work(slow)
    assert asset_of(slow, session).status is AssetStatus.READY
    assert is_watched(slow, session)


def test_a_file_that_turns_out_another_is_made_anew(slow: World, clips: Clips) -> None:
    """Which cannot happen with the bytes of one upload, so what was noted of its index is changed behind its back."""
    data = clips("heavy").read_bytes()
    session = create(slow, data)

    def change() -> None:
        work(slow)
        with slow.db.begin() as conn:
            conn.exec_driver_sql("UPDATE assets SET source_digest = 'index:another'")

    send(slow, session, data, change)
    steps = {PROBE: all_duties().steps[PROBE]}
    assert run_step(slow, steps, VideoFlow(), "tester")
    assert not is_watched(slow, session)
    work(slow)
    asset = asset_of(slow, session)
    assert asset.status is AssetStatus.READY
    assert asset.source_digest != "index:another"
    assert is_watched(slow, session)


def test_an_upload_that_expires_takes_what_was_made_with_it(slow: World, clips: Clips) -> None:
    data = clips("heavy").read_bytes()
    session = create(slow, data)
    with pytest.raises(BodyBroken):
        send(slow, session, data, lambda: None, breaks=True)
    work(slow)
    assert is_watched(slow, session)
    with slow.db.begin() as conn:
        conn.exec_driver_sql("UPDATE uploads SET expires_at = now() - interval '1 hour', lease_until = NULL")
    assert sessions.expire(slow, session.id).state is UploadState.EXPIRED
    assert asset_of(slow, session).status is AssetStatus.ERRORED
    assert not is_watched(slow, session)
    assert {job.state for job in jobs_of(slow, session) if job.kind == ENCODE} <= {State.SUCCEEDED, State.CANCELLED}


def test_a_fast_upload_is_not_copied_for_long(world: World, clips: Clips) -> None:
    data = clips("heavy").read_bytes()
    session = create(world, data)

    async def body() -> AsyncIterator[bytes]:
        yield data

    assert asyncio.run(Receiver(world).receive(session.id, Offer(0, len(data)), body())).state is UploadState.COMPLETE
    assert arrived(world, session) <= 2 * session.part_bytes
    assert list(world.storage.list(keys.upload_prefix(session.id))) == []
