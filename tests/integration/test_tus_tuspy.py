"""The stock Python client (tuspy) against a real server: small chunks, checksums, resumption after a kill, and the JSON routes."""

from __future__ import annotations

import hashlib
import io
import os
import threading

import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.uploader import Uploader

from ingest.upload import MIB, PART_BYTES
from kit.settings import Settings
from kit.world import World
from tests.upload_server import KEY, Site, site, upload_server

__all__ = ["site"]


def client(site: Site) -> TusClient:
    return TusClient(f"{site.server.url}/v1/tus", headers={"Authorization": KEY})


def path_of(uploader: Uploader) -> str:
    return "/" + uploader.url.split("/", 3)[3]


@pytest.mark.parametrize(("chunk_bytes", "with_checksum"), [(2**62, False), (PART_BYTES, True), (700_001, False), (MIB, True)])
def test_the_stored_source_is_the_file(site: Site, chunk_bytes: int, with_checksum: bool) -> None:
    data = os.urandom(2 * PART_BYTES + 12345)
    uploader = client(site).uploader(
        file_stream=io.BytesIO(data), chunk_size=chunk_bytes, upload_checksum=with_checksum, metadata={"filename": "Film_ä.mp4"}
    )
    uploader.upload()
    path = path_of(uploader)
    assert hashlib.sha256(site.source(path)).digest() == hashlib.sha256(data).digest()
    assert site.sql("SELECT title FROM assets WHERE id = :id", id=site.session(path).asset_id) == [("Film ä",)]
    assert site.leftovers(path) == []


def test_many_tiny_chunks(site: Site) -> None:
    data = os.urandom(3000)
    uploader = client(site).uploader(file_stream=io.BytesIO(data), chunk_size=50)
    uploader.upload()
    assert site.source(path_of(uploader)) == data
    assert site.leftovers(path_of(uploader)) == []


def test_it_resumes_after_the_server_was_killed_in_the_middle_of_a_patch(settings: Settings, world: World) -> None:
    data = os.urandom(6 * PART_BYTES + 99)
    with upload_server(settings) as server, Site(world, server) as site:
        uploader = client(site).uploader(file_stream=io.BytesIO(data), chunk_size=2**62, retries=0)

        def send() -> None:
            with pytest.raises(TusUploadFailed):
                uploader.upload_chunk()

        sending = threading.Thread(target=send)
        sending.start()
        path = ""
        while not path or site.session(path).offset == 0:
            path = path_of(uploader) if uploader.url else ""
        server.kill()
        sending.join()
        acknowledged = site.session(path).offset
        assert 0 < acknowledged < len(data)
        site.restart()
        again = client(site).uploader(file_stream=io.BytesIO(data), url=uploader.url, chunk_size=5 * MIB, retries=30, retry_delay=1)
        assert again.offset == acknowledged
        again.upload()
        assert hashlib.sha256(site.source(path)).digest() == hashlib.sha256(data).digest()


def test_a_wrong_key_is_told(site: Site) -> None:
    with pytest.raises(TusCommunicationError) as refused:
        TusClient(f"{site.server.url}/v1/tus", headers={"Authorization": "Bearer hw_no"}).uploader(file_stream=io.BytesIO(b"x")).upload()
    assert refused.value.status_code == 401


def create(site: Site, **body: object) -> httpx.Response:
    return site.http.post("/v1/uploads", json=body)


def test_an_upload_made_by_json_speaks_tus(site: Site) -> None:
    data = os.urandom(100_000)
    created = create(
        site, title="Film", description="d", tags=["a"], external_id="42", playback_policy="signed", profile="mobile", size=len(data)
    )
    assert created.status_code == 201
    said = created.json()
    assert (said["status"], said["offset"], said["size"], said["error"]) == ("waiting", 0, len(data), None)
    path = said["url"].removeprefix("http://127.0.0.1:8080")
    assert path.startswith(f"/v1/tus/{said['id']}/")
    uploader = TusClient("unused").uploader(file_stream=io.BytesIO(data), url=site.server.url + path, chunk_size=30_000)
    uploader.upload_chunk()
    read = site.http.get(f"/v1/uploads/{said['id']}").json()
    assert (read["status"], read["offset"], read["url"]) == ("receiving", 30_000, said["url"])
    uploader.upload()
    read = site.http.get(f"/v1/uploads/{said['id']}").json()
    assert (read["status"], read["offset"], read["url"]) == ("complete", len(data), None)
    assert site.source(path) == data
    row = site.sql("SELECT title, tags, external_id, playback_policy, profile FROM assets WHERE id = :id", id=said["asset_id"])
    assert row == [("Film", ["a"], "42", "signed", "mobile")]


@pytest.mark.parametrize(
    "body",
    [
        {"size": -1},
        {"size": "many"},
        {"title": "x" * 301},
        {"unknown": 1},
        {"profile": "8k"},
        {"title": "a\x00b"},
        {"tags": [""]},
        {"tags": ["a"] * 51},
    ],
)
def test_bodies_that_do_not_fit(site: Site, body: dict[str, object]) -> None:
    answer = create(site, **body)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_json_routes_need_the_key_and_an_id_that_exists(site: Site) -> None:
    assert create(site, size=200_000_001).status_code == 413
    assert site.http.post("/v1/uploads", json={}, headers={"Authorization": ""}).status_code == 401
    assert site.http.get("/v1/uploads/upl_0", headers={"Authorization": ""}).status_code == 401
    assert site.http.get("/v1/uploads/upl_0").json()["code"] == "upload_not_found"


def test_status_of_cancelled_uploads(site: Site) -> None:
    path = site.create(5)
    site.http.delete(path, headers={"Tus-Resumable": "1.0.0"})
    said = site.http.get(f"/v1/uploads/{site.session(path).id}").json()
    assert (said["status"], said["url"]) == ("cancelled", None)
