"""Steps run to their end on a live database, whatever that end is: result saved once, or nothing saved at all."""

from __future__ import annotations

import errno
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from kit import job_store
from kit.errors import HeadwaterError, Rejected, StepFailed, Unavailable
from kit.jobs import Job, NewJob, State
from kit.process import Command
from kit.sandbox import Confinement
from kit.step import Beat, Step, run_step
from kit.world import World

KIND, NEXT = "test.step", "test.next"
FOREVER = Command((sys.executable, "-c", "import time; time.sleep(600)"), timeout_s=30)


@dataclass
class TestFlow:
    """One follower, and a note of who died."""

    __test__ = False
    deaths: list[tuple[str, str]] = field(default_factory=list)
    breaks: bool = False

    def lock(self, conn: Connection, job: Job) -> None: ...

    def followers(self, conn: Connection, job: Job, result: Any) -> Sequence[NewJob]:
        if self.breaks:
            raise RuntimeError("a bug in the flow")
        return [NewJob(NEXT, job.subject, job.asset_id)] if job.kind == KIND else []

    def died(self, conn: Connection, job: Job, error: HeadwaterError) -> None:
        self.deaths.append((job.id, error.code))


@dataclass
class Bench:
    """A world with one kind of step, whose halves a test provides."""

    world: World
    flow: TestFlow = field(default_factory=TestFlow)
    stopping: threading.Event = field(default_factory=threading.Event)
    lease_s: float = 45.0

    def __post_init__(self) -> None:
        with self.world.db.begin() as conn:
            conn.execute(text("CREATE TABLE saved (subject text)"))
            self.job = job_store.enqueue(conn, NewJob(KIND, "one", "ast_1"))
            job_store.forget_bells(conn, job_store.take_bells(conn))

    def do(self, run: Callable[[World, Job, Beat], Any], save: Callable[..., None] | None = None, beat_s: float = 10.0) -> Job:
        steps = {KIND: Step(KIND, run, save or self.save)}
        assert run_step(self.world, steps, self.flow, "worker-a", stopping=self.stopping, lease_s=self.lease_s, beat_s=beat_s)
        return self.current()

    def save(self, conn: Connection, world: World, job: Job, result: Any) -> None:
        conn.execute(text("INSERT INTO saved VALUES (:subject)"), {"subject": str(result)})

    def current(self) -> Job:
        with self.world.db.begin() as conn:
            job = job_store.get(conn, self.job.id)
        assert job is not None
        return job

    def saved(self) -> list[str]:
        with self.world.db.begin() as conn:
            return list(conn.scalars(text("SELECT subject FROM saved")))

    def next_jobs(self) -> int:
        with self.world.db.begin() as conn:
            return job_store.unfinished(conn, "ast_1", [NEXT])

    def take_over(self) -> Job:
        """Another worker gets the job because the first was not heard of."""
        with self.world.db.begin() as conn:
            conn.execute(text("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 second'"))
            job_store.expire(conn, self.job.id)
            job = job_store.claim(conn, "worker-b", kinds=[KIND])
        assert job is not None
        return job


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


def fail_with(error: BaseException) -> Callable[[World, Job, Beat], Any]:
    def run(world: World, job: Job, beat: Beat) -> Any:
        raise error

    return run


def test_nothing_to_do(bench: Bench) -> None:
    assert not run_step(
        bench.world, {"test.unknown": Step("test.unknown", fail_with(AssertionError()), bench.save)}, bench.flow, "worker-a"
    )


def test_success_saves_the_result_and_makes_the_follower(bench: Bench) -> None:
    def run(world: World, job: Job, beat: Beat) -> str:
        beat.progress(0.5, fps=51.2)
        world.runner.run(Command((sys.executable, "-c", "import sys, time; time.sleep(0.5); sys.exit(3)"), timeout_s=60))
        world.runner.run(Command((sys.executable, "-c", "pass"), timeout_s=60))
        return "result"

    job = bench.do(run)
    assert (job.state, job.progress, job.attempt, job.epoch) == (State.SUCCEEDED, 1.0, 1, 1)
    assert (job.stats["fps"], job.stats["runs"]) == (51.2, 2)
    assert job.stats["cpu_s"] > 0
    assert job.stats["peak_rss_bytes"] > 1 << 20
    assert job.stats["wall_s"] > 0
    assert bench.saved() == ["result"]
    assert bench.next_jobs() == 1
    with bench.world.db.begin() as conn:
        [bell] = job_store.take_bells(conn)
        [follower] = [job for job in job_store.jobs_of_asset(conn, "ast_1") if job.kind == NEXT]
    assert bell.job_id == follower.id


@pytest.mark.parametrize(
    ("error", "state", "attempt", "code"),
    [
        (Rejected("No video.", code="no_video_stream"), State.FAILED, 1, "no_video_stream"),
        (StepFailed("FFmpeg ended with code 1.", code="ffmpeg_error"), State.QUEUED, 1, "ffmpeg_error"),
        (Unavailable("The store is away.", code="storage_unavailable"), State.QUEUED, 0, "storage_unavailable"),
        (OSError(errno.ENOSPC, "No space left on device"), State.QUEUED, 0, "disk_full"),
        (MemoryError(), State.QUEUED, 1, "out_of_memory"),
        (ZeroDivisionError("a bug"), State.QUEUED, 1, "internal"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_error_has_its_consequence(bench: Bench, error: Exception, state: State, attempt: int, code: str) -> None:
    job = bench.do(fail_with(error))
    assert (job.state, job.attempt, job.error_code) == (state, attempt, code)
    assert bench.saved() == []
    assert bench.next_jobs() == 0
    assert bench.flow.deaths == ([(job.id, code)] if state is State.FAILED else [])


def test_a_step_that_always_fails_dies_after_its_last_attempt(bench: Bench) -> None:
    for attempt in range(1, 4):
        with bench.world.db.begin() as conn:
            conn.execute(text("UPDATE jobs SET not_before = clock_timestamp()"))
        job = bench.do(fail_with(ZeroDivisionError("poison")))
        assert job.attempt == attempt
    assert job.state is State.FAILED
    assert bench.flow.deaths == [(job.id, "internal")]
    assert job.error_detail == "The step test.step broke in an unforeseen way (ZeroDivisionError)."


def test_an_error_while_saving_leaves_nothing_half_saved(bench: Bench) -> None:
    def save(conn: Connection, world: World, job: Job, result: Any) -> None:
        bench.save(conn, world, job, result)
        raise StepFailed("The plan is not there.", code="plan_missing")

    job = bench.do(lambda world, job, beat: "half", save)
    assert (job.state, job.error_code) == (State.QUEUED, "plan_missing")
    assert bench.saved() == []


def test_a_bug_in_the_flow_leaves_nothing_half_saved(bench: Bench) -> None:
    bench.flow.breaks = True
    job = bench.do(lambda world, job, beat: "half")
    assert (job.state, job.error_code) == (State.QUEUED, "internal")
    assert bench.saved() == []


def test_a_connection_lost_while_saving_is_tried_again(bench: Bench) -> None:
    tries = []

    def save(conn: Connection, world: World, job: Job, result: Any) -> None:
        tries.append(result)
        bench.save(conn, world, job, result)
        if len(tries) == 1:
            conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    runs = []
    job = bench.do(lambda world, job, beat: runs.append(1) or "hours of work", save)
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)
    assert (len(runs), len(tries)) == (1, 2)
    assert bench.saved() == ["hours of work"]
    assert bench.next_jobs() == 1


def test_the_old_owner_is_stopped_and_its_result_refused(bench: Bench) -> None:
    """The lease passes to another while the step works: its process is killed, and what it would save is not saved."""
    ended = []

    def run(world: World, job: Job, beat: Beat) -> str:
        new_owner.append(bench.take_over())
        try:
            world.runner.run(FOREVER)
        except HeadwaterError as error:
            ended.append(error.code)
        return "too late"

    new_owner: list[Job] = []
    job = bench.do(run, beat_s=0.1)
    assert ended == ["cancelled"]
    assert (job.state, job.owner, job.epoch) == (State.RUNNING, "worker-b", 2)
    assert bench.saved() == []
    with bench.world.db.begin() as conn:
        assert job_store.finish(conn, new_owner[0], {}).state is State.SUCCEEDED


def test_a_result_is_refused_even_when_nobody_noticed_the_loss(bench: Bench) -> None:
    job = bench.do(lambda world, job, beat: bench.take_over().id)
    assert (job.owner, job.epoch) == ("worker-b", 2)
    assert bench.saved() == []
    assert bench.next_jobs() == 0


def test_a_cancelled_job_stops_its_process(bench: Bench) -> None:
    def run(world: World, job: Job, beat: Beat) -> None:
        with bench.world.db.begin() as conn:
            job_store.cancel_asset(conn, "ast_1")
        world.runner.run(FOREVER)

    assert bench.do(run, beat_s=0.1).state is State.CANCELLED
    assert bench.flow.deaths == []


def test_a_silent_step_hears_of_it_without_a_heartbeat(bench: Bench) -> None:
    """Checklist line J9: its next heartbeat would come far too late."""
    ended = []

    def run(world: World, job: Job, beat: Beat) -> None:
        with bench.world.db.begin() as conn:
            job_store.cancel_asset(conn, "ast_1")
        try:
            world.runner.run(FOREVER)
        except HeadwaterError as error:
            ended.append(error.code)

    assert bench.do(run, beat_s=3600).state is State.CANCELLED
    assert ended == ["cancelled"]


HUNGRY = Confinement(reads=(Path(sys.prefix), Path(sys.base_prefix)), memory_bytes=128 << 20, cpu_s=1)


def python(code: str, timeout_s: float = 60.0, stall_s: float | None = None) -> Command:
    return Command((sys.executable, "-I", "-S", "-c", code), timeout_s=timeout_s, stall_s=stall_s, confine=HUNGRY)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (python("while True: pass"), "cpu_limit"),
        (python("held = [bytearray(1 << 20) for _ in range(1000)]"), "out_of_memory"),
        (python("import time; time.sleep(600)", timeout_s=0.5), "wall_limit"),
        (python("import time; time.sleep(600)", stall_s=0.5), "stall"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_limit_that_ended_a_program_is_the_cause_in_the_record(bench: Bench, command: Command, code: str) -> None:
    job = bench.do(lambda world, job, beat: world.runner.run(command))
    assert (job.state, job.attempt, job.error_code) == (State.QUEUED, 1, code)
    assert job.error_detail is not None
    assert job.error_detail.endswith(".")


def test_a_stopping_worker_hands_its_job_back(bench: Bench) -> None:
    def run(world: World, job: Job, beat: Beat) -> None:
        bench.stopping.set()
        world.runner.run(FOREVER)

    job = bench.do(run)
    assert (job.state, job.attempt, job.error_code) == (State.QUEUED, 0, None)
    with bench.world.db.begin() as conn:
        assert [bell.job_id for bell in job_store.take_bells(conn)] == [job.id]
        again = job_store.claim(conn, "worker-b")
    assert again is not None
    assert again.id == job.id


def test_a_step_that_does_not_listen_loses_its_job_all_the_same(bench: Bench) -> None:
    seen: list[State] = []

    def run(world: World, job: Job, beat: Beat) -> str:
        bench.stopping.set()
        deadline = time.monotonic() + 60
        while bench.current().state is State.RUNNING and time.monotonic() < deadline:
            time.sleep(0.05)
        seen.append(bench.current().state)
        return "too late"

    job = bench.do(run)
    assert seen == [State.QUEUED]
    assert (job.state, job.attempt) == (State.QUEUED, 0)
    assert bench.saved() == []


def test_a_step_that_works_longer_than_its_lease_keeps_it(bench: Bench) -> None:
    bench.lease_s = 0.6

    def run(world: World, job: Job, beat: Beat) -> str:
        for _ in range(8):
            time.sleep(0.2)
            with bench.world.db.begin() as conn:
                assert job_store.expired(conn) == []
        return "slow"

    assert bench.do(run, beat_s=0.1).state is State.SUCCEEDED
    assert bench.saved() == ["slow"]


def test_progress_is_visible_while_the_step_works(bench: Bench) -> None:
    seen: list[tuple[float, Any]] = []

    def run(world: World, job: Job, beat: Beat) -> None:
        beat.progress(0.4, fps=30.0)
        beat.progress(0.2)
        deadline = time.monotonic() + 60
        while bench.current().progress == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        seen.append((bench.current().progress, bench.current().stats.get("fps")))

    bench.do(run)
    assert seen == [(0.4, 30.0)]


def test_a_worker_cut_off_from_the_database_stops_before_its_lease_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another may own the job by then, so the process must not go on writing. The cut is made by refusing heartbeats, because
    the database has to stay reachable for the test itself."""
    from sqlalchemy.exc import OperationalError

    def cut(*_: Any, **__: Any) -> bool:
        raise OperationalError("heartbeat", {}, Exception("server closed the connection"))

    monkeypatch.setattr(job_store, "heartbeat", cut)
    bench.lease_s = 1.0
    ended: list[str] = []

    def run(world: World, job: Job, beat: Beat) -> None:
        try:
            world.runner.run(FOREVER)
        except HeadwaterError as error:
            ended.append(error.code)
            raise

    job = bench.do(run, beat_s=0.1)
    assert ended == ["cancelled"]
    assert job.state is State.RUNNING  # nobody could say otherwise; the sweeper will
