"""How far an asset is, worked out from its jobs when somebody asks. Nothing here is stored, so nothing can go stale.

An asset's progress is made of fixed shares: probing, planning, and then all encoding work weighted by expected CPU. The
encoding jobs of a plan are created together, once its opening is there, and a job's own progress never falls, so the sum
never falls either. The last hundredth is kept for publishing: only a ready asset is at 1.

The time that remains is what is left, played through with the workers of late. How many they are is counted over the last minute, so
that it tells soon when other titles come and go. What a worker needs for each unit of weight is measured over the later half of the time
so far (`pace_window_s`), so that a slow start is forgotten by the time it was as long ago as it took, while one hard scene does not count
for the whole title. Each kind of work is judged by what was seen of that kind. A job that runs is judged by its own pace the more the
further it is; one that shows nothing yet has used up the seconds it has run. To the end workers find no job any more, and those that
still have one get the machine to themselves, if they shared it. Segments that viewers asked for weigh nothing.

Nothing is said while nobody works for the title, and before anything of the kind of work that most is left of has shown how fast it goes.

`JobTally` sums up the jobs that are alike (same kind, renditions and state; those that run, each by itself): a long title has
thousands of jobs and the answer needs a few dozen numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from catalog.asset import AssetStatus
from catalog.kinds import AUDIO, ENCODE, PLAN, POSTER, PROBE
from kit.jobs import UNFINISHED, State

RenditionStatus = Literal["waiting", "encoding", "ready", "failed"]

WORK = (ENCODE, AUDIO, POSTER)
_PROBE_SHARE, _PLAN_SHARE, _WORK_SHARE = 0.02, 0.01, 0.96
_ETA_FROM = 0.02  # below this much work done, a forecast is a guess

LATELY_S = 60.0  # over which it is counted how many workers an asset has
PACE_LEAST_S, PACE_MOST_S = 20.0, 300.0  # bounds of the time over which it is measured how fast each of them is
PACE_SHARE = 0.5  # of the time that the asset has been worked for, within these bounds
PROGRESS_AGE_S = 0.6  # how old the progress of a running job is, about: news are told with a heartbeat, and those are a second apart
# How much faster a job is when its is the only one on a machine of several workers: a process of several encoders uses nearly two cores.
_ALONE = 1.8
_ROUNDS = 3  # of jobs that are played through one by one
LAST = 32  # so many of the jobs that wait are known by their own weights


@dataclass(frozen=True, slots=True)
class JobTally:
    """Jobs of one asset that are alike, summed up at one moment."""

    kind: str
    renditions: tuple[str, ...]  # of encode and audio jobs; empty for all others
    state: State
    count: int  # 1 when they run
    weight: float
    done_weight: float  # sum of weight times progress
    own_weight: float  # likewise, without what attempts before the present one did: they have to be done again
    fps: float  # sum over running jobs
    pace_weight: float  # what workers did of it within the asset's pace window,
    pace_s: float  # and the seconds that they took; both 0 for jobs that show nothing yet
    lately_s: float  # seconds that workers gave to them within LATELY_S
    age_s: float  # since the first of them was begun; 0 when none has been
    crew: float  # how many workers share the machine of one that runs; 0 when that is not known
    last: tuple[float, ...]  # of those that wait, the weights of the last ones, at most LAST, in the order in which they will be taken


@dataclass(frozen=True, slots=True)
class RenditionProgress:
    status: RenditionStatus
    progress: float  # 0 to 1
    fps: float | None  # encoded frames per second of wall time, all running jobs together; None when nothing runs


@dataclass(frozen=True, slots=True)
class AssetProgress:
    progress: float  # 0 to 1; never falls while the asset is processing
    eta_s: float | None  # None when there is nothing to go by


def pace_window_s(age_s: float) -> float:
    """Over how long the pace of an asset is measured whose first piece of work was begun `age_s` ago."""
    return min(PACE_MOST_S, max(PACE_LEAST_S, PACE_SHARE * age_s))


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
    """None when nobody has worked for the asset lately, or when what is left of it is of a kind that has shown nothing yet."""
    age_s, paces = max(item.age_s for item in work), _paces_s(work)
    if age_s <= 0 or paces is None:
        return None
    workers = sum(item.lately_s for item in work) / min(age_s, LATELY_S)
    if workers <= 0:
        return None
    running = [_left_s(item, item.weight * paces[item.kind]) for item in work if item.state is State.RUNNING]
    crew = max(item.crew for item in work)
    return round(_played_through(running, _sizes_s(work, paces), workers, min(_ALONE, crew) if crew > 0 else _ALONE), 1)


def _paces_s(work: Sequence[JobTally]) -> dict[str, float] | None:
    """Seconds of a worker for each unit of weight, by kind of work; of a kind that has shown nothing, those of all kinds together."""
    kinds = {item.kind: [other for other in work if other.kind == item.kind] for item in work}
    left = {kind: sum(item.weight - item.own_weight for item in items if item.state in UNFINISHED) for kind, items in kinds.items()}
    own = {kind: pace for kind, items in kinds.items() if (pace := _pace_s(items)) is not None}
    together, most = _pace_s(work), max(left, key=lambda kind: left[kind])
    if together is None or (left[most] > 0 and most not in own):
        return None
    return {kind: own.get(kind, together) for kind in kinds}


def _pace_s(items: Sequence[JobTally]) -> float | None:
    weight = sum(item.pace_weight for item in items)
    return sum(item.pace_s for item in items) / weight if weight > 0 else None


def _left_s(item: JobTally, expected_s: float) -> float:
    """What a worker still has to do for a job that runs: at everybody's pace at first, and the further it is the more at its own."""
    done = item.own_weight / item.weight if item.weight > 0 else 1.0
    if done <= 0:  # it shows nothing before a fragment is written, and is not half through by then
        return max(expected_s - item.age_s, expected_s / 2)
    return (1 - done) * (max(0.0, item.age_s - PROGRESS_AGE_S) + (1 - done) * expected_s)


def _sizes_s(work: Sequence[JobTally], paces: Mapping[str, float]) -> list[float]:
    """What a worker has to do for each job that waits, in the order in which they are taken: chunks come last. Of many only the last are
    known one by one; what is before them is taken to be alike."""
    sizes: list[float] = []
    for item in sorted((item for item in work if item.state is State.QUEUED), key=lambda item: item.kind == ENCODE):
        before = item.count - len(item.last)
        alike = (item.weight - sum(item.last)) / before if before else 0.0
        sizes += [weight * paces[item.kind] for weight in (*[alike] * before, *item.last)]
    return sizes


def _played_through(running: Sequence[float], queued: Sequence[float], workers: float, alone: float) -> float:
    """Seconds until all jobs are done. Whoever ends one takes the next that waits; `workers` is what they are worth together, `alone` what
    one can be worth when others have nothing to do."""
    hands = max(1, round(workers), len(running))
    waiting = list(reversed(queued))
    # Far from the end it matters little who does what.
    spare = max(0, len(waiting) - _ROUNDS * hands)
    waiting, elsewhere_s = waiting[: len(waiting) - spare], sum(waiting[len(waiting) - spare :])
    busy, passed_s = list(running), elsewhere_s / workers
    while busy or waiting:
        while waiting and len(busy) < hands:
            busy.append(waiting.pop())
        first, pace = min(busy), min(alone, workers / len(busy))
        passed_s += first / pace
        busy = [left - first for left in busy if left > first]
    return passed_s
