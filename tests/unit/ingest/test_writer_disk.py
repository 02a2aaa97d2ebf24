"""A scratch disk that is nearly full: what it did not take is never taken for stored, and the client is told to try again (U12, O4)."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from ingest.upload import MIB, Tail
from ingest.writer import Target, part_writer
from kit.errors import Unavailable
from kit.storage import StoredPart
from kit.storage.memory import MemoryStorage

BEFORE, AFTER = b"what came first " * 2000, b"and what came then" * 2000


def target() -> Target:
    async def opened() -> str:
        return "1"

    async def stored(_part: StoredPart) -> None:
        return None

    return Target("source", 8 * MIB, opened, stored, lambda tail: f"tail-{tail.end}")


def longer_tail(scratch: Path) -> bytes:
    """A tail is there; more bytes come, and both become one tail. Returns what it says."""
    storage = MemoryStorage()
    storage.put(f"tail-{len(BEFORE)}", BEFORE)

    async def receive() -> tuple[Tail, ...]:
        async with part_writer(storage, scratch, target()) as writer:
            writer.start_at(len(BEFORE), (Tail(0, len(BEFORE), 1),))
            await writer.write(AFTER)
            return await writer.keep_tail(2)

    (tail,) = asyncio.run(receive())
    return storage.get(f"tail-{tail.end}")


def test_a_disk_that_takes_a_part_is_given_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: whole(descriptor, bytes(data)[:1000], offset))
    assert longer_tail(tmp_path) == BEFORE + AFTER


def test_a_full_disk_is_said_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _data: bytes, _offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Unavailable, match="The scratch disk takes no more bytes: No space left on device"):
        longer_tail(tmp_path)


def test_a_full_disk_that_takes_no_new_file_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ingest.writer.aiofiles.tempfile.TemporaryFile", full)
    with pytest.raises(Unavailable) as raised:
        longer_tail(tmp_path)
    assert raised.value.code == "scratch_unavailable"
