"""Working space on the local disk: a cache of source objects, and folders that vanish after use.

    <scratch>/cache/<digest>        one object, or the parts of it that somebody needed (`kit.sparse`)
    <scratch>/cache/<digest>.lock   its lock: shared while it is used, exclusive while it is made or thrown out
    <scratch>/cache/room.lock       held while somebody sees to it that there is room
    <scratch>/work/<name>-…/        a step's own folder, and beside it a .lock that its owner holds

Worker processes of one machine share it through `flock`, which the kernel lets go of when a process dies, however it dies.
So a byte of a source is downloaded once for all of them, a file in use is never thrown out, and what a killed process left behind is
recognised (`clear_leftovers`). Everything here may be lost at any time; nothing here is the only copy of anything.

The cache has a budget. Room is asked for before anything is fetched: what was not used for longest goes, and when everything that is
there is in use, the work has to wait (Unavailable, which uses up no attempt). Only a source that is alone may take more.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kit import sparse
from kit.errors import StepFailed, Unavailable
from kit.ids import token
from kit.sparse import Range
from kit.storage import ObjectInfo

_RESERVE_BYTES = 512 << 20  # left free on the disk for the work itself
_SHARE_OF_DISK = 0.5  # how much of the disk the cache may take up, unless an operator says
_ROOM = "room"


class Source(Protocol):
    """What is needed of `kit.storage.Storage`."""

    def stat(self, key: str) -> ObjectInfo: ...

    def stream(self, key: str, *, start: int = 0, end: int | None = None) -> Iterable[bytes]: ...


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A file of the object's full length, of which those bytes are there that were asked for. Not to be written to."""

    path: Path
    size_bytes: int
    _source: Source
    _key: str
    _limit_bytes: int | None

    def need(self, ranges: Iterable[Range] | None = None) -> None:
        """Fetch what is missing of `ranges` (of everything, when None); past the end of the object there is nothing.

        Raises MissingObject, Unavailable ("disk_full" when there is no room), and StepFailed("source_damaged") when the object
        is shorter than it should be.
        """
        whole = (0, self.size_bytes)
        wanted = [whole] if ranges is None else [(max(0, start), min(end, self.size_bytes)) for start, end in ranges]
        if sparse.without(wanted, sparse.filled(self.path)):
            _admit(self.path, wanted, self._limit_bytes)
            sparse.fill(self.path, wanted, lambda start, end: self._source.stream(self._key, start=start, end=end))

    def read(self, offset: int, size: int) -> bytes:
        """Bytes `[offset, offset + size)`, fetched when they are not there; fewer at the end of the object."""
        end = min(offset + size, self.size_bytes)
        if end <= offset:
            return b""
        self.need([(offset, end)])
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(end - offset)

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of all these ranges, those that are not there fetched at once. Raises what `need` raises."""
        self.need(ranges)
        with self.path.open("rb") as file:
            return [os.pread(file.fileno(), max(0, end - start), start) for start, end in ranges]


@contextmanager
def fetch(
    source: Source,
    key: str,
    expected_size: int,
    scratch_dir: Path,
    ranges: Iterable[Range] | None = None,
    *,
    limit_bytes: int | None = None,
) -> Iterator[Path]:
    """A local copy of the object, valid inside the block and not to be written to: all of it, or at least these `ranges`.

    Raises what `opened` and `LocalCopy.need` raise.
    """
    with opened(source, key, expected_size, scratch_dir, limit_bytes=limit_bytes) as copy:
        copy.need(ranges)
        yield copy.path


@contextmanager
def opened(source: Source, key: str, expected_size: int, scratch_dir: Path, *, limit_bytes: int | None = None) -> Iterator[LocalCopy]:
    """A local copy into which bytes come as they are asked for, valid inside the block.

    `limit_bytes` is the budget of the whole cache (None or 0: half of the disk). Raises MissingObject, Unavailable, and
    StepFailed("source_damaged") when the object is not `expected_size` bytes long.
    """
    folder = scratch_dir / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / hashlib.sha256(f"{key}\0{expected_size}".encode()).hexdigest()
    while True:
        with _locked(_lock_of(target), fcntl.LOCK_SH):
            if sparse.is_made(target, expected_size):
                os.utime(target)
                yield LocalCopy(target, expected_size, source, key, limit_bytes)
                return
        with _locked(_lock_of(target), fcntl.LOCK_EX):
            if not sparse.is_made(target, expected_size):  # another process may have made it while we waited for the lock
                if source.stat(key).size_bytes != expected_size:
                    raise StepFailed(f"The object {key} is not {expected_size} bytes long.", code="source_damaged")
                sparse.make(target, expected_size)


@contextmanager
def work_dir(scratch_dir: Path, name: str) -> Iterator[Path]:
    """An empty folder of one's own, removed with all it contains when the block is left."""
    folder = scratch_dir / "work" / f"{name.replace('/', '-')}-{token(6)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(_lock_of(folder), fcntl.LOCK_EX):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def clear_leftovers(scratch_dir: Path) -> int:
    """Removes work folders whose owners are dead. Returns how many. A copy that was being fetched goes on being useful."""
    cleared = 0
    for folder in _entries(scratch_dir / "work"):
        if folder.suffix != ".lock":
            cleared += _removed_if_unused(folder)
    return cleared


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Holds the lock file. It may be removed by others while we wait for it; then the lock is on a file that nobody else will
    find, and has to be taken again on the new one."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
            there = _stat(path)
            if there is not None and os.path.samestat(os.fstat(descriptor), there):
                yield
                return
        finally:
            os.close(descriptor)


@contextmanager
def _tried(path: Path) -> Iterator[bool]:
    """Whether the exclusive lock is held inside the block; does not wait for it."""
    try:
        with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield True
    except BlockingIOError:
        yield False


def _removed_if_unused(path: Path) -> bool:
    with _tried(_lock_of(path)) as free:
        if free:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                sparse.remove(path)
            _lock_of(path).unlink(missing_ok=True)
        return free


def _admit(target: Path, wanted: Iterable[Range], limit_bytes: int | None) -> None:
    """Sees to it that there is room for `wanted` of `target`, and takes it. Throws out what was not used for longest.

    Raises Unavailable("disk_full"): on the disk there is no room, or the budget is taken up by what others are using.
    """
    folder = target.parent
    with _locked(_lock_of(folder / _ROOM), fcntl.LOCK_EX):
        limit = limit_bytes or int(shutil.disk_usage(folder).total * _SHARE_OF_DISK)
        missing = sparse.size_of(sparse.without(wanted, sparse.filled(target)))
        own = sparse.size_of(sparse.united(sparse.taken(target), wanted))
        others = {path: sparse.size_of(sparse.taken(path)) for path in _cached(folder) if path != target}
        for path in list(others):
            if sum(others.values()) + own <= limit and _is_free(folder, missing):
                break
            if _removed_if_unused(path):
                del others[path]
        if not _is_free(folder, missing):
            raise Unavailable(f"There is no room for {missing} bytes in {folder}.", code="disk_full")
        if any(others.values()) and sum(others.values()) + own > limit:
            raise Unavailable(f"Other work takes up the {limit} bytes that sources may have in {folder}.", code="disk_full")
        sparse.want(target, wanted)


def _cached(folder: Path) -> list[Path]:
    """The copies, the one that was not used for longest first."""
    names = [path for path in _entries(folder) if not path.name.startswith(".") and not path.suffix]
    times = {path: stat.st_mtime for path in names if (stat := _stat(path)) is not None}
    return sorted(times, key=lambda path: times[path])


def _is_free(folder: Path, size_bytes: int) -> bool:
    return shutil.disk_usage(folder).free >= size_bytes + _RESERVE_BYTES


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
