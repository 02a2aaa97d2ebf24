"""Import by URL as a background step: from a web server into the store, with every way in which it may end."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection

import catalog.store
from catalog.asset import NewAsset
from ingest import importing
from ingest.steps import STEPS
from ingest.upload import MIB, PART_BYTES
from kit import job_store
from kit.errors import BadRequest, HeadwaterError, Retry
from kit.jobs import Job, NewJob, State
from kit.step import Beat, run_step
from kit.storage import MissingObject, MissingUpload
from kit.world import World
from media import keys
from media.ids import AssetId
from tests.web_host import WebHost, body, pausing

IMPORTS = {step.kind: step for step in STEPS if step.kind == importing.IMPORT}


class NoFlow:
    """Nothing follows; what died is remembered."""

    def __init__(self) -> None:
        self.dead: list[str] = []

    def lock(self, conn: Connection, job: Job) -> None:
        catalog.store.lock_asset(conn, job.asset_id)

    def followers(self, conn: Connection, job: Job, result: Any) -> Sequence[NewJob]:
        return ()

    def died(self, conn: Connection, job: Job, error: HeadwaterError) -> None:
        self.dead.append(error.code)


@pytest.fixture
def host() -> Iterator[WebHost]:
    with WebHost() as running:
        yield running


@pytest.fixture
def allowing(world: World) -> World:
    """A world that may fetch from loopback, and takes at most 40 MB."""
    return replace(world, settings=replace(world.settings, import_private_addresses=True, max_upload_bytes=40_000_000))


def requested(world: World, url: str) -> Job:
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset())
        return importing.request_import(conn, asset.id, url)


def leftovers(world: World, job: Job) -> list[str]:
    """What an import that did not succeed left in the store."""
    found = [*world.storage.list(f"uploads/{job.asset_id}/"), *world.storage.list(f"sources/{job.asset_id}/")]
    return [item.key for item in found]


@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("size", [1, PART_BYTES, 2 * PART_BYTES + 17])
def test_an_import_becomes_a_source_and_its_probe_is_queued(allowing: World, host: WebHost, size: int, with_length: bool) -> None:
    data = os.urandom(size)
    host.answers["/film.mp4"] = body(data, length=-1 if with_length else None)
    job = requested(allowing, host.url("/film.mp4"))
    assert run_step(allowing, IMPORTS, NoFlow(), "test")
    key = keys.source(AssetId(job.asset_id))
    assert allowing.storage.get(key) == data
    with allowing.db.begin() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
        jobs = job_store.jobs_of_asset(conn, job.asset_id)
    assert (asset.status, asset.source_key, asset.source_size_bytes) == ("processing", key, size)
    assert {(found.kind, found.state) for found in jobs} == {("ingest.import_url", State.SUCCEEDED), ("ingest.probe", State.QUEUED)}
    assert leftovers(allowing, job) == [key]


def test_progress_is_reported(allowing: World, host: WebHost) -> None:
    host.answers["/"] = body(b"x" * 3 * MIB)
    beat = Beat()
    importing.run_import(allowing, requested(allowing, host.url("/")), beat)
    assert beat.so_far() == (1.0, {"received_bytes": 3 * MIB})


@pytest.mark.parametrize(
    ("answer", "code", "retry"),
    [
        (body(b"", status=404), "import_failed", Retry.NEVER),
        (body(b"", status=503), "import_failed", Retry.COUNTED),
        (body(b"half", length=8), "import_failed", Retry.COUNTED),
        (body(os.urandom(PART_BYTES + 5), length=PART_BYTES + 50), "import_failed", Retry.COUNTED),
        (body(b"", length=40_000_001), "too_large", Retry.NEVER),
        (body(bytes(40_000_001), length=None), "too_large", Retry.NEVER),
        (body(b""), "empty", Retry.NEVER),
    ],
)
def test_each_failure_has_its_code_and_leaves_nothing_behind(allowing: World, host: WebHost, answer: Any, code: str, retry: Retry) -> None:
    host.answers["/"] = answer
    job = requested(allowing, host.url("/"))
    with pytest.raises(HeadwaterError) as failed:
        importing.run_import(allowing, job, Beat())
    assert (failed.value.code, failed.value.retry) == (code, retry)
    assert leftovers(allowing, job) == []


def test_private_addresses_are_refused_by_default_and_that_is_final(world: World, host: WebHost) -> None:
    job = requested(world, host.url("/"))
    flow = NoFlow()
    assert run_step(world, IMPORTS, flow, "test")
    assert flow.dead == ["import_refused"]
    assert host.asked == []
    with world.db.begin() as conn:
        assert (
            job_store.jobs_of_asset(conn, job.asset_id)[0].error_detail
            == "127.0.0.1 is at 127.0.0.1, which is not a public address (loopback)."
        )


@pytest.mark.parametrize("url", ["ftp://example.com/a", "/etc/passwd", "http://user:word@example.com/"])
def test_what_is_never_fetched_is_refused_when_it_is_asked_for(world: World, url: str) -> None:
    with pytest.raises(BadRequest) as refused:
        requested(world, url)
    assert refused.value.code == "import_refused"


def test_a_failure_that_may_pass_is_tried_again(allowing: World, host: WebHost) -> None:
    host.answers["/"] = body(b"", status=503)
    job = requested(allowing, host.url("/"))
    assert run_step(allowing, IMPORTS, NoFlow(), "test")
    with allowing.db.begin() as conn:
        after = job_store.jobs_of_asset(conn, job.asset_id)[0]
    assert (after.state, after.error_code) == (State.QUEUED, "import_failed")


def test_a_cancelled_import_stops_though_the_other_side_is_silent(allowing: World, host: WebHost) -> None:
    done, beat = threading.Event(), Beat()
    host.answers["/"] = pausing(b"x" * (PART_BYTES + 5), done, length=3 * PART_BYTES)
    job = requested(allowing, host.url("/"))
    failed: list[HeadwaterError] = []

    def run() -> None:
        with pytest.raises(HeadwaterError) as raised:
            importing.run_import(allowing, job, beat)
        failed.append(raised.value)

    step = threading.Thread(target=run)
    step.start()
    while beat.so_far()[0] < 1 / 3:
        step.join(0.05)
    beat.cancelled.set()
    step.join()
    done.set()
    assert failed[0].code == "cancelled"
    assert leftovers(allowing, job) == []


def test_the_next_attempt_frees_what_a_killed_one_left_behind(allowing: World, host: WebHost) -> None:
    host.answers["/"] = body(b"film")
    job = requested(allowing, host.url("/"))
    key, note = keys.source(AssetId(job.asset_id)), keys.import_note(AssetId(job.asset_id))
    abandoned = allowing.storage.create_multipart(key)
    allowing.storage.put_part(key, abandoned, 1, b"x" * PART_BYTES)
    allowing.storage.put(note, abandoned.encode())
    importing.run_import(allowing, job, Beat())
    assert allowing.storage.get(key) == b"film"
    with pytest.raises(MissingUpload):
        allowing.storage.put_part(key, abandoned, 2, b"x")
    with pytest.raises(MissingObject):
        allowing.storage.get(note)


def test_an_attempt_that_was_killed_after_its_work_is_not_repeated(allowing: World, host: WebHost) -> None:
    host.answers["/"] = body(b"film")
    job = requested(allowing, host.url("/"))
    first = importing.run_import(allowing, job, Beat())
    assert importing.run_import(allowing, job, Beat()) == first
    assert len(host.asked) == 1
