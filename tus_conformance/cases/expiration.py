"""Extension expiration: an unfinished upload says when it ends. That it does end cannot be waited for here."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from tus_conformance.chapter import Chapter
from tus_conformance.target import BYTES, Skipped, Target, expect, expect_status

cases = Chapter("expiration", "Expiration, Upload-Expires", {"creation", "expiration"})

_FORM = "%a, %d %b %Y %H:%M:%S GMT"


def _when(answer: httpx.Response) -> datetime:
    text = answer.headers.get("upload-expires")
    if text is None:
        raise Skipped("this upload is not going to expire")
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        expect(False, f"Upload-Expires is {text!r}, which is no date")
        raise


@cases.must("of-a-patch")
def _(tus: Target) -> None:
    """If the creation says Upload-Expires, so does every PATCH that leaves the upload unfinished."""
    created = tus.post({"Upload-Length": "9"})
    _when(created)
    url = tus.location(created)
    for offset in (0, 3):
        answer = expect_status(tus.patch(url, offset, b"abc"), 204)
        expect(answer.headers.get("upload-expires"), f"the answer to the PATCH at {offset} does not say it")


@cases.must("form")
def _(tus: Target) -> None:
    """Its form is that of HTTP dates: Wed, 25 Jun 2014 16:00:00 GMT (RFC 9110 section 5.6.7)."""
    answer = tus.post({"Upload-Length": "9"})
    when = _when(answer)
    spelled = when.astimezone(UTC).strftime(_FORM)
    expect(answer.headers["upload-expires"] == spelled, f"it is {answer.headers['upload-expires']!r}, not {spelled!r}")


@cases.must("in-the-future")
def _(tus: Target) -> None:
    """A new upload expires in the future, by the server's own Date."""
    answer = tus.post({"Upload-Length": "9"})
    now = parsedate_to_datetime(answer.headers["date"]) if "date" in answer.headers else datetime.now(UTC)
    expect(_when(answer) > now, "it has expired already")


@cases.must("not-earlier-after-bytes")
def _(tus: Target) -> None:
    """The moment that a PATCH is answered with is in the future as well."""
    url = tus.create(9)
    answer = expect_status(tus.patch(url, 0, b"abc"), 204)
    now = parsedate_to_datetime(answer.headers["date"]) if "date" in answer.headers else datetime.now(UTC)
    expect(_when(answer) > now, "it has expired already")


@cases.must("of-creation-with-upload", needs={"creation-with-upload"})
def _(tus: Target) -> None:
    """A creation that brings the first bytes says it too."""
    _when(tus.post({"Upload-Length": "9"}))
    answer = tus.post({"Upload-Length": "9", "Content-Type": BYTES}, b"abc")
    expect(answer.headers.get("upload-expires"), "it does not")


@cases.should("of-a-head")
def _(tus: Target) -> None:
    """HEAD of an unfinished upload says it, so that a client that comes back knows."""
    url = tus.location(tus.post({"Upload-Length": "9"}))
    expect(tus.head(url).headers.get("upload-expires"), "it does not")
