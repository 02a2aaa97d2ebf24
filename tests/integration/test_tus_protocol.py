"""tus 1.0.0 clause by clause, over real HTTP, PostgreSQL and S3. No refusal may move the offset (checklist U1, U2, U5)."""

from __future__ import annotations

import base64
import hashlib
import os

import pytest

from ingest.upload import MIB
from tests.upload_server import Site, site

__all__ = ["site"]

VERSION = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def checksum(data: bytes, algorithm: str = "sha1") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def asset_of(site: Site, path: str) -> tuple[object, ...]:
    return site.sql("SELECT status, error_code, source_size_bytes FROM assets WHERE id = :id", id=site.session(path).asset_id)[0]


def test_options_says_what_the_server_can_do_without_a_key_or_a_version(site: Site) -> None:
    for path in ("/v1/tus", site.create(5)):
        answer = site.http.options(path, headers={"Authorization": "", "Tus-Resumable": "9.9"})
        assert answer.status_code == 204
        assert answer.headers["tus-version"] == "1.0.0"
        assert answer.headers["tus-max-size"] == "200000000"
        assert "sha1" in answer.headers["tus-checksum-algorithm"]
        assert "termination" in answer.headers["tus-extension"]


def test_browsers_of_other_origins_may_call_and_read_the_answers(site: Site) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "upload-offset"}
    answer = site.http.options("/v1/tus", headers=asked)
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "Upload-Offset" in answer.headers["access-control-allow-headers"]
    refused = site.patch(site.create(5), 3, b"x")
    assert refused.status_code == 409
    assert refused.headers["access-control-allow-origin"] == "*"
    assert "Upload-Offset" in refused.headers["access-control-expose-headers"]


@pytest.mark.parametrize("version", [{}, {"Tus-Resumable": "0.2.2"}])
def test_another_version_gets_412_and_nothing_happens(site: Site, version: dict[str, str]) -> None:
    path = site.create(5)
    for method, target, headers in (
        ("HEAD", path, {}),
        ("PATCH", path, {**BYTES, "Upload-Offset": "0"}),
        ("DELETE", path, {}),
        ("POST", "/v1/tus", {"Upload-Length": "5"}),
    ):
        answer = site.http.request(method, target, headers={**headers, **version}, content=b"abcde" if method == "PATCH" else None)
        assert (answer.status_code, answer.headers["tus-version"], answer.headers["tus-resumable"]) == (412, "1.0.0", "1.0.0")
    assert site.offset(path) == 0


def test_creation_needs_the_key_and_the_rest_does_not(site: Site) -> None:
    refused = site.http.post("/v1/tus", headers={**VERSION, "Upload-Length": "5", "Authorization": "Bearer hw_wrong"})
    assert refused.status_code == 401
    assert refused.headers["tus-resumable"] == "1.0.0"
    assert refused.headers["content-type"] == "application/problem+json"
    path = site.create(3)
    assert site.patch(path, 0, b"abc").status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "five"}, 400),
        ({"Upload-Length": "200000001"}, 413),
        ({"Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "a %%%"}, 400),
        ({"Upload-Length": "5", "Upload-Concat": "partial"}, 400),
        ({"Upload-Length": "5", "Upload-Metadata": "profile eA=="}, 400),
    ],
)
def test_creations_that_are_refused(site: Site, headers: dict[str, str], status: int) -> None:
    before = site.sql("SELECT count(*) FROM uploads")
    answer = site.http.post("/v1/tus", headers={**VERSION, **headers})
    assert answer.status_code == status
    assert site.sql("SELECT count(*) FROM uploads") == before


def test_head_tells_offset_length_and_metadata_and_is_never_cached(site: Site) -> None:
    metadata = f"filename {base64.b64encode(b'My_trip.mp4').decode()},flag"
    path = site.create(5, **{"Upload-Metadata": metadata})
    said = site.head(path).headers
    assert (said["upload-offset"], said["upload-length"], said["upload-metadata"]) == ("0", "5", metadata)
    assert said["cache-control"] == "no-store"
    assert said["upload-expires"].endswith(" GMT")
    assert site.sql("SELECT title FROM assets WHERE id = :id", id=site.session(path).asset_id) == [("My trip",)]
    plain = site.head(site.create(5)).headers
    assert "upload-metadata" not in plain


def test_patch_after_patch_until_complete(site: Site) -> None:
    path = site.create(10)
    first = site.patch(path, 0, b"01234")
    assert (first.status_code, first.headers["upload-offset"], first.content) == (204, "5", b"")
    assert first.headers["upload-expires"]
    assert asset_of(site, path)[0] == "uploading"
    last = site.patch(path, 5, b"56789")
    assert (last.status_code, last.headers["upload-offset"]) == (204, "10")
    assert "upload-expires" not in last.headers
    assert site.source(path) == b"0123456789"
    assert asset_of(site, path) == ("processing", None, 10)
    assert site.sql("SELECT kind FROM jobs WHERE asset_id = :id", id=site.session(path).asset_id) == [("ingest.probe",)]
    assert site.leftovers(path) == []


def test_a_complete_upload_still_answers(site: Site) -> None:
    path = site.create(3)
    site.patch(path, 0, b"abc")
    assert site.head(path).headers["upload-offset"] == "3"
    assert site.patch(path, 3, b"").status_code == 204
    assert site.patch(path, 3, b"d").status_code == 409
    assert site.patch(path, 0, b"abc").status_code == 409
    assert site.source(path) == b"abc"


@pytest.mark.parametrize(
    ("offset", "data", "headers", "status"),
    [
        ("5", b"x", {"Content-Type": "application/octet-stream"}, 415),
        ("5", b"x", {"Content-Type": ""}, 415),
        ("4", b"x", {}, 409),
        ("6", b"x", {}, 409),
        ("0", b"x", {}, 409),
        ("five", b"x", {}, 400),
        ("5", b"123456", {}, 413),
        ("5", b"x", {"Upload-Length": "11"}, 409),
        ("5", b"x", {"Upload-Checksum": "sha1 " + base64.b64encode(b"0" * 20).decode()}, 460),
        ("5", b"x", {"Upload-Checksum": "crc32 AAAA"}, 400),
        ("5", b"x", {"Upload-Checksum": "sha1 AAAA"}, 400),
        ("5", b"x", {"Tus-Resumable": "2.0.0"}, 412),
    ],
)
def test_a_refused_patch_never_moves_the_offset(site: Site, offset: str, data: bytes, headers: dict[str, str], status: int) -> None:
    path = site.create(10)
    assert site.patch(path, 0, b"01234").status_code == 204
    refused = site.http.patch(path, content=data, headers={**VERSION, **BYTES, "Upload-Offset": offset, **headers})
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["tus-resumable"] == "1.0.0"
    assert site.offset(path) == 5
    assert site.patch(path, 5, b"56789").status_code == 204
    assert site.source(path) == b"0123456789"


def test_a_body_of_unknown_length_is_taken_whole_or_not_at_all(site: Site) -> None:
    path = site.create(20 * MIB)
    data = os.urandom(20 * MIB)
    pieces = [data[start : start + MIB] for start in range(0, len(data), MIB)]
    assert site.patch(path, 0, iter([*pieces, b"one too many"])).status_code == 413
    assert site.offset(path) == 0
    assert site.patch(path, 0, iter(pieces[:3])).headers["upload-offset"] == str(3 * MIB)
    assert site.patch(path, 3 * MIB, iter(pieces[3:])).status_code == 204
    assert site.source(path) == data


def test_a_wrong_checksum_over_several_parts_leaves_nothing_behind(site: Site) -> None:
    data = os.urandom(18 * MIB)
    path = site.create(len(data))
    assert site.patch(path, 0, data[:100]).status_code == 204
    wrong = site.patch(path, 100, data[100:], Upload_Checksum=checksum(data[101:]))
    assert wrong.status_code == 460
    assert site.offset(path) == 100
    for algorithm, start, end in (("sha256", 100, 9 * MIB), ("md5", 9 * MIB, 9 * MIB + 1), ("sha1", 9 * MIB + 1, len(data))):
        right = site.patch(path, start, data[start:end], Upload_Checksum=checksum(data[start:end], algorithm))
        assert (right.status_code, right.headers["upload-offset"]) == (204, str(end))
    assert site.source(path) == data


def test_a_deferred_length_is_set_once(site: Site) -> None:
    path = site.create()
    said = site.head(path).headers
    assert said["upload-defer-length"] == "1"
    assert "upload-length" not in said
    assert site.patch(path, 0, b"abc").status_code == 204
    assert site.patch(path, 3, b"", Upload_Length="2").status_code == 409
    assert site.patch(path, 3, b"", Upload_Length="200000001").status_code == 413
    assert site.patch(path, 3, b"de", Upload_Length="4").status_code == 413
    assert site.patch(path, 3, b"x", Upload_Length="9", Upload_Checksum=checksum(b"y")).status_code == 460
    assert site.head(path).headers["upload-defer-length"] == "1"
    assert site.patch(path, 3, b"d", Upload_Length="6").status_code == 204
    assert site.head(path).headers["upload-length"] == "6"
    assert site.patch(path, 4, b"e", Upload_Length="7").status_code == 409
    assert site.patch(path, 4, b"ef", Upload_Length="6").status_code == 204
    assert site.source(path) == b"abcdef"


def test_a_deferred_length_may_be_said_when_everything_is_there(site: Site) -> None:
    path = site.create()
    data = os.urandom(21 * MIB)
    assert site.patch(path, 0, data).status_code == 204
    assert site.session(path).offset == len(data)
    assert site.patch(path, len(data), b"", Upload_Length=str(len(data))).status_code == 204
    assert site.source(path) == data
    assert site.leftovers(path) == []


def test_creation_with_upload(site: Site) -> None:
    headers = {**VERSION, **BYTES}
    whole = site.http.post("/v1/tus", content=b"abc", headers={**headers, "Upload-Length": "3", "Upload-Checksum": checksum(b"abc")})
    assert (whole.status_code, whole.headers["upload-offset"]) == (201, "3")
    assert site.source(whole.headers["location"]) == b"abc"
    part = site.http.post("/v1/tus", content=b"abc", headers={**headers, "Upload-Defer-Length": "1"})
    assert (part.status_code, part.headers["upload-offset"]) == (201, "3")
    assert part.headers["upload-expires"]
    assert site.patch(part.headers["location"], 3, b"d", Upload_Length="4").status_code == 204
    assert site.source(part.headers["location"]) == b"abcd"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({**BYTES, "Upload-Length": "2"}, 413),
        ({**BYTES, "Upload-Length": "3", "Upload-Checksum": "sha1 " + base64.b64encode(b"0" * 20).decode()}, 460),
        ({"Content-Type": "text/plain", "Upload-Length": "3"}, 415),
    ],
)
def test_a_refused_creation_with_upload_leaves_nothing_behind(site: Site, headers: dict[str, str], status: int) -> None:
    alive = "SELECT count(*) FROM uploads WHERE state IN ('waiting', 'receiving')"
    before = site.sql(alive)
    answer = site.http.post("/v1/tus", content=b"abc", headers={**VERSION, **headers})
    assert answer.status_code == status
    assert "location" not in answer.headers
    assert site.sql(alive) == before


def test_termination_frees_everything_and_the_address_is_gone(site: Site) -> None:
    path = site.create(20 * MIB)
    assert site.patch(path, 0, os.urandom(9 * MIB)).status_code == 204
    assert site.leftovers(path) != []
    assert site.http.delete(path, headers={**VERSION, "Authorization": ""}).status_code == 204
    gone = site.head(path, status=410)
    assert "upload-offset" not in gone.headers
    assert site.patch(path, 9 * MIB, b"x").status_code == 410
    assert site.http.put(path, content=b"x").status_code == 410
    assert site.http.delete(path, headers=VERSION).status_code == 410
    assert site.leftovers(path) == []
    assert site.sql("SELECT freed_at IS NOT NULL, multipart_id IS NOT NULL FROM uploads WHERE id = :id", id=site.session(path).id) == [
        (True, True)
    ]
    assert asset_of(site, path)[0] == "deleted"
    assert site.session(path).state == "cancelled"


def test_termination_of_a_complete_upload_ends_its_address_but_not_its_asset(site: Site) -> None:
    path = site.create(3)
    site.patch(path, 0, b"abc")
    assert site.http.delete(path, headers=VERSION).status_code == 204
    site.head(path, status=410)
    assert asset_of(site, path)[0] == "processing"
    assert site.source(path) == b"abc"


def test_an_expired_address_is_gone(site: Site) -> None:
    path = site.create(3)
    site.patch(path, 0, b"a")
    site.sql("UPDATE uploads SET expires_at = now() - interval '1 second' WHERE id = :id", id=site.session(path).id)
    site.head(path, status=410)
    assert site.patch(path, 1, b"bc").status_code == 410
    assert site.session(path).offset == 1


def test_nobody_finds_an_upload_without_its_token(site: Site) -> None:
    path, other = site.create(3), site.create(3)
    wrong = f"{path.rsplit('/', 1)[0]}/{other.rsplit('/', 1)[1]}"
    for method in ("HEAD", "PATCH", "PUT", "DELETE"):
        answer = site.http.request(
            method, wrong, headers={**VERSION, **BYTES, "Upload-Offset": "0"}, content=b"abc" if method[0] == "P" else None
        )
        assert answer.status_code == 404
    unknown = site.http.head("/v1/tus/upl_0/" + path.rsplit("/", 1)[1], headers=VERSION)
    assert unknown.status_code == 404
    assert site.offset(path) == 0


def test_method_override(site: Site) -> None:
    path = site.create(3)
    headers = {**VERSION, **BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert site.http.post(path, content=b"ab", headers=headers).headers["upload-offset"] == "2"
    assert site.http.post(path, headers=VERSION).status_code == 405
    assert site.http.post(path, headers={**VERSION, "X-HTTP-Method-Override": "GET"}).status_code == 405
    assert site.http.post(path, headers={**VERSION, "X-HTTP-Method-Override": "DELETE"}).status_code == 204
    site.head(path, status=410)


def test_an_empty_file_is_complete_at_once_and_its_asset_errored(site: Site) -> None:
    created = site.create(0)
    deferred = site.create()
    assert site.patch(deferred, 0, b"", Upload_Length="0").status_code == 204
    for path in (created, deferred):
        said = site.head(path).headers
        assert (said["upload-offset"], said["upload-length"]) == ("0", "0")
        assert site.patch(path, 0, b"").status_code == 204
        assert asset_of(site, path) == ("errored", "empty", None)
        assert site.session(path).state == "complete"


def test_an_upload_whose_asset_was_deleted_takes_nothing_more(site: Site) -> None:
    from catalog import store

    path = site.create(3)
    with site.world.db.begin() as conn:
        store.delete_asset(conn, site.session(path).asset_id)
    assert site.patch(path, 0, b"abc").status_code == 410
