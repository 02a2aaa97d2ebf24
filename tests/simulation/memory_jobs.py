"""`kit.job_store` in memory: the same functions with the same meaning, held to it by `tests/contract/job_suite.py`.

Whatever happens to a job is decided by `kit.jobs`, as it is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from kit.errors import HeadwaterError
from kit.job_store import LEASE_S, RING_AGAIN_AFTER_S, Bell
from kit.jobs import (
    REMEMBERED_S,
    UNFINISHED,
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
    made,
    turn,
)
from tests.simulation.memory import Transaction


class MemoryJobs:
    """Every method takes part in the caller's transaction."""

    def enqueue(self, conn: Transaction, new: NewJob) -> Job:
        return self.enqueue_all(conn, [new])[0]

    def enqueue_all(self, conn: Transaction, wanted: Sequence[NewJob]) -> tuple[Job, ...]:
        return tuple(self._find_or_make(conn, new) for new in wanted)

    def _find_or_make(self, conn: Transaction, new: NewJob) -> Job:
        db, work = conn.db, (new.kind, new.subject)
        if work in db.by_work:
            return db.jobs[db.by_work[work]]
        job = made(new, f"job_{db.next_serial():06}", db.clock.now())
        conn.write(db.jobs, job.id, job)
        conn.write(db.by_work, work, job.id)
        self._ring(conn, [job.id])
        return job

    def _ring(self, conn: Transaction, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            bell = Bell(conn.db.next_serial(), job_id)
            conn.write(conn.db.outbox, bell.id, bell)
            conn.write(conn.db.rung_at, job_id, conn.db.clock.now())

    # -- the life of one job

    def claim(
        self,
        conn: Transaction,
        owner: str,
        lease_s: float = LEASE_S,
        kinds: Iterable[str] | None = None,
        *,
        least_priority: int | None = None,
    ) -> Job | None:
        now, wanted = conn.db.clock.now(), None if kinds is None else set(kinds)
        due = [
            job
            for job in conn.db.jobs.values()
            if job.state is State.QUEUED
            and job.not_before <= now
            and (wanted is None or job.kind in wanted)
            and (least_priority is None or job.priority >= least_priority)
        ]
        if not due:
            return None
        workers: dict[str, int] = {}
        served: dict[str, Any] = {}
        since = now - timedelta(seconds=REMEMBERED_S)
        for job in conn.db.jobs.values():
            if job.state is State.RUNNING:
                workers[job.asset_id] = workers.get(job.asset_id, 0) + 1
            elif job.finished_at is not None and job.finished_at > since:
                served[job.asset_id] = max(served.get(job.asset_id, job.finished_at), job.finished_at)
        first = min(due, key=lambda job: turn(job, workers.get(job.asset_id, 0), served.get(job.asset_id)))
        return self._store(conn, advance(first, Claimed(owner, lease_s), now))

    def hold(self, conn: Transaction, job: Job) -> None:
        if not self.is_held(conn, job):
            raise Refused(f"The job {job.id} is not this worker's any more.")

    def is_held(self, conn: Transaction, job: Job) -> bool:
        found = conn.db.jobs.get(job.id)
        return found is not None and (found.state, found.epoch) == (State.RUNNING, job.epoch)

    def prefer(self, conn: Transaction, asset_id: str, kind: str, args: Mapping[str, Any], priority: int) -> int:
        waiting = [job for job in self.jobs_of_asset(conn, asset_id) if job.state is State.QUEUED and job.kind == kind]
        raised = [job for job in waiting if job.priority < priority and args.items() <= job.args.items()]
        for job in raised:
            self._store(conn, replace(job, priority=priority))
        return len(raised)

    def is_under_way(self, conn: Transaction, kind: str, subject: str) -> bool:
        job_id = conn.db.by_work.get((kind, subject))
        return job_id is not None and conn.db.jobs[job_id].state in (State.SUCCEEDED, *UNFINISHED)

    def heartbeat(self, conn: Transaction, job: Job, progress: float, stats: Mapping[str, Any], lease_s: float = LEASE_S) -> bool:
        try:
            self._apply(conn, job.id, Heartbeat(job.epoch, lease_s, progress, stats))
        except Refused:
            return False
        return True

    def finish(self, conn: Transaction, job: Job, stats: Mapping[str, Any]) -> Job:
        return self._apply(conn, job.id, Succeeded(job.epoch, stats))

    def fail(self, conn: Transaction, job: Job, error: HeadwaterError, roll: float, stats: Mapping[str, Any]) -> Job:
        return self._apply(conn, job.id, Failed(job.epoch, error.code, error.detail, error.retry, roll, stats))

    def release(self, conn: Transaction, job: Job) -> Job:
        released = self._apply(conn, job.id, Released(job.epoch))
        self._ring(conn, [released.id])
        return released

    def expire(self, conn: Transaction, job_id: str) -> Job:
        expired = self._apply(conn, job_id, LeaseExpired())
        if expired.state is State.QUEUED:
            self._ring(conn, [expired.id])
        return expired

    def cancel_asset(self, conn: Transaction, asset_id: str) -> int:
        unfinished = [job.id for job in self.jobs_of_asset(conn, asset_id) if job.state in UNFINISHED]
        for job_id in unfinished:
            self._apply(conn, job_id, Cancelled())
        return len(unfinished)

    def _apply(self, conn: Transaction, job_id: str, event: Event) -> Job:
        job = conn.db.jobs.get(job_id)
        if job is None:
            raise Refused(f"There is no job {job_id}.")
        return self._store(conn, advance(job, event, conn.db.clock.now()))

    def _store(self, conn: Transaction, job: Job) -> Job:
        conn.write(conn.db.jobs, job.id, job)
        return job

    # -- looking

    def get(self, conn: Transaction, job_id: str) -> Job | None:
        return conn.db.jobs.get(job_id)

    def jobs_of_asset(self, conn: Transaction, asset_id: str) -> list[Job]:
        return [job for job in conn.db.jobs.values() if job.asset_id == asset_id]  # ids rise as jobs are made

    def unfinished(self, conn: Transaction, asset_id: str, kinds: Collection[str] | None = None) -> int:
        return sum(job.state in UNFINISHED and (kinds is None or job.kind in kinds) for job in self.jobs_of_asset(conn, asset_id))

    # -- what the sweeper looks after

    def expired(self, conn: Transaction) -> list[Job]:
        now = conn.db.clock.now()
        late = [(job.lease_until, job) for job in conn.db.jobs.values() if job.state is State.RUNNING and job.lease_until is not None]
        return [job for until, job in sorted(late, key=lambda item: item[0]) if until < now]

    def ring_again(self, conn: Transaction) -> int:
        now = conn.db.clock.now()
        old = now - timedelta(seconds=RING_AGAIN_AFTER_S)
        due = [job.id for job in conn.db.jobs.values() if job.state is State.QUEUED and job.not_before <= now]
        forgotten = [job_id for job_id in due if conn.db.rung_at[job_id] < old]
        self._ring(conn, forgotten)
        return len(forgotten)

    def take_bells(self, conn: Transaction, limit: int = 100) -> list[Bell]:
        return [conn.db.outbox[key] for key in sorted(conn.db.outbox)[:limit]]

    def forget_bells(self, conn: Transaction, bells: Sequence[Bell]) -> None:
        for bell in bells:
            conn.drop(conn.db.outbox, bell.id)
