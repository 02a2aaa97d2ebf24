"""Server-Sent Events over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from catalog import store
from catalog.asset import AssetEvent, AssetStatus, NewPresentation
from kit import job_store
from kit.jobs import NewJob
from kit.world import World
from tests.api_client import Api, is_problem, served
from tests.assets import a_plan, an_asset
from web import events_api

S = AssetStatus


class Events:
    """What one client hears, an event at a time."""

    def __init__(self, reply: httpx.Response) -> None:
        self._lines = reply.iter_lines()
        self.headers = reply.headers
        self.comments: list[str] = []

    def next(self) -> tuple[str, dict[str, Any]]:
        """The id and the data of the next event. Ends the test (StopIteration) when the stream is over."""
        fields: dict[str, str] = {}
        while True:
            line = next(self._lines)
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return fields["id"], json.loads(fields["data"])
            else:
                fields = {}

    def until(self, wanted: Any) -> tuple[str, dict[str, Any]]:
        while True:
            last_id, state = self.next()
            if wanted(state):
                return last_id, state

    def is_over(self) -> bool:
        return next(self._lines, None) is None


@contextmanager
def listen(api: Api, address: str, path: str, last_id: str | None = None) -> Iterator[Events]:
    headers = {"Authorization": f"Bearer {api.key}"} | ({"Last-Event-ID": last_id} if last_id else {})
    with httpx.stream("GET", address + path, headers=headers, timeout=30) as reply:
        assert reply.status_code == 200
        yield Events(reply)


def make(world: World, status: AssetStatus = S.WAITING) -> str:
    with world.db.begin() as conn:
        return an_asset(conn, status).id


def rename(world: World, asset_id: str, title: str) -> None:
    with world.db.begin() as conn:
        store.update_details(conn, asset_id, {"title": title})


def test_the_state_now_comes_first_and_then_every_change(api: Api, address: str, world: World) -> None:
    asset_id = make(world, S.PROCESSING)
    with listen(api, address, f"/v1/assets/{asset_id}/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.headers["cache-control"] == "no-store"
        assert events.headers["x-accel-buffering"] == "no"
        _, first = events.next()
        assert first == api.get(f"/v1/assets/{asset_id}").json()
        with world.db.begin() as conn:
            store.advance(conn, asset_id, AssetEvent.PLAYABLE)
        _, playable = events.next()
        assert (playable["status"], playable["playable"]) == ("processing", True)
        with world.db.begin() as conn:
            store.publish(conn, asset_id, NewPresentation(a_plan().digest, "ready", {}, has_poster=True))
        _, ready = events.next()
        assert (ready["status"], ready["progress"]) == ("ready", 1.0)
        rename(world, asset_id, "Renamed")
        assert events.next()[1]["title"] == "Renamed"


def test_progress_of_jobs_is_heard(api: Api, address: str, world: World) -> None:
    asset_id = make(world, S.PROCESSING)
    with world.db.begin() as conn:
        job_store.enqueue(conn, NewJob("transcode.encode", "g0/c0", asset_id, {"group": 0, "chunk": 0, "renditions": ["240p"]}))
        job = job_store.claim(conn, "me")
        assert job is not None
    with listen(api, address, f"/v1/assets/{asset_id}/events") as events:
        assert events.next()[1]["renditions"][0]["status"] == "encoding"
        for fraction in (0.25, 0.5):
            with world.db.begin() as conn:
                assert job_store.heartbeat(conn, job, fraction, {"fps": 40.0})
            _, state = events.until(lambda state, wanted=fraction: state["renditions"][0]["progress"] == wanted)
            assert state["renditions"][0]["fps"] == 40.0


def test_a_state_that_was_seen_is_not_told_again(api: Api, address: str, world: World) -> None:
    asset_id = make(world)
    path = f"/v1/assets/{asset_id}/events"
    with listen(api, address, path) as events:
        last_id, _ = events.next()
    with listen(api, address, path, last_id) as events:
        rename(world, asset_id, "While listening")
        assert events.next()[1]["title"] == "While listening"
    with listen(api, address, path, last_id) as events:
        assert events.next()[1]["title"] == "While listening", "what changed during the absence comes first"
    with listen(api, address, path, "nonsense") as events:
        assert events.next()[1]["title"] == "While listening"


def test_a_deleted_asset_is_told_of_and_ends_the_stream(api: Api, address: str, world: World) -> None:
    asset_id = make(world)
    with listen(api, address, f"/v1/assets/{asset_id}/events") as events:
        events.next()
        assert api.delete(f"/v1/assets/{asset_id}").status_code == 204
        assert events.next()[1]["status"] == "deleted"
        assert events.is_over()
    is_problem(api.get(f"/v1/assets/{asset_id}/events"), 404, "asset_not_found")


def test_an_unknown_asset_has_no_events(api: Api) -> None:
    is_problem(api.get("/v1/assets/ast_nothing/events"), 404, "asset_not_found")
    is_problem(api.get("/v1/assets/events", signed=False), 401, "unauthorized")


def test_one_stream_for_all_assets(api: Api, address: str, world: World) -> None:
    working = make(world, S.PROCESSING)
    with listen(api, address, "/v1/assets/events") as events:
        assert events.next()[1]["id"] == working
        new = make(world)
        last_id, state = events.until(lambda state: state["id"] == new)
        api.delete(f"/v1/assets/{new}")
        assert events.until(lambda state: state["id"] == new)[1]["status"] == "deleted"
    assert state["status"] == "waiting"
    with listen(api, address, "/v1/assets/events", last_id) as events:
        seen = {events.next()[1]["id"], events.next()[1]["id"]}
    assert seen == {working, new}, "after a break: what is at work, and what changed"


def test_many_listeners_share_one_poller_and_hold_no_connection(api: Api, address: str, world: World) -> None:
    asset_id = make(world, S.READY)
    heard: list[str] = []
    ready, changed = threading.Barrier(21), threading.Barrier(21)

    def client() -> None:
        with listen(api, address, f"/v1/assets/{asset_id}/events") as events:
            events.next()
            ready.wait(30)
            heard.append(events.next()[1]["title"])
            changed.wait(30)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    ready.wait(30)
    assert api.app.state.feed.listeners == 20
    rename(world, asset_id, "For all")
    changed.wait(30)
    for thread in threads:
        thread.join()
    assert heard == ["For all"] * 20
    assert world.db.pool.checkedout() <= 1  # type: ignore[attr-defined]


def test_clients_that_left_are_forgotten(api: Api, address: str, world: World) -> None:
    path = f"/v1/assets/{make(world)}/events"
    with listen(api, address, path) as events:
        events.next()
        assert api.app.state.feed.listeners == 1
    with listen(api, address, path) as events:
        events.next()
    waiting = threading.Event()
    for _ in range(200):
        if api.app.state.feed.listeners == 0:
            break
        waiting.wait(0.05)
    assert api.app.state.feed.listeners == 0


def test_silence_is_broken_by_a_heartbeat(api: Api, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_api, "HEARTBEAT_S", 0.1)
    asset_id = make(world)
    with served(api.app) as address, listen(api, address, f"/v1/assets/{asset_id}/events") as events:
        events.next()
        timer = threading.Timer(0.5, rename, (world, asset_id, "Later"))
        timer.start()
        events.next()
        timer.join()
    assert events.comments.count(": heartbeat") >= 1


def test_the_feed_comes_back_after_the_database_was_away(api: Api, address: str, world: World, caplog: pytest.LogCaptureFixture) -> None:
    asset_id = make(world)
    feed = api.app.state.feed
    whole = feed._read
    fail = threading.Event()
    failed = threading.Event()

    def shaky(*arguments: Any) -> Any:
        if fail.is_set():
            from sqlalchemy.exc import OperationalError

            failed.set()
            raise OperationalError("SELECT", {}, Exception("the connection is lost"))
        return whole(*arguments)

    feed._read = shaky
    with listen(api, address, f"/v1/assets/{asset_id}/events") as events:
        events.next()
        fail.set()
        assert failed.wait(30)
        with listen(api, address, f"/v1/assets/{asset_id}/events") as late:
            failed.clear()
            assert failed.wait(30), "the late one has been asked for, in vain"
            fail.clear()
            assert late.next()[1]["title"] == "A film", "whoever came during the outage hears the state too"
        rename(world, asset_id, "After the outage")
        assert events.next()[1]["title"] == "After the outage"
    assert len([line for line in caplog.records if "event feed" in line.message]) == 1


def test_a_stopping_process_sends_listeners_away(api: Api, world: World) -> None:
    asset_id = make(world)
    with served(api.app) as address, listen(api, address, f"/v1/assets/{asset_id}/events") as events:
        events.next()
        api.app.state.feed.close()
        assert events.is_over()
        is_problem(api.get(f"/v1/assets/{asset_id}/events"), 503, "unavailable")
