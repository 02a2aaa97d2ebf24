"""Requests that break off, lie about their length, are malformed, slow or enormous."""

from __future__ import annotations

import os
import time

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import BYTES, VERSION, Target, expect, expect_status
from tus_conformance.wire import Wire

cases = Chapter("broken", "Core protocol, PATCH", {"creation"})

_SIZE = 200_000
_ADDRESSES = {
    "traversal": "/../../../etc/passwd",
    "encoded": "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "zero": "/%00",
    "long": "/" + "a" * 4000,
}


def _patch(wire: Wire, offset: int, length: int, *more: str) -> None:
    wire.begin(
        "PATCH", f"Tus-Resumable: {VERSION}", f"Upload-Offset: {offset}", f"Content-Type: {BYTES}", f"Content-Length: {length}", *more
    )


def _settled(tus: Target, url: str) -> int:
    """The offset when the server has noticed that the sender is gone: the same twice in a row."""
    deadline, found = time.monotonic() + tus.patience_s, tus.offset(url)
    while time.monotonic() < deadline:
        time.sleep(0.5)
        again = tus.offset(url)
        if again == found:
            break
        found = again
    return found


def _finish(tus: Target, url: str, data: bytes) -> None:
    """Goes on at the offset that the server tells until the upload is whole. A server may keep a broken request's lock a while."""
    answer = tus.await_answer(lambda: tus.patch(url, offset := tus.offset(url), data[offset:]), lambda found: found.status_code == 204)
    expect_status(answer, 204)
    tus.unchanged(url, len(data))


_ENDINGS = {"closed": "close", "reset": "reset", "half-closed": "half"}


def _broken(tus: Target, how: str, sent: int) -> tuple[str, bytes]:
    data = os.urandom(_SIZE)
    url = tus.create(_SIZE)
    with tus.wire(url) as wire:
        _patch(wire, 0, _SIZE)
        wire.send(data[:sent])
        if how == "reset":
            time.sleep(0.2)
            wire.reset()
        elif how == "half":
            wire.end_sending()
            answer = wire.answer("PATCH")
            expect(answer is None or answer[0] != 204, "half a body was answered 204")
    return url, data


@cases.each(Severity.MUST, "never-ahead", _ENDINGS)
def _(tus: Target, how: str) -> None:
    """After a body that broke off in the middle the offset is never beyond what was sent"""
    url, _data = _broken(tus, how, _SIZE // 2)
    found = _settled(tus, url)
    expect(found <= _SIZE // 2, f"the upload stands at {found}, but {_SIZE // 2} bytes were sent")


@cases.each(Severity.MUST, "resumes", _ENDINGS)
def _(tus: Target, how: str) -> None:
    """The upload goes on at the offset that HEAD tells, until it is whole"""
    url, data = _broken(tus, how, _SIZE // 2)
    _finish(tus, url, data)


@cases.each(Severity.SHOULD, "keeps", {"closed": "close", "half-closed": "half"})
def _(tus: Target, how: str) -> None:
    """As much as possible of what was received is kept"""
    url, _data = _broken(tus, how, _SIZE // 2)
    found = _settled(tus, url)
    expect(found == _SIZE // 2, f"{found} of {_SIZE // 2} bytes were kept")


@cases.must("no-body-at-all")
def _(tus: Target) -> None:
    """A PATCH that announces bytes and sends none changes nothing."""
    url, _data = _broken(tus, "close", 0)
    tus.unchanged(url, 0)


@cases.must("last-byte-missing")
def _(tus: Target) -> None:
    """A body that lacks its last byte does not finish the upload."""
    url, data = _broken(tus, "half", _SIZE - 1)
    expect(_settled(tus, url) < _SIZE, "the upload counts as whole")
    _finish(tus, url, data)


@cases.must("three-breaks")
def _(tus: Target) -> None:
    """An upload survives three breaks, each at another place."""
    data = os.urandom(_SIZE)
    url = tus.create(_SIZE)
    for share in (0.2, 0.5, 0.9):
        offset = _settled(tus, url)
        with tus.wire(url) as wire:
            _patch(wire, offset, _SIZE - offset)
            wire.send(data[offset : max(offset, int(_SIZE * share))])
        expect(_settled(tus, url) <= max(offset, int(_SIZE * share)), "the offset is ahead of what was sent")
    _finish(tus, url, data)


@cases.must("chunked-breaks-off")
def _(tus: Target) -> None:
    """A body in chunks that breaks off before its last chunk is not whole: 204 would be a lie."""
    url = tus.create(10)
    with tus.wire(url) as wire:
        wire.begin("PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", "Transfer-Encoding: chunked")
        wire.send(b"5\r\nabcde\r\n")
        wire.end_sending()
        answer = wire.answer("PATCH")
    expect(answer is None or answer[0] != 204, "it was answered 204")
    expect(_settled(tus, url) <= 5, "the offset is ahead of what was sent")


@cases.must("malformed-chunk", clause="RFC 9112 section 7.1")
def _(tus: Target) -> None:
    """A chunk whose size is no number is refused or ends the connection."""
    url = tus.create(10)
    with tus.wire(url) as wire:
        wire.begin("PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", "Transfer-Encoding: chunked")
        wire.send(b"zz\r\nabcde\r\n0\r\n\r\n")
        answer = wire.answer("PATCH")
    expect(answer is None or 400 <= answer[0] < 500, f"the answer is {answer and answer[0]}")
    tus.unchanged(url, 0)


@cases.must("length-and-chunks", clause="RFC 9112 section 6.3")
def _(tus: Target) -> None:
    """Content-Length beside Transfer-Encoding, the shape of request smuggling, is refused or read as chunks."""
    url = tus.create(100)
    with tus.wire(url) as wire:
        wire.begin(
            "PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", "Content-Length: 50",
            "Transfer-Encoding: chunked",
        )  # fmt: skip
        wire.send(b"3\r\nabc\r\n0\r\n\r\n")
        answer = wire.answer("PATCH")
    expect(answer is None or answer[0] < 500, f"the answer is {answer and answer[0]}")
    expect(tus.offset(url) in (0, 3), "the body was read by its false length")


@cases.must("two-content-lengths", clause="RFC 9110 section 8.6")
def _(tus: Target) -> None:
    """Two different Content-Length headers are refused."""
    url = tus.create(100)
    with tus.wire(url) as wire:
        wire.begin(
            "PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", "Content-Length: 3", "Content-Length: 5"
        )
        wire.send(b"abcde")
        answer = wire.answer("PATCH")
    expect(answer is None or 400 <= answer[0] < 500, f"the answer is {answer and answer[0]}")
    tus.unchanged(url, 0)


@cases.each(Severity.MUST, "bad-content-length", {"negative": "-3", "word": "three", "hex": "0x3"}, clause="RFC 9110 section 8.6")
def _(tus: Target, length: str) -> None:
    """A Content-Length that is no number is refused or ends the connection"""
    url = tus.create(100)
    with tus.wire(url) as wire:
        wire.begin("PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", f"Content-Length: {length}")
        wire.send(b"abc")
        wire.end_sending()
        answer = wire.answer("PATCH")
    expect(answer is None or 400 <= answer[0] < 500, f"the answer is {answer and answer[0]}")
    tus.unchanged(url, 0)


@cases.must("announces-too-much")
def _(tus: Target) -> None:
    """A Content-Length that passes Upload-Length is refused or cut, even before its bytes come."""
    url = tus.create(10)
    with tus.wire(url) as wire:
        _patch(wire, 0, 1 << 40)
        wire.send(b"x" * 10)
        wire.end_sending()
        wire.answer("PATCH")
    expect(_settled(tus, url) <= 10, "the offset passes the length")


@cases.must("slow")
def _(tus: Target) -> None:
    """A body that comes byte by byte with pauses is stored whole."""
    url = tus.create(10)
    with tus.wire(url) as wire:
        _patch(wire, 0, 10)
        for _byte in range(10):
            wire.send(b"x")
            time.sleep(0.05)
        answer = wire.answer("PATCH")
    expect(answer is not None and answer[0] == 204, f"the answer is {answer and answer[0]}")
    tus.unchanged(url, 10)


@cases.must("headers-byte-by-byte")
def _(tus: Target) -> None:
    """So is a request whose headers come in pieces."""
    url = tus.create(3)
    with tus.wire(url) as wire:
        wire.send(b"")
        _patch(wire, 0, 3)
        for byte in b"abc":
            wire.send(bytes([byte]))
        answer = wire.answer("PATCH")
    expect(answer is not None and answer[0] == 204, f"the answer is {answer and answer[0]}")


@cases.each(Severity.MUST, "huge-header", {"16-kib": 16, "64-kib": 64, "1-mib": 1024})
def _(tus: Target, size_kib: int) -> None:
    """A huge header is refused, ignored or ends the connection; the server lives on"""
    url = tus.create(3)
    with tus.wire(url) as wire:
        _patch(wire, 0, 3, f"X-Padding: {'x' * size_kib * 1024}")
        wire.send(b"abc")
        answer = wire.answer("PATCH")
        expect(answer is None or answer[0] < 500, f"the answer is {answer and answer[0]}")
    expect(tus.offset(url) in (0, 3), "the upload is half changed")


@cases.must("many-headers")
def _(tus: Target) -> None:
    """So are two thousand headers."""
    url = tus.create(3)
    with tus.wire(url) as wire:
        _patch(wire, 0, 3, *(f"X-Number-{index}: {index}" for index in range(2000)))
        wire.send(b"abc")
        answer = wire.answer("PATCH")
        expect(answer is None or answer[0] < 500, f"the answer is {answer and answer[0]}")
    expect(tus.offset(url) in (0, 3), "the upload is half changed")


@cases.must("zero-byte-in-header", clause="RFC 9110 section 5.5")
def _(tus: Target) -> None:
    """A zero byte in a header is refused, or ends the connection."""
    with tus.wire() as wire:
        wire.begin("POST", f"Tus-Resumable: {VERSION}", "Upload-Length: 3", "Upload-Metadata: filename YQ==\x00", "Content-Length: 0")
        answer = wire.answer("POST")
    expect(answer is None or 400 <= answer[0] < 500, f"the answer is {answer and answer[0]}")


@cases.each(Severity.MUST, "wrong-address", _ADDRESSES)
def _(tus: Target, suffix: str) -> None:
    """An address made of tricks is refused, and is no failure of the server"""
    url = tus.create(3)
    with tus.wire(url + suffix) as wire:
        wire.begin("HEAD", f"Tus-Resumable: {VERSION}")
        answer = wire.answer("HEAD")
    expect(answer is None or 300 <= answer[0] < 500, f"the answer is {answer and answer[0]}")
    tus.unchanged(url, 0)


@cases.must("not-http")
def _(tus: Target) -> None:
    """Bytes that are no HTTP do not fail the server."""
    with tus.wire() as wire:
        wire.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n")
        wire.end_sending()
        wire.answer("GET")
    tus.unchanged(tus.create(3), 0)
