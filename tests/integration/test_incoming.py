"""Files dropped into the bucket become assets, each once; and watching, with and without notifications."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

import catalog.store
from ingest import incoming, store, watch
from ingest.steps import STEPS
from kit import db, job_store
from kit.errors import HeadwaterError
from kit.jobs import Job, State
from kit.step import Beat, run_step
from kit.world import World
from media import keys
from media.ids import AssetId
from tests.integration.test_import_url import NoFlow
from tests.integration.test_tus_faults import eventually
from tests.web_host import WebHost, body

ADOPTIONS = {step.kind: step for step in STEPS if step.kind == incoming.ADOPT}


@pytest.fixture
def world(world: World) -> World:
    """The same, with nothing in the folder."""
    for found in world.storage.list(keys.INCOMING):
        world.storage.delete(found.key)
    return world


def adoptions(world: World) -> list[Job]:
    with world.db.begin() as conn:
        ids = [asset.id for asset in catalog.store.list_assets(conn).assets]
        return [job for asset_id in reversed(ids) for job in job_store.jobs_of_asset(conn, asset_id) if job.kind == incoming.ADOPT]


def test_a_dropped_file_becomes_a_source_with_its_name_as_title(world: World) -> None:
    world.storage.put("incoming/2026/My_trip.mp4", b"film")
    assert incoming.look(world) == 1
    assert incoming.look(world) == 0
    (job,) = adoptions(world)
    assert run_step(world, ADOPTIONS, NoFlow(), "test")
    with world.db.begin() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
        kinds = {found.kind: found.state for found in job_store.jobs_of_asset(conn, job.asset_id)}
    assert (asset.title, asset.status, asset.source_size_bytes) == ("My trip", "processing", 4)
    assert kinds == {"ingest.adopt": State.SUCCEEDED, "ingest.probe": State.QUEUED}
    assert world.storage.get(keys.source(asset.id)) == b"film"
    assert list(world.storage.list(keys.INCOMING)) == []
    assert incoming.look(world) == 0


def test_many_watchers_claim_a_file_once(world: World) -> None:
    for number in range(5):
        world.storage.put(f"incoming/{number}.mp4", bytes([number]) * 10)
    barrier = threading.Barrier(4)

    def look(_: int) -> int:
        engine = db.connect(world.settings.database_url)
        barrier.wait()
        taken = incoming.look(replace(world, db=engine))
        engine.dispose()
        return taken

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(look, range(4))) == 5
    assert len(adoptions(world)) == 5


def test_the_same_file_dropped_again_is_a_new_asset(world: World) -> None:
    for _ in range(2):
        world.storage.put("incoming/a.mp4", b"same bytes")
        assert incoming.look(world) == 1
        assert run_step(world, ADOPTIONS, NoFlow(), "test")
    assert len(adoptions(world)) == 2


def test_a_listing_older_than_the_adoption_claims_nothing(world: World) -> None:
    world.storage.put("incoming/a.mp4", b"bytes")
    seen = world.storage.stat("incoming/a.mp4")
    with world.db.begin() as conn:
        listed_at = store.database_clock(conn)
    incoming.look(world)
    assert run_step(world, ADOPTIONS, NoFlow(), "test")
    (job,) = adoptions(world)
    with world.db.begin() as conn:
        assert not store.take_incoming(conn, job.asset_id, seen, listed_at=listed_at)


@pytest.mark.parametrize("key", ["incoming/.DS_Store", "incoming/folder/", "incoming/.hidden/"])
def test_markers_and_hidden_files_are_left_alone(key: str) -> None:
    assert not incoming.is_dropped_file(key)
    assert not incoming.is_dropped_file("sources/a.mp4")
    assert incoming.is_dropped_file("incoming/.folder/a.mp4")


def claimed(world: World, data: bytes = b"film") -> Job:
    world.storage.put("incoming/a.mp4", data)
    incoming.look(world)
    return adoptions(world)[-1]


def test_an_adoption_killed_at_any_point_goes_on(world: World) -> None:
    job = claimed(world)
    key = keys.source(AssetId(job.asset_id))
    world.storage.copy("incoming/a.mp4", key)  # killed after the copy
    assert incoming.run_adopt(world, job, Beat()).size_bytes == 4
    assert incoming.run_adopt(world, job, Beat()).size_bytes == 4  # killed after the deletion
    world.storage.put("incoming/a.mp4", b"the next film")  # dropped meanwhile: not ours to delete
    assert incoming.run_adopt(world, job, Beat()).size_bytes == 4
    assert world.storage.get("incoming/a.mp4") == b"the next film"
    assert world.storage.get(key) == b"film"


def refused(world: World, job: Job) -> str:
    with pytest.raises(HeadwaterError) as raised:
        incoming.run_adopt(world, job, Beat())
    assert list(world.storage.list(f"sources/{job.asset_id}/")) == []
    return raised.value.code


def test_files_that_are_no_longer_what_was_found(world: World) -> None:
    job = claimed(world)
    world.storage.put("incoming/a.mp4", b"FILM")
    assert refused(world, job) == "incoming_replaced"
    assert world.storage.get("incoming/a.mp4") == b"FILM"
    assert incoming.look(world) == 1
    world.storage.delete("incoming/a.mp4")
    assert refused(world, adoptions(world)[-1]) == "incoming_gone"


def test_empty_and_too_large_files(world: World) -> None:
    assert refused(world, claimed(world, b"")) == "empty"
    small = replace(world, settings=replace(world.settings, max_upload_bytes=3))
    assert refused(small, claimed(world)) == "too_large"


def watching(world: World, until: Callable[[], bool]) -> None:
    """Runs the watch until something has come true."""
    stop = threading.Event()
    thread = threading.Thread(target=watch.watch, args=(world, stop))
    thread.start()
    try:
        eventually(until)
    finally:
        stop.set()
        thread.join()


def test_without_notifications_the_folder_is_listed(world: World) -> None:
    quick = replace(world, settings=replace(world.settings, incoming_poll_s=0.05))
    world.storage.put("incoming/a.mp4", b"first")

    def dropped() -> bool:
        if len(adoptions(world)) == 1:
            world.storage.put("incoming/b.mp4", b"second")
        return len(adoptions(world)) == 2

    watching(quick, dropped)


# No server with MinIO's notifications can be installed for tests, so one is stood in for: it speaks the documented stream.


class _Notifications:
    """Answers the listening request of one bucket, and sends a record when asked to."""

    def __init__(self) -> None:
        self.dropped = threading.Event()
        self.end = threading.Event()
        self.asked: list[dict[str, list[str]]] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(parse_qs(urlsplit(handler.path).query))
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        while not self.end.is_set():
            handler.wfile.write(b" ")
            handler.wfile.flush()
            if self.dropped.wait(0.05):
                self.dropped.clear()
                handler.wfile.write(json.dumps({"Records": [{"eventName": "s3:ObjectCreated:Put"}]}).encode() + b"\n")
                handler.wfile.flush()


class _AnyPath(dict[str, object]):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self._answer = answer

    def get(self, key: str, default: object = None) -> object:
        return self._answer


def test_a_notification_is_acted_on_without_waiting_for_the_next_listing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_RELIST_S", 3600.0)
    bells = _Notifications()
    with WebHost() as host:
        host.answers = _AnyPath(bells)  # type: ignore[assignment]
        slow = replace(world, settings=replace(world.settings, incoming_poll_s=3600, s3_endpoint=host.url("").rstrip("/")))

        def dropped() -> bool:
            if bells.asked and not adoptions(world):
                world.storage.put("incoming/a.mp4", b"film")
                bells.dropped.set()
            return len(adoptions(world)) == 1

        watching(slow, dropped)
        bells.end.set()
    assert bells.asked[0]["events"] == ["s3:ObjectCreated:*"]
    assert bells.asked[0]["prefix"] == ["incoming/"]


def test_a_store_that_answers_with_a_listing_is_asked_once(world: World) -> None:
    with WebHost() as host:
        host.answers = _AnyPath(body(b"<ListBucketResult/>", Content_Type="application/xml"))  # type: ignore[assignment]
        plain = replace(world, settings=replace(world.settings, incoming_poll_s=0.05, s3_endpoint=host.url("").rstrip("/")))
        world.storage.put("incoming/a.mp4", b"film")
        watching(plain, lambda: bool(host.asked) and len(adoptions(world)) == 1)
        assert len(host.asked) == 1
