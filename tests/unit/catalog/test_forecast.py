"""Whole lives of titles, replayed: progress never falls, and from a fifth on the remaining time is what came, within a quarter.

Simulated ones (`bench.scaling`), with workers that share two cores or have one each, alone and among other titles, and recorded ones from
real runs of the whole stack (tests/recordings; `bench.stack_run.as_recording` makes them of what `make bench-ladder` keeps).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from bench.scaling import Done, Task, Title, simulate
from catalog.asset import AssetStatus
from catalog.kinds import AUDIO, ENCODE, PLAN, POSTER, PROBE
from catalog.progress import AssetProgress, asset_progress, rendition_progress
from kit.jobs import Job, State
from tests.tallies import tally

ZERO = datetime(2026, 11, 22, 12, tzinfo=UTC)
RUNGS = ("480p", "720p", "1080p")
FROM = 0.2  # of progress
WITHIN = 0.25
LEAST_S = 5.0  # nobody minds being told 10 s when it is 5
LOOKS = 60
RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.json"))


@dataclass(frozen=True)
class Life:
    """What became of one job, seconds since the title arrived; `progress` at a moment."""

    kind: str
    weight: float
    made_s: float
    began_s: float
    ended_s: float
    progress: Callable[[float], float]

    def at(self, now_s: float) -> Job | None:
        if now_s < self.made_s:
            return None
        state = State.QUEUED if now_s < self.began_s else State.RUNNING if now_s < self.ended_s else State.SUCCEEDED
        return Job(
            id=f"{self.kind} {self.made_s} {self.began_s}", kind=self.kind, subject="s", asset_id="ast_1", priority=0, weight=self.weight,
            args={"renditions": list(RUNGS)} if self.kind == ENCODE else {}, state=state, attempt=1, max_attempts=3, epoch=1, owner=None,
            lease_until=None, not_before=ZERO, stats={}, error_code=None, error_detail=None, created_at=_time(self.made_s),
            progress={State.QUEUED: 0.0, State.SUCCEEDED: 1.0}.get(state, self.progress(now_s)),
            started_at=None if state is State.QUEUED else _time(self.began_s),
            finished_at=_time(self.ended_s) if state is State.SUCCEEDED else None,
        )  # fmt: skip


def _time(seconds: float) -> datetime:
    return ZERO + timedelta(seconds=seconds)


@dataclass(frozen=True)
class Told:
    at_s: float
    asset: AssetProgress
    rendition: float


def told(lives: Sequence[Life]) -> Iterator[Told]:
    """What is said of a title until its last job ends."""
    end_s, now_s = max(life.ended_s for life in lives), 0.0
    every_s = max(1.0, end_s / LOOKS)
    while now_s < end_s:
        tallies = tally([job for life in lives if (job := life.at(now_s)) is not None], _time(now_s))
        rendition = rendition_progress("720p", "video", AssetStatus.PROCESSING, tallies).progress
        yield Told(now_s, asset_progress(AssetStatus.PROCESSING, tallies), rendition)
        now_s += every_s


def assert_true(lives: Sequence[Life], *, since_s: float = 0.0, least_s: float = LEAST_S) -> None:
    """`since_s`: from when on the forecast could know what was to come."""
    end_s, said = max(life.ended_s for life in lives), list(told(lives))
    for name, values in (("asset", [item.asset.progress for item in said]), ("rendition", [item.rendition for item in said])):
        assert values == sorted(values), name
    judged = [item for item in said if item.asset.progress >= FROM and item.at_s >= since_s]
    assert len(judged) > 5
    for item in judged:
        left_s = end_s - item.at_s
        assert item.asset.eta_s == pytest.approx(left_s, rel=WITHIN, abs=least_s), f"at {item.at_s:.0f} s, {item.asset.progress:.0%}"


# -- simulated


def a_title(seconds: float, seed: int, *, arrives_s: float = 0.0, variety: float = 0.12) -> Title:
    """1080p at 24 frames per second. `variety`: a chunk is so much easier or harder than the flow expects."""
    dice = Random(seed)
    lengths = [6.0, *[24.0] * int((seconds - 6) / 24), (seconds - 6) % 24]
    weights = [2.4 * length for length in lengths if length]
    chunks = [Task(ENCODE, weight * 0.8 * dice.uniform(1 - variety, 1 + variety), weight=weight) for weight in weights]
    work = (Task(AUDIO, 0.02 * seconds, priority=12, weight=0.02 * seconds), Task(POSTER, 0.6, priority=10, weight=0.5), *chunks)
    before = [Task(PROBE, 0.5, 200, 1.0), Task(PLAN, 0.4, 200, 1.0), Task("transcode.segment", 1.5, 300)]
    return Title((*((task,) for task in before), work), arrives_s)


def lives(done: Sequence[Done], title: int = 0) -> list[Life]:
    """Progress arrives about a second late, and stands at 95 % while the output is verified and stored."""

    def reached(item: Done) -> Callable[[float], float]:
        return lambda now_s: 0.95 * max(0.0, min(1.0, (now_s - 0.9 - item.began_s) / (0.97 * (item.ended_s - item.began_s))))

    own = [item for item in done if item.title == title]
    zero_s = min(item.made_s for item in own)
    return [
        Life(item.task.kind, item.task.weight, item.made_s - zero_s, item.began_s - zero_s, item.ended_s - zero_s,
             lambda now_s, item=item: reached(item)(now_s + zero_s))  # type: ignore[misc]
        for item in own
    ]  # fmt: skip


def cores(count: int) -> Callable[[int], float]:
    """So many cores, with a worker for each; the program of a job uses nearly two when they are there."""
    return lambda running: min(1.7, count / running)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("seconds", "workers"), [(90, 1), (90, 2), (600, 1), (600, 2)])
def test_alone_on_two_cores(seconds: float, workers: int, seed: int) -> None:
    assert_true(lives(simulate([a_title(seconds, seed)], workers, cores(2))))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("workers", [4, 16])
def test_on_many_machines(workers: int, seed: int) -> None:
    """The last jobs grow faster than is told here, where each goes at one pace from begin to end."""
    assert_true(lives(simulate([a_title(3600, seed)], workers, cores(workers))), least_s=8.0)


@pytest.mark.parametrize("seed", range(2))
def test_among_other_titles(seed: int) -> None:
    """Three titles of the same length share two workers all the time."""
    done = simulate([a_title(480, seed + n) for n in range(3)], 2, cores(2))
    assert_true(lives(done, max(range(3), key=lambda title: max(item.ended_s for item in done if item.title == title))))


def test_when_another_title_comes_and_goes() -> None:
    """A forecast cannot know that it will; but a minute later it says what it means."""
    done = simulate([a_title(1200, 1), a_title(1200, 2, arrives_s=200)], 2, cores(2))
    assert_true(lives(done), since_s=200 + 75)


# -- recorded


def recorded(path: Path) -> list[Life]:
    kept = json.loads(path.read_text())

    def one(job: dict[str, list[float]], looks: list[float]) -> Callable[[float], float]:
        return lambda now_s: next(
            (reached for at_s, reached in reversed(list(zip(looks, job["progress"], strict=True))) if at_s <= now_s), 0.0
        )

    return [
        Life(job["kind"], job["weight"], job["made_s"], job["began_s"], job["ended_s"], one(job, kept["looks"])) for job in kept["jobs"]
    ]


def test_what_really_happened() -> None:
    """Of a run whose machine was left alone (quiet-*.json) the forecast was true. Nobody can foretell what other programs will do to a
    machine: of a run among many (busy-*.json) only progress is judged, and that there was a forecast."""
    assert RECORDINGS
    for path in RECORDINGS:
        life = recorded(path)
        if path.stem.startswith("quiet"):
            assert_true(life)
        said = list(told(life))
        assert [item.asset.progress for item in said] == sorted(item.asset.progress for item in said)
        assert all((item.asset.eta_s or 0.0) > 0 for item in said if item.asset.progress >= FROM)


def test_that_weights_that_are_wrong_would_be_noticed() -> None:
    title = a_title(600, 0)
    wrong = tuple(replace(task, weight=task.weight * (6 if n % 25 < 12 else 1)) for n, task in enumerate(title.stages[-1]))
    with pytest.raises(AssertionError):
        assert_true(lives(simulate([replace(title, stages=(*title.stages[:-1], wrong))], 2, cores(2))))
