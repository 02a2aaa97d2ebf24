"""What many viewers of a segment that is still being made see through the edge: nginx before the real API and a real object store."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from kit.jobs import State
from kit.world import World
from tests.edge_rig import Rig, rig
from tests.eventually import eventually
from tests.published import Published, make_next, planned, wanted

VIEWERS = 1000


@contextmanager
def edge_of(world: World, folder: Path, wait_s: float) -> Iterator[Rig]:
    impatient = dataclasses.replace(world, settings=dataclasses.replace(world.settings, segment_wait_s=wait_s))
    with rig(impatient, folder) as running:
        yield running
        assert "[alert]" not in running.log()


@pytest.fixture
def title(world: World) -> Published:
    return planned(world)


async def crowd(port: int, path: str, then: Callable[[], None]) -> list[bytes]:
    """The whole answers of `VIEWERS` clients that had asked before `then` was done. Connections are opened fifty at a time."""
    request = f"GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n".encode()
    gate = asyncio.Semaphore(50)

    async def ask() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
            writer.write(request)
            await writer.drain()
            return reader, writer

    connections = await asyncio.gather(*(ask() for _ in range(VIEWERS)))
    await asyncio.to_thread(then)
    answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
    for _, writer in connections:
        writer.close()
    return answers


def test_a_thousand_who_wait_are_one_request_and_one_job(world: World, title: Published, tmp_path: Path) -> None:  # C26
    with edge_of(world, tmp_path, wait_s=60) as edge:

        def make() -> None:
            assert eventually(lambda: len(wanted(world, title)) == 1, 20)
            assert edge.http.get(f"{title.base}main.m3u8").status_code == 200  # they are in nobody's way
            make_next(world, title)

        answers = asyncio.run(crowd(edge.port, title.segment(1), make))
        assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
        assert {answer.partition(b"\r\n\r\n")[2] for answer in answers} == {title.title.bodies["480p"][1]}
        assert edge.origin.requests.count(("GET", title.segment(1))) == 1
        assert edge.relay.reads("480p/00001.m4s") == 1
        assert wanted(world, title) == [("480p", 1, State.SUCCEEDED)]


def test_not_yet_is_said_in_time_and_never_kept(world: World, title: Published, tmp_path: Path) -> None:
    with edge_of(world, tmp_path, wait_s=0.3) as edge:
        for _ in range(2):
            answer = edge.http.get(title.segment(0))
            assert (answer.status_code, answer.headers["retry-after"], answer.headers["cache-control"]) == (503, "1", "no-store")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.json()["code"] == "not_made_yet"
        assert edge.cache_entries() == 0
        make_next(world, title)
        assert edge.http.get(title.segment(0)).content == title.title.bodies["480p"][0]
        assert edge.http.get(title.segment(0)).headers["cache-status"] == "headwater-edge; hit"


def test_when_the_first_is_sent_away_the_next_one_asks(world: World, title: Published, tmp_path: Path) -> None:
    with edge_of(world, tmp_path, wait_s=5.0) as edge, ThreadPoolExecutor(2) as pool:  # time enough to make it for the second
        both = [pool.submit(httpx.get, edge.address + title.segment(0), timeout=60) for _ in range(2)]
        assert eventually(lambda: len(edge.origin.requests) == 2, 30)  # one after the other
        make_next(world, title)
        assert sorted(asked.result().status_code for asked in both) == [200, 503]
        assert len(wanted(world, title)) == 1


def test_one_who_leaves_takes_nothing_from_the_others(world: World, title: Published, tmp_path: Path) -> None:
    with edge_of(world, tmp_path, wait_s=60) as edge, ThreadPoolExecutor(1) as pool:
        with socket.create_connection(("127.0.0.1", edge.port)) as leaver:
            leaver.sendall(f"GET {title.segment(0)} HTTP/1.1\r\nHost: edge\r\n\r\n".encode())
            assert eventually(lambda: len(wanted(world, title)) == 1, 20)
            stayer = pool.submit(httpx.get, edge.address + title.segment(0), timeout=60)
        make_next(world, title)
        assert stayer.result().status_code == 200
        # nginx gives up filling its cache when the first of them has left, and lets the next one ask; the work is done by then.
        assert edge.origin.requests.count(("GET", title.segment(0))) <= 2
        assert len(wanted(world, title)) == 1


def test_head_starts_no_encode(world: World, title: Published, tmp_path: Path) -> None:
    with edge_of(world, tmp_path, wait_s=60) as edge:
        answer = edge.http.head(title.segment(0), headers={"Headwater-Client-Method": "GET"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert wanted(world, title) == []


def test_an_iframe_is_kept_like_a_segment(world: World, title: Published, tmp_path: Path) -> None:
    with edge_of(world, tmp_path, wait_s=60) as edge, ThreadPoolExecutor(1) as pool:
        early = pool.submit(httpx.get, edge.address + title.iframe(1), timeout=60)
        assert eventually(lambda: len(wanted(world, title)) == 1, 20)
        make_next(world, title)
        part, data = title.title.tables["480p"][0].fragments[1], title.title.bodies["480p"][0]
        expected = data[part.offset : part.offset + part.keyframe_size]
        assert (early.result().status_code, early.result().content) == (200, expected)
        again = edge.http.get(title.iframe(1), headers={"Range": "bytes=5-9"})
        assert (again.status_code, again.content, again.headers["cache-status"]) == (206, expected[5:10], "headwater-edge; hit")
        assert again.headers["content-range"] == f"bytes 5-9/{len(expected)}"
