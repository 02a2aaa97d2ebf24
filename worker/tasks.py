"""What one worker process does: it is rung for, or looks by itself, and then works until nothing is ready.

A ring is the Celery task `headwater.work`. Looking is a thread that asks the database every ten seconds, so that work goes on
without a broker, only a little later. The two never work at the same time in one process. A process that is rung for while it
works passes the ring on to its siblings through a pipe: one of them may be idle.

Beside that, each process has lanes for what somebody is waiting for (`kit.jobs.URGENT`: a seek, the opening of a new title): one such
job in each, at once, whatever else the process is busy with. They hear of them from the database itself. The programs of bulk
work run at low priority (`transcode.ffmpeg`), so those of the lanes get the processor. Two are for what is needed at this moment, because
a seek needs pictures and sound; the third also takes what a player will need next, and may be busy with that for a viewer who has left.

The leash is a pipe too: its other end is held by the worker's main process and by nobody else, so every process of the worker
learns at once when that one stops or dies. Work is then broken off and handed back.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from celery import Celery, signals

from catalog.priority import NEXT
from kit import db, job_store, log, scratch
from kit.endurance import Endurance
from kit.ids import token
from kit.step import BEAT_S, Flow, Step, run_step
from kit.world import World
from worker.app import WORK

LOOK_S = 10.0
URGENT_LOOK_S = 1.0
LANES = (NEXT, NEXT + 1, NEXT + 1)  # the least priority that each takes up; the first looks often, should a ring be lost
_STOP_S = 3.5  # for the current step to end when its process has to

_log = log.logger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """What a worker can do, and the rhythm it keeps."""

    steps: Mapping[str, Step]
    flow: Flow
    lease_s: float = job_store.LEASE_S
    beat_s: float = BEAT_S
    look_s: float = LOOK_S


@dataclass(frozen=True, slots=True)
class Pipes:
    """Made by the main process before it forks."""

    leash_read: int
    leash_held: int  # the main process's end
    passed_read: int
    passed_write: int

    @classmethod
    def make(cls) -> Self:
        pipes = cls(*os.pipe(), *os.pipe())
        for end in (pipes.passed_read, pipes.passed_write):
            os.set_blocking(end, False)
        return pipes


@dataclass(frozen=True, slots=True)
class Lane:
    least_priority: int
    busy: threading.Lock = field(default_factory=threading.Lock)
    rung: threading.Event = field(default_factory=threading.Event)


class Attendant:
    """One worker process at work. Made by the main process, begun in each process after the fork."""

    def __init__(self, open_world: Callable[[], World], duties: Duties, pipes: Pipes) -> None:
        self._open_world, self._duties, self._pipes = open_world, duties, pipes
        self._busy = threading.Lock()
        self._lanes = [Lane(least) for least in LANES]
        self._stopping = threading.Event()
        self._looking = Endurance(_log, away="database is away; trying again", back="database is back", broke="looking for work broke")

    def begin(self) -> None:
        """In the process that is to work. Nothing of the world is shared with the process it was forked from."""
        os.close(self._pipes.leash_held)
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{token(6)}"
        self._world = self._open_world()
        # A service manager may send the signal to every process it knows, and not only to the main one.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=self._leave, daemon=True).start())
        scratch.clear_leftovers(self._world.settings.scratch_dir)
        for task in (self._feel_leash, self._look, self._listen):
            threading.Thread(target=task, name=task.__name__, daemon=True).start()
        for lane in self._lanes:
            threading.Thread(target=self._hurry, args=(lane,), name=f"lane from {lane.least_priority}", daemon=True).start()

    def end(self) -> None:
        """Before the process exits: breaks off what it is doing, and waits until that is handed back."""
        self._stopping.set()
        until_s = self._world.clock.monotonic_s() + _STOP_S
        for work in (self._busy, *(lane.busy for lane in self._lanes)):
            work.acquire(timeout=max(0.0, until_s - self._world.clock.monotonic_s()))

    def _leave(self) -> None:
        self.end()
        os._exit(0)

    def answer(self) -> None:
        """Somebody rang: works until nothing is ready, or passes the ring on."""
        if self._stopping.is_set():
            return
        if not self._busy.acquire(blocking=False):
            with suppress(BlockingIOError):  # a full pipe is full of rings already
                os.write(self._pipes.passed_write, b"!")
            return
        try:
            while not self._stopping.is_set() and self._work():
                pass
        finally:
            self._busy.release()

    def _work(self, least_priority: int | None = None) -> bool:
        """Whether there was a job that is due."""
        duties = self._duties
        did = self._looking.through(
            lambda: run_step(
                self._world, duties.steps, duties.flow, self._owner,
                stopping=self._stopping, lease_s=duties.lease_s, beat_s=duties.beat_s, least_priority=least_priority,
            )
        )  # fmt: skip
        return bool(did)

    def _look(self) -> None:
        self.answer()  # for what has been waiting since before we were here
        while not self._stopping.is_set():
            rung, _, _ = select.select([self._pipes.passed_read], [], [], self._duties.look_s)
            if rung and not self._took_ring():
                continue
            self.answer()
            if rung and self._busy.locked():
                self._stopping.wait(1.0)  # everybody is at work: do not hand the same ring round in a circle

    def _hurry(self, lane: Lane) -> None:
        """Works while there is something for this lane, and then until it is rung for, or looks by itself."""
        while not self._stopping.is_set():
            with lane.busy:
                while not self._stopping.is_set() and self._work(lane.least_priority):
                    pass
            lane.rung.wait(URGENT_LOOK_S if lane.least_priority == LANES[0] else self._duties.look_s)
            lane.rung.clear()

    def _listen(self) -> None:
        """Rings for the lanes. Without the database it waits for it to come back; that it is away is said by the others."""
        listening = Endurance(_log, broke="listening for urgent work broke")
        while not self._stopping.is_set():
            listening.through(self._hear)
            self._stopping.wait(URGENT_LOOK_S)

    def _hear(self) -> None:
        with db.Listener(self._world.db, job_store.URGENT_CHANNEL) as bell:
            heard = True  # perhaps, before anybody listened
            while not self._stopping.is_set():
                for lane in self._lanes if heard else ():
                    lane.rung.set()
                heard = bell.wait(URGENT_LOOK_S)

    def _took_ring(self) -> bool:
        """Whether this process, and no sibling, got it."""
        try:
            return bool(os.read(self._pipes.passed_read, 1))
        except BlockingIOError:
            return False

    def _feel_leash(self) -> None:
        os.read(self._pipes.leash_read, 1)  # ends when nobody holds the other end any more
        self._stopping.set()


def attend(app: Celery, attendant: Attendant) -> None:
    """Makes the worker processes of `app` do their duties."""

    @app.task(name=WORK, ignore_result=True)  # type: ignore[untyped-decorator]
    def work(job_id: str) -> None:  # noqa: ARG001 - a ring is for whatever is most urgent
        attendant.answer()

    def begin(**_: object) -> None:
        attendant.begin()

    def end(**_: object) -> None:
        attendant.end()

    signals.worker_process_init.connect(begin, weak=False)
    signals.worker_process_shutdown.connect(end, weak=False)
