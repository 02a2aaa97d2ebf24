"""The sums of `catalog.tally_store.tallies` over jobs as values: what the database must come to, and what forecasts are tried on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from catalog.progress import LAST, LATELY_S, PROGRESS_AGE_S, WORK, JobTally, pace_window_s
from kit.jobs import Job, State


def tally(jobs: Iterable[Job], now: datetime) -> tuple[JobTally, ...]:
    """Jobs that are alike, summed up at one moment; they are given in the order in which they were made."""
    jobs = tuple(jobs)
    begun_s = [_ago_s(job.started_at, now) for job in jobs if job.kind in WORK and job.state is not State.CANCELLED]
    window_s = pace_window_s(max((began_s for began_s in begun_s if began_s is not None), default=0.0))
    sums: dict[tuple[str, ...], JobTally] = {}
    for job in jobs:
        one = _alone(job, now, window_s)
        key = (one.kind, *one.renditions, one.state, job.id if one.state is State.RUNNING else "")
        sums[key] = _plus(sums[key], one) if key in sums else one
    return tuple(sums.values())


def _plus(one: JobTally, other: JobTally) -> JobTally:
    return JobTally(
        one.kind, one.renditions, one.state, one.count + other.count, one.weight + other.weight, one.done_weight + other.done_weight,
        one.own_weight + other.own_weight, one.fps + other.fps, one.pace_weight + other.pace_weight, one.pace_s + other.pace_s,
        one.lately_s + other.lately_s, max(one.age_s, other.age_s), max(one.crew, other.crew), (*one.last, *other.last)[-LAST:],
    )  # fmt: skip


def _alone(job: Job, now: datetime, window_s: float) -> JobTally:
    """One job as a tally."""
    done, own = job.weight * (1.0 if job.state is State.SUCCEEDED else job.progress), job.weight * _own(job)
    ended_s, began_s = _ago_s(job.finished_at, now), _ago_s(job.started_at, now)
    same = (job.kind, tuple(job.args.get("renditions", ())), job.state, 1, job.weight, done, own, _figure(job, "fps"))
    rest = (_figure(job, "crew"), (job.weight,) if job.state is State.QUEUED else ())
    if began_s is None or (job.state is not State.RUNNING and ended_s is None):
        return JobTally(*same, 0.0, 0.0, 0.0, began_s or 0.0, *rest)
    until_s = PROGRESS_AGE_S if job.state is State.RUNNING else ended_s or 0.0
    took_s, paced_s = began_s - until_s, max(0.0, min(began_s, window_s) - until_s)
    counts = job.state in (State.RUNNING, State.SUCCEEDED) and own > 0 and took_s > 0
    lately_s = max(0.0, min(began_s, LATELY_S) - (ended_s or 0.0))
    return JobTally(*same, own * paced_s / took_s if counts else 0.0, paced_s if counts else 0.0, lately_s, began_s, *rest)


def _own(job: Job) -> float:
    """The share of a job that was done and will not be done again."""
    if job.state is not State.RUNNING:
        return float(job.state is State.SUCCEEDED)
    reached = job.stats.get("reached", job.progress if job.epoch <= 1 else 0.0)
    assert isinstance(reached, int | float)
    return reached


def _ago_s(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _figure(job: Job, name: str) -> float:
    value = job.stats.get(name)
    return float(value) if job.state is State.RUNNING and isinstance(value, int | float) else 0.0
