"""Keeps the parts of a local Headwater running, and ends them.

Parts are started stage by stage: those of one stage at the same time, a stage when the one before is ready. While they run, a part
that ends is started again after a pause, as often as it has to be: titles go on being watched while a worker keeps dying. Only one
that cannot start any more, time after time, ends everything with a sentence, because no waiting will help it. Parts are stopped in
the reverse order of their stages. `next_step` decides what happens to a part that ended; the rest does it.

The console is somebody else's: everything that happens is told to a `Teller`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from kit.clock import Clock
from stack.child import Child, Part, PartFailed

_LOOK_S = 0.25
_ROTATE_EVERY_S = 30.0
_LOG_LIMIT_BYTES = 10 << 20
_FAILED_STARTS, _WINDOW_S = 4, 120.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.4, 5.0


class Teller(Protocol):
    """Who tells a person what happens."""

    def ready(self, part: Part, seconds: float) -> None: ...
    def restarted(self, part: Part, sentence: str) -> None: ...
    def stopping(self) -> None: ...
    def stopped(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class End:
    """That a part ended once."""

    at_s: float
    in_vain: bool  # it had not been ready, and nobody killed it: SIGKILL comes from outside and says nothing of whether it can start


def next_step(ends: Sequence[End], now_s: float) -> float | None:
    """How many seconds to wait before a part is started again whose ends are given, the present one last; None when that is
    hopeless: more than four times in two minutes it ended by itself while it was starting. Pauses double with each end in that time.
    """
    lately = [end for end in ends if now_s - end.at_s < _WINDOW_S]
    if sum(end.in_vain for end in lately) > _FAILED_STARTS:
        return None
    return min(_LONGEST_PAUSE_S, _SHORTEST_PAUSE_S * 2.0 ** (len(lately) - 1))


def ending(part: Part, exit_code: int, last_words: str) -> str:
    """How a part ended, as the beginning of a sentence."""
    if exit_code < 0:
        return f"{part.name} was ended by {signal.Signals(-exit_code).name}"
    said = f" saying: {last_words.rstrip('.')}" if last_words else ""
    return f"{part.name} ended with exit code {exit_code}{said}"


def rotate(log: Path, limit_bytes: int = _LOG_LIMIT_BYTES) -> None:
    """Move what `log` holds to `log.1` when it has grown too large. Copy and truncate: its writer keeps its open file, in append mode."""
    if log.exists() and log.stat().st_size > limit_bytes:
        kept = log.read_bytes()
        log.with_name(log.name + ".1").write_bytes(kept[-limit_bytes:])
        with log.open("r+b") as file:
            file.truncate(0)


@dataclass(slots=True)
class _Running:
    describe: Callable[[], Part]  # again before every start: it also clears away what a killed one left behind
    child: Child
    ends: list[End]
    is_well: bool = False  # it has been ready since its last start
    due_s: float | None = None  # when it is to be started again, once it has ended


class Supervisor:
    """Use from one thread, the one that starts it: see `Child`."""

    def __init__(self, teller: Teller, clock: Clock, marks: Mapping[str, str]) -> None:
        """`marks` are added to the environment of every part."""
        self._teller, self._clock, self._marks = teller, clock, marks
        self._stages: list[list[_Running]] = []
        self._wanted_to_stop = threading.Event()
        self._hurry = False

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Once: stop in order. Twice: stop at once."""
        self._hurry = self._wanted_to_stop.is_set()
        self._wanted_to_stop.set()

    def children(self) -> list[Child]:
        return [running.child for stage in self._stages for running in stage]

    def start(self, parts: Sequence[Callable[[], Part]]) -> None:
        """Start one stage and wait for it. A part is described when its turn comes, as that prepares its folder. Raises PartFailed."""
        stage: list[_Running] = []
        self._stages.append(stage)
        for describe in parts:
            stage.append(_Running(describe, Child(describe(), self._marks), []))  # noqa: PERF401 - when one fails, those before it have to be stopped
        for running in stage:
            self._teller.ready(running.child.part, running.child.wait_ready(give_up=self._wanted_to_stop.is_set))
            running.is_well = True

    def watch(self) -> None:
        """Until a signal asks to stop. Raises PartFailed when a part cannot start any more."""
        rotated_s = self._clock.monotonic_s()
        while not self._wanted_to_stop.wait(_LOOK_S):
            for stage in self._stages:
                for running in stage:
                    if not self._wanted_to_stop.is_set():
                        self._look_after(running)
            if self._clock.monotonic_s() - rotated_s > _ROTATE_EVERY_S:
                rotated_s = self._clock.monotonic_s()
                for child in self.children():
                    rotate(child.part.log)

    def _look_after(self, running: _Running) -> None:
        """One part, without waiting: the others may need something too."""
        if running.due_s is not None:
            if self._clock.monotonic_s() >= running.due_s:
                running.child, running.due_s, running.is_well = Child(running.describe(), self._marks), None, False
        elif running.child.exit_code is not None:
            self._ended(running)
        elif not running.is_well:
            running.is_well = running.child.part.ready()

    def _ended(self, running: _Running) -> None:
        child, now_s = running.child, self._clock.monotonic_s()
        how = ending(child.part, child.exit_code or 0, child.last_words())
        child.stop()  # whoever it left behind
        in_vain = not running.is_well and child.exit_code != -signal.SIGKILL
        running.ends = [*(end for end in running.ends if now_s - end.at_s < _WINDOW_S), End(now_s, in_vain)]
        pause_s = next_step(running.ends, now_s)
        if pause_s is None:
            raise PartFailed(f"{how}, again and again, so everything was stopped. Its log is {child.part.log}.")
        running.due_s = now_s + pause_s
        self._teller.restarted(child.part, f"{how} and is started again.")

    def stop(self) -> None:
        """Everything that was started, the last stage first, and nothing else."""
        began_s = self._clock.monotonic_s()
        self._teller.stopping()
        for stage in reversed(self._stages):
            for running in stage:
                running.child.ask_to_stop()
            for running in stage:
                running.child.stop(hurry=lambda: self._hurry)
        self._stages.clear()
        self._teller.stopped(self._clock.monotonic_s() - began_s)
