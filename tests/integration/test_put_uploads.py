"""One plain PUT of the whole file, with nothing but the upload's address."""

from __future__ import annotations

import os

import pytest

from ingest.upload import MIB, PART_BYTES
from tests.integration.test_tus_faults import eventually, half_sent
from tests.upload_server import Site, site

__all__ = ["site"]


def create(site: Site, size: int | None = None) -> str:
    url = site.http.post("/v1/uploads", json={"size": size}).json()["url"]
    return str(url.removeprefix("http://127.0.0.1:8080"))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("announced", [False, True])
def test_the_whole_file_at_once(site: Site, chunked: bool, announced: bool) -> None:
    data = os.urandom(2 * PART_BYTES + 7)
    path = create(site, len(data) if announced else None)
    pieces = (data[start : start + MIB] for start in range(0, len(data), MIB))
    answer = site.http.put(path, content=pieces if chunked else data, headers={"Authorization": ""})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["offset"], answer.json()["size"]) == ("complete", len(data), len(data))
    assert site.source(path) == data
    assert site.leftovers(path) == []


def test_a_put_begins_anew_whatever_was_sent_before(site: Site) -> None:
    before, data = os.urandom(PART_BYTES + 5), os.urandom(2 * PART_BYTES)
    path = create(site)
    assert site.patch(path, 0, before).status_code == 204
    assert site.http.put(path, content=data).status_code == 200
    assert site.source(path) == data
    assert site.leftovers(path) == []


def test_a_put_that_breaks_off_can_be_repeated_or_continued(site: Site) -> None:
    data = os.urandom(PART_BYTES + MIB)
    sent = PART_BYTES + 100
    for finish in ("repeat", "continue"):
        path = create(site)
        with half_sent(site, path, 0, len(data), data[:sent], method="PUT"):
            eventually(lambda path=path: site.session(path).offset == PART_BYTES)
        eventually(lambda path=path: site.session(path).offset == sent and site.session(path).lease_until is None)
        answer = (
            site.http.put(path, content=data) if finish == "repeat" else site.patch(path, sent, data[sent:], Upload_Length=str(len(data)))
        )
        assert answer.is_success
        assert site.source(path) == data


def test_refusals(site: Site) -> None:
    path = create(site, 10)
    assert site.http.put(path, content=b"x" * 9).status_code == 409
    assert site.http.put(path, content=b"x" * 11).status_code == 409
    assert site.http.put(path, content=iter([b"x" * 9])).status_code == 409
    assert site.http.put(path, content=iter([b"x" * 11])).status_code == 413
    assert site.http.put(path, content=b"x" * 10, headers={"Upload-Checksum": "sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="}).status_code == 460
    assert site.offset(path) == 0
    with half_sent(site, create(site), 0, 200_000_001, b"", method="PUT") as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    assert site.http.put(path, content=b"0123456789").status_code == 200
    assert site.http.put(path, content=b"0123456789").status_code == 409
    assert site.source(path) == b"0123456789"


def test_an_empty_file(site: Site) -> None:
    path = create(site)
    assert site.http.put(path, content=b"").json()["status"] == "complete"
    asset = site.sql("SELECT status, error_code FROM assets WHERE id = :id", id=site.session(path).asset_id)
    assert asset == [("errored", "empty")]
