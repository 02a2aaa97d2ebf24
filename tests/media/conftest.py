"""Fixtures for tests that need programs and clips, but no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from kit.clock import SystemClock
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.storage.memory import MemoryStorage
from kit.world import World
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode
from transcode.plan import PlanOptions


def world_without_servers(folder: Path) -> World:
    """A world with real programs, storage in memory, and a database that nobody may ask."""
    settings = Settings(
        database_url="postgresql+psycopg://nobody@127.0.0.1:1/nothing",
        broker_url="redis://127.0.0.1:1/0",
        s3_endpoint="http://127.0.0.1:1",
        s3_access_key="",
        s3_secret_key="",
        secret_key="a secret of thirty-two characters, or more",
        scratch_dir=folder / "scratch",
    )
    return World(settings, SystemClock(), create_engine(settings.database_url), MemoryStorage(), SubprocessRunner())


@pytest.fixture
def local_world(tmp_path: Path) -> World:
    return world_without_servers(tmp_path)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same for whatever several tests share."""
    return world_without_servers(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def sync_title(world: World, clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> EncodedTitle:
    """ "sync", a click and a flash every second for 20 s, in chunks of one segment, as a long title is cut."""
    return encode(world, clips("sync"), tmp_path_factory.mktemp("sync"), PlanOptions(chunk_s=6))
