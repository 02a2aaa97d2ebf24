"""Receives the body of one request into an upload: the only place where bytes from clients meet the store.

Whatever happens, the acknowledged offset never runs ahead of the store: bytes are stored first and the row is committed
afterwards. A body that can no longer be refused is committed part by part while it streams, so a killed server loses only
what it had not acknowledged. A body that may still be refused (it has a checksum, or does not say how long it is) is
committed at its end or not at all, so a refused request never changes the offset.

The lease is kept while bytes keep coming. When the sender falls silent, the lease lapses after `LEASE_S` and another request
may take over, which ends this one; without such a request it may go on as soon as bytes come again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from enum import Enum, auto
from typing import TypeVar

import anyio
import anyio.to_thread

from ingest import sessions, upload
from ingest.early_copy import EarlyCopy
from ingest.tus import Checksum, ChecksumMismatch
from ingest.upload import LEASE_S, LengthConflict, Offer, Tail, TakenOver, UploadGone, UploadSession
from ingest.writer import PartWriter, Target, part_writer
from kit.errors import BadRequest, HeadwaterError, Retry, Unavailable
from kit.storage import MissingObject, MissingUpload, StoredPart
from kit.world import World
from media import keys

_IDLE_S = 60  # a body that pauses for longer is given up, its bytes kept
_HEARTBEAT_S = LEASE_S * 0.3

T = TypeVar("T")


class BodyBroken(BadRequest):
    """The connection ended before the body did. What arrived is kept if it could not be refused any more."""

    code = "body_broken"


class BodyStalled(HeadwaterError):
    status, code, retry = 408, "body_stalled", Retry.NEVER


class _End(Enum):
    WHOLE = auto()
    BROKEN = auto()
    STALLED = auto()
    TAKEN_OVER = auto()


class Receiver:
    """Receives bodies for one process. Blocking work runs in threads: few for the store, so that the rest stays answered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.store_threads = anyio.CapacityLimiter(16)
        self._row_threads = anyio.CapacityLimiter(8)

    async def receive(self, upload_id: str, offer: Offer, body: AsyncIterator[bytes], *, checksum: Checksum | None = None) -> UploadSession:
        """The session after the body of `offer` was taken in; complete if that was all of it.

        `body` raises BodyBroken when the connection ends early. Raises what `ingest.sessions.begin` raises, TooLarge,
        LengthConflict, ChecksumMismatch, BodyBroken, BodyStalled, TakenOver, UploadGone and Unavailable.
        """
        session = await self.row(sessions.begin, self._world, upload_id, offer)
        if session.completed_at is not None:
            return session
        reception = _Reception(self, self._world, session, offer, checksum)
        try:
            return await reception.run(body)
        except (MissingUpload, MissingObject) as error:
            detail = "The object store no longer has the bytes of this upload: send the file again."
            await self.row(sessions.fail, self._world, session, "upload_lost", detail)
            raise UploadGone(detail, code="upload_lost") from error
        except HeadwaterError:
            with suppress(Unavailable), anyio.CancelScope(shield=True):
                await self.row(sessions.release, self._world, session)
            raise

    async def store(self, work: Callable[..., T], *arguments: object) -> T:
        """Runs work that waits for the store."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self.store_threads)

    async def row(self, work: Callable[..., T], *arguments: object) -> T:
        """Runs one short transaction."""
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._row_threads)

    async def still_held(self, session: UploadSession, renew: bool) -> bool:
        return await self.row(lambda: sessions.still_held(self._world, session, renew=renew))

    async def commit(
        self, session: UploadSession, offset: int, tails: tuple[Tail, ...], parts: tuple[StoredPart, ...], size_bytes: int | None
    ) -> UploadSession:
        return await self.row(lambda: sessions.commit(self._world, session, offset=offset, tails=tails, parts=parts, size_bytes=size_bytes))


class _Reception:
    """One request's body. `session` is always the row as this request last saved it."""

    def __init__(self, receiver: Receiver, world: World, session: UploadSession, offer: Offer, checksum: Checksum | None) -> None:
        self._receiver, self._world, self._offer = receiver, world, offer
        self._session, self._multipart_id = session, session.multipart_id
        self._checksum, self._hasher = checksum, checksum.hasher() if checksum else None
        self._room = upload.room_end(session, offer, world.settings.max_upload_bytes)
        self._size = offer.length if offer.length is not None else session.size_bytes
        self._refusable = checksum is not None or offer.body_bytes is None
        self._held_parts: tuple[StoredPart, ...] = ()  # stored, but not committed
        self._heard = True  # whether bytes came since the last heartbeat
        self._reading = anyio.CancelScope()
        self._early: EarlyCopy | None = None

    async def run(self, body: AsyncIterator[bytes]) -> UploadSession:
        known = await self._receiver.row(sessions.early_state, self._world, self._session) if self._session.offset else None
        self._early = EarlyCopy(self._session, self._size, known, self._world.clock.monotonic_s)
        target = Target(
            key=keys.source(self._session.asset_id),
            part_bytes=self._session.part_bytes,
            open=self._open,
            stored=self._stored,
            tail_key=self._tail_key,
            early=self._early,
        )
        scratch = self._world.settings.scratch_dir
        async with part_writer(self._world.storage, scratch, target, self._receiver.store_threads) as writer:
            writer.start_at(self._session.offset, self._session.tails)
            heart = asyncio.create_task(self._keep_lease(writer))
            try:
                end = await self._read(body, writer)
                return await self._settle(end, writer)
            finally:
                heart.cancel()
                await asyncio.wait({heart})

    async def _open(self) -> str:
        if self._multipart_id is None:
            self._multipart_id = await self._receiver.store(sessions.open_multipart, self._world, self._session)
        return self._multipart_id

    async def _stored(self, part: StoredPart) -> None:
        self._held_parts += (part,)
        if not self._refusable:
            end = min(part.number * self._session.part_bytes, self._room)
            await self._commit(end, ())

    async def _commit(self, offset: int, tails: tuple[Tail, ...]) -> None:
        before = self._session.tails
        self._session = await self._receiver.commit(self._session, offset, tails, self._held_parts, self._size)
        self._held_parts = ()
        await self._tell_early(offset)
        with suppress(Unavailable):  # what stays goes with the rest when the upload ends
            for tail in set(before) - set(tails):
                await self._receiver.store(self._world.storage.delete, self._tail_key(tail))

    async def _tell_early(self, offset: int) -> None:
        """Whoever waits for the bytes that are acknowledged now may begin. An upload that is about to be complete wakes everybody."""
        state = self._early.state(offset) if self._early is not None and offset != self._size else None
        if state is not None and self._early is not None:
            with suppress(Unavailable):
                await self._receiver.row(sessions.tell_early, self._world, self._session, state, self._early.index_end)

    def _tail_key(self, tail: Tail) -> str:
        return keys.upload_tail(self._session.id, tail.epoch, tail.end)

    async def _keep_lease(self, writer: PartWriter) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            renew = self._heard or writer.storing
            self._heard = False
            with suppress(Unavailable):  # then the lease lapses, unless the database comes back in time
                if not await self._receiver.still_held(self._session, renew):
                    self._reading.cancel()

    async def _read(self, body: AsyncIterator[bytes], writer: PartWriter) -> _End:
        with self._reading:
            return await self._read_all(body, writer)
        return _End.TAKEN_OVER

    async def _read_all(self, body: AsyncIterator[bytes], writer: PartWriter) -> _End:
        started_at = writer.position
        while True:
            try:
                with anyio.fail_after(_IDLE_S):
                    data = await anext(body, None)
            except TimeoutError:
                return _End.STALLED
            except BodyBroken:
                return _End.BROKEN
            if data is None:
                break
            self._heard = True
            upload.check_room(writer.position + len(data), self._room)
            if self._hasher is not None:
                self._hasher.update(data)
            await writer.write(data)
        received = writer.position - started_at
        return _End.WHOLE if self._offer.body_bytes in (None, received) else _End.BROKEN

    async def _settle(self, end: _End, writer: PartWriter) -> UploadSession:
        """Makes durable what may be kept, and says how the request ended."""
        if end is _End.TAKEN_OVER:
            raise TakenOver("Another request continued this upload, or it has ended. Ask for its offset, then continue there.")
        if end is _End.WHOLE:
            self._check_whole(writer.position)
        if end is _End.WHOLE or self._checksum is None:
            await self._keep(writer)
        if end is _End.BROKEN:
            raise BodyBroken("The connection ended before the body did.")
        if end is _End.STALLED:
            raise BodyStalled(f"Nothing arrived for {_IDLE_S} seconds. Ask for the offset, then continue there.")
        if upload.ready_to_finish(self._session):
            return await self._receiver.store(sessions.close, self._world, self._session.id)
        return await self._receiver.store(sessions.release, self._world, self._session)

    def _check_whole(self, position: int) -> None:
        """Raises ChecksumMismatch, or LengthConflict when a file sent whole is not as long as was said."""
        if self._checksum is not None and self._hasher is not None and self._hasher.digest() != self._checksum.digest:
            raise ChecksumMismatch(f"The body does not have the {self._checksum.algorithm} digest that Upload-Checksum names.")
        if self._offer.restart:
            if self._size not in (None, position):
                raise LengthConflict(f"The file was to have {self._size} bytes, but the body has {position}.")
            self._size = position

    async def _keep(self, writer: PartWriter) -> None:
        if upload.ready_to_finish(self._session):
            return  # the bytes were all here before; only closing is left
        if writer.position == self._size:
            await writer.finish()
            await self._commit(writer.position, ())
            return
        tails = await writer.keep_tail(self._session.epoch)
        try:
            await self._commit(writer.position, tails)
        except TakenOver:
            if tails[-1:] != self._session.tails[-1:]:
                await self._receiver.store(self._world.storage.delete, self._tail_key(tails[-1]))
            raise
