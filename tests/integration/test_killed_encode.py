"""A worker killed in the middle of an encode: the title is finished by another without anyone acting, byte for byte the same."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import catalog.store
from catalog.asset import Asset, AssetStatus, NewAsset
from ingest.received import received
from kit import job_store
from kit.settings import Settings, to_environment
from kit.world import World
from media import keys
from tests.clips import Clips
from tests.eventually import eventually
from tests.presented import present
from tests.processes import is_alive
from worker import flow

TREE = Path(__file__).parents[2]


def encoders(scratch_dir: Path) -> list[int]:
    """Process ids of the FFmpeg programs that work for this test, which its scratch folder tells apart from all others."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if b"ffmpeg" in Path(os.fsdecode(argv[0])).name.encode() and any(os.fsencode(scratch_dir) in word for word in argv):
                found.append(int(entry.name))
    return found


@pytest.fixture
def programs() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for program in started:
        program.kill()
        program.wait()


def start(settings: Settings, kind: str, log: Path) -> subprocess.Popen[bytes]:
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with log.open("ab") as file:
        argv = [sys.executable, "-m", "tests.integration.worker_program", kind]
        return subprocess.Popen(argv, cwd=TREE, env={**plain, **to_environment(settings)}, stdout=file, stderr=file)


def upload(world: World, clip: Path) -> Asset:
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(title="doomed"))
    world.storage.put(keys.source(asset.id), clip)
    with world.db.begin() as conn:
        return received(conn, asset.id, keys.source(asset.id), clip.stat().st_size)


def stored(world: World, asset: Asset) -> Mapping[str, str]:
    """SHA-256 of everything below the asset's plan, by its name there."""
    assert asset.plan_digest is not None
    prefix = keys.plan_prefix(asset.id, asset.plan_digest)
    return {item.key.removeprefix(prefix): hashlib.sha256(world.storage.get(item.key)).hexdigest() for item in world.storage.list(prefix)}


def test_the_bytes_are_the_same(world: World, clips: Clips, tmp_path: Path, programs: list[subprocess.Popen[bytes]]) -> None:
    settings = replace(world.settings, chunk_s=6.0, worker_processes=1, scratch_dir=tmp_path / "killed")
    calm = present(replace(world, settings=replace(world.settings, chunk_s=6.0)), clips("sync"))
    assert calm.status is AssetStatus.READY

    log = tmp_path / "log"
    programs.append(start(settings, "sweeper", log))
    asset = upload(world, clips("sync"))
    for _ in range(2):
        doomed = start(settings, "pipeline", log)
        programs.append(doomed)
        assert eventually(lambda: encoding(world, asset) and encoders(settings.scratch_dir), 120), log.read_text()
        running = encoders(settings.scratch_dir)
        doomed.kill()
        doomed.wait()
        assert eventually(lambda running=running: not any(map(is_alive, running)))
    programs.append(start(settings, "pipeline", log))

    def current() -> Asset:
        with world.db.connect() as conn:
            return catalog.store.get_asset(conn, asset.id)

    assert eventually(lambda: current().status not in (AssetStatus.PROCESSING, AssetStatus.WAITING), 300), log.read_text()
    finished = current()
    assert (finished.status, finished.error_code) == (AssetStatus.READY, None)
    assert finished.plan_digest == calm.plan_digest
    assert eventually(lambda: "preview.mp4" in stored(world, finished), 120), log.read_text()  # made last, and after "ready"
    assert stored(world, finished) == stored(world, calm)
    with world.db.connect() as conn:
        # A kill may come in the moment between two jobs, or find two at work: what counts is that some work was really lost.
        assert sum(job.attempt - 1 for job in job_store.jobs_of_asset(conn, asset.id)) >= 1


def encoding(world: World, asset: Asset) -> bool:
    with world.db.connect() as conn:
        return any(job.kind == flow.ENCODE and job.owner is not None for job in job_store.jobs_of_asset(conn, asset.id))
