"""Jobs that ended long ago: their rows go, and what they come to stays.

A title of an hour leaves hundreds of jobs behind. `remove` takes rows away and adds their attempts and seconds to `past_jobs`, in the same
statement, so the sums that Prometheus reads never fall. Which rows nobody needs any more is decided elsewhere (`catalog.old_jobs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.job_store import jobs, outbox, past_jobs
from kit.jobs import UNFINISHED

_SUMS = ("attempts", "wall_s", "cpu_s", "media_s")


def remove(conn: Connection, job_ids: Sequence[str]) -> int:
    """Removes those of these jobs that have ended, with their bells. Returns how many."""
    ended = jobs.c.id.in_(list(job_ids)) & jobs.c.state.not_in(UNFINISHED)
    gone = delete(jobs).where(ended).returning(jobs.c.kind, jobs.c.state, jobs.c.attempt, jobs.c.stats).cte("gone")

    def total(name: str) -> Any:
        return func.coalesce(func.sum(gone.c.stats[name].as_float()), 0.0)

    sums = select(gone.c.kind, gone.c.state, func.sum(gone.c.attempt), *(total(name) for name in _SUMS[1:]))
    sums = sums.group_by(gone.c.kind, gone.c.state).order_by(gone.c.kind, gone.c.state)
    added = upsert(past_jobs).from_select(["kind", "state", *_SUMS], sums)
    both = {name: past_jobs.c[name] + added.excluded[name] for name in _SUMS}
    count = conn.execute(select(func.count()).select_from(jobs).where(ended)).scalar_one()
    conn.execute(added.on_conflict_do_update(index_elements=["kind", "state"], set_=both))
    conn.execute(delete(outbox).where(outbox.c.job_id.in_(list(job_ids))))
    return count


def forget_stale_bells(conn: Connection, limit: int) -> int:
    """Bells for jobs that have ended, or are gone: without a broker nobody sends them. Returns how many, at most `limit`."""
    stale = select(outbox.c.id).outerjoin(jobs, jobs.c.id == outbox.c.job_id)
    stale = stale.where(or_(jobs.c.id.is_(None), jobs.c.state.not_in(UNFINISHED))).order_by(outbox.c.id).limit(limit)
    found = conn.scalars(stale.with_for_update(of=outbox, skip_locked=True)).all()
    conn.execute(delete(outbox).where(outbox.c.id.in_(found)))
    return len(found)
