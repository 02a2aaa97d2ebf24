"""Uploads when things go wrong: kills, races, broken and silent connections, a store that is away (checklist U2, U3, U4, U12)."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from ingest.upload import MIB, PART_BYTES
from kit.settings import Settings
from kit.world import World
from tests.contract.breaking_proxy import BreakingProxy
from tests.upload_server import Site, open_world, site, upload_server

__all__ = ["site"]


def eventually(found: Callable[[], bool]) -> None:
    """Waits for what must come. Only a test that would fail anyway takes the whole minute."""
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


@contextmanager
def half_sent(site: Site, path: str, offset: int, length: int, data: bytes, method: str = "PATCH") -> Iterator[socket.socket]:
    """A request that announced `length` bytes, of which `data` was sent so far."""
    host = urlsplit(site.server.url)
    assert host.hostname is not None
    with socket.create_connection((host.hostname, host.port or 80)) as connection:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host.netloc}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
            f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
        )
        connection.sendall(head.encode() + data)
        yield connection


def test_a_connection_that_breaks_keeps_every_byte_that_arrived(site: Site) -> None:
    data = os.urandom(PART_BYTES + 3 * MIB)
    path = site.create(len(data))
    sent = PART_BYTES + MIB + 77
    with half_sent(site, path, 0, len(data), data[:sent]):
        eventually(lambda: site.offset(path) == PART_BYTES)  # a whole part is committed while the request goes on
    eventually(lambda: site.offset(path) == sent)
    assert site.patch(path, sent, data[sent:]).status_code == 204
    assert site.source(path) == data


def test_a_broken_body_with_a_checksum_keeps_nothing(site: Site) -> None:
    path = site.create(10)
    host = urlsplit(site.server.url)
    with socket.create_connection((host.hostname or "", host.port or 80)) as connection:
        connection.sendall(
            f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nUpload-Checksum: sha1 "
            f"2jmj7l5rSw0yVb/vlWAYkK/YBwk=\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: 10\r\n\r\nabc".encode()
        )
        eventually(lambda: site.session(path).epoch == 1)
    eventually(lambda: site.session(path).lease_until is None)
    assert site.offset(path) == 0


@pytest.mark.parametrize(("processes", "requests", "size"), [(1, 8, PART_BYTES + MIB), (2, 8, PART_BYTES + MIB), (2, 32, MIB + 1)])
def test_many_patches_at_one_offset_are_one_patch(site: Site, processes: int, requests: int, size: int) -> None:
    while site.server.running < processes:
        site.server.start()
    data = os.urandom(size)
    path = site.create(2 * len(data))
    assert site.patch(path, 0, data).status_code == 204
    barrier = threading.Barrier(requests)

    def send(_: int) -> int:
        with site.server.client() as client:
            client.head(path, headers={"Tus-Resumable": "1.0.0"})
            barrier.wait()
            headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(len(data)), "Content-Type": "application/offset+octet-stream"}
            return client.patch(path, content=data, headers=headers).status_code

    with ThreadPoolExecutor(requests) as pool:
        statuses = sorted(pool.map(send, range(requests)))
    assert statuses.count(204) == 1
    assert set(statuses) <= {204, 409, 423}
    assert site.source(path) == data + data


def test_a_silent_request_is_taken_over_and_a_live_one_is_not(site: Site) -> None:
    data = os.urandom(2 * MIB)
    path = site.create(len(data))
    with half_sent(site, path, 0, len(data), data[:MIB]) as connection:
        eventually(lambda: site.session(path).epoch == 1)
        locked = site.patch(path, 0, data)
        assert locked.status_code == 423
        assert 1 <= int(locked.headers["retry-after"]) <= 5
        assert site.offset(path) == 0
        connection.sendall(data[MIB : MIB + 1000])  # it is alive
        answers: list[httpx.Response] = []

        def try_again() -> bool:
            answers.append(site.patch(path, 0, data))
            return answers[-1].status_code != 423

        eventually(try_again)
        assert answers[-1].status_code == 204
        ended = connection.recv(65536)  # the old request is told, without sending anything more
        assert ended.startswith(b"HTTP/1.1 409")
    assert site.source(path) == data
    assert site.leftovers(path) == []


def test_a_cancelled_upload_cuts_off_the_request_that_is_sending(site: Site) -> None:
    path = site.create(MIB)
    with half_sent(site, path, 0, MIB, b"x" * 1000) as connection:
        eventually(lambda: site.session(path).epoch == 1)
        assert site.http.delete(path, headers={"Tus-Resumable": "1.0.0"}).status_code == 204
        assert connection.recv(65536).startswith(b"HTTP/1.1 409")
    assert site.leftovers(path) == []
    site.head(path, status=410)


def test_a_server_killed_in_the_middle_of_a_patch_loses_only_what_it_did_not_acknowledge(settings: Settings, world: World) -> None:
    data = os.urandom(5 * PART_BYTES + 4321)
    with upload_server(settings) as server, Site(world, server) as site:
        path = site.create(len(data))
        offset, kills = 0, 0
        while kills < 3:
            stop = min(offset + PART_BYTES + 100_000 * (kills + 1), len(data) - 1)
            with half_sent(site, path, offset, len(data) - offset, data[offset:stop]):
                # Killed while the request is open: at the first commit it makes, or before any.
                eventually(lambda before=offset, any_moment=kills % 2: bool(any_moment) or site.session(path).offset > before)
                server.kill()
            kills += 1
            site.restart()
            acknowledged = site.offset(path)
            assert offset <= acknowledged <= stop
            offset = acknowledged
            small = data[offset : offset + 1000]  # a small request, so that a tail is in play as well

            def accepted(at: int = offset, small: bytes = small) -> bool:
                return site.patch(path, at, small).status_code == 204

            eventually(accepted)
            offset += len(small)
        assert site.patch(path, offset, data[offset:]).status_code == 204
        assert hashlib.sha256(site.source(path)).digest() == hashlib.sha256(data).digest()
        assert site.leftovers(path) == []


def test_a_store_that_is_away_gives_503_and_the_upload_goes_on_when_it_is_back(settings: Settings) -> None:
    data = os.urandom(2 * PART_BYTES + 5)
    with BreakingProxy(settings.s3_endpoint) as proxy:
        through = replace(settings, s3_endpoint=proxy.address)
        world = open_world(settings)
        with upload_server(through) as server, Site(world, server) as site:
            path = site.create(len(data))
            assert site.patch(path, 0, data[:5]).status_code == 204
            proxy.cut_before_answer = lambda _connection: True
            answer = site.patch(path, 5, data[5:])
            assert answer.status_code == 503
            assert answer.headers["tus-resumable"] == "1.0.0"
            assert site.offset(path) == 5
            proxy.cut_before_answer = lambda _connection: False
            assert site.patch(path, 5, data[5:]).status_code == 204
            assert site.source(path) == data
        world.db.dispose()


def test_lost_parts_end_the_upload_with_a_reason(site: Site) -> None:
    path = site.create(2 * PART_BYTES)
    assert site.patch(path, 0, b"x" * PART_BYTES).status_code == 204
    session = site.session(path)
    assert session.multipart_id is not None
    site.world.storage.abort_multipart(f"sources/{session.asset_id}/source", session.multipart_id)
    gone = site.patch(path, PART_BYTES, b"y" * PART_BYTES)
    assert (gone.status_code, gone.json()["code"]) == (410, "upload_lost")
    assert site.session(path).state == "errored"
    assert site.sql("SELECT status, error_code FROM assets WHERE id = :id", id=session.asset_id) == [("errored", "upload_lost")]


def test_the_server_holds_a_few_mib_however_much_is_sent(site: Site) -> None:
    size = 96 * MIB

    def send(_: int) -> str:
        with site.server.client() as client:
            headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size)}
            path = client.post("/v1/tus", headers=headers).headers["location"]
            body = {
                "Tus-Resumable": "1.0.0",
                "Upload-Offset": "0",
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(size),
            }
            assert client.patch(path, content=(bytes(MIB) for _ in range(size // MIB)), headers=body).status_code == 204
            return str(path)

    send(0)
    before = site.server.rss_bytes()
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(send, range(4)))
    assert site.server.rss_bytes() - before < 48 * MIB
    assert site.session(paths[0]).state == "complete"
