"""How far an asset is, worked out from its jobs when somebody asks. Nothing here is stored, so nothing can go stale.

An asset's progress is made of fixed shares: probing, planning, and then all encoding work weighted by expected CPU. The
encoding jobs of a plan are created together, once its opening is there, and a job's own progress never falls, so the sum
never falls either. The last hundredth is kept for publishing: only a ready asset is at 1.

The time that remains is what is left at the pace of late, played through. The pace is two figures: how many workers are at work for the
asset (over the last minute, so that it tells soon when other titles come and go), and how much each of them gets done (over the last
minutes, because one scene is easier than the next). A job that runs is judged by its own pace, the more so the further it is. To
the end workers find no job any more, and those that still have one get the machine to themselves. Segments that viewers asked for
weigh nothing.

`JobTally` sums up the jobs that are alike (same kind, renditions and state; those that run, each by itself): a long title has
thousands of jobs and the answer needs a few dozen numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from catalog.asset import AssetStatus
from catalog.kinds import AUDIO, ENCODE, PLAN, POSTER, PROBE
from kit.jobs import State

RenditionStatus = Literal["waiting", "encoding", "ready", "failed"]

WORK = (ENCODE, AUDIO, POSTER)
_PROBE_SHARE, _PLAN_SHARE, _WORK_SHARE = 0.02, 0.01, 0.96
_ETA_FROM = 0.02  # below this much work done, a forecast is a guess

LATELY_S = 60.0  # over which it is counted how many workers an asset has
PACE_S = 300.0  # over which it is measured how fast each of them is: jobs that run, or ended no longer ago
PROGRESS_AGE_S = 1.0  # how old the progress of a running job is, about: FFmpeg reports twice a second, a heartbeat follows in a second
# How much faster a job is when its is the only one: a process of several encoders uses two cores, but for its largest picture.
_ALONE = 1.7
_ROUNDS = 3  # of jobs that are played through one by one


@dataclass(frozen=True, slots=True)
class JobTally:
    """Jobs of one asset that are alike, summed up at one moment."""

    kind: str
    renditions: tuple[str, ...]  # of encode and audio jobs; empty for all others
    state: State
    count: int  # 1 when they run
    weight: float
    done_weight: float  # sum of weight times progress
    heaviest: float  # weight of one of them
    fps: float  # sum over running jobs
    pace_weight: float  # done by those that run or ended within PACE_S,
    pace_s: float  # and the seconds that this took
    lately_s: float  # seconds that workers gave to them within LATELY_S
    age_s: float  # since the first of them was begun; 0 when none has been


@dataclass(frozen=True, slots=True)
class RenditionProgress:
    status: RenditionStatus
    progress: float  # 0 to 1
    fps: float | None  # encoded frames per second of wall time, all running jobs together; None when nothing runs


@dataclass(frozen=True, slots=True)
class AssetProgress:
    progress: float  # 0 to 1; never falls while the asset is processing
    eta_s: float | None  # None when there is nothing to go by


def _fraction(tallies: Iterable[JobTally]) -> float:
    """Done weight over all weight; 0 when there is no work."""
    total = done = 0.0
    for item in tallies:
        total += item.weight
        done += item.done_weight
    return min(1.0, done / total) if total > 0 else 0.0


def rendition_progress(name: str, kind: str, status: AssetStatus, tallies: Sequence[JobTally], *, lost: bool = False) -> RenditionProgress:
    """How far one rendition of the plan is. `kind` is "video" or "audio"; `lost` says that it was given up while its title goes on."""
    if status is AssetStatus.READY and not lost:
        return RenditionProgress("ready", 1.0, None)
    of_it = [item for item in tallies if _makes(item, name, kind)]
    own = _wanted(of_it, status)
    progress = _fraction(own)
    if lost:
        return RenditionProgress("failed", progress, None)
    # A chunk of several rungs that failed has been divided: those that came in its place tell how it goes.
    states = {item.state for item in own if item.state is not State.FAILED or len(item.renditions) <= 1}
    fps = sum(item.fps for item in own)
    found = _rendition_status(states, progress, status)
    return RenditionProgress(found, 1.0 if found == "ready" else progress, round(fps, 1) if fps > 0 else None)


def _makes(item: JobTally, name: str, kind: str) -> bool:
    if kind == "audio":
        return item.kind == AUDIO and (name in item.renditions or not item.renditions)  # those of before there were several name none
    return item.kind == ENCODE and name in item.renditions


def _wanted(tallies: Iterable[JobTally], status: AssetStatus) -> list[JobTally]:
    """Without the jobs that were made early of a file that then came otherwise; of an asset that was given up, all are cancelled."""
    return [item for item in tallies if item.state is not State.CANCELLED or status is AssetStatus.ERRORED]


def _rendition_status(states: set[State], progress: float, status: AssetStatus) -> RenditionStatus:
    if states and states <= {State.SUCCEEDED}:
        return "ready"
    if State.FAILED in states or status is AssetStatus.ERRORED:
        return "failed"
    if State.RUNNING in states or State.SUCCEEDED in states or progress > 0:
        return "encoding"
    return "waiting"


def asset_progress(status: AssetStatus, tallies: Sequence[JobTally]) -> AssetProgress:
    """How far the whole asset is, and how much longer it should take at the pace of late."""
    if status is AssetStatus.READY:
        return AssetProgress(1.0, None)
    if status in (AssetStatus.WAITING, AssetStatus.UPLOADING):
        return AssetProgress(0.0, None)
    wanted = _wanted(tallies, status)
    work = [item for item in wanted if item.kind in WORK]
    done = _fraction(work)
    probed = _fraction(item for item in wanted if item.kind == PROBE)
    planned = _fraction(item for item in wanted if item.kind == PLAN)
    progress = _PROBE_SHARE * probed + _PLAN_SHARE * planned + _WORK_SHARE * done
    eta_s = _remaining_s(work) if status is AssetStatus.PROCESSING and done >= _ETA_FROM else None
    return AssetProgress(round(progress, 4), eta_s)


def _remaining_s(work: Sequence[JobTally]) -> float | None:
    """None when nobody has worked for the asset lately."""
    age_s, pace_s = max(item.age_s for item in work), sum(item.pace_s for item in work)
    if age_s <= 0 or pace_s <= 0:
        return None
    workers = sum(item.lately_s for item in work) / min(age_s, LATELY_S)
    speed = sum(item.pace_weight for item in work) / pace_s
    if workers <= 0 or speed <= 0:
        return None
    running = [_left_s(item, speed) for item in work if item.state is State.RUNNING]
    queued = [item for item in work if item.state is State.QUEUED]
    return round(_played_through(running, _sizes_s(queued, speed), workers), 1)


def _left_s(item: JobTally, speed: float) -> float:
    """What a worker still has to do for a job that runs: by everybody's pace at first, and by its own from its middle on."""
    done = item.done_weight / item.weight if item.weight > 0 else 1.0
    own_s = item.pace_s / done if done > 0 else 0.0
    trust = min(1.0, 2 * done)
    return (1 - done) * (trust * own_s + (1 - trust) * item.weight / speed)


def _sizes_s(queued: Sequence[JobTally], speed: float) -> list[float]:
    """What a worker has to do for each job that waits. They are all alike, but for the last, which may be longer."""
    count, left = sum(item.count for item in queued), sum(item.weight - item.done_weight for item in queued)
    if count == 0:
        return []
    heaviest = min(left, max(item.heaviest for item in queued))
    others = [(left - heaviest) / (count - 1) / speed] * (count - 1) if count > 1 else []
    return [*others, heaviest / speed]


def _played_through(running: Sequence[float], queued: Sequence[float], workers: float) -> float:
    """Seconds until all jobs are done. Whoever ends one takes the next that waits; `workers` is what they are worth together."""
    hands = max(1, round(workers), len(running))
    waiting = list(reversed(queued))
    # Far from the end it matters little who does what.
    spare = max(0, len(waiting) - _ROUNDS * hands)
    waiting, elsewhere_s = waiting[: len(waiting) - spare], sum(waiting[len(waiting) - spare :])
    busy, passed_s = list(running), elsewhere_s / workers
    while busy or waiting:
        while waiting and len(busy) < hands:
            busy.append(waiting.pop())
        first, pace = min(busy), min(_ALONE, workers / len(busy))
        passed_s += first / pace
        busy = [left - first for left in busy if left > first]
    return passed_s
