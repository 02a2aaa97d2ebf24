"""Extension creation-defer-length: an upload whose length is said later."""

from __future__ import annotations

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import Target, expect, expect_refused, expect_status

cases = Chapter("defer", "Creation, Upload-Defer-Length", {"creation", "creation-defer-length"})


@cases.must("created")
def _(tus: Target) -> None:
    """A creation with Upload-Defer-Length: 1 is answered 201."""
    tus.create(None)


@cases.must("head-says-deferred")
def _(tus: Target) -> None:
    """HEAD says Upload-Defer-Length: 1 as long as the length is unknown."""
    url = tus.create(None)
    expect(tus.head(url).headers.get("upload-defer-length") == "1", "it does not")
    tus.sent(url, 0, b"abc")
    expect(tus.head(url).headers.get("upload-defer-length") == "1", "it does not after some bytes")


@cases.must("head-says-no-length")
def _(tus: Target) -> None:
    """HEAD says no Upload-Length before it is known."""
    expect("upload-length" not in tus.head(tus.create(None)).headers, "it does")


@cases.must("offset")
def _(tus: Target) -> None:
    """HEAD says Upload-Offset: 0."""
    tus.unchanged(tus.create(None), 0)


@cases.must("takes-bytes")
def _(tus: Target) -> None:
    """Bytes may come before the length."""
    url = tus.create(None)
    tus.sent(url, tus.sent(url, 0, b"abc"), b"def")
    tus.unchanged(url, 6)


@cases.must("length-with-the-last")
def _(tus: Target) -> None:
    """The length may come with the last PATCH."""
    url = tus.create(None)
    tus.sent(url, 0, b"abc")
    tus.sent(url, 3, b"def", {"Upload-Length": "6"})
    said = tus.head(url).headers
    expect(said.get("upload-length") == "6", f"Upload-Length is {said.get('upload-length')}")
    expect("upload-defer-length" not in said, "Upload-Defer-Length is still there")


@cases.must("length-with-the-first")
def _(tus: Target) -> None:
    """The length may come with the first PATCH."""
    url = tus.create(None)
    tus.sent(url, 0, b"abc", {"Upload-Length": "6"})
    expect(tus.head(url).headers.get("upload-length") == "6", "it was not noted")
    tus.sent(url, 3, b"def")


@cases.must("length-without-bytes")
def _(tus: Target) -> None:
    """The length may come with an empty PATCH when all bytes are there."""
    url = tus.create(None)
    tus.sent(url, 0, b"abc")
    tus.sent(url, 3, b"", {"Upload-Length": "3"})
    expect(tus.head(url).headers.get("upload-length") == "3", "it was not noted")


@cases.must("length-once")
def _(tus: Target) -> None:
    """Once said, the length does not change."""
    url = tus.create(None)
    tus.sent(url, 0, b"abc", {"Upload-Length": "6"})
    tus.patch(url, 3, b"d", {"Upload-Length": "9"})
    expect(tus.head(url).headers.get("upload-length") == "6", "it changed")


@cases.must("length-repeated")
def _(tus: Target) -> None:
    """The same length once more does no harm."""
    url = tus.create(None)
    tus.sent(url, 0, b"abc", {"Upload-Length": "6"})
    tus.sent(url, 3, b"def", {"Upload-Length": "6"})


@cases.must("length-below-offset")
def _(tus: Target) -> None:
    """A length below the bytes that are stored is refused."""
    url = tus.create(None)
    tus.sent(url, 0, b"abcde")
    expect_refused(tus.patch(url, 5, b"", {"Upload-Length": "3"}))
    tus.unchanged(url, 5)


@cases.must("body-over-length")
def _(tus: Target) -> None:
    """A body that passes the length said with it is refused or cut."""
    url = tus.create(None)
    answer = tus.patch(url, 0, b"abcdef", {"Upload-Length": "3"})
    expect(answer.status_code < 500, f"the answer is {answer.status_code}")
    expect(tus.offset(url) <= 3, "the offset passes the length")


@cases.each(Severity.SHOULD, "other-values", {"0": "0", "2": "2", "true": "true", "empty": ""})
def _(tus: Target, value: str) -> None:
    """Upload-Defer-Length of another value than 1 is answered 400"""
    expect_status(tus.post({"Upload-Defer-Length": value}), 400)


@cases.should("both")
def _(tus: Target) -> None:
    """Upload-Length together with Upload-Defer-Length is refused: one of them is said."""
    expect_refused(tus.post({"Upload-Length": "3", "Upload-Defer-Length": "1"}))


@cases.must("over-the-limit")
def _(tus: Target) -> None:
    """A length over Tus-Max-Size is refused when it is said later, too."""
    if tus.capabilities.max_size_bytes is not None:
        url = tus.create(None)
        expect_refused(tus.patch(url, 0, b"abc", {"Upload-Length": str(tus.capabilities.max_size_bytes + 1)}))


@cases.must("refused-patch-sets-no-length")
def _(tus: Target) -> None:
    """A PATCH that is refused for its offset does not set the length."""
    url = tus.create(None)
    expect_status(tus.patch(url, 5, b"abc", {"Upload-Length": "8"}), 409)
    expect("upload-length" not in tus.head(url).headers, "it set the length")
    tus.sent(url, 0, b"abc", {"Upload-Length": "3"})
