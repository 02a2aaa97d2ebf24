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
