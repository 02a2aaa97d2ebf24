"""Who does something next: processes as generators, on a clock that jumps from one event to the next.

A process yields the seconds it lets pass; between two yields nobody else acts. A `Group` is what lives and dies together, as the
threads of one operating system process do: it can be killed, and stopped for a while.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.memory import Clock

Life = Generator[float, None, Any]


@dataclass(eq=False)
class Process:
    name: str
    life: Life
    group: Group
    turn: int = 0  # an older entry of the agenda does not count
    over: bool = False


@dataclass(eq=False)
class Group:
    """`stopped_until`: nothing of it moves before that time, in seconds."""

    name: str
    stopped_until: float = 0.0
    processes: list[Process] = field(default_factory=list)

    def kill(self) -> None:
        for process in self.processes:
            process.over = True
            process.life.close()
        self.processes.clear()


class Agenda:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._entries: list[tuple[float, int, int, Process]] = []
        self._serial = 0

    def start(self, name: str, life: Life, group: Group, delay_s: float = 0.0) -> Process:
        process = Process(name, life, group)
        group.processes.append(process)
        self._push(process, self.clock.seconds + delay_s)
        return process

    def wake(self, process: Process, delay_s: float = 0.0) -> None:
        """Its next turn comes so soon, and not when it meant."""
        if not process.over:
            self._push(process, self.clock.seconds + delay_s)

    def _push(self, process: Process, at: float) -> None:
        process.turn += 1
        self._serial += 1
        heapq.heappush(self._entries, (at, self._serial, process.turn, process))

    def step(self) -> Process | None:
        """Lets the next process act once. None when nobody is left."""
        while self._entries:
            at, _, turn, process = heapq.heappop(self._entries)
            if process.over or turn != process.turn:
                continue
            if at < process.group.stopped_until:
                self._push(process, process.group.stopped_until)
                continue
            self.clock.seconds = max(self.clock.seconds, at)
            try:
                pause_s = next(process.life)
            except StopIteration:
                process.over = True
                if process in process.group.processes:
                    process.group.processes.remove(process)
            else:
                if not process.over:
                    self._push(process, self.clock.seconds + pause_s)
            return process
        return None
