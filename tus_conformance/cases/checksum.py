"""Extension checksum: a digest of each PATCH."""

from __future__ import annotations

import base64
import hashlib
import zlib

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import Skipped, Target, expect, expect_refused, expect_status

cases = Chapter("checksum", "Checksum", {"creation", "checksum"})

_ALGORITHMS = ("sha1", "sha224", "sha256", "sha384", "sha512", "md5", "crc32")
_MALFORMED = {
    "no-digest": "sha1", "empty": "", "not-base64": "sha1 %%%", "hex": "sha1 " + "a9993e364706816aba3e25717850c26c9cd0d89d",
    "too-short": "sha1 AAAA", "two-digests": "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=, md5 kAFQmDzST7DWlj99KOF/cg==",
}  # fmt: skip


def digest(data: bytes, algorithm: str = "sha1") -> str:
    """The header's value for `data`."""
    raw = zlib.crc32(data).to_bytes(4, "big") if algorithm == "crc32" else hashlib.new(algorithm, data, usedforsecurity=False).digest()
    return f"{algorithm} {base64.b64encode(raw).decode()}"


def _announced(tus: Target, algorithm: str) -> None:
    if algorithm not in tus.capabilities.algorithms:
        raise Skipped(f"the server does not announce {algorithm}")


@cases.each(Severity.MUST, "right", {name: name for name in _ALGORITHMS})
def _(tus: Target, algorithm: str) -> None:
    """A PATCH with the right digest is accepted"""
    _announced(tus, algorithm)
    tus.sent(tus.create(3), 0, b"abc", {"Upload-Checksum": digest(b"abc", algorithm)})


@cases.each(Severity.MUST, "wrong", {name: name for name in _ALGORITHMS})
def _(tus: Target, algorithm: str) -> None:
    """A PATCH with a wrong digest is refused, and its bytes are discarded"""
    _announced(tus, algorithm)
    url = tus.create(3)
    expect_refused(tus.patch(url, 0, b"abc", {"Upload-Checksum": digest(b"xyz", algorithm)}))
    tus.unchanged(url, 0)


@cases.should("mismatch-is-460")
def _(tus: Target) -> None:
    """The status for a wrong digest is 460."""
    expect_status(tus.patch(tus.create(3), 0, b"abc", {"Upload-Checksum": digest(b"xyz")}), 460)


@cases.must("mismatch-later")
def _(tus: Target) -> None:
    """A wrong digest in the middle of an upload leaves what came before."""
    url = tus.create(9)
    tus.sent(url, 0, b"abc", {"Upload-Checksum": digest(b"abc")})
    expect_refused(tus.patch(url, 3, b"def", {"Upload-Checksum": digest(b"abc")}))
    tus.unchanged(url, 3)
    tus.sent(url, 3, b"def", {"Upload-Checksum": digest(b"def")})


@cases.must("mismatch-of-the-last")
def _(tus: Target) -> None:
    """A wrong digest of the last bytes does not finish the upload."""
    url = tus.create(3)
    expect_refused(tus.patch(url, 0, b"abc", {"Upload-Checksum": digest(b"abd")}))
    tus.unchanged(url, 0)
    tus.sent(url, 0, b"abc", {"Upload-Checksum": digest(b"abc")})


@cases.must("mismatch-of-much")
def _(tus: Target) -> None:
    """A wrong digest of 2 MiB discards all of them, whatever was written while they came."""
    data = bytes(2 << 20)
    url = tus.create(len(data))
    expect_refused(tus.patch(url, 0, data, {"Upload-Checksum": digest(b"other")}))
    tus.unchanged(url, 0)


@cases.must("is-of-the-body")
def _(tus: Target) -> None:
    """The digest is of the bytes of this PATCH, not of the whole file."""
    url = tus.create(6)
    tus.sent(url, 0, b"abc")
    tus.sent(url, 3, b"def", {"Upload-Checksum": digest(b"def")})


@cases.must("chunked")
def _(tus: Target) -> None:
    """A digest counts for a body in chunks, too."""
    url = tus.create(6)
    expect_refused(tus.patch(url, 0, iter([b"ab", b"cd"]), {"Upload-Checksum": digest(b"abce")}))
    tus.unchanged(url, 0)
    expect_status(tus.patch(url, 0, iter([b"ab", b"cd"]), {"Upload-Checksum": digest(b"abcd")}), 204)
    tus.unchanged(url, 4)


@cases.must("empty-body")
def _(tus: Target) -> None:
    """The digest of no bytes is a digest."""
    tus.sent(tus.create(3), 0, b"", {"Upload-Checksum": digest(b"")})


@cases.must("unknown-algorithm")
def _(tus: Target) -> None:
    """A digest of an algorithm that is not announced is refused, and nothing is stored."""
    url = tus.create(3)
    expect_refused(tus.patch(url, 0, b"abc", {"Upload-Checksum": "rot13 YWJj"}))
    tus.unchanged(url, 0)


@cases.should("unknown-algorithm-is-400")
def _(tus: Target) -> None:
    """The status for an unknown algorithm is 400."""
    expect_status(tus.patch(tus.create(3), 0, b"abc", {"Upload-Checksum": "rot13 YWJj"}), 400)


@cases.each(Severity.MUST, "malformed", _MALFORMED)
def _(tus: Target, header: str) -> None:
    """A malformed Upload-Checksum is refused, and nothing is stored"""
    url = tus.create(3)
    expect_refused(tus.patch(url, 0, b"abc", {"Upload-Checksum": header}))
    tus.unchanged(url, 0)


@cases.must("wrong-offset-first")
def _(tus: Target) -> None:
    """A right digest does not excuse a wrong offset."""
    url = tus.create(9)
    expect_status(tus.patch(url, 3, b"abc", {"Upload-Checksum": digest(b"abc")}), 409)
    tus.unchanged(url, 0)


@cases.must("broken-body")
def _(tus: Target) -> None:
    """A body that breaks off before its digest could be checked is never acknowledged as whole."""
    url = tus.create(1000)
    with tus.wire(url) as wire:
        wire.begin(
            "PATCH", "Tus-Resumable: 1.0.0", "Upload-Offset: 0", "Content-Type: application/offset+octet-stream", "Content-Length: 1000",
            f"Upload-Checksum: {digest(b'x' * 1000)}",
        )  # fmt: skip
        wire.send(b"x" * 500)
    found = tus.offset(url)
    expect(found == 0, f"the upload stands at {found}, though nothing could be checked")
