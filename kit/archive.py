"""Where a backup lies: a folder, or a place in an object store. Named files, written once and whole, read in pieces.

A file appears under its name complete or not at all, and what `write` has returned from survives a loss of power: the bytes and the
folder's entry are on the disk. Nothing is ever changed or deleted here.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from kit.errors import BadRequest, HeadwaterError
from kit.ids import token
from kit.settings import Settings
from kit.storage import MissingObject, Storage

_CHUNK_BYTES = 1 << 20
_S3 = "s3://"


class Archive(Protocol):
    """One backup's place."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Store a file. Whatever `pieces` raises is raised, and then there is no such file. Raises HeadwaterError where that fails."""
        ...

    def read(self, name: str) -> Iterator[bytes]:
        """The file in pieces. Raises MissingObject."""
        ...

    def sizes(self) -> dict[str, int]:
        """Bytes of every file, by name."""
        ...


class Folder:
    """`Archive` in a folder, which is made when the first file is written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        target = self._path / name
        partial = target.with_name(f".{target.name}.{token(6)}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise HeadwaterError(f"{target} cannot be written: {error.strerror}.", code="unwritable") from error
        finally:
            partial.unlink(missing_ok=True)

    def read(self, name: str) -> Iterator[bytes]:
        try:
            file = (self._path / name).open("rb")
        except FileNotFoundError as error:
            raise MissingObject(f"There is no file {name} in {self._path}.") from error
        return _pieces(file)

    def sizes(self) -> dict[str, int]:
        found = (path for path in self._path.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {path.relative_to(self._path).as_posix(): path.stat().st_size for path in found}


class StorePlace:
    """`Archive` below a prefix of a bucket."""

    def __init__(self, storage: Storage, prefix: str) -> None:
        self._storage, self._prefix = storage, f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        self._storage.put(self._prefix + name, as_file(pieces))

    def read(self, name: str) -> Iterator[bytes]:
        return self._storage.stream(self._prefix + name)

    def sizes(self) -> dict[str, int]:
        return {item.key.removeprefix(self._prefix): item.size_bytes for item in self._storage.list(self._prefix)}


def open_archive(target: str, settings: Settings) -> Archive:
    """A folder's path, or `s3://bucket/prefix` of the object store that the settings name. Raises BadRequest, and StorageRefused for a
    bucket that cannot be had."""
    if not target.startswith(_S3):
        return Folder(Path(target))
    from kit.storage.s3 import open_storage

    bucket, _, prefix = target.removeprefix(_S3).partition("/")
    if not bucket or (bucket == settings.s3_bucket and not prefix.strip("/")):
        raise BadRequest(f"{target} is no place for a backup: name a bucket, and a prefix if it is Headwater's own.", code="bad_target")
    storage = open_storage(replace(settings, s3_bucket=bucket))
    storage.ensure_bucket()
    return StorePlace(storage, prefix)


def as_file(pieces: Iterable[bytes]) -> io.BufferedReader:
    """What the pieces make, to be read once from its start to its end."""
    return io.BufferedReader(_Reader(iter(pieces)), _CHUNK_BYTES)


class _Reader(io.RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = piece
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _pieces(file: io.BufferedReader) -> Iterator[bytes]:
    with file:
        while piece := file.read(_CHUNK_BYTES):
            yield piece


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
