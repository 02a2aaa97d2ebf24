"""Extension concatenation: partial uploads become one."""

from __future__ import annotations

from tus_conformance.chapter import Chapter
from tus_conformance.target import Target, expect, expect_refused, expect_status

cases = Chapter("concatenation", "Concatenation, Upload-Concat", {"creation", "concatenation"})

_PARTIAL = {"Upload-Concat": "partial"}


def _partial(tus: Target, data: bytes, sent: int | None = None) -> str:
    url = tus.create(len(data), _PARTIAL)
    tus.sent(url, 0, data[:sent])
    return url


def _final(*urls: str) -> dict[str, str]:
    return {"Upload-Concat": "final;" + " ".join(urls)}


def _joined(tus: Target) -> tuple[str, tuple[str, str]]:
    parts = (_partial(tus, b"abc"), _partial(tus, b"defgh"))
    return tus.location(tus.post(_final(*parts))), parts


@cases.must("partial")
def _(tus: Target) -> None:
    """A partial upload is created and filled like any other."""
    _partial(tus, b"abc")


@cases.must("head-of-partial")
def _(tus: Target) -> None:
    """HEAD of a partial upload says Upload-Concat: partial."""
    said = tus.head(_partial(tus, b"abc")).headers.get("upload-concat")
    expect(said == "partial", f"Upload-Concat is {said!r}")


@cases.must("final")
def _(tus: Target) -> None:
    """A final upload of finished parts is answered 201 with a Location."""
    _joined(tus)


@cases.must("head-of-final")
def _(tus: Target) -> None:
    """HEAD of a final upload says Upload-Concat: final;… with the addresses as they were sent."""
    url, parts = _joined(tus)
    said = tus.head(url).headers.get("upload-concat", "")
    expect(said.split(";", 1) == ["final", " ".join(parts)], f"Upload-Concat is {said!r}")


@cases.must("length-of-final")
def _(tus: Target) -> None:
    """The length of a final upload is the sum of its parts', and equals its offset when it is done."""
    url, _parts = _joined(tus)
    answer = tus.await_answer(lambda: tus.head(url), lambda found: found.headers.get("upload-offset") == "8")
    said = (answer.headers.get("upload-length"), answer.headers.get("upload-offset"))
    expect(said == ("8", "8"), f"length and offset are {said}")


@cases.must("patch-of-final")
def _(tus: Target) -> None:
    """PATCH of a final upload is answered 403."""
    url, _parts = _joined(tus)
    expect_status(tus.patch(url, 8, b"x"), 403)


@cases.must("length-of-final-not-said")
def _(tus: Target) -> None:
    """A final upload that comes with an Upload-Length is refused, or has the length of its parts all the same."""
    part = _partial(tus, b"abc")
    answer = tus.post({**_final(part), "Upload-Length": "100"})
    if answer.status_code == 201:
        expect(tus.head(tus.location(answer)).headers.get("upload-length") in (None, "3"), "the length was believed")
    else:
        expect_refused(answer)


@cases.must("unknown-part")
def _(tus: Target) -> None:
    """A final upload of a part that does not exist is refused."""
    expect_refused(tus.post(_final(_partial(tus, b"abc") + "0")))


@cases.must("unfinished-part")
def _(tus: Target) -> None:
    """Without concatenation-unfinished, a final upload of unfinished parts is refused."""
    if "concatenation-unfinished" not in tus.capabilities.extensions:
        expect_refused(tus.post(_final(_partial(tus, b"abc", 1))))


@cases.must("one-part")
def _(tus: Target) -> None:
    """One part is enough."""
    tus.location(tus.post(_final(_partial(tus, b"abc"))))


@cases.must("unknown-kind")
def _(tus: Target) -> None:
    """Upload-Concat of another value is refused."""
    expect_refused(tus.post({"Upload-Length": "3", "Upload-Concat": "middle"}))
