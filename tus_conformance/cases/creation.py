"""Extension creation: POST makes an upload."""

from __future__ import annotations

from tus_conformance.chapter import Chapter, Severity
from tus_conformance.target import VERSION, Skipped, Target, expect, expect_refused, expect_status

cases = Chapter("creation", "Creation, POST", {"creation"})

_NO_LENGTHS = {
    "word": "five", "negative": "-1", "plus": "+5", "hex": "0x5", "fraction": "5.0", "exponent": "5e3", "list": "5, 5", "empty": "",
    "space-inside": "5 0", "arabic-digit": "٥".encode(),
}  # fmt: skip


@cases.must("created")
def _(tus: Target) -> None:
    """A creation is answered 201."""
    expect_status(tus.post({"Upload-Length": "100"}), 201)


@cases.must("location")
def _(tus: Target) -> None:
    """The answer names the new upload in Location."""
    expect(tus.post({"Upload-Length": "100"}).headers.get("location"), "there is no Location")


@cases.must("location-works")
def _(tus: Target) -> None:
    """The address in Location takes PATCH and HEAD."""
    url = tus.create(3)
    tus.sent(url, 0, b"abc")
    tus.unchanged(url, 3)


@cases.must("starts-at-0")
def _(tus: Target) -> None:
    """A new upload stands at offset 0."""
    tus.unchanged(tus.create(100), 0)


@cases.must("empty-file")
def _(tus: Target) -> None:
    """An upload of length 0 can be created, and stands at 0 of 0."""
    url = tus.create(0)
    tus.unchanged(url, 0)
    expect(tus.head(url).headers.get("upload-length") == "0", "its length is not 0")


@cases.must("no-length")
def _(tus: Target) -> None:
    """A creation with neither Upload-Length nor Upload-Defer-Length is refused."""
    expect_refused(tus.post())


@cases.each(Severity.MUST, "bad-length", _NO_LENGTHS, clause="Headers, Upload-Length")
def _(tus: Target, value: str | bytes) -> None:
    """An Upload-Length that is not a non-negative integer is refused"""
    answer = expect_refused(tus.post({"Upload-Length": value}))
    expect("location" not in answer.headers, "something was created")


@cases.must("absurd-length", clause="Headers, Upload-Length")
def _(tus: Target) -> None:
    """A length beyond any machine's numbers is refused, and is no failure of the server."""
    for length in ("9" * 19, "9" * 40, "9" * 400):
        expect_refused(tus.post({"Upload-Length": length}))


@cases.must("two-lengths", clause="Headers, Upload-Length")
def _(tus: Target) -> None:
    """Two different Upload-Length headers are refused."""
    expect_refused(tus.post([("Upload-Length", "3"), ("Upload-Length", "5")]))


@cases.must("over-the-limit")
def _(tus: Target) -> None:
    """A length over Tus-Max-Size is answered 413."""
    if tus.capabilities.max_size_bytes is None:
        raise Skipped("the server announces no Tus-Max-Size")
    answer = expect_status(tus.post({"Upload-Length": str(tus.capabilities.max_size_bytes + 1)}), 413)
    expect("location" not in answer.headers, "something was created")


@cases.should("at-the-limit")
def _(tus: Target) -> None:
    """A length of exactly Tus-Max-Size is not too large."""
    if tus.capabilities.max_size_bytes is None:
        raise Skipped("the server announces no Tus-Max-Size")
    answer = tus.post({"Upload-Length": str(tus.capabilities.max_size_bytes)})
    expect(answer.status_code != 413, "it is answered 413")


@cases.must("version-of-answer", clause="Headers, Tus-Resumable")
def _(tus: Target) -> None:
    """The 201 says Tus-Resumable: 1.0.0."""
    expect(tus.post({"Upload-Length": "1"}).headers.get("tus-resumable") == VERSION, "it does not")


@cases.must("lies-about-nothing")
def _(tus: Target) -> None:
    """Without creation-with-upload or without a body, a new upload says no offset but 0 in its 201."""
    said = tus.post({"Upload-Length": "10"}).headers.get("upload-offset", "0")
    expect(said == "0", f"Upload-Offset is {said}")


@cases.should("location-is-unguessable")
def _(tus: Target) -> None:
    """Addresses of two uploads differ in more than a counter: whoever has one cannot name the other."""
    first, second = tus.create(1), tus.create(1)
    differing = sum(a != b for a, b in zip(first, second, strict=False)) + abs(len(first) - len(second))
    expect(differing >= 8, f"{first} and {second} differ in {differing} characters")


@cases.must("location-host", clause="Creation, POST")
def _(tus: Target) -> None:
    """Forwarding headers of a client that is no proxy do not break the address: the upload can still be reached."""
    url = tus.create(3, {"X-Forwarded-Prefix": "/elsewhere"})
    tus.unchanged(url, 0)


@cases.must("twenty-uploads")
def _(tus: Target) -> None:
    """Twenty uploads at once keep apart."""
    urls = [tus.create(index + 1) for index in range(20)]
    expect(len(set(urls)) == 20, "two uploads share an address")
    for index, url in enumerate(urls):
        tus.sent(url, 0, b"x" * (index + 1))
    for index, url in enumerate(urls):
        tus.unchanged(url, index + 1)
