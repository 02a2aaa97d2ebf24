"""Upload-Metadata: what is kept, and what is refused. Values are bytes and may hold anything."""

from __future__ import annotations

import base64

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import Target, expect, expect_refused

cases = Chapter("metadata", "Creation, Upload-Metadata", {"creation"})


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


_HOSTILE = {
    "traversal": b"../../../../etc/passwd",
    "absolute": b"/etc/passwd",
    "backslashes": b"..\\..\\windows\\win.ini",
    "line-breaks": b"a.mp4\r\nSet-Cookie: a=b\r\n\r\n<html>",
    "zero-byte": b"a.mp4\x00.exe",
    "not-utf-8": b"\xff\xfe\xfd.mp4",
    "right-to-left": "gpj.\u202eexe".encode(),
    "emoji": "🎬🏳️‍🌈.mp4".encode(),
    "quotes": b"'\"`$(reboot)`;|&<script>alert(1)</script>",
    "sql": b"'; DROP TABLE uploads; --",
    "format": b"%s%s%n{0}${jndi:ldap://localhost/a}",
    "dots": b"..",
    "reserved": b"CON",
    "spaces": b"   ",
    "long": b"n" * 1000,
    "surrogate": b"\xed\xa0\x80.mp4",
}
_MALFORMED = {
    "not-base64": "filename %%%",
    "bad-padding": "filename YQ=",
    "url-alphabet": "filename __-_",
    "two-spaces-in-pair": "file name YQ==",
    "non-ascii-key": "dätei YQ==".encode(),
    "empty-pair": "filename YQ==,,kind Yg==",
}


def _kept(tus: Target, header: str) -> None:
    answer = tus.head(tus.create(3, {"Upload-Metadata": header}))
    said = answer.headers.get("upload-metadata")
    expect(said is not None, "HEAD has no Upload-Metadata")
    expect(_pairs(said or "") == _pairs(header), f"HEAD says {said!r}, not {header!r}")


def _pairs(header: str) -> set[tuple[str, str]]:
    return {(key, value.strip()) for key, _, value in (pair.strip().partition(" ") for pair in header.split(","))}


@cases.must("one-pair")
def _(tus: Target) -> None:
    """HEAD tells the metadata of the creation."""
    _kept(tus, f"filename {b64(b'holiday.mp4')}")


@cases.must("several-pairs")
def _(tus: Target) -> None:
    """Several pairs come back, each with its value."""
    _kept(tus, f"filename {b64(b'holiday.mp4')},filetype {b64(b'video/mp4')},x-number {b64(b'42')}")


@cases.must("key-without-value")
def _(tus: Target) -> None:
    """A value may be left out, together with the space before it."""
    _kept(tus, f"filename {b64(b'a.mp4')},is_confidential")


@cases.must("empty-value")
def _(tus: Target) -> None:
    """A key with a space and no value is a key with an empty value."""
    tus.create(3, {"Upload-Metadata": f"flag ,filename {b64(b'a.mp4')}"})


@cases.must("none")
def _(tus: Target) -> None:
    """An upload without metadata has no Upload-Metadata, or an empty one."""
    expect(not tus.head(tus.create(3)).headers.get("upload-metadata"), "metadata came from nowhere")


@cases.must("keys-in-their-case")
def _(tus: Target) -> None:
    """Keys come back as they were written."""
    _kept(tus, f"FileName {b64(b'a')},fileType {b64(b'b')}")


@cases.must("same-after-bytes")
def _(tus: Target) -> None:
    """Metadata is the same after bytes have come."""
    header = f"filename {b64(b'holiday.mp4')}"
    url = tus.create(6, {"Upload-Metadata": header})
    tus.sent(url, 0, b"abc")
    expect(_pairs(tus.head(url).headers.get("upload-metadata", "")) == _pairs(header), "it changed")


@cases.must("space-after-comma")
def _(tus: Target) -> None:
    """A space after the comma between two pairs does no harm, or the creation is refused."""
    answer = tus.post({"Upload-Length": "3", "Upload-Metadata": f"a {b64(b'1')}, b {b64(b'2')}"})
    expect(answer.status_code == 201 or 400 <= answer.status_code < 500, f"the answer is {answer.status_code}")


@cases.must("same-key-twice")
def _(tus: Target) -> None:
    """All keys are unique: the same one twice is refused."""
    expect_refused(tus.post({"Upload-Length": "3", "Upload-Metadata": f"name {b64(b'a')},name {b64(b'b')}"}))


@cases.each(Severity.MUST, "malformed", _MALFORMED)
def _(tus: Target, header: str | bytes) -> None:
    """Malformed metadata is refused, or harmless: no failure of the server, and the upload is usable"""
    answer = tus.post({"Upload-Length": "3", "Upload-Metadata": header})
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    if answer.status_code == 201:
        tus.sent(tus.location(answer), 0, b"abc")


@cases.each(Severity.SHOULD, "malformed-refused", {key: _MALFORMED[key] for key in ("not-base64", "bad-padding", "two-spaces-in-pair")})
def _(tus: Target, header: str) -> None:
    """Malformed metadata is refused"""
    expect_refused(tus.post({"Upload-Length": "3", "Upload-Metadata": header}))


@cases.each(Severity.MUST, "hostile", _HOSTILE)
def _(tus: Target, value: bytes) -> None:
    """A hostile value is kept as it is or refused, and never leaks into headers or fails the server"""
    header = f"filename {b64(value)}"
    answer = tus.post({"Upload-Length": "3", "Upload-Metadata": header})
    expect(answer.status_code == 201 or 400 <= answer.status_code < 500, f"the answer is {answer.status_code}")
    if answer.status_code != 201:
        return
    url = tus.location(answer)
    head = tus.head(url)
    expect("set-cookie" not in head.headers or "a=b" not in head.headers["set-cookie"], "the value became a header")
    expect(_pairs(head.headers.get("upload-metadata", "")) == _pairs(header), "the value came back changed")
    tus.sent(url, 0, b"abc")


@cases.each(Severity.MUST, "large", {"4-kib": 4, "16-kib": 16, "64-kib": 64})
def _(tus: Target, size_kib: int) -> None:
    """Much metadata is kept whole or refused: no failure of the server"""
    header = f"note {b64(b'n' * (size_kib * 768))}"
    answer = tus.post({"Upload-Length": "3", "Upload-Metadata": header})
    expect(answer.status_code == 201 or 400 <= answer.status_code < 500, f"the answer is {answer.status_code}")
    if answer.status_code == 201:
        expect(tus.head(tus.location(answer)).headers.get("upload-metadata") == header, "it came back changed")


@cases.must("many-keys")
def _(tus: Target) -> None:
    """A hundred keys are kept or refused."""
    header = ",".join(f"key{index} {b64(str(index).encode())}" for index in range(100))
    answer = tus.post({"Upload-Length": "3", "Upload-Metadata": header})
    expect(answer.status_code == 201 or 400 <= answer.status_code < 500, f"the answer is {answer.status_code}")
    if answer.status_code == 201:
        expect(_pairs(tus.head(tus.location(answer)).headers.get("upload-metadata", "")) == _pairs(header), "some came back changed")
