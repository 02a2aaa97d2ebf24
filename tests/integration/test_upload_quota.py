"""Quotas hold when many creations come at once, over two processes, and give back what ends (checklist U7, U8)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from ingest.expiry import expire
from kit.settings import Settings
from tests.upload_server import KEY, Site, UploadServer, open_world, upload_server

VERSION = {"Tus-Resumable": "1.0.0"}
MB = 1_000_000


@pytest.fixture(scope="module")
def both(upload_settings: Settings) -> Iterator[Site]:
    """Two processes for all tests: their start costs more than the tests do."""
    limited = replace(upload_settings, max_upload_bytes=50 * MB, max_open_uploads=12, max_open_upload_bytes=100 * MB)
    world = open_world(limited)
    with upload_server(limited, processes=2) as server, Site(world, server) as running:
        yield running
    world.db.dispose()


@pytest.fixture
def site(both: Site) -> Site:
    """Without any upload."""
    both.sql("TRUNCATE assets, uploads CASCADE")
    return both


def creations(server: UploadServer, count: int, size: dict[str, str], key: str = KEY) -> list[int]:
    """The statuses of `count` creations that are sent at the same time."""
    barrier = Barrier(count)

    def one(_: int) -> int:
        with server.client() as client:
            client.options("/v1/tus")
            barrier.wait(30)
            return client.post("/v1/tus", headers={**VERSION, **size, "Authorization": key}).status_code

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(one, range(count)))


@pytest.mark.parametrize(
    ("size", "accepted"),
    [({"Upload-Length": "1000"}, 12), ({"Upload-Length": str(30 * MB)}, 3), ({"Upload-Defer-Length": "1"}, 2)],
    ids=["number", "bytes", "unsaid length"],
)
def test_fifty_creations_at_once_do_not_pass_the_quota(site: Site, size: dict[str, str], accepted: int) -> None:
    statuses = creations(site.server, 50, size)
    assert statuses == [201] * accepted + [429] * (50 - accepted)
    assert site.sql("SELECT count(*) FROM uploads") == [(accepted,)]
    assert site.sql("SELECT count(*) FROM assets") == [(accepted,)]  # a refused creation leaves nothing behind


def test_a_refusal_says_why_and_when_to_come_back_and_others_are_not_touched_by_it(site: Site) -> None:
    paths = [site.create(1) for _ in range(12)]
    refused = site.http.post("/v1/tus", headers={**VERSION, "Upload-Length": "1"})
    assert (refused.status_code, refused.json()["code"]) == (429, "upload_quota")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["tus-resumable"] == "1.0.0"
    assert site.http.post("/v1/uploads", json={"size": 1}).status_code == 429
    assert creations(site.server, 1, {"Upload-Length": "1"}, f"{KEY}-of-somebody-else") == [201]
    assert site.patch(paths[0], 0, b"x").status_code == 204  # what was begun can be finished


def test_whatever_ends_is_given_back(site: Site) -> None:
    complete, deleted, expired, *_ = [site.create(1) for _ in range(12)]
    assert creations(site.server, 1, {"Upload-Length": "1"}) == [429]
    site.patch(complete, 0, b"x")
    site.http.delete(deleted, headers=VERSION)
    site.sql("UPDATE uploads SET expires_at = now() - interval '1 second' WHERE id = :id", id=site.session(expired).id)
    expire(site.world)
    assert creations(site.server, 5, {"Upload-Length": "1"}) == [201, 201, 201, 429, 429]


def test_a_length_that_is_said_later_never_needs_more_than_was_reserved(site: Site) -> None:
    first, second = site.create(), site.create()
    assert creations(site.server, 1, {"Upload-Length": "1"}) == [429]
    assert site.patch(first, 0, b"x", Upload_Length=str(50 * MB)).status_code == 204
    assert creations(site.server, 1, {"Upload-Length": "1"}) == [429]
    assert site.patch(second, 0, b"x", Upload_Length="10").status_code == 204
    assert creations(site.server, 1, {"Upload-Length": str(40 * MB - 10)}) == [201]
