"""The version in every message, HEAD, and the method override."""

from __future__ import annotations

from urllib.parse import urljoin

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import BYTES, VERSION, Target, expect, expect_refused, expect_status, number

cases = Chapter("core", "Core protocol, HEAD", {"creation"})

_VERSIONS = {
    "missing": None,
    "older": "0.2.2",
    "newer": "2.0.0",
    "empty": "",
    "nonsense": "one",
    "nearly": "1.0.0.0",
    "list": "1.0.0,0.2.2",
}
_VERSION_CLAUSE = "Headers, Tus-Resumable"
_OVERRIDE_CLAUSE = "Headers, X-HTTP-Method-Override"


@cases.each(
    Severity.MUST, "head-version", {key: _VERSIONS[key] for key in ("missing", "older", "newer", "nonsense")}, clause=_VERSION_CLAUSE
)
def _(tus: Target, version: str | None) -> None:
    """HEAD in another version is answered 412 with Tus-Version"""
    answer = tus.send("HEAD", tus.create(3), version=version)
    expect_status(answer, 412)
    expect(answer.headers.get("tus-version"), "the 412 has no Tus-Version")


@cases.each(Severity.MUST, "patch-version", _VERSIONS, clause=_VERSION_CLAUSE)
def _(tus: Target, version: str | None) -> None:
    """PATCH in another version is answered 412 with Tus-Version, and nothing is stored"""
    url = tus.create(3)
    answer = tus.send("PATCH", url, {"Upload-Offset": "0", "Content-Type": BYTES}, b"abc", version=version)
    expect_status(answer, 412)
    expect(answer.headers.get("tus-version"), "the 412 has no Tus-Version")
    tus.unchanged(url, 0)


@cases.each(Severity.MUST, "post-version", {key: _VERSIONS[key] for key in ("missing", "older", "newer")}, clause=_VERSION_CLAUSE)
def _(tus: Target, version: str | None) -> None:
    """POST in another version is answered 412 with Tus-Version, and nothing is created"""
    answer = tus.send("POST", tus.url, {"Upload-Length": "3"}, version=version)
    expect_status(answer, 412)
    expect(answer.headers.get("tus-version"), "the 412 has no Tus-Version")
    expect("location" not in answer.headers, "something was created")


@cases.each(Severity.MUST, "delete-version", {"missing": None, "newer": "2.0.0"}, needs={"termination"}, clause=_VERSION_CLAUSE)
def _(tus: Target, version: str | None) -> None:
    """DELETE in another version is answered 412, and the upload stays"""
    url = tus.create(3)
    expect_status(tus.send("DELETE", url, version=version), 412)
    tus.unchanged(url, 0)


@cases.must("version-of-answers", clause=_VERSION_CLAUSE)
def _(tus: Target) -> None:
    """Every answer says Tus-Resumable: 1.0.0: to POST, HEAD and PATCH."""
    created = tus.post({"Upload-Length": "3"})
    url = tus.location(created)
    for answer in (created, tus.head(url), tus.patch(url, 0, b"a")):
        expect(answer.headers.get("tus-resumable") == VERSION, f"the answer to {answer.request.method} says no Tus-Resumable")


@cases.must("version-of-refusals", clause=_VERSION_CLAUSE)
def _(tus: Target) -> None:
    """Refusals say it too: a wrong offset, a wrong content type, a creation without a length, another version."""
    url = tus.create(3)
    refusals = (
        tus.patch(url, 2, b"a"),
        tus.patch(url, 0, b"a", {"Content-Type": "text/plain"}),
        tus.post(),
        tus.send("HEAD", url, version="0.2.2"),
    )
    for answer in refusals:
        said = answer.headers.get("tus-resumable")
        expect(said == VERSION, f"the refusal {answer.status_code} of {answer.request.method} says {said!r}")


@cases.must("head-offset-of-new")
def _(tus: Target) -> None:
    """HEAD tells Upload-Offset even when it is 0."""
    tus.unchanged(tus.create(3), 0)


@cases.must("head-status")
def _(tus: Target) -> None:
    """HEAD of an upload is answered 200 or 204."""
    expect_status(tus.head(tus.create(3)), 200, 204)


@cases.must("head-length")
def _(tus: Target) -> None:
    """HEAD tells Upload-Length when it is known."""
    said = tus.head(tus.create(12345)).headers.get("upload-length")
    expect(said == "12345", f"Upload-Length is {said!r}, not 12345")


@cases.must("head-offset-after-some")
def _(tus: Target) -> None:
    """HEAD tells the offset that the last PATCH was answered with."""
    url = tus.create(10)
    tus.sent(url, 0, b"abcd")
    tus.unchanged(url, 4)


@cases.must("head-offset-of-complete")
def _(tus: Target) -> None:
    """HEAD of a finished upload still tells Upload-Offset, equal to Upload-Length."""
    url = tus.create(3)
    tus.sent(url, 0, b"abc")
    answer = expect_status(tus.head(url), 200, 204)
    expect(number(answer.headers.get("upload-offset"), "Upload-Offset") == 3, "the offset is not the length")


@cases.must("head-not-cached")
def _(tus: Target) -> None:
    """The answer to HEAD has Cache-Control: no-store."""
    said = tus.head(tus.create(3)).headers.get("cache-control", "")
    expect("no-store" in said.lower(), f"Cache-Control is {said!r}")


@cases.must("head-complete-not-cached")
def _(tus: Target) -> None:
    """So has that of a finished upload."""
    url = tus.create(1)
    tus.sent(url, 0, b"a")
    said = tus.head(url).headers.get("cache-control", "")
    expect("no-store" in said.lower(), f"Cache-Control is {said!r}")


@cases.must("head-changes-nothing")
def _(tus: Target) -> None:
    """Asking does not change the upload."""
    url = tus.create(3)
    for _time in range(3):
        tus.unchanged(url, 0)
    tus.sent(url, 0, b"abc")


@cases.must("head-no-body")
def _(tus: Target) -> None:
    """No body follows the answer to HEAD: the connection can be used again at once (RFC 9110 section 9.3.2)."""
    url = tus.create(3)
    with tus.wire(url) as wire:
        for _time in range(2):
            wire.begin("HEAD", f"Tus-Resumable: {VERSION}")
            answer = wire.answer("HEAD")
            expect(answer is not None and answer[1].get("upload-offset") == "0", "the second HEAD on the connection fails")


@cases.should("head-of-unknown")
def _(tus: Target) -> None:
    """HEAD of an upload that does not exist is answered 404, 410 or 403."""
    expect_status(tus.head(_unknown(tus)), 403, 404, 410)


@cases.should("head-of-unknown-has-no-offset")
def _(tus: Target) -> None:
    """That answer has no Upload-Offset."""
    expect("upload-offset" not in tus.head(_unknown(tus)).headers, "an upload that does not exist has an offset")


def _unknown(tus: Target) -> str:
    """An address that looks like those of this server, one letter of the last part of it changed."""
    url = tus.create(3)
    stem, last = url[:-6], url[-6:]
    changed = "".join(
        chr(ord(letter) + 1) if letter in "abcdefghijklmnopqrstuvwxyABCDEFGHIJKLMNOPQRSTUVWXY012345678" else letter for letter in last
    )
    return stem + (changed if changed != last else "zzzzzz")


@cases.should("patch-of-unknown", clause="Core protocol, PATCH")
def _(tus: Target) -> None:
    """PATCH of an upload that does not exist is answered 404 (or 410, 403)."""
    expect_status(tus.patch(_unknown(tus), 0, b"abc"), 403, 404, 410)


@cases.must("get-does-not-disturb")
def _(tus: Target) -> None:
    """A GET, whatever it is answered, neither fails the server nor changes the upload."""
    url = tus.create(3)
    answer = tus.send("GET", url)
    expect(answer.status_code < 500 or answer.status_code == 501, f"GET is answered {answer.status_code}")
    tus.unchanged(url, 0)


@cases.must("query-does-not-make-another", clause="Core protocol")
def _(tus: Target) -> None:
    """Two creations give two uploads with addresses of their own."""
    first, second = tus.create(3), tus.create(3)
    expect(first != second, "both have the same address")
    tus.sent(first, 0, b"ab")
    tus.unchanged(second, 0)


@cases.must("override-patch", clause=_OVERRIDE_CLAUSE)
def _(tus: Target) -> None:
    """A POST with X-HTTP-Method-Override: PATCH is a PATCH."""
    url = tus.create(3)
    headers = {"X-HTTP-Method-Override": "PATCH", "Upload-Offset": "0", "Content-Type": BYTES}
    expect_status(tus.send("POST", url, headers, b"ab"), 204)
    tus.unchanged(url, 2)


@cases.must("override-delete", needs={"termination"}, clause=_OVERRIDE_CLAUSE)
def _(tus: Target) -> None:
    """A POST with X-HTTP-Method-Override: DELETE is a DELETE."""
    url = tus.create(3)
    expect_status(tus.send("POST", url, {"X-HTTP-Method-Override": "DELETE"}), 204)
    expect_refused(tus.head(url))


@cases.must("override-head", clause=_OVERRIDE_CLAUSE)
def _(tus: Target) -> None:
    """A POST with X-HTTP-Method-Override: HEAD is a HEAD."""
    answer = tus.send("POST", tus.create(3), {"X-HTTP-Method-Override": "HEAD"})
    expect_status(answer, 200, 204)
    expect(answer.headers.get("upload-offset") == "0", "there is no Upload-Offset")


@cases.must("override-wins", clause=_OVERRIDE_CLAUSE)
def _(tus: Target) -> None:
    """The actual method is ignored: a PATCH that is overridden to HEAD stores nothing."""
    url = tus.create(3)
    headers = {"X-HTTP-Method-Override": "HEAD", "Upload-Offset": "0", "Content-Type": BYTES}
    tus.send("PATCH", url, headers, b"abc")
    tus.unchanged(url, 0)


@cases.must("relative-location-resolves", clause="Creation, POST")
def _(tus: Target) -> None:
    """Location is an address, absolute or relative to the creation URL."""
    answer = tus.post({"Upload-Length": "3"})
    url = urljoin(tus.url, answer.headers.get("location", ""))
    expect(url.split("://")[0] in ("http", "https") and url != tus.url, f"Location is {answer.headers.get('location')!r}")
    tus.unchanged(url, 0)
