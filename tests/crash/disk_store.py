"""An object store in a folder: what it has acknowledged survives the death of whoever put it there, and a call costs microseconds.

It keeps every promise of `kit.storage.Storage` for any number of processes of one machine. Nothing is synced: it outlives processes,
not the machine.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

from kit.storage import MissingObject, MissingUpload, ObjectInfo, OpenMultipart, StorageRefused, StoredPart


class DiskStorage:
    """`kit.storage.Storage` below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._objects, self._uploads, self._aside = folder / "objects", folder / "uploads", folder / "aside"
        self.prepare()

    def prepare(self) -> None:
        """Makes the folders, where somebody has removed them."""
        for part in (self._objects, self._uploads, self._aside):
            part.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        del content_type  # nobody can read it back through the protocol
        self._write(self._path(key), _read(data))

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self._data(key)[start:end]

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        data = self.get(key, start=start, end=end)
        return (data[offset : offset + chunk_bytes] for offset in range(0, len(data), chunk_bytes))

    def download(self, key: str, target: Path) -> None:
        partial = target.with_name(f".{target.name}.part")
        partial.write_bytes(self._data(key))
        partial.replace(target)

    def stat(self, key: str) -> ObjectInfo:
        data = self._data(key)
        return ObjectInfo(key, len(data), _etag(data), _modified(self._path(key)))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        keys = sorted(key for key in (unquote(path.name) for path in self._objects.iterdir()) if key.startswith(prefix))
        for key in keys:
            try:
                yield self.stat(key)
            except MissingObject:
                continue

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def copy(self, source_key: str, target_key: str) -> None:
        self.put(target_key, self._data(source_key))

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        del content_type
        upload_id = secrets.token_hex(8)
        made = self._aside / upload_id
        made.mkdir()
        (made / "key").write_text(key)
        made.rename(self._uploads / upload_id)
        return upload_id

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | BinaryIO) -> StoredPart:
        whole = _read(data)
        self._write(self._upload(key, upload_id) / str(number), whole)
        return StoredPart(number, _etag(whole), len(whole))

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        try:
            folder = self._upload(key, upload_id)
        except MissingUpload:
            if self._path(key).exists():
                return
            raise
        whole = bytearray()
        for part in sorted(parts, key=lambda part: part.number):
            path = folder / str(part.number)
            data = path.read_bytes() if path.exists() else b""
            if _etag(data) != part.etag:
                raise StorageRefused(f"The store has no such part of {key}: {part.number}.", code="invalid_part")
            whole += data
        if not parts:
            raise StorageRefused(f"There are no parts of {key}.", code="invalid_part")
        self._write(self._path(key), bytes(whole))
        shutil.rmtree(folder)

    def abort_multipart(self, key: str, upload_id: str) -> None:
        del key
        shutil.rmtree(self._uploads / upload_id, ignore_errors=True)

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        for folder in sorted(self._uploads.iterdir()):
            key = (folder / "key").read_text()
            if key.startswith(prefix):
                yield OpenMultipart(key, folder.name, _modified(folder / "key"))

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return f"http://disk.invalid/{key}?expires={expires_s}"

    def _path(self, key: str) -> Path:
        return self._objects / quote(key, safe="")

    def _data(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise MissingObject(f"There is no object {key}.") from None

    def _upload(self, key: str, upload_id: str) -> Path:
        folder = self._uploads / upload_id
        if not folder.is_dir():
            raise MissingUpload(f"The store has no such upload for {key}.")
        return folder

    def _write(self, path: Path, data: bytes) -> None:
        aside = self._aside / secrets.token_hex(8)
        aside.write_bytes(data)
        aside.rename(path)


def _read(data: bytes | BinaryIO | Path) -> bytes:
    if isinstance(data, bytes):
        return data
    return data.read_bytes() if isinstance(data, Path) else data.read()


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _modified(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
