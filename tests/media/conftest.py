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
