"""Working space on the local disk: a cache of source objects, and folders that vanish after use.

    <scratch>/cache/<digest>        one object, complete
    <scratch>/cache/<digest>.lock   its lock: shared while it is read, exclusive while it is fetched or thrown out
    <scratch>/work/<name>-…/        a step's own folder, and beside it a .lock that its owner holds

Worker processes of one machine share it through `flock`, which the kernel lets go of when a process dies, however it dies.
So a source is downloaded once for all of them, a file in use is never thrown out, and what a killed process left behind is
recognised (`clear_leftovers`). Everything here may be lost at any time; nothing here is the only copy of anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.errors import StepFailed, Unavailable
from kit.ids import token
from kit.storage import Storage

_RESERVE_BYTES = 512 << 20  # left free on the disk for the work itself
_SHARE_OF_DISK = 0.5  # how much of the disk the cache may take up


@contextmanager
def fetch(storage: Storage, key: str, expected_size: int, scratch_dir: Path, *, limit_bytes: int | None = None) -> Iterator[Path]:
    """A local copy of the object, valid inside the block and not to be written to.

    `limit_bytes` bounds the cache (half of the disk by default); files in use count, but stay. Raises MissingObject, Unavailable
    ("disk_full" when there is no room even after throwing out what is unused), and StepFailed("source_damaged") when the object is
    not `expected_size` bytes long.
    """
    folder = scratch_dir / "cache"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / hashlib.sha256(f"{key}\0{expected_size}".encode()).hexdigest()
    while True:
        with _locked(_lock_of(target), fcntl.LOCK_SH):
            if _is_whole(target, expected_size):
                os.utime(target)
                yield target
                return
        with _locked(_lock_of(target), fcntl.LOCK_EX):
            if not _is_whole(target, expected_size):  # another process may have fetched it while we waited for the lock
                _make_room(folder, expected_size, limit_bytes)
                storage.download(key, target)
                if not _is_whole(target, expected_size):
                    target.unlink()
                    raise StepFailed(f"The object {key} is not {expected_size} bytes long.", code="source_damaged")


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
    """Removes work folders and unfinished downloads whose owners are dead. Returns how many."""
    cleared = 0
    for folder in _entries(scratch_dir / "work"):
        if folder.suffix != ".lock":
            cleared += _removed_if_unused(folder)
    for partial in (scratch_dir / "cache").glob(".*.part"):
        owner = partial.with_name(partial.name.removeprefix(".").partition(".")[0])
        with _tried(_lock_of(owner)) as free:
            if free:
                partial.unlink(missing_ok=True)
                cleared += 1
    return cleared


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _is_whole(path: Path, size_bytes: int) -> bool:
    there = _stat(path)
    return there is not None and there.st_size == size_bytes


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
                path.unlink(missing_ok=True)
            _lock_of(path).unlink(missing_ok=True)
        return free


def _make_room(folder: Path, needed_bytes: int, limit_bytes: int | None) -> None:
    """Throws out the files that were not used for longest until `needed_bytes` more fit. Raises Unavailable("disk_full")."""
    disk = shutil.disk_usage(folder)
    limit = int(disk.total * _SHARE_OF_DISK) if limit_bytes is None else limit_bytes
    cached = [path for path in _entries(folder) if not path.name.startswith(".") and path.suffix != ".lock"]
    sizes = {path: (stat.st_mtime, stat.st_size) for path in cached if (stat := _stat(path)) is not None}
    total = sum(size for _, size in sizes.values())
    for path in sorted(sizes, key=lambda path: sizes[path][0]):
        if total + needed_bytes <= limit and shutil.disk_usage(folder).free >= needed_bytes + _RESERVE_BYTES:
            return
        if _removed_if_unused(path):
            total -= sizes[path][1]
    if shutil.disk_usage(folder).free < needed_bytes + _RESERVE_BYTES:
        raise Unavailable(f"There is no room for {needed_bytes} bytes in {folder}.", code="disk_full")


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
