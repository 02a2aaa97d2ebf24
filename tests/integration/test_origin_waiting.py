"""Segments that are planned but not made yet: who asks for them waits, and is answered when they are there.

The tests play the worker themselves (`tests.published.make_next`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal

import httpx
import pytest
from sqlalchemy import event, insert, text

import origin.waiting
from catalog import pictures, store
from catalog.tables import segments
from kit.jobs import State
from kit.world import World
from media import keys
from origin.store import Place, SegmentFacts
from origin.waiting import Waiting
from tests.edge_rig import CountingOrigin
from tests.eventually import eventually
from tests.plain_http import NO_TLS
from tests.published import Published, make_next, planned, record, wanted

PATIENT_S = 25.0


@dataclasses.dataclass
class Viewers:
    """A process of the API with people who ask it for things at the same time."""

    origin: CountingOrigin
    pool: ThreadPoolExecutor

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.request(more.pop("method", "GET"), self.origin.address + path, timeout=60, verify=NO_TLS, **more)

    def begin(self, path: str, **more: Any) -> Future[httpx.Response]:
        """A request that may have to wait; returns when the origin has got it."""
        before = len(self.origin.requests)
        asked = self.pool.submit(self.get, path, **more)
        assert eventually(lambda: len(self.origin.requests) > before, 20)
        return asked


@contextmanager
def viewers_of(world: World, wait_s: float = PATIENT_S, delivery: Literal["stream", "accel"] = "stream") -> Iterator[Viewers]:
    settings = dataclasses.replace(world.settings, delivery=delivery, segment_wait_s=wait_s)
    origin = CountingOrigin(dataclasses.replace(world, settings=settings))
    origin.start()
    pool = ThreadPoolExecutor(128)
    try:
        yield Viewers(origin, pool)
    finally:
        origin.stop()
        pool.shutdown()


@pytest.fixture
def viewers(world: World) -> Iterator[Viewers]:
    with viewers_of(world) as running:
        yield running


@pytest.fixture
def title(world: World) -> Published:
    return planned(world)


def asked_for(world: World, title: Published, *what: tuple[str, int]) -> None:
    assert eventually(lambda: [item[:2] for item in wanted(world, title)] == list(what), 20)


@contextmanager
def lookups_of_segments(world: World) -> Iterator[list[str]]:
    """The origin's queries for recorded segments meanwhile."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "segments.sha256" in statement:
            seen.append(statement)

    event.listen(world.db, "before_cursor_execute", note)
    yield seen
    event.remove(world.db, "before_cursor_execute", note)


@pytest.mark.parametrize("rendition", ["480p", "audio"])
def test_who_asks_too_early_is_answered_when_it_is_there(world: World, viewers: Viewers, title: Published, rendition: str) -> None:
    early = viewers.begin(title.segment(1, rendition))
    asked_for(world, title, (rendition, 1))
    assert not early.done()
    assert make_next(world, title) == (rendition, 1)
    answer = early.result()
    assert (answer.status_code, answer.content) == (200, title.title.bodies[rendition][1])
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert viewers.get(title.segment(1, rendition)).headers["etag"] == answer.headers["etag"]
    assert wanted(world, title) == [(rendition, 1, State.SUCCEEDED)]


def test_with_the_edge_in_front_the_transfer_is_handed_over(world: World, title: Published) -> None:
    with viewers_of(world, delivery="accel") as viewers:
        early = viewers.begin(title.segment(1))
        asked_for(world, title, ("480p", 1))
        make_next(world, title)
        answer = early.result()
    assert (answer.status_code, answer.content) == (200, b"")
    assert keys.media_segment(title.asset, title.title.plan.digest, "480p", 1) in answer.headers["x-accel-redirect"]


def test_who_has_waited_long_enough_is_told_to_come_again(world: World, title: Published) -> None:
    with viewers_of(world, wait_s=0.3) as viewers:
        answer = viewers.get(title.segment(2))
        assert (answer.status_code, answer.headers["retry-after"], answer.headers["cache-control"]) == (503, "1", "no-store")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "not_made_yet"
        assert viewers.get(title.segment(2)).status_code == 503
        assert wanted(world, title) == [("480p", 2, State.QUEUED)]  # the work goes on without them
        make_next(world, title)
        assert viewers.get(title.segment(2)).status_code == 200


def test_a_hundred_who_wait_are_one_job_one_lookup_and_no_thread(
    world: World, viewers: Viewers, title: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin.waiting, "POLL_S", 60.0)  # only what is heard counts here
    waiting = [viewers.pool.submit(viewers.get, title.segment(0)) for _ in range(100)]
    assert eventually(lambda: len(viewers.origin.requests) == 100, 20)
    assert viewers.get(f"{title.base}main.m3u8").status_code == 200  # more wait than there are threads
    asked_for(world, title, ("480p", 0))
    with lookups_of_segments(world) as lookups:
        record(world, title, "480p", 1)  # of the same rendition, but not what they wait for
        assert eventually(lambda: len(lookups) == 1, 20)
        assert not any(asked.done() for asked in waiting)
        del lookups[:]
        record(world, title, "720p", 0)  # of another rendition: nobody looks
        make_next(world, title)
        answers = {asked.result().content for asked in waiting}
    assert answers == {title.title.bodies["480p"][0]}
    assert len(lookups) == 1
    assert len(wanted(world, title)) == 1


def test_one_who_leaves_takes_nothing_from_the_others(world: World, viewers: Viewers, title: Published) -> None:
    with socket.create_connection(("127.0.0.1", viewers.origin.port)) as leaver:
        leaver.sendall(f"GET {title.segment(0)} HTTP/1.1\r\nHost: origin\r\n\r\n".encode())
        asked_for(world, title, ("480p", 0))
        stayer = viewers.begin(title.segment(0))
    late = viewers.begin(title.segment(0))
    make_next(world, title)
    assert {stayer.result().status_code, late.result().status_code} == {200}
    assert len(wanted(world, title)) == 1


def test_one_who_has_waited_long_enough_takes_nothing_from_the_others(world: World, title: Published) -> None:
    place, waiting = Place(title.asset, title.title.plan.digest, "480p", 0), Waiting(world)

    async def both() -> SegmentFacts | None:
        patient = asyncio.create_task(waiting.until(place, PATIENT_S))
        await asyncio.sleep(0)
        assert await waiting.until(place, 0.2) is None
        assert await asyncio.to_thread(eventually, lambda: make_next(world, title) is not None, 20)
        found = await patient
        waiting.close()
        return found

    facts = asyncio.run(both())
    assert facts is not None
    assert facts.sha256 == title.title.tables["480p"][0].sha256


@pytest.mark.parametrize("how", [{"method": "HEAD"}, {"headers": {"Headwater-Client-Method": "HEAD"}}])
def test_asking_whether_it_is_there_starts_nothing(world: World, viewers: Viewers, title: Published, how: dict[str, Any]) -> None:
    answer = viewers.get(title.segment(0), **how)
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["cache-control"]) == (503, "1", "no-store")
    assert viewers.get(title.segment(99), **how).status_code == 404
    assert wanted(world, title) == []
    record(world, title, "480p", 0)
    assert viewers.get(title.segment(0), **how).status_code == 200


def test_what_is_not_planned_is_not_there_and_not_asked_for(world: World, viewers: Viewers, title: Published) -> None:
    of_another_plan = title.segment(0).replace(title.title.plan.digest, "0" * 64)
    for path in (title.segment(3), title.segment(0, "1080p"), of_another_plan, title.iframe(8), title.iframe(99), title.iframe(0, "audio")):
        assert viewers.get(path).status_code == 404, path
    assert wanted(world, title) == []


def _delete(world: World, title: Published) -> None:
    with world.db.begin() as conn:
        store.delete_asset(conn, title.asset)


def _give_up(world: World, title: Published) -> None:
    with world.db.begin() as conn:
        store.mark_errored(conn, title.asset, "decode_failed", "It cannot be decoded.")


@pytest.mark.parametrize("end", [_delete, _give_up])
def test_those_who_wait_hear_at_once_that_it_will_never_be(
    world: World, viewers: Viewers, title: Published, end: Callable[[World, Published], None]
) -> None:
    early = viewers.begin(title.segment(0))
    asked_for(world, title, ("480p", 0))
    end(world, title)
    assert early.result().status_code == 404
    assert eventually(lambda: viewers.get(f"{title.base}main.m3u8").status_code == 404, 20)


def test_an_iframe_is_a_part_of_its_segment(world: World, viewers: Viewers, title: Published) -> None:
    early = viewers.begin(title.iframe(4))
    asked_for(world, title, ("480p", 1))
    make_next(world, title)
    part, data = title.title.tables["480p"][1].fragments[1], title.title.bodies["480p"][1]
    expected = data[part.offset : part.offset + part.keyframe_size]
    answer = early.result()
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, expected, "video/iso.segment")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    some = viewers.get(title.iframe(4), headers={"Range": "bytes=10-19"})
    assert (some.status_code, some.content, some.headers["content-range"]) == (206, expected[10:20], f"bytes 10-19/{len(expected)}")
    assert viewers.get(title.iframe(4), headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert viewers.get(title.iframe(3)).headers["etag"] != answer.headers["etag"] != viewers.get(title.segment(1)).headers["etag"]
    head = viewers.get(title.iframe(4), method="HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(expected)))
    with viewers_of(world, delivery="accel") as behind_the_edge:
        same = behind_the_edge.get(title.iframe(4))
        assert (same.status_code, same.content, same.headers["etag"]) == (200, expected, answer.headers["etag"])


def test_the_poster_appears_before_the_title_is_whole(world: World, viewers: Viewers, title: Published) -> None:
    assert viewers.get(f"{title.base}poster.jpg").status_code == 404
    picture = pictures.Picture("poster.jpg", hashlib.sha256(b"a picture").hexdigest(), 9)
    world.storage.put(keys.picture(title.asset, title.title.plan.digest, picture.name), b"a picture")
    with world.db.begin() as conn:
        pictures.record(conn, title.asset, pictures.Made(title.title.plan.digest, (picture,)))
        pictures.show_poster(conn, title.asset)
    assert eventually(lambda: viewers.get(f"{title.base}poster.jpg").status_code == 200)  # what is published is remembered for two seconds
    answer = viewers.get(f"{title.base}poster.jpg")
    assert answer.content == b"a picture"
    assert answer.headers["etag"] == f'"{hashlib.sha256(b"a picture").hexdigest()[:40]}"'


# -- faults


def test_a_lost_notification_is_made_up_for(world: World, viewers: Viewers, title: Published) -> None:
    with lookups_of_segments(world) as lookups:
        early = viewers.begin(title.segment(0))
        assert eventually(lambda: len(lookups) >= 3, 20)  # when it was asked for, with its job, and when somebody began to listen
    data, row = title.title.bodies["480p"][0], title.title.tables["480p"][0]
    world.storage.put(keys.media_segment(title.asset, title.title.plan.digest, "480p", 0), data)
    with world.db.begin() as conn:  # as `save_segments` does, but in silence
        fragments = [[part.offset, part.size, part.keyframe_size, part.duration_ticks] for part in row.fragments]
        values = {**{name: getattr(row, name) for name in ("index", "size_bytes", "sha256", "decode_time_ticks", "duration_ticks")}}
        of = {"asset_id": title.asset, "plan_digest": title.title.plan.digest, "rendition": "480p"}
        conn.execute(insert(segments).values(**of, **values, fragments=fragments))
    assert early.result().content == data


def test_losing_the_connection_that_listens_costs_nobody_an_answer(world: World, viewers: Viewers, title: Published) -> None:
    listening = text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %headwater_segments%' AND datname = current_database()")
    early = viewers.begin(title.segment(0))
    asked_for(world, title, ("480p", 0))

    def ear() -> int | None:
        with world.db.connect() as conn:
            found: int | None = conn.scalar(listening)
        return found

    assert eventually(lambda: ear() is not None, 20)
    first = ear()
    with world.db.begin() as conn:
        conn.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
    assert eventually(lambda: ear() not in (None, first), 20)
    make_next(world, title)
    assert early.result().status_code == 200


def test_a_process_that_stops_sends_them_away_first(world: World, title: Published) -> None:
    with viewers_of(world) as viewers:
        early = viewers.begin(title.segment(0))
        asked_for(world, title, ("480p", 0))
        threading.Thread(target=viewers.origin.stop).start()
        answer = early.result()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
