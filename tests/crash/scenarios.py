"""What the pipeline is put through: every way in, every step, and every way out.

A scenario is a row of acts. An act may be broken off at any point and done again: it looks at its notes and at what the server says,
as a client does that comes back. `ends` is what may become of the title that it is about.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from unittest import mock

import catalog.store
from catalog import early
from catalog.asset import NewAsset
from catalog.demand import want_segment
from ingest import importing, sessions
from ingest.receive import BodyBroken, Receiver
from ingest.upload import AlreadyComplete, Offer, UploadGone, UploadSession, UploadState
from kit import job_store
from kit.errors import HeadwaterError
from media import keys
from media.ids import AssetId
from tests.crash.stage import Stage
from tests.eventually import eventually

PART_BYTES = 64 << 10
FIRST, SECOND = PART_BYTES + 20_000, 5_000  # the first pieces of a tus upload: a part and a tail, then a tail that takes that in

Act = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    acts: tuple[Act, ...]
    ends: str = "ready"
    either: str = ""  # the end of a key whose object has two right versions


@contextmanager
def small_parts() -> Iterator[None]:
    """Sizes at which a small clip is what a large file is otherwise: many parts, an index that is there long before the end."""
    with (
        mock.patch("ingest.upload.part_bytes", lambda _limit: PART_BYTES),
        mock.patch("ingest.received.PROBE_BYTES", PART_BYTES),
        mock.patch("media.source_map.PROBE_S", 1),
    ):
        yield


@contextmanager
def slow_network() -> Iterator[None]:
    """Every upload counts as one that will take long, so that work on it begins early."""
    with mock.patch("ingest.early_copy.SOON_S", -1.0):
        yield


# -- uploads


def _upload(stage: Stage, data: bytes) -> UploadSession | None:
    """The upload as it stands; None when it has ended. A client that was never told of one creates another."""
    if stage.noted("upload") is None:
        created = sessions.create(stage.world, NewAsset(title="crash"), owner="tester", size_bytes=len(data))
        stage.note("upload", created.id)
    with suppress(UploadGone):
        return sessions.read_live(stage.world, stage.noted("upload"))
    return None


def _receive(stage: Stage, session: UploadSession, offer: Offer, body: AsyncIterator[bytes]) -> UploadSession:
    return asyncio.run(Receiver(stage.world).receive(session.id, offer, body))


async def _pieces(data: bytes, step: int = 30_000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), step):
        yield data[start : start + step]


def send_by_tus(stage: Stage) -> None:
    data = stage.place.clip.read_bytes()
    while True:
        session = _upload(stage, data)
        if session is None or session.offset == len(data):
            return
        end = next(end for end in (FIRST, FIRST + SECOND, FIRST + 2 * SECOND, len(data)) if end > session.offset)
        piece = data[session.offset : end]
        _receive(stage, session, Offer(session.offset, len(piece)), _lasting(stage, piece))


async def _lasting(stage: Stage, data: bytes) -> AsyncIterator[bytes]:
    """A body that goes on until the lease was renewed, where that is what a run is about."""
    async for piece in _pieces(data):
        yield piece
    await asyncio.to_thread(stage.points.wait_for, "lease")


async def _breaking(data: bytes) -> AsyncIterator[bytes]:
    async for piece in _pieces(data):
        yield piece
    raise BodyBroken("The connection ended before the body did.")


def send_a_part(stage: Stage) -> None:
    """The connection breaks in the middle of a PUT."""
    data = stage.place.clip.read_bytes()
    session = _upload(stage, data)
    if session is not None and session.offset == 0:
        with suppress(BodyBroken):
            _receive(stage, session, Offer(0, len(data), len(data), restart=True), _breaking(data[: 2 * PART_BYTES + 9000]))


def put_whole(stage: Stage) -> None:
    _put(stage, stage.place.clip.read_bytes())


def _put(stage: Stage, data: bytes) -> None:
    session = _upload(stage, data)
    if session is not None and session.state is not UploadState.COMPLETE:
        with suppress(AlreadyComplete):
            _receive(stage, session, Offer(0, len(data), len(data), restart=True), _pieces(data))


def cancel(stage: Stage) -> None:
    with suppress(UploadGone):
        sessions.cancel(stage.world, stage.noted("upload"))


# -- work on what is still arriving


def _arrived(stage: Stage, asset_id: str) -> int:
    with stage.admin.begin() as conn:
        found = early.load(conn, asset_id)
    return 0 if found is None else found.arrived_bytes


def send_slowly(stage: Stage) -> None:
    """By tus, with workers that begin while most of it is still to come."""
    data = stage.place.clip.read_bytes()
    with slow_network():
        while (session := _upload(stage, data)) is not None and session.offset < len(data):
            _receive(stage, session, Offer(session.offset, len(data) - session.offset), _slowly(stage, session, data[session.offset :]))


async def _slowly(stage: Stage, session: UploadSession, data: bytes) -> AsyncIterator[bytes]:
    stop = 4 * PART_BYTES - session.offset
    if stop > 0:
        async for piece in _pieces(data[:stop]):
            yield piece
        await asyncio.to_thread(eventually, lambda: _arrived(stage, session.asset_id) >= 4 * PART_BYTES or session.offset > 0)
        await asyncio.to_thread(stage.work)
    async for piece in _pieces(data[max(0, stop) :]):
        yield piece


def send_most_and_work(stage: Stage) -> None:
    """A PUT that breaks when so much is there that work has begun."""
    data = stage.place.clip.read_bytes()
    session = _upload(stage, data)
    if session is not None and session.offset == 0:
        with slow_network(), suppress(BodyBroken):
            _receive(stage, session, Offer(0, len(data), len(data), restart=True), _breaking(data[: 4 * PART_BYTES + 9000]))
    stage.work()


def other_file(data: bytes) -> bytes:
    """The same pictures, with another time of creation in the index."""
    changed = bytearray(data)
    struct.pack_into(">I", changed, data.index(b"mvhd") + 8, 12345)
    return bytes(changed)


def put_another(stage: Stage) -> None:
    _put(stage, other_file(stage.place.clip.read_bytes()))


# -- the other ways in


def ask_for_import(stage: Stage) -> None:
    if stage.noted("asked") is None:
        with stage.world.db.begin() as conn:
            asset = catalog.store.create_asset(conn, NewAsset(title="crash"))
            importing.request_import(conn, asset.id, stage.place.url)
        stage.note("asked", asset.id)


def drop_a_file(stage: Stage) -> None:
    if stage.noted("dropped") is None:
        stage.unseen.put(f"{keys.INCOMING}clip.mp4", stage.place.clip)
        stage.note("dropped", True)


# -- the background


def sweep(stage: Stage) -> None:
    stage.sweep()


def work(stage: Stage) -> None:
    stage.work()


def work_long(stage: Stage) -> None:
    """With a first encode that takes long enough for a heartbeat."""
    stage.work(4)
    stage.runner.last()
    stage.work()


def plan_only(stage: Stage) -> None:
    stage.work(3)  # probe, plan, playlists


def some_time_later(stage: Stage) -> None:
    stage.pass_time(600)


def some_days_later(stage: Stage) -> None:
    stage.pass_time(3 * 86400)


def stop_a_worker(stage: Stage) -> None:
    stage.work_and_stop()


def tidy(stage: Stage) -> None:
    """The daily round, with something to be found: an upload that no row knows."""
    if stage.noted("stray") is None:
        stage.note("stray", stage.unseen.create_multipart(keys.source(AssetId("ast_nobody"))))
    stage.tidy()


def lose_a_worker(stage: Stage) -> None:
    """One that claims a job and is never heard of again; time passes, and the sweeper takes the job back."""
    with stage.admin.begin() as conn:
        job_store.claim(conn, "lost")
    stage.pass_time(600)
    stage.sweep()


def seek(stage: Stage) -> None:
    """A viewer has gone to what is not made yet."""
    with stage.world.db.begin() as conn:
        for asset_id in _assets(stage):
            with suppress(HeadwaterError):
                plan = catalog.store.load_plan(conn, AssetId(asset_id))
                for name in (plan.video[0].name, "audio"):
                    want_segment(conn, asset_id, plan.digest, name, 1)


def delete(stage: Stage) -> None:
    for asset_id in _assets(stage):
        with stage.world.db.begin() as conn:
            catalog.store.delete_asset(conn, asset_id)


def _assets(stage: Stage) -> list[str]:
    with stage.admin.begin() as conn:
        return [asset.id for asset in catalog.store.list_assets(conn).assets]


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("tus", (send_by_tus, sweep, stop_a_worker, work_long)),
        Scenario("put", (send_a_part, put_whole, work)),
        Scenario("import", (ask_for_import, work)),
        Scenario("drop", (drop_a_file, sweep, work)),
        Scenario("early", (send_slowly, work)),
        Scenario("replaced", (send_most_and_work, put_another, work, some_time_later, sweep, work)),
        # Sound that is made alone may differ in its last bits from that of the whole run; the first stays (transcode.audio_steps).
        Scenario("seek", (put_whole, plan_only, seek, lose_a_worker, work), either="/audio/00001.m4s"),
        Scenario("deleted", (put_whole, plan_only, delete, work, some_time_later, work), ends="deleted"),
        Scenario("cancelled", (send_most_and_work, cancel, some_time_later, sweep, work), ends="deleted"),
        Scenario("expired", (send_most_and_work, some_days_later, sweep, work, some_time_later, work, tidy), ends="errored"),
    )
}


def run(stage: Stage, scenario: Scenario) -> None:
    """The acts that have not been done yet."""
    for number, act in enumerate(scenario.acts):
        if (stage.noted("acts") or 0) <= number:
            act(stage)
            stage.note("acts", number + 1)
