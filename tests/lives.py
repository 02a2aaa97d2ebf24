"""Whole lives of titles, replayed second by second: what was said of them, and what came.

Lives are recorded (tests/recordings, of real runs of the whole stack) or simulated (`bench.scaling`).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.scaling import Done
from catalog.asset import AssetStatus
from catalog.kinds import ENCODE
from catalog.progress import AssetProgress, asset_progress, rendition_progress
from kit.jobs import Job, State
from tests.tallies import tally

ZERO = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNGS = ("480p", "720p", "1080p")
RECORDINGS = Path(__file__).parent / "recordings"
FROM = 0.2  # of progress
WITHIN = 0.25
LEAST_S = 5.0  # nobody minds being told 10 s when it is 5
LOOKS = 60


@dataclass(frozen=True)
class Lost:
    """An attempt that came to nothing: the job stood as running until it was taken back."""

    began_s: float
    ended_s: float
    reached: float


@dataclass(frozen=True)
class Life:
    """What became of one job, seconds since the title arrived; `progress` is what it told at a moment of its last attempt."""

    kind: str
    weight: float
    made_s: float
    began_s: float
    ended_s: float
    progress: Callable[[float], float]
    crew: int = 0
    lost: Lost | None = None

    def at(self, now_s: float) -> Job | None:
        if now_s < self.made_s:
            return None
        if self.lost is not None and self.lost.began_s <= now_s < self.lost.ended_s:
            return self._job(State.RUNNING, self.lost.began_s, None, self.lost.reached, self.lost.reached)
        kept = self.lost.reached if self.lost is not None and now_s >= self.lost.ended_s else 0.0
        if now_s < self.began_s:
            return self._job(State.QUEUED, None, None, kept, 0.0)
        if now_s < self.ended_s:
            own = self.progress(now_s)
            return self._job(State.RUNNING, self.began_s, None, max(kept, own), own)
        return self._job(State.SUCCEEDED, self.began_s, self.ended_s, 1.0, 1.0)

    def _job(self, state: State, began_s: float | None, ended_s: float | None, progress: float, own: float) -> Job:
        return Job(
            id=f"{self.kind} {self.made_s} {self.began_s}", kind=self.kind, subject="s", asset_id="ast_1", priority=0, weight=self.weight,
            args={"renditions": list(RUNGS)} if self.kind == ENCODE else {}, state=state, attempt=1, max_attempts=3, epoch=1, owner=None,
            lease_until=None, not_before=ZERO, stats={"reached": own, "crew": self.crew}, error_code=None, error_detail=None,
            created_at=_time(self.made_s), progress=progress, started_at=None if began_s is None else _time(began_s),
            finished_at=None if ended_s is None else _time(ended_s),
        )  # fmt: skip


def _time(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Told:
    """What was said at a moment, and how long it then took indeed."""

    at_s: float
    left_s: float
    asset: AssetProgress
    rendition: float

    @property
    def off(self) -> float:
        """How much too long (or too short, below 0) the remaining time was, as a share of what came; infinite when none was told."""
        return float("inf") if self.asset.eta_s is None else self.asset.eta_s / self.left_s - 1

    @property
    def off_s(self) -> float:
        return float("inf") if self.asset.eta_s is None else self.asset.eta_s - self.left_s

    def __str__(self) -> str:
        told = "nothing" if self.asset.eta_s is None else f"{self.asset.eta_s:.0f} s"
        return f"at {self.at_s:.0f} s ({self.asset.progress:.0%}): {told} told, {self.left_s:.0f} s came"


def told(lives: Sequence[Life], looks: int = LOOKS) -> Iterator[Told]:
    """What is said of a title until its last job ends."""
    end_s, now_s = max(life.ended_s for life in lives), 0.0
    every_s = max(1.0, end_s / looks)
    while now_s < end_s:
        tallies = tally([job for life in lives if (job := life.at(now_s)) is not None], _time(now_s))
        rendition = rendition_progress("720p", "video", AssetStatus.PROCESSING, tallies).progress
        yield Told(now_s, end_s - now_s, asset_progress(AssetStatus.PROCESSING, tallies), rendition)
        now_s += every_s


def worst(said: Sequence[Told], least_s: float = LEAST_S) -> Told:
    """Which was the furthest off, from a fifth on; those that are off by `least_s` or less only when there are no others."""
    judged = [item for item in said if item.asset.progress >= FROM]
    return max(judged, key=lambda item: (abs(item.off_s) > least_s, abs(item.off)))


# -- recorded


def recorded(path: Path) -> list[Life]:
    """`bench.stack_run.as_recording` makes such files."""
    kept = json.loads(path.read_text())
    return [_recorded(job, kept["crew"]) for job in kept["jobs"]]


def _recorded(job: dict[str, Any], crew: int) -> Life:
    moments = [at_s for at_s, _ in job["told"]]

    def progress(now_s: float) -> float:
        seen = bisect_right(moments, now_s)
        return float(job["told"][seen - 1][1]) if seen else 0.0

    return Life(job["kind"], job["weight"], job["made_s"], job["began_s"], job["ended_s"], progress, crew)


# -- simulated


def lives(done: Sequence[Done], title: int = 0, crew: int = 0) -> list[Life]:
    """Progress arrives about half a second late, in hundredths, and none before a twentieth: until then nothing is in the files."""
    own = [item for item in done if item.title == title]
    zero_s = min(item.made_s for item in own)

    def life(item: Done) -> Life:
        began_s, ended_s = item.began_s - zero_s, item.ended_s - zero_s

        def progress(now_s: float) -> float:
            share = 0.98 * min(1.0, (now_s - 0.6 - began_s) / (ended_s - began_s))
            return round(share, 2) if share > 0.05 else 0.0

        return Life(item.task.kind, item.task.weight, item.made_s - zero_s, began_s, ended_s, progress, crew)

    return [life(item) for item in own]


def warped(lives: Sequence[Life], wall_s: Callable[[float], float], work_s: Callable[[float], float]) -> list[Life]:
    """The same on a machine whose speed changes: `wall_s` says when what was done at a second is done there, `work_s` the reverse."""

    def one(life: Life) -> Life:
        progress = life.progress
        made_s, began_s, ended_s = wall_s(life.made_s), wall_s(life.began_s), wall_s(life.ended_s)
        return replace(life, made_s=made_s, began_s=began_s, ended_s=ended_s, progress=lambda now_s: progress(work_s(now_s)))

    return [one(life) for life in lives]
