"""What more workers would bring: a simulation on recorded times of jobs. Pure.

Workers take jobs as `kit.job_store.claim` hands them out: the most urgent first, among equals of the title that the fewest workers
work for, then the oldest. What may begin when follows `worker.flow`: probe, plan, the opening, then everything else at once, then
publishing. A job takes as long as it took where it was recorded, on one core, so what is left out is what workers take from each other:
the database, the store, the network.

Besides the wall time the simulation says what stands in the way of more: the steps before the encoding, one after the other; the
sound, which is encoded in one run; and the tail, in which workers run out of chunks while others still have one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

WORKERS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Task:
    """One job and how long one worker takes for it."""

    kind: str
    seconds: float
    priority: int = 0
    weight: float = 0.0
    gate: bool = True  # whether the next stage waits for it


@dataclass(frozen=True, slots=True)
class Title:
    """Stages follow each other: the next is made when every gate of the one before has ended."""

    stages: tuple[tuple[Task, ...], ...]
    arrives_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """A task as it was worked on. `made_s` is when it could have been begun."""

    title: int
    stage: int
    task: Task
    made_s: float
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Scale:
    """A title with so many workers."""

    workers: int
    wall_s: float
    speed_up: float  # against one worker
    busy: float  # share of the workers' time, 0 to 1
    before_s: float  # until the encoding began
    audio_s: float  # from the begin of the encoding to the end of the sound
    tail_s: float  # from when the first worker had nothing left to take to the end
    last: str  # the kind of job that ended last before publishing

    @property
    def efficiency(self) -> float:
        return self.speed_up / self.workers


@dataclass(order=True, slots=True)
class _Ready:
    order: int
    title: int
    stage: int
    task: Task
    made_s: float


class _Queue:
    """What may be begun now."""

    def __init__(self, titles: Sequence[Title]) -> None:
        self._titles = titles
        self._count = 0
        self._ready: list[_Ready] = []
        self._open_gates: dict[tuple[int, int], int] = {}
        self.running: Counter[int] = Counter()

    def make(self, title: int, stage: int, now_s: float) -> None:
        tasks = self._titles[title].stages[stage]
        self._open_gates[title, stage] = sum(task.gate for task in tasks)
        for task in tasks:
            self._ready.append(_Ready(self._count, title, stage, task, now_s))
            self._count += 1

    def take(self) -> _Ready | None:
        if not self._ready:
            return None
        first = min(self._ready, key=lambda item: (-item.task.priority, self.running[item.title], item.order))
        self._ready.remove(first)
        self.running[first.title] += 1
        return first

    def ended(self, item: _Ready, now_s: float) -> None:
        self.running[item.title] -= 1
        if item.task.gate:
            self._open_gates[item.title, item.stage] -= 1
            if self._open_gates[item.title, item.stage] == 0 and item.stage + 1 < len(self._titles[item.title].stages):
                self.make(item.title, item.stage + 1, now_s)


@dataclass(slots=True)
class _Running:
    item: _Ready
    began_s: float
    left_s: float


def at_full_speed(_running: int) -> float:
    return 1.0


def simulate(titles: Sequence[Title], workers: int, speed: Callable[[int], float] = at_full_speed) -> tuple[Done, ...]:
    """Everything that is done, in the order in which it ends. `speed`: of each task when so many are running, 1 for as recorded."""
    queue = _Queue(titles)
    arrivals = sorted(range(len(titles)), key=lambda title: -titles[title].arrives_s)  # the next one last
    running: list[_Running] = []
    done: list[Done] = []
    now_s = 0.0
    while True:
        while arrivals and titles[arrivals[-1]].arrives_s <= now_s:
            queue.make(arrivals.pop(), 0, now_s)
        while len(running) < workers and (item := queue.take()) is not None:
            running.append(_Running(item, now_s, item.task.seconds))
        if not running and not arrivals:
            return tuple(done)
        pace = speed(len(running))
        first = min(running, key=lambda one: one.left_s) if running else None
        wait_s = first.left_s / pace if first is not None else inf
        if arrivals and (first is None or titles[arrivals[-1]].arrives_s - now_s < wait_s):
            wait_s, first = titles[arrivals[-1]].arrives_s - now_s, None
        now_s += wait_s
        for one in running:
            one.left_s -= wait_s * pace
        if first is not None:
            running.remove(first)
            queue.ended(first.item, now_s)
            item = first.item
            done.append(Done(item.title, item.stage, item.task, item.made_s, first.began_s, now_s))


def scale(title: Title, encoding_stage: int, workers: Sequence[int] = WORKERS, audio_kind: str = "transcode.audio") -> tuple[Scale, ...]:
    """One title with each number of workers. `encoding_stage` is the stage that all chunks belong to."""
    found: list[Scale] = []
    alone_s = max(item.ended_s for item in simulate([title], 1))
    for count in workers:
        done = simulate([title], count)
        wall_s = max(item.ended_s for item in done)
        encoding = [item for item in done if item.stage == encoding_stage]
        before_s = min(item.made_s for item in encoding)
        ends = sorted(item.ended_s for item in encoding)
        audio_s = max((item.ended_s for item in encoding if item.task.kind == audio_kind), default=before_s) - before_s
        tail_s = ends[-1] - (ends[-count] if count <= len(ends) else before_s)
        busy = sum(item.task.seconds for item in done) / (count * wall_s)
        last = max(encoding, key=lambda item: item.ended_s).task.kind
        found.append(Scale(count, wall_s, alone_s / wall_s, busy, before_s, audio_s, tail_s, last))
    return tuple(found)


def stops_at(scales: Sequence[Scale], least_efficiency: float = 0.5) -> Scale | None:
    """The first number of workers that brings less than half of what it could; None when all bring more."""
    return next((item for item in scales if item.efficiency < least_efficiency), None)


def reason(item: Scale) -> str:
    """In words, what kept this many workers from being faster."""
    parts = {
        "the steps before the encoding": item.before_s,
        "the sound, which is one run": item.audio_s if item.last == "transcode.audio" else 0.0,
        "the tail, in which workers find no chunk any more": item.tail_s if item.last != "transcode.audio" else 0.0,
    }
    name = max(parts, key=lambda part: parts[part])
    return f"{name} ({parts[name]:.1f} of {item.wall_s:.1f} s)"
