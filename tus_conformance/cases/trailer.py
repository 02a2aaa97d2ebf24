"""Extension checksum-trailer: the digest comes after the body, in a trailer of a chunked request (RFC 9112 section 7.1.2)."""

from __future__ import annotations

from tus_conformance.cases.checksum import digest
from tus_conformance.chapter import Chapter
from tus_conformance.target import BYTES, VERSION, Target, expect

cases = Chapter("trailer", "Checksum, checksum-trailer", {"creation", "checksum", "checksum-trailer"})


def _send(tus: Target, url: str, data: bytes, said: str) -> int | None:
    with tus.wire(url) as wire:
        wire.begin(
            "PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", "Transfer-Encoding: chunked",
            "Trailer: Upload-Checksum",
        )  # fmt: skip
        wire.send(f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n" + f"Upload-Checksum: {said}\r\n\r\n".encode())
        answer = wire.answer("PATCH")
    return answer and answer[0]


@cases.must("right")
def _(tus: Target) -> None:
    """A right digest in the trailer is accepted."""
    url = tus.create(3)
    status = _send(tus, url, b"abc", digest(b"abc"))
    expect(status == 204, f"the answer is {status}")
    tus.unchanged(url, 3)


@cases.must("wrong")
def _(tus: Target) -> None:
    """A wrong digest in the trailer is refused, and the bytes are discarded."""
    url = tus.create(3)
    status = _send(tus, url, b"abc", digest(b"xyz"))
    expect(status is not None and 400 <= status < 500, f"the answer is {status}")
    tus.unchanged(url, 0)
