"""An object store in a dictionary, for tests of logic that needs somewhere to put bytes.

It keeps every promise of `kit.storage.Storage` inside one process. It is not meant to serve anything: presigned addresses
name objects, but nothing listens there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from kit.clock import Clock, SystemClock
from kit.ids import token
from kit.storage import MissingObject, MissingUpload, ObjectInfo, OpenMultipart, StorageRefused, StoredPart


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    modified_at: datetime


@dataclass(slots=True)
class _Upload:
    key: str
    started_at: datetime
    parts: dict[int, bytes] = field(default_factory=dict)


def _etag(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _read(data: bytes | BinaryIO | Path) -> bytes:
    if isinstance(data, bytes):
        return data
    return data.read_bytes() if isinstance(data, Path) else data.read()


class MemoryStorage:
    """`kit.storage.Storage` in memory."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._objects: dict[str, _Object] = {}
        self._uploads: dict[str, _Upload] = {}

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        del content_type  # nobody can read it back through the protocol
        whole = _read(data)
        with self._lock:
            self._objects[key] = _Object(whole, self._clock.now().astimezone(UTC))

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self._object(key).data[start:end]

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        data = self.get(key, start=start, end=end)
        return (data[offset : offset + chunk_bytes] for offset in range(0, len(data), chunk_bytes))

    def download(self, key: str, target: Path) -> None:
        data = self._object(key).data
        partial = target.with_name(f".{target.name}.{token(6)}.part")
        partial.write_bytes(data)
        partial.replace(target)

    def stat(self, key: str) -> ObjectInfo:
        found = self._object(key)
        return ObjectInfo(key, len(found.data), _etag(found.data), found.modified_at)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(prefix))
        return (self.stat(key) for key in keys)

    def delete(self, key: str) -> None:
        with self._lock:
            self._objects.pop(key, None)

    def copy(self, source_key: str, target_key: str) -> None:
        self.put(target_key, self._object(source_key).data)

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        del content_type
        upload_id = token(12)
        with self._lock:
            self._uploads[upload_id] = _Upload(key, self._clock.now().astimezone(UTC))
        return upload_id

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | BinaryIO) -> StoredPart:
        whole = _read(data)
        with self._lock:
            self._upload(key, upload_id).parts[number] = whole
        return StoredPart(number, _etag(whole), len(whole))

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        with self._lock:
            if upload_id not in self._uploads and key in self._objects:
                return
            upload = self._upload(key, upload_id)
            given = sorted(parts, key=lambda part: part.number)
            wrong = [part.number for part in given if _etag(upload.parts.get(part.number, b"")) != part.etag]
            if wrong or not given:
                raise StorageRefused(f"The store has no such parts of {key}: {wrong}.", code="invalid_part")
            self._objects[key] = _Object(b"".join(upload.parts[part.number] for part in given), self._clock.now().astimezone(UTC))
            del self._uploads[upload_id]

    def abort_multipart(self, key: str, upload_id: str) -> None:
        del key
        with self._lock:
            self._uploads.pop(upload_id, None)

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        with self._lock:
            found = [OpenMultipart(upload.key, name, upload.started_at) for name, upload in self._uploads.items()]
        return (upload for upload in found if upload.key.startswith(prefix))

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return f"http://memory.invalid/{key}?expires={expires_s}"

    def _object(self, key: str) -> _Object:
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise MissingObject(f"There is no object {key}.")
        return found

    def _upload(self, key: str, upload_id: str) -> _Upload:
        upload = self._uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise MissingUpload(f"There is no upload {upload_id} for {key}.")
        return upload
