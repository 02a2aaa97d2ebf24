"""How far an asset is, worked out from its jobs when somebody asks. Nothing here is stored, so nothing can go stale.

An asset's progress is made of fixed shares: probing, planning, and then all encoding work weighted by expected CPU. The
encoding jobs of a plan are created together when the plan is finished, and a job's own progress never falls, so the sum
never falls either. The last hundredth is kept for publishing: only a ready asset is at 1.

`JobTally` sums up the jobs that are alike (same kind, renditions and state): a long title has thousands of jobs and the
answer needs a dozen numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from catalog.asset import AssetStatus
from kit.jobs import Job, State

RenditionStatus = Literal["waiting", "encoding", "ready", "failed"]

PROBE, PLAN, ENCODE, AUDIO = "ingest.probe", "transcode.plan", "transcode.encode", "transcode.audio"
_WORK = "transcode."
_PROBE_SHARE, _PLAN_SHARE, _WORK_SHARE = 0.02, 0.01, 0.96
_ETA_FROM = 0.02  # below this much work done, a forecast is a guess


@dataclass(frozen=True, slots=True)
class JobTally:
    """Jobs of one asset that are alike, summed up."""

    kind: str
    renditions: tuple[str, ...]  # of encode jobs; empty for all others
    state: State
    weight: float
    done_weight: float  # sum of weight times progress
    fps: float  # sum over running jobs
    since: datetime  # when the first of them was created


@dataclass(frozen=True, slots=True)
class RenditionProgress:
    status: RenditionStatus
    progress: float  # 0 to 1
    fps: float | None  # encoded frames per second of wall time, all running jobs together; None when nothing runs


@dataclass(frozen=True, slots=True)
class AssetProgress:
    progress: float  # 0 to 1; never falls while the asset is processing
    eta_s: float | None  # None when there is nothing to go by


def _fps(job: Job) -> float:
    value = job.stats.get("fps")
    return float(value) if job.state is State.RUNNING and isinstance(value, int | float) else 0.0


def tally(jobs: Iterable[Job]) -> tuple[JobTally, ...]:
    """The same sums that `catalog.store.tallies` asks the database for."""
    sums: dict[tuple[str, tuple[str, ...], State], JobTally] = {}
    for job in jobs:
        key = (job.kind, tuple(job.args.get("renditions", ())), job.state)
        old = sums.get(key, JobTally(*key, 0.0, 0.0, 0.0, job.created_at))
        done = job.weight * (1.0 if job.state is State.SUCCEEDED else job.progress)
        since = min(old.since, job.created_at)
        sums[key] = JobTally(*key, old.weight + job.weight, old.done_weight + done, old.fps + _fps(job), since)
    return tuple(sums.values())


def _fraction(tallies: Iterable[JobTally]) -> float:
    """Done weight over all weight; 0 when there is no work."""
    total = done = 0.0
    for item in tallies:
        total += item.weight
        done += item.done_weight
    return min(1.0, done / total) if total > 0 else 0.0


def rendition_progress(name: str, kind: str, status: AssetStatus, tallies: Sequence[JobTally]) -> RenditionProgress:
    """How far one rendition of the plan is. `kind` is "video" or "audio"."""
    if status is AssetStatus.READY:
        return RenditionProgress("ready", 1.0, None)
    own = [item for item in tallies if (item.kind == AUDIO if kind == "audio" else item.kind == ENCODE and name in item.renditions)]
    states = {item.state for item in own}
    progress = _fraction(own)
    fps = sum(item.fps for item in own)
    return RenditionProgress(_rendition_status(states, progress, status), progress, round(fps, 1) if fps > 0 else None)


def _rendition_status(states: set[State], progress: float, status: AssetStatus) -> RenditionStatus:
    if states and states <= {State.SUCCEEDED}:
        return "ready"
    if State.FAILED in states or status is AssetStatus.ERRORED:
        return "failed"
    if State.RUNNING in states or State.SUCCEEDED in states or progress > 0:
        return "encoding"
    return "waiting"


def asset_progress(status: AssetStatus, tallies: Sequence[JobTally], now: datetime) -> AssetProgress:
    """How far the whole asset is, and how much longer it should take at the speed seen so far."""
    if status is AssetStatus.READY:
        return AssetProgress(1.0, None)
    if status in (AssetStatus.WAITING, AssetStatus.UPLOADING):
        return AssetProgress(0.0, None)
    work = [item for item in tallies if item.kind.startswith(_WORK) and item.kind != PLAN]
    done = _fraction(work)
    probed = _fraction(item for item in tallies if item.kind == PROBE)
    planned = _fraction(item for item in tallies if item.kind == PLAN)
    progress = _PROBE_SHARE * probed + _PLAN_SHARE * planned + _WORK_SHARE * done
    eta_s = None
    if status is AssetStatus.PROCESSING and done >= _ETA_FROM:
        elapsed_s = (now - min(item.since for item in work)).total_seconds()
        eta_s = round(max(0.0, elapsed_s) * (1 - done) / done, 1)
    return AssetProgress(round(progress, 4), eta_s)
