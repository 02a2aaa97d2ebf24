"""What one run of a scenario works with: a world whose effects are points, the client's notes, and the passing of time.

Whatever a client, a user or the course of time does goes past the points: only the product dies. The client notes what it knows only
after it was told, as a real one does.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

import ingest.expiry
import ingest.incoming
import worker.outbox
from kit import db, scratch
from kit.clock import SystemClock
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.step import Step, run_step
from kit.storage import Storage
from kit.world import World
from tests.crash.disk_store import DiskStorage
from tests.crash.effects import ReplayRunner, WatchedStorage, ringing, watch_commits
from tests.crash.points import Points
from worker import sweeper
from worker.flow import VideoFlow
from worker.main import all_duties

STEPS: Mapping[str, Step] = all_duties().steps  # read in once, before anybody forks
ROUNDS = 12  # of sweeping and working, at most, until nothing is left to do


class LaterClock(SystemClock):
    """Some days ahead."""

    def __init__(self, days: int) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return super().now() + self._ahead


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is that outlives a process: one database, and below `folder` the store, the scratch space and the notes."""

    settings: Settings
    folder: Path
    takes: Path  # what programs did when they were really run
    clip: Path
    url: str  # of the clip, for imports

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def notes(self) -> Path:
        return self.folder / "notes.json"


class Stage:
    """Made once and warmed up; processes that are forked from it open connections of their own (`leave` closes those there are)."""

    def __init__(self, place: Place, wrap: Callable[[Storage, Engine], Storage] | None = None) -> None:
        self.place, self.points = place, Points()
        self.unseen = DiskStorage(place.store)
        self.admin = db.connect(place.settings.database_url)
        engine = db.connect(place.settings.database_url)
        watch_commits(engine, self.points)
        clock = SystemClock()
        self.runner = ReplayRunner(place.takes, SubprocessRunner(clock), self.points)
        inner = WatchedStorage(self.unseen, self.points)
        self.world = World(place.settings, clock, engine, wrap(inner, engine) if wrap else inner, self.runner)
        self._notes: dict[str, Any] = {}

    def clear(self) -> None:
        """An empty database, store, scratch space and notebook."""
        for folder in (self.place.store, self.world.settings.scratch_dir):
            shutil.rmtree(folder, ignore_errors=True)
        self.unseen.prepare()
        self._notes = {}
        self.place.notes.unlink(missing_ok=True)
        with self.admin.begin() as conn:
            for table in reversed(db.metadata.sorted_tables):
                conn.execute(text(f"DELETE FROM {table.name}"))

    def come_back(self) -> None:
        """Finds its notes again."""
        self._notes = json.loads(self.place.notes.read_text()) if self.place.notes.exists() else {}

    def leave(self) -> None:
        """Closes every connection."""
        self.world.db.dispose()
        self.admin.dispose()

    # -- the client's notes

    def noted(self, name: str) -> Any:
        return self._notes.get(name)

    def note(self, name: str, value: Any) -> None:
        self._notes[name] = value
        self.place.notes.write_text(json.dumps(self._notes))

    # -- the product at work

    def work(self, most: int | None = None) -> None:
        """Everything that is due, or so many jobs."""
        scratch.clear_leftovers(self.world.settings.scratch_dir)
        while most is None or most > 0:
            if not run_step(self.world, STEPS, VideoFlow(), "worker"):
                return
            most = None if most is None else most - 1

    def work_and_stop(self) -> None:
        """A worker that is told to stop in the middle of a job, and hands it back."""
        stopping = threading.Event()
        stopping.set()
        self.runner.stop()
        run_step(self.world, STEPS, VideoFlow(), "worker", stopping=stopping)

    def tidy(self, days: int = 3) -> None:
        """What is done once a day, so many days from now."""
        later = replace(self.world, clock=LaterClock(days))
        sweeper.ask_for_strays(later)
        run_step(later, STEPS, VideoFlow(), "worker")

    def sweep(self) -> None:
        sweeper.sweep_jobs(self.world, VideoFlow())
        worker.outbox.flush(self.world, ringing(self.points))
        ingest.expiry.expire(self.world)
        ingest.incoming.look(self.world)

    def settle(self) -> None:
        """Sweeps and works, with time passing, until nothing is left to do; then so for some days more."""
        for _ in range(ROUNDS):
            self.pass_time(600)
            self.sweep()
            self.work()
            if self.is_quiet():
                break
        self.pass_time(3 * 86400)
        self.sweep()
        self.work()
        self.tidy(days=5)  # another day than that on which the process may have died
        self.pass_time(600)
        self.sweep()
        self.work()
        self.sweep()

    # -- the course of time

    def pass_time(self, seconds: int) -> None:
        """All clocks but the store's have gone so far ahead: leases lapse, delays end, addresses expire."""
        with self.admin.begin() as conn:
            for table, column, only in (
                ("jobs", "lease_until", "state = 'running'"),
                ("jobs", "not_before", "state = 'queued' AND not_before < now() + interval '1 year'"),  # the rest waits for bytes
                ("jobs", "rung_at", "state = 'queued'"),
                ("uploads", "lease_until", "lease_until IS NOT NULL"),
                ("uploads", "expires_at", "true"),
            ):
                conn.execute(text(f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s) WHERE {only}"), {"s": seconds})

    def is_quiet(self) -> bool:
        left = (
            "SELECT (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')) + (SELECT count(*) FROM outbox)"
            " + (SELECT count(*) FROM uploads WHERE freed_at IS NULL)"
        )
        with self.admin.begin() as conn:
            return bool(conn.scalar(text(left)) == 0)
