"""The object store, as the rest of the code sees it.

Five verbs and multipart uploads: what every S3 implementation does in the same way. Nothing here is a lock and nothing
depends on conditional writes (several stores get them wrong); who owns what is decided in the database.

Implementations: `kit.storage.memory` for tests of pure logic, `kit.storage.s3` for everything else. Both pass the suite in
`tests/contract/storage_suite.py`. Errors: `MissingObject` and `MissingUpload` (both `NotFound`), `Unavailable` when the store
does not answer, and `StorageRefused` when it answers no.

Keys: no key may be another key followed by a slash (`a` beside `a/b`), because some stores keep objects as files in folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from kit.errors import HeadwaterError, NotFound


class MissingObject(NotFound):
    code = "object_not_found"


class MissingUpload(NotFound):
    """The multipart upload was completed, aborted, or never was."""

    code = "multipart_not_found"


class StorageRefused(HeadwaterError):
    """The store answered no: wrong credentials, an unknown part, a bucket that is not ours. Waiting does not help."""

    code = "storage_refused"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One stored object. `etag` has no quotes and means nothing beyond "other bytes, other tag"."""

    key: str
    size_bytes: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a multipart upload that the store has acknowledged."""

    number: int  # 1 to 10,000
    etag: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class OpenMultipart:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    started_at: datetime  # by the store's clock


class Storage(Protocol):
    """One bucket."""

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        """Store the whole object or nothing. An object of that key is replaced; a reader sees the old or the new bytes."""
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Bytes `[start, end)`; past the end of the object they simply stop. Raises MissingObject."""
        ...

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The same in pieces. A connection that breaks raises Unavailable; short data is never silent."""
        ...

    def download(self, key: str, target: Path) -> None:
        """The whole object into a file, atomically: `target` appears complete or not at all."""
        ...

    def stat(self, key: str) -> ObjectInfo:
        """Raises MissingObject."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects whose key starts with `prefix`, ascending by key."""
        ...

    def delete(self, key: str) -> None:
        """Deleting what is not there is success."""
        ...

    def copy(self, source_key: str, target_key: str) -> None:
        """Inside the store, at any size. Raises MissingObject."""
        ...

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        """An upload id. Nothing is visible under `key` until `complete_multipart`."""
        ...

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | BinaryIO) -> StoredPart:
        """At least 5 MiB, but for the last part. The same number again replaces the part."""
        ...

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """The object appears, whole. Completing twice is success as long as the object is there."""
        ...

    def abort_multipart(self, key: str, upload_id: str) -> None:
        """Frees the parts. Aborting what is not there is success."""
        ...

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        """Multipart uploads under way whose key starts with `prefix`. Only for tidying up after the dead: a store may leave some out.
        All are asked to list those of one key when the key itself is the prefix; MinIO and its kin list no others."""
        ...

    def presign_get(self, key: str, *, expires_s: int) -> str:
        """An absolute address that anyone may GET (with Range) until it expires."""
        ...
