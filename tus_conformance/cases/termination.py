"""Extension termination: DELETE."""

from __future__ import annotations

from tus_conformance.chapter import Chapter
from tus_conformance.target import VERSION, Target, expect, expect_refused, expect_status

cases = Chapter("termination", "Termination, DELETE", {"creation", "termination"})


def _deleted(tus: Target, bytes_before: int = 0) -> str:
    url = tus.create(10)
    if bytes_before:
        tus.sent(url, 0, b"x" * bytes_before)
    expect_status(tus.send("DELETE", url), 204)
    return url


@cases.must("new")
def _(tus: Target) -> None:
    """DELETE of a new upload is answered 204."""
    _deleted(tus)


@cases.must("begun")
def _(tus: Target) -> None:
    """DELETE of an upload with some bytes is answered 204."""
    _deleted(tus, 5)


@cases.must("finished")
def _(tus: Target) -> None:
    """DELETE of a finished upload is answered 204."""
    _deleted(tus, 10)


@cases.must("deferred", needs={"creation-defer-length"})
def _(tus: Target) -> None:
    """DELETE of an upload without a length is answered 204."""
    expect_status(tus.send("DELETE", tus.create(None)), 204)


@cases.must("version-of-answer", clause="Headers, Tus-Resumable")
def _(tus: Target) -> None:
    """The answer says Tus-Resumable: 1.0.0."""
    expect(tus.send("DELETE", tus.create(3)).headers.get("tus-resumable") == VERSION, "it does not")


@cases.should("head-afterwards")
def _(tus: Target) -> None:
    """HEAD afterwards is answered 404 or 410, without an offset."""
    answer = expect_status(tus.head(_deleted(tus, 5)), 404, 410)
    expect("upload-offset" not in answer.headers, "it has an Upload-Offset")


@cases.should("patch-afterwards")
def _(tus: Target) -> None:
    """PATCH afterwards is answered 404 or 410."""
    expect_status(tus.patch(_deleted(tus, 5), 5, b"abc"), 404, 410)


@cases.must("patch-afterwards-stores-nothing")
def _(tus: Target) -> None:
    """PATCH afterwards does not bring the upload back."""
    url = _deleted(tus, 5)
    expect_refused(tus.patch(url, 5, b"abcde"))
    expect_refused(tus.head(url))


@cases.should("twice")
def _(tus: Target) -> None:
    """A second DELETE is answered 404 or 410."""
    expect_status(tus.send("DELETE", _deleted(tus)), 404, 410)


@cases.must("others-stay")
def _(tus: Target) -> None:
    """Other uploads are left alone."""
    other = tus.create(10)
    tus.sent(other, 0, b"abc")
    _deleted(tus, 5)
    tus.sent(other, 3, b"defghij")


@cases.must("unknown")
def _(tus: Target) -> None:
    """DELETE of an address that names no upload is refused, and is no failure of the server."""
    expect_refused(tus.send("DELETE", tus.create(3) + "0"))
