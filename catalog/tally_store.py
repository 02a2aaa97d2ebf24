"""The jobs of assets, summed up by the database for `catalog.progress`: one row for jobs that are alike, one for each that runs.

`tests/tallies.py` says the same of jobs as values.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Float, Select, Subquery, and_, case, cast, extract, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from catalog.progress import LAST, LATELY_S, PACE_LEAST_S, PACE_MOST_S, PACE_SHARE, PROGRESS_AGE_S, WORK, JobTally
from kit.db import Timestamp
from kit.job_store import jobs
from kit.jobs import State

_SUCCEEDED, _RUNNING, _QUEUED = (jobs.c.state == str(state) for state in (State.SUCCEEDED, State.RUNNING, State.QUEUED))


def tallies(conn: Connection, asset_ids: Sequence[str], now: datetime) -> dict[str, tuple[JobTally, ...]]:
    """The jobs of several assets, summed up where they are alike, by asset id; in the order in which the first of each was made."""
    job = _jobs(asset_ids, now).subquery()
    ages = _ages_s(asset_ids, now)
    window_s = func.least(PACE_MOST_S, func.greatest(PACE_LEAST_S, PACE_SHARE * func.coalesce(ages.c.age_s, 0.0)))
    paced_s = func.greatest(0.0, func.least(job.c.began_s, window_s) - (job.c.began_s - job.c.took_s))
    shows = and_(job.c.own > 0, job.c.took_s > 0)
    queued = job.c.state == str(State.QUEUED)
    last = func.array_agg(aggregate_order_by(job.c.weight, job.c.id.desc()), type_=ARRAY(Float)).filter(queued)[1:LAST]
    alike = (job.c.asset_id, job.c.kind, job.c.renditions, job.c.state)
    sums = (
        func.count(), func.sum(job.c.weight), func.sum(job.c.done), func.sum(job.c.own), func.sum(job.c.fps),
        func.sum(case((shows, job.c.own * paced_s / job.c.took_s), else_=0.0)), func.sum(case((shows, paced_s), else_=0.0)),
        func.sum(job.c.lately_s), func.max(job.c.began_s), func.max(job.c.crew), last,
    )  # fmt: skip
    by_itself = case((job.c.state == str(State.RUNNING), job.c.id))
    query = select(*alike, *sums).join_from(job, ages, job.c.asset_id == ages.c.asset_id, isouter=True)
    query = query.group_by(*alike, by_itself).order_by(func.min(job.c.id))
    found: dict[str, tuple[JobTally, ...]] = dict.fromkeys(asset_ids, ())
    for asset_id, kind, renditions, state, *figures, weights in conn.execute(query):
        sums_of_it = [*figures, tuple(reversed(weights or ()))]
        found[asset_id] += (JobTally(kind, tuple(renditions or ()), State(state), *sums_of_it),)
    return found


def _jobs(asset_ids: Sequence[str], now: datetime) -> Select[Any]:
    """Each job with its shares: `done` is its part of the progress, `own` what was done of it and will not be done again, `took_s` how
    long that took; `took_s` is 0 where it cannot be said."""
    reached = func.coalesce(jobs.c.stats["reached"].as_float(), case((jobs.c.epoch <= 1, jobs.c.progress), else_=0.0))
    began_s, ended_s = _ago_s(jobs.c.started_at, now), _ago_s(jobs.c.finished_at, now)
    worked = and_(jobs.c.started_at.is_not(None), or_(_RUNNING, jobs.c.finished_at.is_not(None)))
    lately_s = func.greatest(0.0, func.least(began_s, LATELY_S) - ended_s)
    return select(
        jobs.c.asset_id, jobs.c.kind, jobs.c.args["renditions"].label("renditions"), jobs.c.state, jobs.c.id, jobs.c.weight,
        (jobs.c.weight * case((_SUCCEEDED, 1.0), else_=jobs.c.progress)).label("done"),
        (jobs.c.weight * case((_SUCCEEDED, 1.0), (_RUNNING, reached), else_=0.0)).label("own"),
        case((_RUNNING, func.coalesce(jobs.c.stats["fps"].as_float(), 0.0)), else_=0.0).label("fps"),
        case((_RUNNING, func.coalesce(jobs.c.stats["crew"].as_float(), 0.0)), else_=0.0).label("crew"),
        began_s.label("began_s"),
        case((_RUNNING, began_s - PROGRESS_AGE_S), (_SUCCEEDED, began_s - ended_s), else_=0.0).label("took_s"),
        case((worked, lately_s), else_=0.0).label("lately_s"),
    ).where(jobs.c.asset_id.in_(list(asset_ids)))  # fmt: skip


def _ages_s(asset_ids: Sequence[str], now: datetime) -> Subquery:
    """How long ago the first of the work that counts was begun for each of these assets."""
    age_s = func.max(_ago_s(jobs.c.started_at, now)).label("age_s")
    counts = and_(jobs.c.asset_id.in_(list(asset_ids)), jobs.c.kind.in_(WORK), jobs.c.state != str(State.CANCELLED))
    return select(jobs.c.asset_id, age_s).where(counts).group_by(jobs.c.asset_id).subquery()


def _ago_s(moment: ColumnElement[datetime], now: datetime) -> ColumnElement[float]:
    """0 for a moment that has not come."""
    return func.greatest(0.0, cast(extract("epoch", literal(now, Timestamp) - moment), Float))
