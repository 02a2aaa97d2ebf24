"""Runs one background step: claim, work, heartbeat, one transaction that ends it.

A step has two halves. `run` has effects on the object store and on processes, may take hours, may be done twice, and writes
no SQL, but for parts of its result that others wait for (`Beat.commit`). `save` writes SQL only, inside the transaction that ends
the job, so what it writes counts exactly if this owner still held the job. Which steps follow is the business of a `Flow`, inside
that same transaction.

While `run` works, a thread renews the lease. When the job is lost, cancelled, or the worker has to stop, it sets
`beat.cancelled`; every process that the step started through `world.runner` is then killed. What processes used up is noted
in the job's stats without the step doing anything.

This is one of the named edges where any exception is caught: an expected one (HeadwaterError) becomes the job's error,
anything else is reported as the bug it is.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from kit import db, ids, job_store, log, metrics
from kit.errors import HeadwaterError, StepFailed, Unavailable
from kit.jobs import WORKER_LOST, Job, NewJob, Refused, State
from kit.process import Command, Completed, Runner
from kit.world import World

BEAT_S = 10.0
_TICK_S = 0.25  # how soon a stop is noticed
_LEAST_S = 1.0  # between two heartbeats that bring news
_LOOK_S = 2.0  # between two looks at whether the job is still wanted, when no heartbeat says so
_GRACE_S = 2.5  # what a step has to stop by itself before its job is handed back under it

_log = log.logger("step")

T = TypeVar("T")


class Beat:
    """What a running step may say, and hear, while it works. Any thread may call it."""

    def __init__(self, commit: Callable[[Callable[[Connection], Any]], Any] | None = None) -> None:
        self.cancelled = threading.Event()
        """Set when the result is not wanted any more; the step should return or raise soon."""
        self._commit = commit
        self._lock = threading.Lock()
        self._fraction = 0.0
        self._stats: dict[str, Any] = {}
        self._looks: list[Callable[[], None]] = []

    def progress(self, fraction: float, **stats: Any) -> None:
        """How much is done (0 to 1), and figures worth showing (`fps`, `media_s` …); JSON values only."""
        with self._lock:
            self._fraction = max(self._fraction, min(1.0, fraction))
            self._stats.update(stats)

    @contextmanager
    def looking(self, look: Callable[[], None]) -> Iterator[None]:
        """Meanwhile `look` is called before whatever is told of the step, and once in the end: for progress that nobody reports. It
        should be quick, and must not raise."""
        self._looks.append(look)
        try:
            yield
            look()
        finally:
            self._looks.remove(look)

    def commit(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction of its own, now, for what others should see before the step ends. It counts exactly if
        this owner still holds the job, which is held fast meanwhile. Raises Refused, and whatever `work` raises."""
        assert self._commit is not None, "this beat belongs to no running job"
        result: T = self._commit(work)
        return result

    def ran(self, completed: Completed) -> None:
        """Adds what a process used up. Called for every run of the step's `world.runner`."""
        with self._lock:
            self._stats["cpu_s"] = round(self._stats.get("cpu_s", 0.0) + completed.cpu_s, 3)
            self._stats["peak_rss_bytes"] = max(self._stats.get("peak_rss_bytes", 0), completed.peak_rss_bytes)
            self._stats["runs"] = self._stats.get("runs", 0) + 1

    def so_far(self) -> tuple[float, dict[str, Any]]:
        for look in tuple(self._looks):
            look()
        with self._lock:
            return self._fraction, dict(self._stats)


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of background work."""

    kind: str
    run: Callable[[World, Job, Beat], Any]
    save: Callable[[Connection, World, Job, Any], None]


class Jobs(Protocol):
    """How jobs end and are made: `kit.job_store`, or what a test puts in its place."""

    def finish(self, conn: Any, job: Job, stats: Mapping[str, Any]) -> Job: ...

    def fail(self, conn: Any, job: Job, error: HeadwaterError, roll: float, stats: Mapping[str, Any]) -> Job: ...

    def expire(self, conn: Any, job_id: str) -> Job: ...

    def enqueue_all(self, conn: Any, wanted: Sequence[NewJob]) -> tuple[Job, ...]: ...


class Flow(Protocol):
    """Which step follows which (`worker.flow`)."""

    def lock(self, conn: Connection, job: Job) -> None:
        """Called first in every transaction that ends a job: locks the job's asset. Everyone who needs both locks the asset
        first and jobs after it, so nobody waits in a circle."""
        ...

    def followers(self, conn: Connection, job: Job, result: Any) -> Sequence[NewJob]:
        """The jobs that become possible now that `job` has succeeded and its result is saved."""
        ...

    def died(self, conn: Connection, job: Job, error: HeadwaterError) -> None:
        """The job has finally failed."""
        ...


@dataclass(frozen=True, slots=True)
class WatchedRunner:
    """The step's runner: its processes die with the step's claim, and their use of CPU and memory is noted."""

    inner: Runner
    beat: Beat

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None, cancel: threading.Event | None = None) -> Completed:
        completed = self.inner.run(command, on_line=on_line, cancel=cancel or self.beat.cancelled)
        self.beat.ran(completed)
        return completed


class _Heart:
    """The thread that renews the lease while the step works, and tells the step to stop."""

    def __init__(self, world: World, job: Job, beat: Beat, stopping: threading.Event, *, lease_s: float, beat_s: float) -> None:
        self._world, self._job, self._beat, self._stopping = world, job, beat, stopping
        self._lease_s, self._beat_s = lease_s, beat_s
        self._renewed_s = self._looked_s = world.clock.monotonic_s()
        self._sent: tuple[float, dict[str, Any]] = (0.0, {})
        self._stop_by_s: float | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heart of {job.id}", daemon=True)
        self.lost = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._done.wait(min(_TICK_S, self._beat_s)):
            if self._stopping.is_set():
                self._stop()
            if not self.lost and self._is_due():
                self._renew()
            elif not self.lost and self._world.clock.monotonic_s() - self._looked_s >= _LOOK_S:
                self._look()

    def _stop(self) -> None:
        """Breaks the step off; when it does not listen (an upload that takes long), its job is handed back under it: nothing
        it still does can count, and the process is about to end."""
        self._beat.cancelled.set()
        now_s = self._world.clock.monotonic_s()
        self._stop_by_s = self._stop_by_s or now_s + _GRACE_S
        if now_s >= self._stop_by_s and not self.lost:
            self.lost = True
            _hand_back(self._world, self._job)

    def _is_due(self) -> bool:
        since_s = self._world.clock.monotonic_s() - self._renewed_s
        return since_s >= self._beat_s or (since_s >= _LEAST_S and self._beat.so_far() != self._sent)

    def _renew(self) -> None:
        began_s, news = self._world.clock.monotonic_s(), self._beat.so_far()
        self._looked_s = began_s
        try:
            with self._world.db.begin() as conn:
                held = job_store.heartbeat(conn, self._job, *news, lease_s=self._lease_s)
        except Exception as error:  # noqa: BLE001 - whatever keeps us from renewing has one meaning: the lease runs out
            if not db.is_away(error):
                _log.bug("heartbeat broke", error, job=self._job.id)
            held = began_s - self._renewed_s < self._lease_s
        else:
            self._renewed_s, self._sent = began_s, news
        if not held:
            self._lose()

    def _look(self) -> None:
        """So that a cancelled job ends soon, however rarely its lease has to be renewed. Writes nothing."""
        self._looked_s = self._world.clock.monotonic_s()
        try:
            with self._world.db.connect() as conn:
                held = job_store.is_held(conn, self._job)
        except SQLAlchemyError:
            return  # the next heartbeat decides, and says what is wrong
        if not held:
            self._lose()

    def _lose(self) -> None:
        self.lost = True
        self._beat.cancelled.set()


# -- the transactions that end an attempt. All of them raise Refused when the job is not the owner's any more.


def conclude(
    conn: Connection, flow: Flow, job: Job, *, stats: Mapping[str, Any], result: Any, save: Callable[[Job], None], jobs: Jobs = job_store
) -> None:
    """It succeeded: what it found is saved, and what follows is queued."""
    flow.lock(conn, job)
    done = jobs.finish(conn, job, stats)
    save(done)
    jobs.enqueue_all(conn, flow.followers(conn, done, result))


def concede(
    conn: Connection, flow: Flow, job: Job, *, stats: Mapping[str, Any], error: HeadwaterError, roll: float, jobs: Jobs = job_store
) -> Job:
    """It failed: it is queued again, or given up with what that costs."""
    flow.lock(conn, job)
    after = jobs.fail(conn, job, error, roll, stats)
    if after.state is State.FAILED:
        flow.died(conn, after, error)
    return after


def take_back(conn: Connection, flow: Flow, job: Job, jobs: Jobs = job_store) -> Job:
    """Its owner is lost. Likewise."""
    flow.lock(conn, job)
    after = jobs.expire(conn, job.id)
    if after.state is State.FAILED:
        flow.died(conn, after, StepFailed(after.error_detail or "", code=WORKER_LOST))
    return after


def run_step(
    world: World,
    steps: Mapping[str, Step],
    flow: Flow,
    owner: str,
    *,
    stopping: threading.Event | None = None,
    lease_s: float = job_store.LEASE_S,
    beat_s: float = BEAT_S,
    least_priority: int | None = None,
) -> bool:
    """Claims one job (as urgent as `least_priority`) and runs it to its end, whatever that is. False when there was nothing to do.

    With `stopping` set, the work is broken off and the job handed back. Raises only what the claim raises, when the database
    is away (`kit.db.is_away`).
    """
    with world.db.begin() as conn:
        job = job_store.claim(conn, owner, lease_s, kinds=tuple(steps), least_priority=least_priority)
    if job is None:
        return False
    beat, stop = Beat(functools.partial(_commit_held, world, job)), stopping or threading.Event()
    began_s = world.clock.monotonic_s()
    with _Heart(world, job, beat, stop, lease_s=lease_s, beat_s=beat_s) as heart:
        watched, step = dataclasses.replace(world, runner=WatchedRunner(world.runner, beat)), steps[job.kind]
        error, result = _tried(lambda: step.run(watched, job, beat), job)
        stats = {**beat.so_far()[1], "wall_s": round(world.clock.monotonic_s() - began_s, 3)}
        ending = _Ending(world, flow, job, stats, heart, stop)
        outcome = ending.failed(error) if error is not None else ending.succeeded(step, result)
    metrics.STEPS.labels(job.kind, outcome).inc()
    metrics.STEP_SECONDS.labels(job.kind).observe(stats["wall_s"])
    return True


def _commit_held(world: World, job: Job, work: Callable[[Connection], T]) -> T:
    with world.db.begin() as conn:
        job_store.hold(conn, job)
        return work(conn)


def _tried(work: Callable[[], T], job: Job) -> tuple[HeadwaterError | None, T | None]:
    """What `work` returned, or how it failed: every way in which a part of a job can end is an outcome of that job."""
    try:
        return None, work()
    except Exception as error:  # noqa: BLE001 - the edge between a worker and whatever it runs
        return _explained(error, job), None


def _explained(error: Exception, job: Job) -> HeadwaterError:
    """What the job's record says about `error`. A bug is reported here, with its trace."""
    if isinstance(error, HeadwaterError):
        return error
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Unavailable("The worker's disk is full.", code="disk_full")
    if db.is_away(error):
        return Unavailable("The database does not answer.", code="database_unavailable")
    _log.bug("broke", error, kind=job.kind, subject=job.subject, job=job.id)
    if isinstance(error, MemoryError):
        return StepFailed("The worker had not enough memory for this step.", code="out_of_memory")
    return StepFailed(f"The step {job.kind} broke in an unforeseen way ({type(error).__name__}).", code="internal")


def _hand_back(world: World, job: Job) -> bool:
    """Queues the job again without using up an attempt. False when that is not possible: the lease then runs out by itself."""
    error, _ = _tried(lambda: _release(world, job), job)
    return error is None


def _release(world: World, job: Job) -> None:
    with world.db.begin() as conn:
        job_store.release(conn, job)


@dataclass(frozen=True, slots=True)
class _Ending:
    """The last transaction of an attempt. Each method returns the outcome, as the metrics name it."""

    world: World
    flow: Flow
    job: Job
    stats: dict[str, Any]
    heart: _Heart
    stopping: threading.Event

    def succeeded(self, step: Step, result: Any) -> str:
        def end(conn: Connection) -> None:
            conclude(
                conn, self.flow, self.job, stats=self.stats, result=result, save=lambda done: step.save(conn, self.world, done, result)
            )

        error, _ = _tried(lambda: self._insist(end), self.job)
        if isinstance(error, Refused):
            return self._say("lost")
        return self._say("succeeded") if error is None else self.failed(error)  # saving is a part of the step, and fails as the step may

    def failed(self, error: HeadwaterError) -> str:
        if self.heart.lost:
            return self._say("lost")
        if self.stopping.is_set():
            return self._say("released" if _hand_back(self.world, self.job) else "lost")

        def end(conn: Connection) -> Job:
            return concede(conn, self.flow, self.job, stats=self.stats, error=error, roll=ids.roll())

        second, after = _tried(lambda: self._insist(end), self.job)
        if isinstance(second, Refused):
            return self._say("lost")
        # What cannot be recorded is lost too: the lease runs out, and the sweeper takes over.
        outcome = "lost" if after is None else "failed" if after.state is State.FAILED else "again"
        return self._say(outcome, code=error.code, detail=error.detail)

    def _insist(self, work: Callable[[Connection], T]) -> T:
        """Commits `work`, again and again while the database is away and the lease holds: the result may have taken hours."""
        while True:
            try:
                with self.world.db.begin() as conn:
                    return work(conn)
            except db.ERRORS as error:
                if not db.is_away(error) or self.heart.lost or self.stopping.is_set():
                    raise
                self.world.clock.sleep(1.0)

    def _say(self, outcome: str, **more: Any) -> str:
        write = {"failed": _log.error, "again": _log.warning, "lost": _log.warning}.get(outcome, _log.info)
        write(
            outcome, kind=self.job.kind, subject=self.job.subject, attempt=self.job.attempt,
            wall_s=self.stats["wall_s"], cpu_s=self.stats.get("cpu_s"), **more,
        )  # fmt: skip
        return outcome
