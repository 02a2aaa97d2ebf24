"""Turns a stream of bytes into the parts of a multipart upload, with at most two parts of it on local disk.

The part that is being received is kept as an image in a nameless scratch file: byte `p` of the file is byte `part start + p` of
the upload. Bytes that an earlier request left in tail objects are fetched into their place only when the part is full, or when
a longer tail takes them in. While one part goes to the store, the next one is received. Nothing needs cleaning up after a kill:
the files have no name, and what was not handed to `stored` counts as not received.

It knows neither HTTP nor SQL, and decides nothing about uploads: `ingest.receive` and `ingest.importing` drive it.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiofiles.tempfile
import anyio
import anyio.to_thread

from ingest.early_copy import EarlyCopy
from ingest.upload import MIB, Tail, kept_tails
from kit.errors import HeadwaterError, Unavailable
from kit.storage import Storage, StoredPart

_DISK_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS})
_SPILL_BYTES = MIB  # bytes held in memory before they go to the scratch file


class Window(io.RawIOBase):
    """Bytes `[start, end)` of an open file as a file of their own, without touching the position that others share."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        super().__init__()
        self._descriptor, self._start, self._size, self._position = descriptor, start, end - start, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        wanted = max(0, min(len(buffer), self._size - self._position))
        data = os.pread(self._descriptor, wanted, self._start + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the bytes go. `tail_key` names the object of a tail; `open` gives the multipart upload's id when first needed."""

    key: str
    part_bytes: int
    open: Callable[[], Awaitable[str]]
    stored: Callable[[StoredPart], Awaitable[None]]  # called for each part, in order, when the store has acknowledged it
    tail_key: Callable[[Tail], str]
    early: EarlyCopy | None = None


@dataclass(slots=True)
class _Image:
    """One scratch file, holding the part that begins at `start`; bytes before `fresh` are still in the tails."""

    file: Any  # aiofiles has no public type for it
    descriptor: int
    start: int = 0
    fresh: int = 0
    tails: tuple[Tail, ...] = field(default=())


class PartWriter:
    """`write` takes bytes in order; `finish` or `keep_tail` makes the rest durable. Made by `part_writer`.

    Every method raises what the storage raises, and Unavailable when the scratch disk takes no more.
    """

    def __init__(self, storage: Storage, target: Target, images: tuple[_Image, _Image], threads: anyio.CapacityLimiter | None) -> None:
        self._storage, self._target, self._threads = storage, target, threads
        self._image, self._spare = images
        self._buffer = bytearray()
        self._sending: asyncio.Task[None] | None = None
        self.position = 0  # offset of the next byte

    @property
    def storing(self) -> bool:
        """Whether bytes are on their way to the store, so that silence of the sender means nothing."""
        return self._sending is not None and not self._sending.done()

    def start_at(self, offset: int, tails: tuple[Tail, ...]) -> None:
        """Continue an upload of which `offset` bytes are stored, the last of them in `tails`."""
        self.position = offset
        self._image.start = offset - offset % self._target.part_bytes
        self._image.fresh, self._image.tails = offset, tails

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            room = min(self._image.start + self._target.part_bytes - self.position, _SPILL_BYTES - len(self._buffer))
            self._buffer += rest[:room]
            self.position += len(rest[:room])
            rest = rest[room:]
            if self.position == self._image.start + self._target.part_bytes:
                await self._send()
            elif len(self._buffer) >= _SPILL_BYTES:
                await self._spill()

    async def finish(self) -> None:
        """Everything written becomes parts; the last may be short. Nothing can be written afterwards."""
        if self.position > self._image.start:
            await self._send()
        await self._settle()

    async def keep_tail(self, epoch: int) -> tuple[Tail, ...]:
        """Stores what does not fill a part as an object of its own, and returns the tails that now cover it."""
        await self._spill()
        await self._settle()
        image, end = self._image, self.position
        if end == image.fresh:
            return image.tails
        kept = kept_tails(image.tails, end - image.fresh)
        merged = image.tails[kept:]
        tail = Tail(merged[0].start if merged else image.fresh, end, epoch)
        await self._thread(self._put_tail, image, merged, tail)
        return (*image.tails[:kept], tail)

    async def aclose(self) -> None:
        """Waits for a part that is on its way; its outcome no longer matters."""
        if self._sending is not None:
            await asyncio.wait({self._sending})
            if not self._sending.cancelled():
                self._sending.exception()  # asked for, or asyncio complains that nobody did

    async def _spill(self) -> None:
        if not self._buffer:
            return
        data, self._buffer = self._buffer, bytearray()
        try:
            await self._image.file.seek(self.position - len(data) - self._image.start)
            await self._image.file.write(data)
            await self._image.file.flush()
        except OSError as error:
            raise _no_room(error) from error

    async def _send(self) -> None:
        """Hands the part to the store and turns to the next one."""
        await self._spill()
        await self._settle()
        multipart_id = await self._target.open()
        self._sending = asyncio.create_task(self._send_part(self._image, self.position, multipart_id))
        self._image, self._spare = self._spare, self._image
        self._image.start = self._image.fresh = self.position
        self._image.tails = ()

    async def _send_part(self, image: _Image, end: int, multipart_id: str) -> None:
        await self._target.stored(await self._thread(self._put_part, image, end, multipart_id))

    async def _settle(self) -> None:
        """Waits until the part that is on its way is stored, and noted."""
        if self._sending is not None:
            try:
                await asyncio.shield(self._sending)
            finally:
                if self._sending.done():
                    self._sending = None

    def _put_part(self, image: _Image, end: int, multipart_id: str) -> StoredPart:
        self._fetch(image, image.tails)
        number = image.start // self._target.part_bytes + 1
        with io.BufferedReader(Window(image.descriptor, 0, end - image.start)) as part:
            stored = self._storage.put_part(self._target.key, multipart_id, number, part)
        self._copy_early(image, number, end)
        return stored

    def _copy_early(self, image: _Image, number: int, end: int) -> None:
        """Keeps a copy of the part that can be read before the upload is complete, if one is wanted. The upload does not need it."""
        early = self._target.early
        key = None if early is None else early.key(number, end, lambda offset, size: os.pread(image.descriptor, size, offset))
        if early is None or key is None:
            return
        try:
            with io.BufferedReader(Window(image.descriptor, 0, end - image.start)) as copy:
                self._storage.put(key, copy)
        except HeadwaterError:
            early.failed()
        else:
            early.copied(end)

    def _put_tail(self, image: _Image, merged: tuple[Tail, ...], tail: Tail) -> None:
        self._fetch(image, merged)
        with io.BufferedReader(Window(image.descriptor, tail.start - image.start, tail.end - image.start)) as bytes_of_tail:
            self._storage.put(self._target.tail_key(tail), bytes_of_tail)

    def _fetch(self, image: _Image, tails: tuple[Tail, ...]) -> None:
        for tail in tails:
            position = tail.start
            for piece in self._storage.stream(self._target.tail_key(tail)):
                _write_at(image.descriptor, piece, position - image.start)
                position += len(piece)
            if position != tail.end:
                raise Unavailable(f"The store gave {position - tail.start} of {tail.end - tail.start} bytes of a tail.")

    async def _thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await anyio.to_thread.run_sync(work, *arguments, limiter=self._threads)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    """All of it. A disk that is nearly full takes a part of what it is given, without an error (pwrite(2)). Raises Unavailable."""
    rest = memoryview(data)
    try:
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> Unavailable:
    return Unavailable(f"The scratch disk takes no more bytes: {error.strerror}.", code="scratch_unavailable")


@asynccontextmanager
async def part_writer(
    storage: Storage, scratch_dir: Path, target: Target, threads: anyio.CapacityLimiter | None = None
) -> AsyncIterator[PartWriter]:
    """A writer with its two scratch files, which are gone afterwards however this ends."""
    try:
        await anyio.Path(scratch_dir).mkdir(parents=True, exist_ok=True)
        async with (
            aiofiles.tempfile.TemporaryFile("w+b", dir=scratch_dir) as first,
            aiofiles.tempfile.TemporaryFile("w+b", dir=scratch_dir) as second,
        ):
            images = (_Image(first, first.fileno()), _Image(second, second.fileno()))
            writer = PartWriter(storage, target, images, threads)
            try:
                yield writer
            finally:
                await writer.aclose()
    except OSError as error:  # also from closing: a file whose last bytes found no room tries once more to write them
        if error.errno not in _DISK_TROUBLE:
            raise
        raise _no_room(error) from error
