"""The step "ingest.probe" on live servers: a stored source becomes a described asset, or an errored one with its code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import catalog.store
from catalog.asset import Asset, AssetStatus, NewAsset
from catalog.kinds import DIGEST, PROBE
from ingest.probe import PROBE_STEPS
from ingest.received import received
from kit import job_store
from kit.errors import HeadwaterError
from kit.jobs import Job, NewJob, State
from kit.step import run_step
from kit.world import World
from media import keys
from tests.clips import Clips
from tests.delays import end_delay

STEPS = {step.kind: step for step in PROBE_STEPS}


class ProbeFlow:
    """Nothing follows; a job that is given up takes its asset with it, as the worker's flow does."""

    def lock(self, conn: Connection, job: Job) -> None:
        catalog.store.lock_asset(conn, job.asset_id)

    def followers(self, conn: Connection, job: Job, result: Any) -> Sequence[NewJob]:
        return []

    def died(self, conn: Connection, job: Job, error: HeadwaterError) -> None:
        catalog.store.mark_errored(conn, job.asset_id, error.code, error.detail)


def upload(world: World, path: Path) -> Asset:
    """An asset whose source is whole, and whose probe is queued."""
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(title=path.name))
    key = keys.source(asset.id)
    world.storage.put(key, path)
    with world.db.begin() as conn:
        return received(conn, asset.id, key, path.stat().st_size)


def after_probe(world: World, path: Path) -> tuple[Asset, Job]:
    asset = upload(world, path)
    assert run_step(world, STEPS, ProbeFlow(), "tester")
    with world.db.begin() as conn:
        (job,) = [job for job in job_store.jobs_of_asset(conn, asset.id) if job.kind == PROBE]
        return catalog.store.get_asset(conn, asset.id), job


def test_a_source_is_described(world: World, clips: Clips) -> None:
    path = clips("plain")
    asset, job = after_probe(world, path)
    assert (job.kind, job.state) == (PROBE, State.SUCCEEDED)
    assert job.stats["runs"] == 1  # of ffprobe: the index said the rest
    assert asset.status is AssetStatus.PROCESSING
    assert asset.source_digest is not None and asset.source_digest.startswith("index:")
    assert asset.source is not None and asset.source.video is not None
    assert (asset.source.size_bytes, asset.source.video.packets) == (path.stat().st_size, 144)
    assert asset.source.duration == 6
    with world.db.begin() as conn:
        found = catalog.store.load_source_map(conn, asset.id)
    assert found is not None and found.size_bytes == path.stat().st_size


def test_the_digest_of_the_bytes_is_taken_later(world: World, clips: Clips) -> None:
    asset, _ = after_probe(world, clips("plain"))
    assert asset.source_sha256 is None
    assert not run_step(world, STEPS, ProbeFlow(), "tester")  # not while the title's opening is made
    assert end_delay(world)
    assert run_step(world, STEPS, ProbeFlow(), "tester")
    with world.db.begin() as conn:
        asset = catalog.store.get_asset(conn, asset.id)
        assert {job.kind: job.state for job in job_store.jobs_of_asset(conn, asset.id)}[DIGEST] is State.SUCCEEDED
    assert asset.source_sha256 == hashlib.sha256(clips("plain").read_bytes()).hexdigest()
    assert asset.status is AssetStatus.PROCESSING


def test_a_source_without_such_an_index_is_read_whole(world: World, clips: Clips) -> None:
    asset, job = after_probe(world, clips("ts"))
    assert job.stats["runs"] == 2  # of ffprobe, at most
    assert asset.source_digest == asset.source_sha256 == hashlib.sha256(clips("ts").read_bytes()).hexdigest()
    with world.db.begin() as conn:
        assert catalog.store.load_source_map(conn, asset.id) is None
        assert {job.kind for job in job_store.jobs_of_asset(conn, asset.id)} == {PROBE}


@pytest.mark.parametrize(
    ("name", "code"), [("text", "unsupported_format"), ("truncated-index-first", "truncated"), ("words-only", "no_video_stream")]
)
def test_a_bad_source_ends_the_asset_with_its_code(world: World, clips: Clips, name: str, code: str) -> None:
    asset, job = after_probe(world, clips(name))
    assert (job.state, job.attempt, job.error_code) == (State.FAILED, 1, code)
    assert (asset.status, asset.error_code) == (AssetStatus.ERRORED, code)
    assert asset.error_detail is not None and asset.error_detail.endswith(".")
    assert asset.source is None


def test_an_empty_source_is_refused(world: World, clips: Clips) -> None:
    asset, _ = after_probe(world, clips("empty"))
    assert (asset.status, asset.error_code, asset.error_detail) == (AssetStatus.ERRORED, "empty", "The file is empty.")


def test_a_source_that_went_away_is_not_the_uploaders_fault(world: World, clips: Clips) -> None:
    asset = upload(world, clips("plain"))
    world.storage.delete(keys.source(asset.id))
    assert run_step(world, STEPS, ProbeFlow(), "tester")
    with world.db.begin() as conn:
        (job,) = job_store.jobs_of_asset(conn, asset.id)
    assert job.error_code not in {"unsupported_format", "truncated", "empty"}


def test_nothing_is_left_in_the_scratch_folder_but_the_cached_source(world: World, clips: Clips) -> None:
    after_probe(world, clips("plain"))
    left = [path for path in world.settings.scratch_dir.rglob("*") if path.is_file() and path.suffix not in {".lock", ".filled"}]
    assert [path.parent.name for path in left] == ["cache"]


def test_a_late_look_at_what_had_arrived_takes_nothing_back(world: World, clips: Clips) -> None:
    """Its worker was lost, so it runs again when the whole file is known already, its digest included (J2)."""
    path = clips("plain")
    asset = upload(world, path)
    while run_step(world, STEPS, ProbeFlow(), "tester") or end_delay(world):
        pass
    with world.db.begin() as conn:
        job_store.enqueue(conn, NewJob(PROBE, f"{asset.id}/early-1", asset.id, args={"early": True}))
    assert run_step(world, STEPS, ProbeFlow(), "tester")
    with world.db.begin() as conn:
        known = catalog.store.get_asset(conn, asset.id)
        assert {job.state for job in job_store.jobs_of_asset(conn, asset.id)} == {State.SUCCEEDED}
    assert known.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert known.source is not None
