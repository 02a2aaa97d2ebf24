"""Everything effectful, in one value, built once by each composition root (`web`, `worker`, `stack`) and passed down."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from kit.clock import Clock
from kit.process import Runner
from kit.settings import Settings
from kit.storage import Storage


@dataclass(frozen=True, slots=True)
class World:
    settings: Settings
    clock: Clock
    db: Engine
    storage: Storage
    runner: Runner


def open_world(settings: Settings) -> World:
    """The real world, as the settings describe it. Opens no connection yet; not to be carried across a fork."""
    from kit.clock import SystemClock
    from kit.db import connect
    from kit.process import SubprocessRunner
    from kit.storage.s3 import open_storage

    clock = SystemClock()
    runner = SubprocessRunner(clock, least_sandbox=settings.sandbox)
    return World(settings, clock, connect(settings.database_url), open_storage(settings), runner)
