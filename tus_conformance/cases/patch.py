"""PATCH: bytes at an offset."""

from __future__ import annotations

import os

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import BYTES, VERSION, Target, expect, expect_refused, expect_status, number

cases = Chapter("patch", "Core protocol, PATCH", {"creation"})

_NO_NUMBERS = {
    "word": "five", "negative": "-1", "plus": "+0", "hex": "0x0", "fraction": "0.0", "exponent": "0e0", "list": "0, 0", "empty": "",
    "arabic-digit": "٠".encode(), "comma": "0,", "huge": "9" * 30, "beyond-64-bit": str(2**64),
}  # fmt: skip
_WRONG_TYPES = {
    "octet-stream": "application/octet-stream", "text": "text/plain", "form": "multipart/form-data; boundary=x", "empty": "",
    "prefix": "application/offset+octet-streams",
}  # fmt: skip


@cases.must("first")
def _(tus: Target) -> None:
    """A PATCH at offset 0 is answered 204 with the new offset."""
    tus.sent(tus.create(10), 0, b"abc")


@cases.must("no-content")
def _(tus: Target) -> None:
    """The 204 has no body (RFC 9110 section 15.3.5)."""
    expect(not tus.patch(tus.create(3), 0, b"abc").content, "a 204 has a body")


@cases.must("second")
def _(tus: Target) -> None:
    """A PATCH at the current offset goes on where the last one ended."""
    url = tus.create(10)
    tus.sent(url, tus.sent(url, 0, b"abc"), b"defg")
    tus.unchanged(url, 7)


@cases.must("byte-by-byte")
def _(tus: Target) -> None:
    """Ten PATCHes of one byte make an upload of ten bytes."""
    url = tus.create(10)
    for offset in range(10):
        tus.sent(url, offset, b"x")
    tus.unchanged(url, 10)


@cases.each(Severity.MUST, "whole", {"1": 1, "4095": 4095, "4096": 4096, "65537": 65_537, "1048577": 1_048_577})
def _(tus: Target, size: int) -> None:
    """A whole upload in one PATCH, at sizes around the usual buffers"""
    tus.sent(tus.create(size), 0, os.urandom(size))


@cases.must("uneven-pieces")
def _(tus: Target) -> None:
    """A whole upload in pieces of uneven sizes."""
    sizes, offset = (1, 1000, 70_000, 3, 300_000), 0
    url = tus.create(sum(sizes))
    for size in sizes:
        offset = tus.sent(url, offset, os.urandom(size))
    tus.unchanged(url, sum(sizes))


@cases.must("ahead")
def _(tus: Target) -> None:
    """A PATCH beyond the current offset is answered 409, and nothing changes."""
    url = tus.create(10)
    expect_status(tus.patch(url, 5, b"abc"), 409)
    tus.unchanged(url, 0)


@cases.must("behind")
def _(tus: Target) -> None:
    """A PATCH before the current offset is answered 409, and nothing changes."""
    url = tus.create(10)
    tus.sent(url, 0, b"abcde")
    expect_status(tus.patch(url, 2, b"xyz"), 409)
    tus.unchanged(url, 5)


@cases.must("repeated")
def _(tus: Target) -> None:
    """A PATCH sent once more, as after a lost answer, is answered 409, and nothing changes."""
    url = tus.create(10)
    tus.sent(url, 0, b"abcde")
    expect_status(tus.patch(url, 0, b"abcde"), 409)
    tus.unchanged(url, 5)


@cases.must("goes-on-after-409")
def _(tus: Target) -> None:
    """After a 409 the upload can be continued where HEAD says."""
    url = tus.create(6)
    tus.sent(url, 0, b"abc")
    tus.patch(url, 1, b"bcd")
    tus.sent(url, tus.offset(url), b"def")


@cases.must("missing-offset")
def _(tus: Target) -> None:
    """A PATCH without Upload-Offset is refused, and nothing changes."""
    url = tus.create(3)
    expect_refused(tus.send("PATCH", url, {"Content-Type": BYTES}, b"abc"))
    tus.unchanged(url, 0)


@cases.each(Severity.MUST, "bad-offset", _NO_NUMBERS, clause="Headers, Upload-Offset")
def _(tus: Target, value: str | bytes) -> None:
    """An Upload-Offset that is not a non-negative integer in range is refused, and nothing changes"""
    url = tus.create(3)
    expect_refused(tus.send("PATCH", url, {"Upload-Offset": value, "Content-Type": BYTES}, b"abc"))
    tus.unchanged(url, 0)


@cases.must("two-offsets", clause="Headers, Upload-Offset")
def _(tus: Target) -> None:
    """Two different Upload-Offset headers are never both right: refused, and nothing changes."""
    url = tus.create(10)
    tus.sent(url, 0, b"abc")
    for pair in (("9", "3"), ("3", "9")):
        expect_refused(tus.send("PATCH", url, [*(("Upload-Offset", value) for value in pair), ("Content-Type", BYTES)], b"def"))
        tus.unchanged(url, 3)


@cases.must("header-names-in-any-case", clause="RFC 9110 section 5.1")
def _(tus: Target) -> None:
    """Header names count in any mixture of upper and lower case."""
    url = tus.create(3)
    with tus.wire(url) as wire:
        wire.begin("PATCH", f"tUS-rESUMABLE: {VERSION}", "UPLOAD-OFFSET: 0", f"content-TYPE: {BYTES}", "content-LENGTH: 3")
        wire.send(b"abc")
        answer = wire.answer("PATCH")
    expect(answer is not None and answer[0] == 204, f"the answer is {answer and answer[0]}")


@cases.must("type-in-any-case", clause="RFC 9110 section 8.3.1")
def _(tus: Target) -> None:
    """The content type counts in any mixture of upper and lower case."""
    expect_status(tus.patch(tus.create(3), 0, b"abc", {"Content-Type": "Application/Offset+Octet-Stream"}), 204)


@cases.each(Severity.SHOULD, "wrong-type", _WRONG_TYPES)
def _(tus: Target, kind: str) -> None:
    """A PATCH of another content type is answered 415"""
    expect_status(tus.patch(tus.create(3), 0, b"abc", {"Content-Type": kind}), 415)


@cases.must("wrong-type-stores-nothing")
def _(tus: Target) -> None:
    """A PATCH of another content type, if it is refused, stores nothing."""
    url = tus.create(3)
    answer = tus.patch(url, 0, b"abc", {"Content-Type": "text/plain"})
    if answer.status_code >= 400:
        tus.unchanged(url, 0)


@cases.should("missing-type")
def _(tus: Target) -> None:
    """A PATCH without a content type is answered 415."""
    expect_status(tus.send("PATCH", tus.create(3), {"Upload-Offset": "0"}, b"abc"), 415)


@cases.must("too-long")
def _(tus: Target) -> None:
    """A body that passes Upload-Length is refused or cut: the offset never passes the length."""
    url = tus.create(3)
    answer = tus.patch(url, 0, b"abcdef")
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    expect(tus.offset(url) <= 3, "the offset passes the length")


@cases.must("too-long-at-the-end")
def _(tus: Target) -> None:
    """The same for the last PATCH of several."""
    url = tus.create(6)
    tus.sent(url, 0, b"abcd")
    answer = tus.patch(url, 4, b"efgh")
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    expect(4 <= tus.offset(url) <= 6, "the offset is wrong afterwards")


@cases.must("empty-body")
def _(tus: Target) -> None:
    """A PATCH without bytes at the current offset is answered 204, and the offset stays."""
    url = tus.create(3)
    tus.sent(url, 0, b"a")
    tus.sent(url, 1, b"")
    tus.unchanged(url, 1)


@cases.should("empty-body-at-the-end")
def _(tus: Target) -> None:
    """A PATCH without bytes at the end of a finished upload is answered 204."""
    url = tus.create(3)
    tus.sent(url, 0, b"abc")
    expect_status(tus.patch(url, 3, b""), 204)


@cases.must("after-the-end")
def _(tus: Target) -> None:
    """Bytes after the end of a finished upload are refused, and nothing changes."""
    url = tus.create(3)
    tus.sent(url, 0, b"abc")
    expect_refused(tus.patch(url, 3, b"d"))
    tus.unchanged(url, 3)


@cases.must("finished-is-not-rewritten")
def _(tus: Target) -> None:
    """A finished upload is not begun again by a PATCH at 0."""
    url = tus.create(3)
    tus.sent(url, 0, b"abc")
    expect_status(tus.patch(url, 0, b"xyz"), 409, 403, 410)
    tus.unchanged(url, 3)


@cases.must("chunked")
def _(tus: Target) -> None:
    """A body in chunks of HTTP/1.1, whose length is not said beforehand, is stored whole (RFC 9112 section 7.1)."""
    url = tus.create(5000)
    answer = tus.patch(url, 0, iter([b"a" * 1000, b"b" * 4000]))
    expect_status(answer, 204)
    expect(number(answer.headers.get("upload-offset"), "Upload-Offset") == 5000, "not all of it was stored")


@cases.must("chunked-in-part")
def _(tus: Target) -> None:
    """So is one that leaves the upload unfinished."""
    url = tus.create(5000)
    expect_status(tus.patch(url, 0, iter([b"a" * 7, b"b" * 13])), 204)
    tus.unchanged(url, 20)


@cases.must("chunked-too-long")
def _(tus: Target) -> None:
    """A body in chunks that passes Upload-Length is refused or cut."""
    url = tus.create(3)
    answer = tus.patch(url, 0, iter([b"ab", b"cd", b"ef"]))
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    expect(tus.offset(url) <= 3, "the offset passes the length")


@cases.must("expects-100", clause="RFC 9110 section 10.1.1")
def _(tus: Target) -> None:
    """A PATCH that waits for 100 (Continue) gets it, or its final answer."""
    url = tus.create(3)
    with tus.wire(url) as wire:
        wire.begin(
            "PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 0", f"Content-Type: {BYTES}", "Content-Length: 3", "Expect: 100-continue"
        )
        status = wire.interim()
        expect(status is not None, "the server says nothing")
        if status == 100:
            wire.send(b"abc")
            answer = wire.answer("PATCH")
            expect(answer is not None and answer[0] == 204, f"the answer is {answer and answer[0]}")
    tus.unchanged(url, 3 if status == 100 else tus.offset(url))


@cases.must("offset-of-another-upload")
def _(tus: Target) -> None:
    """An offset counts for its own upload only."""
    first, second = tus.create(10), tus.create(10)
    tus.sent(first, 0, b"abcd")
    expect_status(tus.patch(second, 4, b"efgh"), 409)
    tus.unchanged(second, 0)


@cases.must("upload-length-is-not-changed", clause="Headers, Upload-Length")
def _(tus: Target) -> None:
    """An Upload-Length in a PATCH does not change a length that is known."""
    url = tus.create(5)
    tus.patch(url, 0, b"abc", {"Upload-Length": "3"})
    said = tus.head(url).headers.get("upload-length")
    expect(said == "5", f"the length is {said} now, not 5")


@cases.must("leading-zeros", clause="Headers, Upload-Offset")
def _(tus: Target) -> None:
    """An Upload-Offset with leading zeros is that number, or refused: never a number of base 8."""
    url = tus.create(20)
    tus.sent(url, 0, b"x" * 8)
    answer = tus.patch(url, "010", b"abc")
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    expect(answer.status_code != 204, "010 was taken for 8")
    tus.unchanged(url, 8)


@cases.must("same-connection-after-refusal", clause="RFC 9112 section 9.3")
def _(tus: Target) -> None:
    """After a refused body the connection is either closed or in step: the body is never taken for the next request."""
    url = tus.create(100)
    smuggled = b"HEAD / HTTP/1.1\r\nHost: smuggled\r\n\r\n"
    with tus.wire(url) as wire:
        wire.begin("PATCH", f"Tus-Resumable: {VERSION}", "Upload-Offset: 50", f"Content-Type: {BYTES}", f"Content-Length: {len(smuggled)}")
        wire.send(smuggled)
        first = wire.answer("PATCH")
        expect(first is not None and first[0] == 409, f"the answer is {first and first[0]}")
        wire.begin("HEAD", f"Tus-Resumable: {VERSION}")
        second = wire.answer("HEAD")
        expect(second is None or second[1].get("upload-offset") == "0", "the body was taken for a request")
