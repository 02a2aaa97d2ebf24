"""tus headers, both ways. Names of the protocol's sections are in quotes."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime

import pytest

from ingest import tus
from ingest.tus import ChecksumMismatch, WrongContentType, WrongVersion
from kit.errors import BadRequest


@pytest.mark.parametrize("given", [{}, {"tus-resumable": "0.2.2"}, {"tus-resumable": "1.0"}, {"tus-resumable": ""}])
def test_another_version_is_refused_with_412(given: dict[str, str]) -> None:
    with pytest.raises(WrongVersion) as refused:
        tus.check_version(given)
    assert refused.value.status == 412
    tus.check_version({"tus-resumable": "1.0.0"})


def test_only_the_tus_content_type_is_taken() -> None:
    tus.check_content_type({"content-type": "application/offset+octet-stream"})
    tus.check_content_type({"content-type": "Application/Offset+Octet-Stream; charset=binary"})
    for wrong in ({}, {"content-type": "application/octet-stream"}, {"content-type": "application/offset+octet-streams"}):
        with pytest.raises(WrongContentType):
            tus.check_content_type(wrong)


@pytest.mark.parametrize("value", ["-1", "+1", "1.0", "", " ", "0x10", "１２", "1e3", "9" * 19, "1 2", "²"])
def test_numbers_are_digits_only(value: str) -> None:
    with pytest.raises(BadRequest):
        tus.parse_whole({"upload-offset": value}, "Upload-Offset")


def test_numbers() -> None:
    assert tus.parse_whole({"upload-offset": "0"}, "Upload-Offset") == 0
    assert tus.parse_whole({"upload-offset": " 12 "}, "Upload-Offset") == 12
    assert tus.parse_whole({}, "Upload-Offset") is None
    with pytest.raises(BadRequest):
        tus.parse_required({}, "Upload-Offset")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"upload-length": "5", "upload-defer-length": "1"},
        {"upload-defer-length": "0"},
        {"upload-defer-length": "yes"},
        {"upload-length": "-5"},
        {"upload-length": "5", "upload-concat": "partial"},
    ],
)
def test_creation_needs_exactly_one_of_length_and_deferral(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        tus.parse_creation_length(headers)


def test_creation_lengths() -> None:
    assert tus.parse_creation_length({"upload-length": "0"}) == 0
    assert tus.parse_creation_length({"upload-defer-length": "1"}) is None


def test_metadata() -> None:
    name = base64.b64encode("Ümlaut/..\\x.mp4".encode()).decode()
    header = f"filename {name},is_confidential,  empty ,tags YSxi"
    assert tus.parse_metadata(header) == {"filename": "Ümlaut/..\\x.mp4".encode(), "is_confidential": b"", "empty": b"", "tags": b"a,b"}
    assert tus.parse_metadata(None) == tus.parse_metadata("") == {}


@pytest.mark.parametrize("header", ["a YQ==,a Yg==", "a YQ=", "a Y Q", "a !!!!", ",", "a YQ==,", "é YQ==", "a\tb YQ==", "a " + "A" * 8192])
def test_malformed_metadata_is_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        tus.parse_metadata(header)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_checksums(algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"hello").digest()
    checksum = tus.parse_checksum(f"{algorithm} {base64.b64encode(digest).decode()}")
    assert checksum is not None
    hasher = checksum.hasher()
    hasher.update(b"hello")
    assert hasher.digest() == checksum.digest == digest
    assert ChecksumMismatch("").status == 460


@pytest.mark.parametrize(
    "header", ["", "sha1", "crc32 AAAAAA==", "sha1 AAAA", "sha1 not base64", "SHA1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha3_256 AAAA"]
)
def test_malformed_and_unknown_checksums_are_refused(header: str) -> None:
    with pytest.raises(BadRequest):
        tus.parse_checksum(header)


def test_dates_and_capabilities() -> None:
    assert tus.http_date(datetime(2014, 6, 25, 16, 0, 0, 999, tzinfo=UTC)) == "Wed, 25 Jun 2014 16:00:00 GMT"
    said = tus.capabilities(5)
    assert said["Tus-Version"] == "1.0.0"
    assert said["Tus-Max-Size"] == "5"
    assert "sha1" in said["Tus-Checksum-Algorithm"].split(",")
    assert set(said["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "termination", "checksum", "expiration",
    }  # fmt: skip


def test_the_override_wins_over_the_method() -> None:
    assert tus.method("POST", {}) == "POST"
    assert tus.method("POST", {"x-http-method-override": "patch"}) == "PATCH"
    assert tus.method("DELETE", {"x-http-method-override": "HEAD"}) == "HEAD"


def test_every_header_of_a_reply_is_exposed_to_other_origins() -> None:
    exposed = {name.strip().lower() for name in tus.every_answer()["Access-Control-Expose-Headers"].split(",")}
    assert {name.lower() for name in tus.capabilities(1) if name.startswith("Tus-")} <= exposed
    assert {"location", "upload-offset", "upload-length", "upload-expires", "upload-metadata", "upload-defer-length"} <= exposed


def test_a_header_of_the_protocol_comes_once() -> None:
    tus.check_said_once(["accept", "accept", "upload-offset", "tus-resumable"])
    for name in ("upload-offset", "upload-length", "tus-resumable", "content-type"):
        with pytest.raises(BadRequest, match=name):
            tus.check_said_once([name, "accept", name])
