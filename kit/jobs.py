"""The job machine, as values: which states a background job has, and what each event does to it.

A job is a row (`kit.job_store`); this module only decides. `advance` takes a job and an event and returns the job as it
should be stored next, or raises `Refused` when the event comes from someone who no longer owns the job, which is ordinary:
messages are delivered at least once, and a stopped worker may wake up after its lease has passed to another.

The state diagram in ARCHITECTURE.md is drawn from `TRANSITIONS` by `diagram`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kit.errors import Conflict, Retry


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be created. (`kind`, `subject`) is unique: asking twice for the same work creates one job."""

    kind: str  # "transcode.encode"
    subject: str  # what it is about, e.g. "<plan digest>/g0/c3"
    asset_id: str
    args: Mapping[str, Any] = field(default_factory=dict)  # JSON
    priority: int = 0  # larger is sooner
    weight: float = 1.0  # share of its asset's progress, e.g. CPU seconds expected
    max_attempts: int = 3
    delay_s: float = 0.0  # not run before this many seconds have passed


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored."""

    id: str
    kind: str
    subject: str
    asset_id: str
    args: Mapping[str, Any]
    priority: int
    weight: float
    state: State
    attempt: int  # attempts used up, the running one included
    max_attempts: int
    epoch: int  # rises with every claim; an owner's word counts only for its own epoch
    owner: str | None
    lease_until: datetime | None
    not_before: datetime
    progress: float  # 0 to 1, never falls
    stats: Mapping[str, Any]  # figures of the last run: cpu_s, peak_rss_bytes, fps …
    error_code: str | None
    error_detail: str | None
    created_at: datetime
    finished_at: datetime | None
    started_at: datetime | None = None  # when the present attempt began, or the last one


def daily(kind: str, now: datetime, priority: int) -> NewJob:
    """What is due once a day (UTC), is about no asset, and is the same job however often it is asked for."""
    return NewJob(kind, now.date().isoformat(), "", priority=priority, weight=0.0)


# -- events: what may happen to a job. `epoch` is the claim that the speaker believes to hold.


@dataclass(frozen=True, slots=True)
class Claimed:
    """A worker takes the job."""

    owner: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The owner is alive, and this far."""

    epoch: int
    lease_s: float
    progress: float
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Succeeded:
    epoch: int
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The run failed. `roll` in [0, 1) decides where in its window the next attempt falls."""

    epoch: int
    code: str
    detail: str
    retry: Retry
    roll: float
    stats: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Released:
    """The owner hands the job back because it has to stop; nobody's fault, and no attempt is used up."""

    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseExpired:
    """The owner has not been heard of for the length of its lease."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The work is no longer wanted."""


Event = Claimed | Heartbeat | Succeeded | Failed | Released | LeaseExpired | Cancelled

TRANSITIONS: Mapping[tuple[State, type[Event]], tuple[State, ...]] = {
    (State.QUEUED, Claimed): (State.RUNNING,),
    (State.QUEUED, Cancelled): (State.CANCELLED,),
    (State.RUNNING, Heartbeat): (State.RUNNING,),
    (State.RUNNING, Succeeded): (State.SUCCEEDED,),
    (State.RUNNING, Failed): (State.QUEUED, State.FAILED),
    (State.RUNNING, Released): (State.QUEUED,),
    (State.RUNNING, LeaseExpired): (State.QUEUED, State.FAILED),
    (State.RUNNING, Cancelled): (State.CANCELLED,),
}
"""Which states each event leads to. A pair that is not here is refused: what has ended stays as it is."""

UNFINISHED = (State.QUEUED, State.RUNNING)
URGENT = 100  # from this priority on somebody is waiting for the job at this moment

WORKER_LOST = "worker_lost"

REMEMBERED_S = 600.0
"""How long it counts that an asset had its turn."""

FIRST_DELAY_S = 4.0
LONGEST_DELAY_S = 300.0
FREE_DELAY_S = 8.0


class Refused(Conflict):
    """The event does not count: the job has ended, or belongs to another owner by now. Ordinary, and harmless."""

    code = "job_refused"


def backoff_s(attempt: int, retry: Retry, roll: float) -> float:
    """Seconds until the next attempt, after `attempt` attempts were used up; `roll` in [0, 1) spreads the comers.

    Counted failures wait 4 s, 8 s, 16 s … up to 5 minutes, each between half and the whole of it ("equal jitter", after Brooker,
    "Exponential Backoff And Jitter"). A free retry waits for something outside to come back, so it goes on at an even pace.
    """
    window_s = FREE_DELAY_S if retry is Retry.FREE else min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** max(0, min(attempt, 16) - 1))
    return window_s * (1 + roll) / 2


def made(new: NewJob, job_id: str, now: datetime) -> Job:
    """The job as it is stored at first."""
    return Job(
        id=job_id, kind=new.kind, subject=new.subject, asset_id=new.asset_id, args=dict(new.args), priority=new.priority, weight=new.weight,
        state=State.QUEUED, attempt=0, max_attempts=new.max_attempts, epoch=0, owner=None, lease_until=None,
        not_before=now + timedelta(seconds=new.delay_s), progress=0.0, stats={}, error_code=None, error_detail=None, created_at=now,
        finished_at=None,
    )  # fmt: skip


def turn(job: Job, workers: int, served_at: datetime | None) -> tuple[Any, ...]:
    """Of the jobs that are due, the one whose turn is least is claimed: the most urgent; then of the asset that the fewest `workers` work
    for; then of the one whose last job ended longest ago (`served_at`, None when none did within REMEMBERED_S); then the oldest.
    """
    return (-job.priority, workers, served_at is not None, served_at or job.created_at, job.created_at, job.id)


def advance(job: Job, event: Event, now: datetime) -> Job:
    """The job after `event` at time `now` (of the database's clock). Raises Refused when the event does not count."""
    allowed = TRANSITIONS.get((job.state, type(event)))
    if allowed is None:
        raise Refused(f"Job {job.id} is {job.state}; {type(event).__name__} does not apply to it.")
    if isinstance(event, Heartbeat | Succeeded | Failed | Released) and event.epoch != job.epoch:
        raise Refused(f"Job {job.id} was claimed again (claim {job.epoch}); the word of claim {event.epoch} no longer counts.")
    after = _after(job, event, now)
    assert after.state in allowed, (event, after.state)
    return after


def _after(job: Job, event: Event, now: datetime) -> Job:
    match event:
        case Claimed(owner, lease_s):
            if job.not_before > now:
                raise Refused(f"Job {job.id} is not due before {job.not_before.isoformat()}.")
            return replace(
                job, state=State.RUNNING, owner=owner, lease_until=now + timedelta(seconds=lease_s), epoch=job.epoch + 1,
                attempt=job.attempt + 1, stats={}, error_code=None, error_detail=None, started_at=now,
            )  # fmt: skip
        case Heartbeat(_, lease_s, progress, stats):
            reached = max(job.progress, min(1.0, progress))
            return replace(job, lease_until=now + timedelta(seconds=lease_s), progress=reached, stats={**job.stats, **stats})
        case Succeeded(_, stats):
            return replace(_ended(job, State.SUCCEEDED, now), progress=1.0, stats={**job.stats, **stats})
        case Failed():
            return _failed(replace(job, stats={**job.stats, **event.stats}), event, now)
        case Released():
            return replace(_queued(job, now), attempt=job.attempt - 1)
        case LeaseExpired():
            if job.lease_until is not None and job.lease_until > now:
                raise Refused(f"Job {job.id} is held until {job.lease_until.isoformat()}.")
            lost = replace(job, error_code=WORKER_LOST, error_detail="The worker that ran this step disappeared.")
            return _ended(lost, State.FAILED, now) if job.attempt >= job.max_attempts else _queued(lost, now)
        case Cancelled():
            return _ended(job, State.CANCELLED, now)


def _failed(job: Job, event: Failed, now: datetime) -> Job:
    said = replace(job, error_code=event.code, error_detail=event.detail)
    if event.retry is Retry.NEVER or (event.retry is Retry.COUNTED and job.attempt >= job.max_attempts):
        return _ended(said, State.FAILED, now)
    delay = timedelta(seconds=backoff_s(job.attempt, event.retry, event.roll))
    return replace(_queued(said, now + delay), attempt=job.attempt - (event.retry is Retry.FREE))


def _queued(job: Job, not_before: datetime) -> Job:
    return replace(job, state=State.QUEUED, owner=None, lease_until=None, not_before=not_before)


def _ended(job: Job, state: State, now: datetime) -> Job:
    return replace(job, state=state, owner=None, lease_until=None, finished_at=now)


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.QUEUED}"]
    for (before, event), afters in TRANSITIONS.items():
        lines += [f"    {before} --> {after}: {event.__name__}" for after in afters]
    lines += [f"    {state} --> [*]" for state in State if state not in UNFINISHED]
    return "\n".join(lines) + "\n"
