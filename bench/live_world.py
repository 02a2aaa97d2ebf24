"""A world of live servers with nothing in it, for benches that need neither workers nor an edge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.clock import SystemClock
from kit.db import connect
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.storage.s3 import open_storage
from kit.world import World
from tests.live import live_servers


@contextmanager
def live_world() -> Iterator[World]:
    """PostgreSQL with all tables and an empty bucket; both are gone afterwards."""
    clock = SystemClock()
    with live_servers() as servers, servers.database() as url, tempfile.TemporaryDirectory() as scratch:
        s3 = servers.s3
        settings = Settings(
            database_url=url, broker_url=servers.broker_url, s3_endpoint=s3.s3_endpoint, s3_bucket="bench", s3_access_key=s3.s3_access_key,
            s3_secret_key=s3.s3_secret_key, s3_region=s3.s3_region, secret_key="a secret of thirty-two characters, or more",
            scratch_dir=Path(scratch),
        )  # fmt: skip
        storage = open_storage(settings)
        storage.ensure_bucket()
        world = World(settings, clock, connect(url), storage, SubprocessRunner(clock))
        try:
            yield world
        finally:
            world.db.dispose()
