"""Crash points: every place at which the pipeline has an effect that outlives its process.

A point is a commit that wrote something, a call of the object store, a run of a program, or a bell to the broker; all but reads are two
points, one before and one after. It is named by the effect and by the function that wanted it (and, inside a step, by the step's kind),
and numbered in the order in which one run comes by; so the same point is found again when threads race.

The product knows nothing of this: points are found where its effects go through (`tests.crash.effects`). `Points` either notes what
is reached, or kills its own process with SIGKILL at one of them: nothing is flushed, nothing is said.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import FrameType

from kit.jobs import Job

ROOMS = ("media", "kit", "catalog", "accounts", "ingest", "transcode", "packager", "origin", "recommend", "web", "worker")
PASSAGES = frozenset(  # only pass effects on
    {"ingest.sessions.transaction", "kit.step._insist", "kit.step._tried", "kit.step.run", "ingest.writer._thread"}
)
LASTING_S = 30.0  # for what comes by itself, in a run that waits for it

TIMED = {"heartbeat": "kit.step._renew", "lease": "ingest.sessions.still_held"}
"""What happens when it is time for it, and not when something was done: only the first of each is a point, and is waited for."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """`name` is the effect, when, and from where: "put after transcode.title.store [transcode.encode]"."""

    name: str
    ordinal: int  # from 1, within one run

    def __str__(self) -> str:
        return f"{self.name} #{self.ordinal}"


class Points:
    """Notes the points that a run reaches, or dies at one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self, target: Point | None = None) -> None:
        """A new run, which is to die at `target`."""
        self._target = target
        self._counts: Counter[str] = Counter()
        self._waited: set[str] = set()
        self.reached: list[Point] = []

    def reach(self, effect: str, when: str) -> None:
        where = _where()
        name = f"{effect} {when} {where}"
        with self._lock:
            self._counts[name] += 1
            point = Point(name, self._counts[name])
            if not (point.ordinal > 1 and _is_timed(name)):
                self.reached.append(point)
        if point == self._target:
            os.kill(os.getpid(), signal.SIGKILL)

    def wait_for(self, what: str) -> None:
        """Until this of `TIMED` has happened, in runs that are about it."""
        place = TIMED[what]
        self._waited.add(place)
        if self._target is not None and place not in self._target.name:
            return
        end_s = time.monotonic() + LASTING_S
        while not any(place in name and " after " in name for name in tuple(self._counts)) and time.monotonic() < end_s:
            time.sleep(0.01)

    def sure(self) -> list[Point]:
        """What was reached and will be again: of what comes by itself only what was waited for."""
        return [point for point in self.reached if not _is_timed(point.name) or any(place in point.name for place in self._waited)]


def _is_timed(name: str) -> bool:
    return any(place in name for place in TIMED.values())


def _where() -> str:
    """The product's function that is nearest to the effect, and the kind of the step that runs it."""
    found, kind = "", ""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and not kind:
        module, function = str(frame.f_globals.get("__name__", "")), frame.f_code.co_name
        if not found and module.partition(".")[0] in ROOMS and not module.startswith(("kit.db", "kit.storage")):
            found = "" if f"{module}.{function}" in PASSAGES or function.startswith("<") else f"{module}.{function}"
        if found and module == "kit.step":
            job = frame.f_locals.get("job") or getattr(frame.f_locals.get("self"), "job", None)
            kind = f" [{job.kind}]" if isinstance(job, Job) else ""
        frame = frame.f_back
    return f"{found or _outside()}{kind}"


def _outside() -> str:
    """Of an effect that the client of a scenario asked for itself, or that the server sent to a thread as it stands."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None:
        if frame.f_globals.get("__name__") == "tests.crash.scenarios" and not frame.f_code.co_name.startswith("<"):
            return f"the client's {frame.f_code.co_name}"
        frame = frame.f_back
    return "a thread of the server"
