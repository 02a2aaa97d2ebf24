"""Any order of requests, refusals, broken bodies, kills, outages and take-overs leaves an upload whose offset tells the truth.

The receiver runs as in production on a live PostgreSQL; the store is the one in memory, so that every stored byte can be read
back after every step, and outages can be placed on any single call. Parts are 64 bytes long here, so boundaries are everywhere.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

import catalog.store
from catalog.asset import NewAsset
from ingest import sessions, store
from ingest.receive import BodyBroken, Receiver
from ingest.tus import Checksum, ChecksumMismatch
from ingest.upload import AlreadyComplete, Offer, TakenOver, UploadLocked, UploadSession, WrongOffset
from kit import ids
from kit.errors import HeadwaterError, TooLarge, Unavailable
from kit.storage import StoredPart
from kit.storage.memory import MemoryStorage
from kit.world import World
from media import keys
from media.ids import UploadId

PART = 64
BODIES = st.binary(min_size=0, max_size=300)
PIECES = st.integers(1, 100)


class FailingStorage(MemoryStorage):
    """Answers nothing for one call, the `fail_in`th from now."""

    fail_in: int | None = None

    def _call(self) -> None:
        if self.fail_in is not None:
            self.fail_in -= 1
            if self.fail_in < 0:
                self.fail_in = None
                raise Unavailable("The object store does not answer.")

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        self._call()
        super().put(key, data, content_type=content_type)

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | BinaryIO) -> StoredPart:
        self._call()
        return super().put_part(key, upload_id, number, data)

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        self._call()
        return super().create_multipart(key, content_type=content_type)

    def complete_multipart(self, key: str, upload_id: str, parts: Any) -> None:
        self._call()
        super().complete_multipart(key, upload_id, parts)

    def part(self, upload_id: str, number: int) -> bytes:
        return self._uploads[upload_id].parts[number]


class Killed(BaseException):
    """The process ends here; nothing is tidied up."""


async def body(data: bytes, piece: int, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), piece):
        yield data[start : start + piece]
    if then is not None:
        raise then


class UploadMachine(RuleBasedStateMachine):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.storage = FailingStorage()
        self.world = replace(world, storage=self.storage)
        self.stored = b""  # what must be durable
        self.abandoned = 0  # tails that a restart left for the end
        self.size: int | None = None

    @initialize(size=st.one_of(st.none(), st.integers(1, 600)))
    def create(self, size: int | None) -> None:
        with self.world.db.begin() as conn:
            asset = catalog.store.create_asset(conn, NewAsset())
            new = store.NewUpload(UploadId(ids.sortable("upl")), asset.id, size, PART, 3600, "tester")
            self.id, self.size = store.create(conn, new).id, size

    # -- what the rules share

    @property
    def session(self) -> UploadSession:
        return sessions.read(self.world, self.id)

    def is_open(self) -> bool:
        return self.session.completed_at is None

    def receive(self, offer: Offer, stream: AsyncIterator[bytes], checksum: Checksum | None = None) -> UploadSession:
        async def run() -> UploadSession:
            return await Receiver(self.world).receive(self.id, offer, stream, checksum=checksum)

        return asyncio.run(run())

    def refused(self, kind: type[BaseException], act: Callable[[], object]) -> None:
        before = self.session.offset
        with pytest.raises(kind):
            act()
        assert self.session.offset == before

    def fitting(self, data: bytes) -> bytes:
        return data if self.size is None else data[: self.size - len(self.stored)]

    def drop_lease(self) -> None:
        """Time passes until a lease has lapsed."""
        with self.world.db.begin() as conn:
            conn.execute(text("UPDATE uploads SET lease_until = NULL WHERE id = :id"), {"id": self.id})

    def learn(self, sent: bytes) -> None:
        """After an accident: the offset lies between what was acknowledged and what was sent."""
        offset = self.session.offset
        assert len(self.stored) <= offset <= len(self.stored) + len(sent)
        self.stored += sent[: offset - len(self.stored)]

    # -- requests that succeed

    @precondition(is_open)
    @rule(data=BODIES, piece=PIECES, announced=st.booleans())
    def patch(self, data: bytes, piece: int, announced: bool) -> None:
        data = self.fitting(data)
        session = self.receive(Offer(len(self.stored), len(data) if announced else None), body(data, piece))
        self.stored += data
        assert session.offset == len(self.stored)

    @precondition(is_open)
    @rule(data=BODIES, piece=PIECES)
    def patch_with_checksum(self, data: bytes, piece: int) -> None:
        data = self.fitting(data)
        right = Checksum("sha256", hashlib.sha256(data).digest())
        self.receive(Offer(len(self.stored), len(data)), body(data, piece), right)
        self.stored += data

    @precondition(lambda self: self.is_open() and self.size is None)
    @rule(more=st.integers(0, 200), data=BODIES, piece=PIECES)
    def say_the_length(self, more: int, data: bytes, piece: int) -> None:
        self.size = len(self.stored) + more
        data = self.fitting(data)
        self.receive(Offer(len(self.stored), len(data), length=self.size), body(data, piece))
        self.stored += data

    # -- requests that are refused

    @precondition(is_open)
    @rule(distance=st.integers(-300, 300).filter(bool), data=BODIES)
    def patch_elsewhere(self, distance: int, data: bytes) -> None:
        self.refused(WrongOffset, lambda: self.receive(Offer(max(0, len(self.stored)) + distance, len(data)), body(data, 50)))

    @precondition(is_open)
    @rule(data=BODIES, piece=PIECES)
    def patch_with_wrong_checksum(self, data: bytes, piece: int) -> None:
        data = self.fitting(data)
        wrong = Checksum("sha1", hashlib.sha1(data + b"!", usedforsecurity=False).digest())
        self.refused(ChecksumMismatch, lambda: self.receive(Offer(len(self.stored), len(data)), body(data, piece), wrong))

    @precondition(lambda self: self.is_open() and self.size is not None)
    @rule(over=st.integers(1, 200), piece=PIECES, announced=st.booleans())
    def patch_too_much(self, over: int, piece: int, announced: bool) -> None:
        assert self.size is not None
        data = bytes(self.size - len(self.stored) + over)
        offer = Offer(len(self.stored), len(data) if announced else None)
        self.refused(TooLarge, lambda: self.receive(offer, body(data, piece)))

    @precondition(lambda self: not self.is_open())
    @rule(data=st.binary(min_size=1, max_size=10))
    def patch_after_the_end(self, data: bytes) -> None:
        self.refused(AlreadyComplete, lambda: self.receive(Offer(len(self.stored), len(data)), body(data, 5)))
        assert self.receive(Offer(len(self.stored), 0), body(b"", 1)).offset == len(self.stored)

    # -- accidents

    @precondition(is_open)
    @rule(data=BODIES, piece=PIECES, missing=st.integers(1, 50), checked=st.booleans())
    def connection_breaks(self, data: bytes, piece: int, missing: int, checked: bool) -> None:
        data = self.fitting(data)
        sent = data[: max(0, len(data) - missing)]
        offer = Offer(len(self.stored), len(data))
        checksum = Checksum("sha256", hashlib.sha256(data).digest()) if checked else None
        with pytest.raises((BodyBroken, HeadwaterError)):
            self.receive(offer, body(sent, piece, BodyBroken("gone")), checksum)
        if not checked:
            self.stored += sent  # every byte that arrived is kept
        assert self.session.offset == len(self.stored)

    @precondition(is_open)
    @rule(data=BODIES, piece=PIECES)
    def server_is_killed(self, data: bytes, piece: int) -> None:
        data = self.fitting(data)
        with pytest.raises(Killed):
            self.receive(Offer(len(self.stored), len(data)), body(data, piece, Killed()))
        self.drop_lease()
        self.learn(data)

    @precondition(is_open)
    @rule(data=BODIES, piece=PIECES, fail_in=st.integers(0, 6))
    def store_is_away(self, data: bytes, piece: int, fail_in: int) -> None:
        data = self.fitting(data)
        self.storage.fail_in = fail_in
        try:
            self.receive(Offer(len(self.stored), len(data)), body(data, piece))
        except Unavailable:
            self.learn(data)
        else:
            self.stored += data
        finally:
            self.storage.fail_in = None

    @precondition(is_open)
    @rule(before=BODIES, other=BODIES, after=BODIES, piece=PIECES)
    def request_is_taken_over(self, before: bytes, other: bytes, after: bytes, piece: int) -> None:
        """A request falls silent, another one continues, and then the first one sends on."""
        before = self.fitting(before)
        rest = self.fitting(before + other)[len(before) :]
        machine = self

        async def interrupted() -> AsyncIterator[bytes]:
            async for data in body(before, piece):
                yield data
            await machine.take_over(before + rest, piece)
            if after:
                yield after

        announced = len(before) + len(self.fitting(before + after)[len(before) :])
        self.refused_or_taken_over(Offer(len(self.stored), announced), interrupted())
        self.stored += before + rest
        assert self.session.offset == len(self.stored)

    async def take_over(self, data: bytes, piece: int) -> None:
        """Sends what is missing of `data`. A part of the first request that is on its way may still be stored before, which
        moves the offset and renews that request's lease once more."""
        for _ in range(10):
            self.drop_lease()
            offset = self.session.offset
            missing = data[offset - len(self.stored) :]
            try:
                await Receiver(self.world).receive(self.id, Offer(offset, len(missing)), body(missing, piece))
            except (WrongOffset, UploadLocked):
                continue
            return
        raise AssertionError("the offset moved without end")

    def refused_or_taken_over(self, offer: Offer, stream: AsyncIterator[bytes]) -> None:
        with pytest.raises((TakenOver, BodyBroken, TooLarge)):
            self.receive(offer, stream)

    @precondition(is_open)
    @rule(data=st.binary(min_size=1, max_size=300), piece=PIECES, broken=st.booleans())
    def put_anew(self, data: bytes, piece: int, broken: bool) -> None:
        whole = data if self.size is None else (data * self.size)[: self.size]
        self.stored = b""
        self.abandoned += len(self.session.tails)
        if broken:
            with pytest.raises(BodyBroken):
                self.receive(Offer(0, len(whole), length=len(whole), restart=True), body(whole[:-1], piece, BodyBroken("gone")))
            self.stored = whole[:-1]
            self.size = len(whole)
        else:
            self.receive(Offer(0, len(whole), length=len(whole), restart=True), body(whole, piece))
            self.stored, self.size = whole, len(whole)

    # -- what must always be true

    @invariant()
    def the_offset_is_what_is_durable(self) -> None:
        session = self.session
        assert session.offset == len(self.stored)
        assert session.lease_until is None
        if session.completed_at is not None:
            assert len(self.stored) == session.size_bytes
            assert self.stored == (self.storage.get(keys.source(session.asset_id)) if self.stored else b"")
            assert list(self.storage.list(keys.upload_prefix(session.id))) == []
            return
        with self.world.db.begin() as conn:
            parts = store.parts_of(conn, session.id)
        durable = b"".join(self.storage.part(session.multipart_id or "", part.number) for part in parts)
        durable += b"".join(self.storage.get(keys.upload_tail(session.id, tail.epoch, tail.end)) for tail in session.tails)
        assert durable == self.stored
        assert len(list(self.storage.list(keys.upload_prefix(session.id)))) <= len(session.tails) + self.abandoned

    def teardown(self) -> None:
        """Whatever happened, the upload can be finished."""
        if self.is_open():
            size = self.size if self.size is not None else len(self.stored) + 10
            rest = bytes(size - len(self.stored))
            self.receive(Offer(len(self.stored), len(rest), length=size), body(rest, 64))
            self.stored, self.size = self.stored + rest, size
        self.the_offset_is_what_is_durable()


def test_any_history_of_an_upload_tells_the_truth(world: World) -> None:
    chosen = settings(max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(lambda: UploadMachine(world), settings=chosen)


def test_a_request_that_wakes_up_after_its_upload_was_completed_is_told_so_and_not_that_bytes_are_lost(world: World) -> None:
    machine = UploadMachine(world)
    machine.create(size=464)
    machine.put_anew(data=b"\x00", piece=100, broken=True)
    machine.request_is_taken_over(before=b"\x00", other=b"", after=b"", piece=1)
    machine.teardown()
