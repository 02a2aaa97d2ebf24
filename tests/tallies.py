"""The sums of `catalog.store.tallies` over jobs as values: what the database must come to, and what forecasts are tried on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from catalog.progress import LATELY_S, PACE_S, PROGRESS_AGE_S, JobTally
from kit.jobs import Job, State


def tally(jobs: Iterable[Job], now: datetime) -> tuple[JobTally, ...]:
    """Jobs that are alike, summed up at one moment."""
    sums: dict[tuple[str, ...], JobTally] = {}
    for job in jobs:
        one = _alone(job, now)
        key = (one.kind, *one.renditions, one.state, job.id if one.state is State.RUNNING else "")
        sums[key] = _plus(sums[key], one) if key in sums else one
    return tuple(sums.values())


def _plus(one: JobTally, other: JobTally) -> JobTally:
    return JobTally(
        one.kind, one.renditions, one.state, one.count + other.count, one.weight + other.weight, one.done_weight + other.done_weight,
        max(one.heaviest, other.heaviest), one.fps + other.fps, one.pace_weight + other.pace_weight, one.pace_s + other.pace_s,
        one.lately_s + other.lately_s, max(one.age_s, other.age_s),
    )  # fmt: skip


def _alone(job: Job, now: datetime) -> JobTally:
    """One job as a tally."""
    done = job.weight * (1.0 if job.state is State.SUCCEEDED else job.progress)
    ended_s, began_s = _ago_s(job.finished_at, now), _ago_s(job.started_at, now)
    same = (job.kind, tuple(job.args.get("renditions", ())), job.state, 1, job.weight, done, job.weight, _fps(job))
    if began_s is None or (job.state is not State.RUNNING and ended_s is None):
        return JobTally(*same, 0.0, 0.0, 0.0, began_s or 0.0)
    until_s = ended_s or 0.0
    took_s = max(0.0, began_s - (PROGRESS_AGE_S if job.state is State.RUNNING else until_s))
    lately_s = max(0.0, min(began_s, LATELY_S) - until_s)
    counts = until_s < PACE_S
    return JobTally(*same, done if counts else 0.0, took_s if counts else 0.0, lately_s, began_s)


def _ago_s(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _fps(job: Job) -> float:
    value = job.stats.get("fps")
    return float(value) if job.state is State.RUNNING and isinstance(value, int | float) else 0.0
