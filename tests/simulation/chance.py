"""What a seed decides: the titles, the faults and their rates, and each roll on the way."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise

from media.plan import Chunk, EncodePlan
from media.segments import MeasuredSegment
from tests.titles import AUDIO, plan_of, title_of

RUNGS = ("480p", "720p", "1080p")
FAULTY_S = 150.0  # from then on only what is poison goes wrong, so that all must come to an end


@dataclass(frozen=True, slots=True)
class Shape:
    """A title. `poison` are pairs of rendition and segment whose encoding breaks every time, or kills its worker (`deadly`)."""

    rungs: tuple[str, ...]
    sound: bool
    segments: int
    together: bool  # one run for all rungs, or the lowest alone
    poison: frozenset[tuple[str, int]] = frozenset()
    deadly: bool = False
    refused: bool = False  # the probe rejects it
    no_poster: bool = False  # every attempt at a poster breaks
    deleted_at: float | None = None

    def plan(self) -> EncodePlan:
        return _plan(self.rungs, self.sound, self.segments, self.together)

    def table(self, rendition: str) -> tuple[MeasuredSegment, ...]:
        return _tables(self.rungs, self.sound, self.segments, self.together)[rendition]


@cache
def _plan(rungs: tuple[str, ...], sound: bool, segments: int, together: bool) -> EncodePlan:
    plan = plan_of(frames=144 * segments, rungs=rungs, audio=AUDIO if sound else None, source=f"{together}")
    bounds = [0, *range(1, segments, 2), segments]
    chunks = tuple(Chunk(index, first, end) for index, (first, end) in enumerate(pairwise(bounds)))
    return replace(plan, chunks=chunks, groups=(rungs,) if together or len(rungs) == 1 else (rungs[:1], rungs[1:]))


@cache
def _tables(rungs: tuple[str, ...], sound: bool, segments: int, together: bool) -> dict[str, tuple[MeasuredSegment, ...]]:
    return dict(title_of(_plan(rungs, sound, segments, together), least=100, most=200).tables)


@dataclass(frozen=True, slots=True)
class Rates:
    """Probability of each fault, per occasion."""

    store_fails: float = 0.0
    store_cuts: float = 0.0  # what was being written is there, but not all of it
    store_late: float = 0.0  # it was written, and the answer is lost
    slow: float = 0.0  # a call takes up to a minute
    database: float = 0.0  # a commit fails, or its answer is lost
    bell_dropped: float = 0.0
    bell_doubled: float = 0.0
    bell_late: float = 0.0
    run_fails: float = 0.0  # FFmpeg breaks, for once
    kill_every_s: float = 0.0  # a worker is killed, on average; 0: never
    stop_every_s: float = 0.0  # a worker is stopped for up to three minutes


@dataclass
class Chance:
    """One seed's."""

    seed: int
    roll: random.Random = field(init=False)
    rates: Rates = field(init=False)
    titles: tuple[Shape, ...] = field(init=False)
    workers: int = field(init=False)

    def __post_init__(self) -> None:
        self.roll = random.Random(self.seed)
        self.rates = self._draw_rates()
        self.titles = tuple(self._draw_title() for _ in range(1 if self.roll.random() < 0.8 else 2))
        self.workers = self.roll.choice((1, 2, 2, 3))

    def _some(self, most: float, share: float = 0.4) -> float:
        return self.roll.random() * most if self.roll.random() < share else 0.0

    def _draw_rates(self) -> Rates:
        return Rates(
            self._some(0.15), self._some(0.15), self._some(0.1), self._some(0.1), self._some(0.1), self._some(0.8), self._some(0.5),
            self._some(0.5), self._some(0.1, 0.2), 20 + self._some(60) if self.roll.random() < 0.5 else 0.0,
            20 + self._some(60) if self.roll.random() < 0.4 else 0.0,
        )  # fmt: skip

    def _draw_title(self) -> Shape:
        roll = self.roll
        rungs, sound, segments = RUNGS[: roll.choice((1, 2, 2, 3))], roll.random() < 0.7, roll.choice((1, 2, 3, 3))
        poison = frozenset[tuple[str, int]]()
        if roll.random() < 0.3:
            names = [*rungs, *(["audio"] if sound and roll.random() < 0.3 else [])]
            poison = frozenset((roll.choice(names), roll.randrange(segments)) for _ in range(roll.choice((1, 1, 2))))
        return Shape(
            rungs, sound, segments, roll.random() < 0.7, poison, roll.random() < 0.3, roll.random() < 0.03, roll.random() < 0.05,
            roll.uniform(5, 120) if roll.random() < 0.1 else None,
        )  # fmt: skip

    def happens(self, rate: float) -> bool:
        return rate > 0 and self.roll.random() < rate
