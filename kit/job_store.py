"""Jobs in PostgreSQL. Other SQL reads their table, and `kit.past_jobs` removes old rows; nobody else writes it.

Every change goes through `kit.jobs.advance` under a row lock and with the database's clock, so the table in `kit.jobs` is the
whole truth and the clocks of workers do not matter. Functions take part in the caller's transaction.

A doorbell for every new job is a row of `outbox`, written in the same transaction and sent to the broker later
(`worker.outbox`): a job without a bell, or a bell without a job, cannot be committed. Bells may be lost or doubled.

Locks are always taken in the order asset, job (see `kit.step.Flow.lock`); functions here lock jobs only, lowest id first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Float,
    Identity,
    Index,
    Integer,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    cast,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as pg_insert

from kit.db import Json, Timestamp, metadata
from kit.errors import HeadwaterError
from kit.ids import sortable
from kit.jobs import (
    REMEMBERED_S,
    UNFINISHED,
    URGENT,
    Cancelled,
    Claimed,
    Event,
    Failed,
    Heartbeat,
    Job,
    LeaseExpired,
    NewJob,
    Refused,
    Released,
    State,
    Succeeded,
    advance,
)
from kit.metrics import JobFigures

CHANNEL = "headwater_outbox"
URGENT_CHANNEL = "headwater_urgent"
"""Notified when a job is made that somebody is waiting for (`kit.jobs.URGENT`)."""
LEASE_S = 45.0
RING_AGAIN_AFTER_S = 15.0

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("asset_id", Text, nullable=False),
    Column("args", Json, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("weight", Float, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("owner", Text),
    Column("lease_until", Timestamp),
    Column("not_before", Timestamp, nullable=False, server_default=text("clock_timestamp()")),
    Column("progress", Float, nullable=False),
    Column("stats", Json, nullable=False),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("created_at", Timestamp, nullable=False, server_default=text("clock_timestamp()")),  # rises within a transaction too
    Column("started_at", Timestamp),
    Column("finished_at", Timestamp),
    Column("rung_at", Timestamp, nullable=False, server_default=text("clock_timestamp()")),  # when the last doorbell was written
    UniqueConstraint("kind", "subject"),
)
Index("ix_jobs_ready", jobs.c.priority.desc(), jobs.c.created_at, postgresql_where=text("state = 'queued'"))
Index("ix_jobs_leased", jobs.c.lease_until, postgresql_where=text("state = 'running'"))
Index("ix_jobs_asset_id", jobs.c.asset_id)
Index("ix_jobs_finished_at", jobs.c.finished_at)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, server_default=text("clock_timestamp()")),
)

past_jobs = Table(
    "past_jobs",  # what the jobs come to that `kit.past_jobs` has removed
    metadata,
    Column("kind", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("attempts", BigInteger, nullable=False),
    Column("wall_s", Float, nullable=False),
    Column("cpu_s", Float, nullable=False),
    Column("media_s", Float, nullable=False),
)

_FIELDS = tuple(field.name for field in dataclasses.fields(Job))
_CHANGING = tuple(name for name in _FIELDS if name not in {"id", "kind", "subject", "asset_id", "args", "priority", "weight", "created_at"})
_HELD, _HELD_S = "held_until", 10 * 365 * 86400.0
_AT_ONCE = 500  # rows in one statement
_EXPIRED = 100  # jobs in one sweep: the next comes soon
_CANDIDATES = 64  # jobs looked at in one claim; others may be claiming the first of them at this moment


@dataclasses.dataclass(frozen=True, slots=True)
class Bell:
    """A doorbell that has not been sent yet."""

    id: int
    job_id: str


def _job(row: Row[Any]) -> Job:
    values = {name: row._mapping[name] for name in _FIELDS}
    return Job(**{**values, "state": State(values["state"])})


# -- making jobs


def enqueue(conn: Connection, new: NewJob) -> Job:
    """The job for this work, made now unless (`kind`, `subject`) is there already, in whatever state."""
    return enqueue_all(conn, [new])[0]


def enqueue_all(conn: Connection, wanted: Sequence[NewJob]) -> tuple[Job, ...]:
    """The same for many, in order: with equal priority, the first is run first."""
    found: dict[tuple[str, str], Job] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        found |= _enqueue_some(conn, wanted[start : start + _AT_ONCE])
    return tuple(found[new.kind, new.subject] for new in wanted)


def enqueue_again(conn: Connection, new: NewJob) -> Job:
    """The job for this work, made now also where the same work was done before. One that is under way is taken as it is."""
    conn.execute(delete(jobs).where(_of_work(new.kind, new.subject), jobs.c.state.not_in(UNFINISHED)))
    return enqueue(conn, new)


def _enqueue_some(conn: Connection, wanted: Sequence[NewJob]) -> dict[tuple[str, str], Job]:
    unique: dict[tuple[str, str], NewJob] = {}
    for new in wanted:
        unique.setdefault((new.kind, new.subject), new)
    rows = [_new_row(new) for new in unique.values()]
    made = conn.execute(pg_insert(jobs).values(rows).on_conflict_do_nothing(index_elements=["kind", "subject"]).returning(jobs))
    found = {(job.kind, job.subject): job for job in map(_job, made)}
    _ring(conn, [job.id for job in found.values()])
    if any(job.priority >= URGENT for job in found.values()):
        conn.execute(select(func.pg_notify(URGENT_CHANNEL, "")))
    for kind, subject in unique.keys() - found.keys():
        found[kind, subject] = _job(conn.execute(select(jobs).where(_of_work(kind, subject))).one())
    return found


def _new_row(new: NewJob) -> dict[str, Any]:
    return {
        **{name: getattr(new, name) for name in ("kind", "subject", "asset_id", "priority", "weight", "max_attempts")},
        "id": sortable("job"), "args": dict(new.args), "state": State.QUEUED, "attempt": 0, "epoch": 0, "progress": 0.0, "stats": {},
        "not_before": func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, new.delay_s),
    }  # fmt: skip


def _of_work(kind: str, subject: str) -> ColumnElement[bool]:
    return (jobs.c.kind == kind) & (jobs.c.subject == subject)


def _ring(conn: Connection, job_ids: Sequence[str]) -> None:
    if job_ids:
        conn.execute(insert(outbox), [{"job_id": job_id} for job_id in job_ids])
        conn.execute(select(func.pg_notify(CHANNEL, "")))


# -- the life of one job


def claim(
    conn: Connection, owner: str, lease_s: float = LEASE_S, kinds: Iterable[str] | None = None, *, least_priority: int | None = None
) -> Job | None:
    """The most urgent job that is due (and at least as urgent as `least_priority`), now owned by `owner`; None when there is none.
    Never waits for another claimer.

    Among equally urgent jobs every asset gets its share: first comes the asset that the fewest workers work for, then the one that
    has waited longest for its turn, then the oldest job. So a short title passes through a long one's hundreds of jobs.
    """
    due = jobs.c.not_before <= func.statement_timestamp()  # again: since they were listed, another may have run one and put it off
    for job_id in conn.scalars(_by_urgency(kinds, least_priority).limit(_CANDIDATES)).all():
        free = select(jobs, func.clock_timestamp().label("now")).where(jobs.c.id == job_id, jobs.c.state == State.QUEUED, due)
        row = conn.execute(free.with_for_update(skip_locked=True)).one_or_none()
        if row is not None:
            return _store(conn, advance(_job(row), Claimed(owner, lease_s), row.now))
    return None


def _by_urgency(kinds: Iterable[str] | None, least_priority: int | None) -> Select[tuple[str]]:
    """The ids of the jobs that are due, in the order of `kit.jobs.turn`."""
    running = select(jobs.c.asset_id, func.count().label("workers")).where(jobs.c.state == State.RUNNING).group_by(jobs.c.asset_id)
    busy = running.subquery("busy")
    lately = select(jobs.c.asset_id, func.max(jobs.c.finished_at).label("at"))
    lately = lately.where(jobs.c.finished_at > func.statement_timestamp() - text(f"interval '{REMEMBERED_S} seconds'"))
    served = lately.group_by(jobs.c.asset_id).subquery("served")
    due = (
        select(jobs.c.id)
        .outerjoin(busy, busy.c.asset_id == jobs.c.asset_id)
        .outerjoin(served, served.c.asset_id == jobs.c.asset_id)
        .where(jobs.c.state == State.QUEUED, jobs.c.not_before <= func.statement_timestamp())
        .order_by(jobs.c.priority.desc(), func.coalesce(busy.c.workers, 0), served.c.at.asc().nulls_first(), jobs.c.created_at, jobs.c.id)
    )
    if kinds is not None:
        due = due.where(jobs.c.kind.in_(list(kinds)))
    return due if least_priority is None else due.where(jobs.c.priority >= least_priority)


def hold(conn: Connection, job: Job) -> None:
    """Keeps the job from changing hands until the transaction ends. Raises Refused when it is not the owner's any more."""
    row = conn.execute(select(jobs.c.state, jobs.c.epoch).where(jobs.c.id == job.id).with_for_update()).one_or_none()
    if row is None or (row.state, row.epoch) != (State.RUNNING, job.epoch):
        raise Refused(f"The job {job.id} is not this worker's any more.")


def is_held(conn: Connection, job: Job) -> bool:
    """Whether the job is still its owner's at this moment. Locks and writes nothing."""
    row = conn.execute(select(jobs.c.state, jobs.c.epoch).where(jobs.c.id == job.id)).one_or_none()
    return row is not None and (row.state, row.epoch) == (State.RUNNING, job.epoch)


def prefer(conn: Connection, asset_id: str, kind: str, args: Mapping[str, Any], priority: int) -> int:
    """Raises what waits of this kind with these arguments to `priority`, if that is higher. Returns how many jobs it moved."""
    waiting = (jobs.c.asset_id == asset_id) & (jobs.c.kind == kind) & (jobs.c.state == State.QUEUED)
    raised = update(jobs).where(waiting, jobs.c.args.contains(dict(args)), jobs.c.priority < priority).values(priority=priority)
    return conn.execute(raised).rowcount


def held(new: NewJob, level: int) -> NewJob:
    """The job, not to be run before `reached` tells of at least that `level` for its asset."""
    return dataclasses.replace(new, args={**new.args, _HELD: level}, delay_s=_HELD_S)


def reached(conn: Connection, asset_id: str, level: int) -> int:
    """Makes due what was held back for this much or less. Returns how many jobs. The caller has locked the asset, as whoever holds
    jobs back has: one of them sees what the other has done."""
    waiting = (jobs.c.asset_id == asset_id) & (jobs.c.state == State.QUEUED) & (jobs.c.not_before > func.clock_timestamp())
    let_go = (
        update(jobs).where(waiting, cast(jobs.c.args[_HELD].as_string(), BigInteger) <= level).values(not_before=func.clock_timestamp())
    )
    found = conn.scalars(let_go.returning(jobs.c.id)).all()
    _ring(conn, found)
    return len(found)


def is_under_way(conn: Connection, kind: str, subject: str) -> bool:
    """Whether that work is done, or will be."""
    going = jobs.c.state.in_((State.SUCCEEDED, *UNFINISHED))
    return conn.execute(select(jobs.c.id).where(_of_work(kind, subject), going)).first() is not None


def heartbeat(conn: Connection, job: Job, progress: float, stats: Mapping[str, Any], lease_s: float = LEASE_S) -> bool:
    """Renews the lease. False when the job is not the owner's any more (lost or cancelled): stop."""
    try:
        _apply(conn, job.id, Heartbeat(job.epoch, lease_s, progress, stats))
    except Refused:
        return False
    return True


def finish(conn: Connection, job: Job, stats: Mapping[str, Any]) -> Job:
    """Succeeded. Raises Refused when the job is not the owner's any more."""
    return _apply(conn, job.id, Succeeded(job.epoch, stats))


def fail(conn: Connection, job: Job, error: HeadwaterError, roll: float, stats: Mapping[str, Any]) -> Job:
    """Failed: queued again after a back-off, or final, as the state of the returned job says. Raises Refused as `finish` does."""
    return _apply(conn, job.id, Failed(job.epoch, error.code, error.detail, error.retry, roll, stats))


def release(conn: Connection, job: Job) -> Job:
    """Handed back, due at once. Raises Refused as `finish` does."""
    released = _apply(conn, job.id, Released(job.epoch))
    _ring_now(conn, [released.id])
    return released


def expire(conn: Connection, job_id: str) -> Job:
    """Its owner is lost: queued again with a bell, or failed when no attempt is left. Raises Refused when it lives after all."""
    expired = _apply(conn, job_id, LeaseExpired())
    if expired.state is State.QUEUED:
        _ring_now(conn, [expired.id])
    return expired


def cancel_asset(conn: Connection, asset_id: str) -> int:
    """Cancels what is unfinished of the asset; a running step notices at its next heartbeat. Returns how many there were."""
    of_asset = select(jobs.c.id).where(jobs.c.asset_id == asset_id, jobs.c.state.in_(UNFINISHED)).order_by(jobs.c.id)
    cancelled = 0
    for job_id in conn.scalars(of_asset.with_for_update()).all():
        _apply(conn, job_id, Cancelled())
        cancelled += 1
    return cancelled


def forget(conn: Connection, asset_id: str, keep: Sequence[str]) -> None:
    """Removes every job about a part of the asset (whose subject says more than the asset), but those of the kinds to keep, so that
    the same work can be asked for again. Whoever is running one learns that it is not theirs any more."""
    parts = jobs.c.subject.startswith(f"{asset_id}/", autoescape=True)
    conn.execute(delete(jobs).where(jobs.c.asset_id == asset_id, parts, jobs.c.kind.not_in(list(keep))))


def _apply(conn: Connection, job_id: str, event: Event) -> Job:
    row = conn.execute(select(jobs, func.clock_timestamp().label("now")).where(jobs.c.id == job_id).with_for_update()).one_or_none()
    if row is None:
        raise Refused(f"There is no job {job_id}.")
    # The clock was read before the lock was granted, which may have taken a while; a lease can only be judged too young by it.
    return _store(conn, advance(_job(row), event, row.now))


def _store(conn: Connection, job: Job) -> Job:
    conn.execute(update(jobs).where(jobs.c.id == job.id).values({name: getattr(job, name) for name in _CHANGING}))
    return job


# -- looking


def get(conn: Connection, job_id: str) -> Job | None:
    row = conn.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def find(conn: Connection, kind: str, subject: str) -> Job | None:
    """The job for this work, in whatever state."""
    row = conn.execute(select(jobs).where(_of_work(kind, subject))).one_or_none()
    return None if row is None else _job(row)


def jobs_of_asset(conn: Connection, asset_id: str) -> list[Job]:
    """All of them, in the order they were made."""
    return [_job(row) for row in conn.execute(select(jobs).where(jobs.c.asset_id == asset_id).order_by(jobs.c.created_at, jobs.c.id))]


def unfinished(conn: Connection, asset_id: str, kinds: Iterable[str] | None = None) -> int:
    """How many jobs of the asset (of these kinds) have not ended yet."""
    question = select(func.count()).select_from(jobs).where(jobs.c.asset_id == asset_id, jobs.c.state.in_(UNFINISHED))
    if kinds is not None:
        question = question.where(jobs.c.kind.in_(list(kinds)))
    return conn.execute(question).scalar_one()


def given_up(conn: Connection, asset_id: str, kind: str, beginning: str) -> int:
    """How many jobs of the asset, of this kind and with a subject that begins so, have failed for good."""
    question = select(func.count()).select_from(jobs).where(jobs.c.asset_id == asset_id, jobs.c.kind == kind, jobs.c.state == State.FAILED)
    return conn.execute(question.where(jobs.c.subject.startswith(beginning, autoescape=True))).scalar_one()


def waits_because(conn: Connection, code: str) -> bool:
    """Whether a job is queued whose last attempt ended with this code."""
    question = select(jobs.c.id).where(jobs.c.state == State.QUEUED, jobs.c.error_code == code).limit(1)
    return conn.execute(question).one_or_none() is not None


def figures(conn: Connection) -> tuple[JobFigures, ...]:
    """What `kit.metrics.exposition` shows of all jobs. Those that were removed still count in all but how many there are, so no sum
    ever falls by a removal."""
    found = {(item.kind, item.state): item for item in (JobFigures(**row._mapping) for row in conn.execute(_sums()))}
    for row in conn.execute(select(past_jobs)):
        now = found.get((row.kind, row.state), JobFigures(row.kind, row.state, 0, 0, 0.0, 0.0, 0.0))
        found[row.kind, row.state] = dataclasses.replace(
            now, attempts=now.attempts + row.attempts, wall_s=now.wall_s + row.wall_s, cpu_s=now.cpu_s + row.cpu_s,
            media_s=now.media_s + row.media_s,
        )  # fmt: skip
    return tuple(found[key] for key in sorted(found))


def _sums() -> Select[Any]:
    def total(name: str) -> Any:
        return func.coalesce(func.sum(jobs.c.stats[name].as_float()), 0.0).label(name)

    return select(
        jobs.c.kind, jobs.c.state, func.count().label("jobs"), func.sum(jobs.c.attempt).label("attempts"),
        total("wall_s"), total("cpu_s"), total("media_s"),
    ).group_by(jobs.c.kind, jobs.c.state)  # fmt: skip


# -- what the sweeper looks after


def expired(conn: Connection) -> list[Job]:
    """Running jobs whose lease has run out, not locked: `expire` judges each again."""
    late = select(jobs).where(jobs.c.state == State.RUNNING, jobs.c.lease_until < func.statement_timestamp())
    return [_job(row) for row in conn.execute(late.order_by(jobs.c.lease_until).limit(_EXPIRED))]


def ring_again(conn: Connection) -> int:
    """A new bell for every job that is due and whose last bell is older than `RING_AGAIN_AFTER_S`. Returns how many."""
    due = select(jobs.c.id).where(
        jobs.c.state == State.QUEUED,
        jobs.c.not_before <= func.statement_timestamp(),
        jobs.c.rung_at < func.statement_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, RING_AGAIN_AFTER_S),
    )
    forgotten = conn.scalars(due.order_by(jobs.c.id).with_for_update(skip_locked=True)).all()
    _ring_now(conn, forgotten)
    return len(forgotten)


def _ring_now(conn: Connection, job_ids: Sequence[str]) -> None:
    if job_ids:
        conn.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(rung_at=func.clock_timestamp()))
        _ring(conn, job_ids)


def take_bells(conn: Connection, limit: int = 100) -> list[Bell]:
    """The oldest unsent bells, locked until the transaction ends, so that two relays never send the same one at once."""
    oldest = select(outbox.c.id, outbox.c.job_id).order_by(outbox.c.id).limit(limit).with_for_update(skip_locked=True)
    return [Bell(row.id, row.job_id) for row in conn.execute(oldest)]


def forget_bells(conn: Connection, bells: Sequence[Bell]) -> None:
    """They were sent."""
    conn.execute(delete(outbox).where(outbox.c.id.in_([bell.id for bell in bells])))
