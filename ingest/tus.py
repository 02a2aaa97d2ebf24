"""The tus 1.0.0 protocol's headers as values, both ways. Pure: what a request means is decided in `ingest.upload`.

Supported: the core protocol and the extensions creation, creation-with-upload, creation-defer-length, termination, checksum
and expiration. Not supported: concatenation and checksum trailers; what they would need is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from ingest.upload import UploadSession
from kit.errors import BadRequest, HeadwaterError, Retry

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,creation-defer-length,termination,checksum,expiration"
CONTENT_TYPE = "application/offset+octet-stream"
ALGORITHMS = ("sha1", "sha256", "md5")
_OWN_HEADERS = ("upload-", "tus-", "x-http-method-override", "content-type")
METADATA_LIMIT = 8192  # characters of an Upload-Metadata header that are kept

CORS_METHODS = "POST, HEAD, PATCH, PUT, DELETE, OPTIONS"
CORS_REQUEST_HEADERS = (
    "Authorization, Content-Type, Idempotency-Key, Tus-Resumable, Upload-Checksum, Upload-Concat, Upload-Defer-Length, "
    "Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-ID, X-Requested-With"
)
CORS_RESPONSE_HEADERS = (
    "Location, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Defer-Length, "
    "Upload-Expires, Upload-Length, Upload-Metadata, Upload-Offset"
)


class WrongVersion(HeadwaterError):
    status, code, retry = 412, "tus_version", Retry.NEVER


class WrongContentType(HeadwaterError):
    status, code, retry = 415, "unsupported_media_type", Retry.NEVER


class ChecksumMismatch(HeadwaterError):
    """The bytes that arrived are not the bytes that were sent. 460 is the status that tus gives to this."""

    status, code, retry = 460, "checksum_mismatch", Retry.NEVER


@dataclass(frozen=True, slots=True)
class Checksum:
    """An Upload-Checksum: what the body of this one request must hash to."""

    algorithm: str
    digest: bytes

    def hasher(self) -> hashlib._Hash:
        return hashlib.new(self.algorithm, usedforsecurity=False)


def check_version(headers: Mapping[str, str]) -> None:
    """tus, "Tus-Resumable": a request in another version must not be processed. Raises WrongVersion."""
    given = headers.get("tus-resumable")
    if given != VERSION:
        said = "does not say its version" if given is None else f"speaks tus {given}"
        raise WrongVersion(f"The request {said}, but this server speaks tus {VERSION}: send Tus-Resumable: {VERSION}.")


def check_said_once(names: Iterable[str]) -> None:
    """No header of the protocol may come twice: two programs could each believe another one of them. Raises BadRequest."""
    seen: set[str] = set()
    for name in names:
        if name in seen and name.startswith(_OWN_HEADERS):
            raise BadRequest(f"The header {name} comes twice.")
        seen.add(name)


def check_content_type(headers: Mapping[str, str]) -> None:
    """Raises WrongContentType."""
    given = headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise WrongContentType(f"The body must be of the type {CONTENT_TYPE}, not {given or 'unnamed'}.")


def parse_whole(headers: Mapping[str, str], name: str) -> int | None:
    """A header that is a whole number ≥ 0, or None when it is not there. Raises BadRequest."""
    given = headers.get(name.lower())
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", given.strip()):
        raise BadRequest(f"{name} must be a whole number, not {given[:40]!r}.")
    return int(given)


def parse_required(headers: Mapping[str, str], name: str) -> int:
    """The same for a header that must be there."""
    found = parse_whole(headers, name)
    if found is None:
        raise BadRequest(f"The header {name} is missing.")
    return found


def parse_creation_length(headers: Mapping[str, str]) -> int | None:
    """The length of a new upload, None when it is deferred. tus, "Creation": exactly one of the two must be said."""
    if headers.get("upload-concat") is not None:
        raise BadRequest("Concatenation is not supported: leave out Upload-Concat.")
    length, deferred = parse_whole(headers, "Upload-Length"), headers.get("upload-defer-length")
    if deferred is not None and deferred.strip() != "1":
        raise BadRequest("Upload-Defer-Length must be 1.")
    if (length is None) == (deferred is None):
        raise BadRequest("Say either Upload-Length, or Upload-Defer-Length: 1.")
    return length


def parse_metadata(header: str | None) -> dict[str, bytes]:
    """Upload-Metadata: `key base64, key base64, key`. Keys are unique, and a value may be left out. Raises BadRequest."""
    if header is None or not header.strip():
        return {}
    if len(header) > METADATA_LIMIT:
        raise BadRequest(f"Upload-Metadata has {len(header)} characters; at most {METADATA_LIMIT} are kept.")
    found: dict[str, bytes] = {}
    for pair in header.split(","):
        key, _, value = pair.strip(" ").partition(" ")
        if not key or not key.isascii() or not key.isprintable():
            raise BadRequest("Upload-Metadata has a key that is empty or not ASCII.")
        if key in found:
            raise BadRequest(f"Upload-Metadata has the key {key!r} twice.")
        try:
            found[key] = base64.b64decode(value.strip(" "), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest(f"The value of {key!r} in Upload-Metadata is not base64.") from None
    return found


def parse_checksum(header: str | None) -> Checksum | None:
    """Upload-Checksum: `algorithm base64`. Raises BadRequest, also for an algorithm that is not supported (tus, "Checksum")."""
    if header is None:
        return None
    algorithm, _, encoded = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequest(f"Upload-Checksum must use one of {', '.join(ALGORITHMS)}.")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The digest in Upload-Checksum is not base64.") from None
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise BadRequest(f"The digest in Upload-Checksum has the wrong length for {algorithm}.")
    return Checksum(algorithm, digest)


def http_date(moment: datetime) -> str:
    """IMF-fixdate (RFC 9110 section 5.6.7). `moment` must be in UTC."""
    return format_datetime(moment, usegmt=True)


def every_answer() -> dict[str, str]:
    """Headers of every tus response. Anyone may call from any origin: the address itself is the permission, and no cookie is used."""
    return {"Tus-Resumable": VERSION, "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": CORS_RESPONSE_HEADERS}


def capabilities(max_bytes: int) -> dict[str, str]:
    """Headers of OPTIONS, for tus clients and for browsers that ask before they send (CORS)."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_bytes),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": CORS_REQUEST_HEADERS,
        "Access-Control-Max-Age": "86400",
    }


def progress(session: UploadSession) -> dict[str, str]:
    """Upload-Offset, and Upload-Expires while the upload is going to expire."""
    said = {"Upload-Offset": str(session.offset)}
    if session.completed_at is None:
        said["Upload-Expires"] = http_date(session.expires_at)
    return said


def description(session: UploadSession) -> dict[str, str]:
    """Headers of HEAD. The offset must never be answered from a cache."""
    length = {"Upload-Defer-Length": "1"} if session.size_bytes is None else {"Upload-Length": str(session.size_bytes)}
    metadata = {"Upload-Metadata": session.metadata} if session.metadata else {}
    return {**progress(session), **length, **metadata, "Cache-Control": "no-store"}


def method(actual: str, headers: Mapping[str, str]) -> str:
    """The method to act on: X-HTTP-Method-Override wins, for clients whose environment knows no PATCH or DELETE."""
    return headers.get("x-http-method-override", actual).strip().upper()
