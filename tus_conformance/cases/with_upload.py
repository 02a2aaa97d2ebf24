"""Extension creation-with-upload: the first bytes come with the creation."""

from __future__ import annotations

import base64
import hashlib

from tus_conformance.chapter import Chapter
from tus_conformance.target import BYTES, VERSION, Target, expect, expect_refused, expect_status, number

cases = Chapter("with-upload", "Creation With Upload", {"creation", "creation-with-upload"})


@cases.must("whole")
def _(tus: Target) -> None:
    """The whole file with the creation: 201, Location, and Upload-Offset equal to what was accepted."""
    answer = tus.post({"Upload-Length": "3", "Content-Type": BYTES}, b"abc")
    url = tus.location(answer)
    said = number(answer.headers.get("upload-offset"), "Upload-Offset")
    expect(0 <= said <= 3, f"Upload-Offset is {said}")
    tus.unchanged(url, said)


@cases.must("first-part")
def _(tus: Target) -> None:
    """The first bytes with the creation; the rest by PATCH from the offset that was answered."""
    data = b"x" * 5000
    answer = tus.post({"Upload-Length": "5000", "Content-Type": BYTES}, data[:2000])
    url = tus.location(answer)
    said = number(answer.headers.get("upload-offset"), "Upload-Offset")
    tus.unchanged(url, said)
    tus.sent(url, said, data[said:])


@cases.should("accepts-what-comes")
def _(tus: Target) -> None:
    """As many bytes as possible are accepted: here all of them."""
    answer = tus.post({"Upload-Length": "5000", "Content-Type": BYTES}, b"x" * 2000)
    expect(answer.headers.get("upload-offset") == "2000", f"Upload-Offset is {answer.headers.get('upload-offset')}")


@cases.must("without-bytes")
def _(tus: Target) -> None:
    """The content type alone, without bytes, is an ordinary creation."""
    answer = tus.post({"Upload-Length": "3", "Content-Type": BYTES})
    tus.unchanged(tus.location(answer), 0)


@cases.must("deferred", needs={"creation-defer-length"})
def _(tus: Target) -> None:
    """First bytes and a deferred length go together."""
    answer = tus.post({"Upload-Defer-Length": "1", "Content-Type": BYTES}, b"abc")
    url = tus.location(answer)
    said = number(answer.headers.get("upload-offset"), "Upload-Offset")
    tus.sent(url, said, b"abcdef"[said:], {"Upload-Length": "6"})


@cases.must("over-the-length")
def _(tus: Target) -> None:
    """A body longer than Upload-Length is refused or cut."""
    answer = tus.post({"Upload-Length": "2", "Content-Type": BYTES}, b"abcdef")
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    if answer.status_code == 201:
        expect(tus.offset(tus.location(answer)) <= 2, "the offset passes the length")


@cases.must("chunked")
def _(tus: Target) -> None:
    """The first bytes may come in chunks of HTTP/1.1."""
    answer = tus.post({"Upload-Length": "6", "Content-Type": BYTES}, iter([b"abc", b"def"]))
    tus.unchanged(tus.location(answer), number(answer.headers.get("upload-offset"), "Upload-Offset"))


@cases.must("other-type-is-not-stored")
def _(tus: Target) -> None:
    """A body of another content type is not taken for the file: refused, or left out."""
    answer = tus.post({"Upload-Length": "3", "Content-Type": "text/plain"}, b"abc")
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    if answer.status_code == 201:
        tus.unchanged(tus.location(answer), 0)


@cases.must("checksum", needs={"checksum"})
def _(tus: Target) -> None:
    """A right Upload-Checksum is accepted here too."""
    digest = base64.b64encode(hashlib.sha1(b"abc", usedforsecurity=False).digest()).decode()
    expect_status(tus.post({"Upload-Length": "3", "Content-Type": BYTES, "Upload-Checksum": f"sha1 {digest}"}, b"abc"), 201)


@cases.must("wrong-checksum", needs={"checksum"})
def _(tus: Target) -> None:
    """A wrong Upload-Checksum stores nothing."""
    digest = base64.b64encode(hashlib.sha1(b"xyz", usedforsecurity=False).digest()).decode()
    answer = tus.post({"Upload-Length": "3", "Content-Type": BYTES, "Upload-Checksum": f"sha1 {digest}"}, b"abc")
    if answer.status_code == 201:
        tus.unchanged(tus.location(answer), 0)
    else:
        expect_refused(answer)


@cases.must("another-version")
def _(tus: Target) -> None:
    """In another version nothing is created, with bytes or without."""
    answer = tus.send("POST", tus.url, {"Upload-Length": "3", "Content-Type": BYTES}, b"abc", version="0.2.2")
    expect_status(answer, 412)
    expect("location" not in answer.headers, "something was created")


@cases.must("expects-100")
def _(tus: Target) -> None:
    """A creation that waits for 100 (Continue) gets it, or its final answer."""
    with tus.wire() as wire:
        wire.begin(
            "POST", f"Tus-Resumable: {VERSION}", "Upload-Length: 3", f"Content-Type: {BYTES}", "Content-Length: 3", "Expect: 100-continue"
        )
        status = wire.interim()
        expect(status is not None, "the server says nothing")
        if status == 100:
            wire.send(b"abc")
            answer = wire.answer("POST")
            expect(answer is not None and answer[0] == 201, f"the answer is {answer and answer[0]}")
