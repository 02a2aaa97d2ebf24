"""Which finished jobs nobody needs any more: those that ended days ago, but for what the history of a title is read from.

Kept are all jobs of a title that is not ready (its progress is worked out from them, and what follows what), that lost a rendition, or that
something is still to be done for; and of every title each job that failed, because it says why. What a deleted title did, and what
is about no title, goes. Settings say after how many days (`HEADWATER_JOB_HISTORY_DAYS`).

A finished job also keeps the same work from being done twice. After these days the work itself has to say that it is done, as it does:
segments, pictures, files and scores are rows of their own, and the daily jobs are named after their day. Only of the text of a source
nothing but its job says that it was taken out once (a track may have been deleted since, and is not to come back): these stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, or_, select

from catalog import priority
from catalog.asset import AssetStatus
from catalog.embedded import EXTRACT, HIDDEN
from catalog.lost import lost_renditions
from catalog.tables import assets
from kit import job_store, past_jobs
from kit.job_store import jobs
from kit.jobs import UNFINISHED, State, daily

FORGET = "catalog.forget_jobs"
AT_ONCE = 500  # rows in one transaction


@dataclass(frozen=True, slots=True)
class Removed:
    """What one transaction did; `until` is None when nothing is left to do."""

    jobs: int
    until: datetime | None


def ask(conn: Connection, now: datetime, days: int) -> None:
    """One job for each day (UTC), unless everything is kept. Asking again does nothing."""
    if days > 0:
        job_store.enqueue(conn, daily(FORGET, now, priority.DAILY))


def remove_some(conn: Connection, days: int, after: datetime | None, limit: int = AT_ONCE) -> Removed:
    """Removes the first `limit` of them that ended at `after` or later. Titles that somebody is changing at this moment are left for
    another day; the others are locked, so that nobody asks for the same work meanwhile.
    """
    of_titles = _old(days, after).join(assets, assets.c.id == jobs.c.asset_id).where(_told())
    rows = conn.execute(of_titles.limit(limit).with_for_update(of=[jobs, assets], skip_locked=True)).all()
    if len(rows) < limit:
        rest = _old(days, after).where(~exists().where(assets.c.id == jobs.c.asset_id)).limit(limit - len(rows))
        others = conn.execute(rest.with_for_update(of=jobs, skip_locked=True)).all()
        removed = past_jobs.remove(conn, [row.id for row in (*rows, *others)])
        return Removed(removed, None if len(others) < limit - len(rows) else after)
    return Removed(past_jobs.remove(conn, [row.id for row in rows]), rows[-1].finished_at)


def _old(days: int, after: datetime | None) -> Select[tuple[str, datetime]]:
    long_ago = func.statement_timestamp() - func.make_interval(0, 0, 0, days)
    busy = jobs.alias("busy")
    going_on = exists().where(busy.c.asset_id == jobs.c.asset_id, busy.c.asset_id != "", busy.c.state.in_(UNFINISHED))
    query = select(jobs.c.id, jobs.c.finished_at).where(jobs.c.finished_at < long_ago, jobs.c.state.not_in(UNFINISHED), ~going_on)
    query = query.order_by(jobs.c.finished_at, jobs.c.id)
    return query if after is None else query.where(jobs.c.finished_at >= after)


def _told() -> ColumnElement[bool]:
    """Whether the title's rows say all that the job could tell of it."""
    whole = ~exists().where(lost_renditions.c.asset_id == assets.c.id)
    done_again = jobs.c.kind.in_((EXTRACT, HIDDEN))
    ready = and_(assets.c.status == str(AssetStatus.READY), jobs.c.state != str(State.FAILED), ~done_again, whole)
    return or_(ready, assets.c.status == str(AssetStatus.DELETED))
