"""The worker and sweeper programs, killed, stopped, cut off and rung for too often: every job is done, and once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import text

from catalog.priority import DEMAND, NEXT
from kit import job_store
from kit.jobs import Job, NewJob, State
from kit.settings import Settings, to_environment
from kit.world import World
from stack import servers
from stack.child import Child
from tests.eventually import eventually
from tests.integration.worker_program import HOLD
from tests.processes import is_alive
from worker.app import doorbell, make_app

TREE = Path(__file__).parents[2]
NEVER = {"TEST_LOOK_S": "3600"}  # work is found by messages only


@dataclass
class Program:
    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text()


@dataclass
class Stage:
    """Starts programs on one world, and looks at what they did."""

    world: World
    settings: Settings
    folder: Path
    programs: list[Program] = field(default_factory=list)

    def __post_init__(self) -> None:
        with self.world.db.begin() as conn:
            conn.execute(text("CREATE TABLE saved (subject text, worker int)"))

    def start(self, kind: str, environment: dict[str, str] | None = None) -> Program:
        output = self.folder / f"{len(self.programs)}-{kind}.log"
        plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.worker_program", kind],
                cwd=TREE, env={**plain, **to_environment(self.settings), **(environment or {})}, stdout=file, stderr=file,
            )  # fmt: skip
        program = Program(process, output)
        self.programs.append(program)
        assert eventually(lambda: f"{kind} ready" in program.said() or "broker is away" in program.said()), program.said()
        return program

    def put(self, *subjects: str, priority: int = 0) -> None:
        args = {"gate": str(self.folder / "gate"), "note": str(self.folder / "note")}
        with self.world.db.begin() as conn:
            job_store.enqueue_all(conn, [NewJob(HOLD, subject, "ast_test", args, priority) for subject in subjects])

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    def noted(self, who: str) -> list[int]:
        note = self.folder / "note"
        return [int(line.split()[1]) for line in note.read_text().splitlines() if line.startswith(who)] if note.exists() else []

    def jobs(self) -> list[Job]:
        with self.world.db.begin() as conn:
            return job_store.jobs_of_asset(conn, "ast_test")

    def saved(self) -> list[tuple[str, int]]:
        with self.world.db.begin() as conn:
            return [(row.subject, row.worker) for row in conn.execute(text("SELECT * FROM saved ORDER BY subject"))]

    def running(self) -> list[str]:
        return sorted(job.subject for job in self.jobs() if job.state is State.RUNNING)

    def all_done(self) -> bool:
        return eventually(lambda: all(job.state is State.SUCCEEDED for job in self.jobs()))

    def close(self) -> None:
        for program in self.programs:
            program.process.kill()
            program.process.wait()


@pytest.fixture
def stage(world: World, settings: Settings, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(world, replace(settings, worker_processes=1), tmp_path)
    try:
        yield stage
    finally:
        stage.close()


@pytest.fixture
def own_broker() -> Iterator[tuple[Callable[[], Child], str]]:
    """A function that starts a broker of this test's own, and its address."""
    folder = Path(tempfile.mkdtemp(prefix="hw-broker-"))
    places = servers.places(folder)
    started: list[Child] = []

    def start() -> Child:
        started.append(Child(servers.valkey(places)))
        started[-1].wait_ready()
        return started[-1]

    try:
        yield start, servers.valkey_url(places)
    finally:
        for child in started:
            child.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_message_is_enough_and_a_healthy_run_makes_no_noise(stage: Stage) -> None:
    stage.open_gate()
    worker, sweeper = stage.start("worker", NEVER), stage.start("sweeper")
    stage.put("one", "two", "three")
    assert stage.all_done()
    assert [subject for subject, _ in stage.saved()] == ["one", "three", "two"]
    assert eventually(lambda: worker.said().count("step  succeeded kind=test.hold") == 3), worker.said()  # said after it is saved
    for program in (worker, sweeper):
        program.process.terminate()
        assert program.process.wait(timeout=60) == 0
    lines = [line.split(maxsplit=1)[1] for line in (worker.said() + sweeper.said()).splitlines()]
    assert {line.split()[0] for line in lines} == {"info"}
    assert len(lines) == 7  # and both say when they are ready and when they have stopped


def test_work_is_found_without_a_broker(stage: Stage) -> None:
    stage.settings = replace(stage.settings, broker_url="redis+socket:///nowhere/broker.sock")
    stage.open_gate()
    worker, sweeper = stage.start("worker"), stage.start("sweeper")
    stage.put("one", "two")
    assert stage.all_done()
    assert eventually(lambda: "messages wait in the outbox code=broker_unavailable" in sweeper.said())
    assert worker.said().count("broker is away") == 1
    assert "Traceback" not in worker.said() + sweeper.said()
    worker.process.terminate()
    assert worker.process.wait(timeout=60) == 0


def test_messages_flow_again_after_the_broker_died(stage: Stage, own_broker: tuple[Callable[[], Child], str]) -> None:
    start_broker, address = own_broker
    stage.settings = replace(stage.settings, broker_url=address)
    first = start_broker()
    stage.open_gate()
    worker, sweeper = stage.start("worker", NEVER), stage.start("sweeper")
    stage.put("before")
    assert stage.all_done()
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    assert eventually(lambda: "broker is away" in worker.said())
    stage.put("meanwhile")
    assert eventually(lambda: "messages wait in the outbox" in sweeper.said())
    start_broker()
    stage.put("after")
    assert stage.all_done()
    assert "Traceback" not in worker.said() + sweeper.said()
    assert eventually(lambda: "broker is back" in worker.said())
    assert "messages are sent again" in sweeper.said()


def test_a_broker_that_dies_under_a_running_task_leaves_no_deaf_worker(stage: Stage, own_broker: tuple[Callable[[], Child], str]) -> None:
    """The task's acknowledgement is lost with the broker. Celery alone would never ask for another message."""
    start_broker, address = own_broker
    stage.settings = replace(stage.settings, broker_url=address)
    first = start_broker()
    worker = stage.start("worker", NEVER)
    stage.start("sweeper")
    stage.put("before")
    assert eventually(lambda: stage.noted("program"))
    os.kill(first.pid, signal.SIGKILL)
    first.stop()
    stage.open_gate()
    assert stage.all_done()
    assert eventually(lambda: "broker is away" in worker.said())
    start_broker()
    stage.put("after")
    assert stage.all_done()
    assert "Couldn't ack" not in worker.said()
    assert "Traceback" not in worker.said()


def test_a_killed_worker_is_replaced_and_its_program_dies(stage: Stage) -> None:
    stage.start("sweeper")
    doomed = stage.start("worker")
    stage.put("one")
    assert eventually(lambda: stage.noted("program"))
    [program] = stage.noted("program")
    heir = stage.start("worker")
    doomed.process.kill()
    assert eventually(lambda: not is_alive(program))
    assert eventually(lambda: len(stage.noted("program")) == 2), heir.said()
    stage.open_gate()
    assert stage.all_done()
    [job] = stage.jobs()
    assert (job.attempt, job.epoch) == (2, 2)
    assert stage.saved() == [("one", stage.noted("worker")[1])]


def test_a_killed_pool_process_is_replaced_too(stage: Stage) -> None:
    stage.start("sweeper")
    worker = stage.start("worker")
    stage.put("one")
    assert eventually(lambda: stage.noted("program"))
    [process], [program] = stage.noted("worker"), stage.noted("program")
    os.kill(process, signal.SIGKILL)
    assert eventually(lambda: not is_alive(program))
    stage.open_gate()
    assert stage.all_done()
    assert [subject for subject, _ in stage.saved()] == ["one"]
    assert "Traceback" not in worker.said()
    assert worker.said().count("a worker process died") == 1


def test_a_worker_that_is_asked_to_stop_hands_its_work_back(stage: Stage) -> None:
    stage.settings = replace(stage.settings, worker_processes=2)
    stage.start("sweeper")
    leaving = stage.start("worker")
    stage.put("one", "two", "three")
    assert eventually(lambda: len(stage.noted("program")) == 2)
    leaving.process.terminate()
    assert leaving.process.wait(timeout=60) == 0
    assert not any(map(is_alive, stage.noted("program")))
    assert [(job.state, job.attempt) for job in stage.jobs()] == [(State.QUEUED, 0)] * 3
    assert {line.split()[1] for line in leaving.said().splitlines()} == {"info"}
    stage.open_gate()
    stage.start("worker")
    assert stage.all_done()
    assert len(stage.saved()) == 3


def test_a_signal_to_every_process_of_the_worker_loses_no_attempt(stage: Stage) -> None:
    """As a service manager stops a service."""
    stage.settings = replace(stage.settings, worker_processes=2)
    leaving = stage.start("worker")
    stage.put("one", "two")
    assert eventually(lambda: len(stage.noted("program")) == 2)
    for process in [*stage.noted("worker"), leaving.process.pid]:
        os.kill(process, signal.SIGTERM)
    assert leaving.process.wait(timeout=60) == 0
    assert not any(map(is_alive, [*stage.noted("program"), *stage.noted("worker")]))
    assert [(job.state, job.attempt) for job in stage.jobs()] == [(State.QUEUED, 0)] * 2
    assert "Traceback" not in leaving.said()


def test_what_is_needed_now_waits_for_nothing_that_is_needed_later(stage: Stage) -> None:
    """One process: bulk work, what a player will need soon, and the pictures and the sound of a place that somebody has gone to."""
    stage.start("worker")
    stage.put("bulk")
    assert eventually(lambda: stage.running() == ["bulk"])
    stage.put("soon 1", "soon 2", "soon 3", priority=NEXT)
    assert eventually(lambda: stage.running() == ["bulk", "soon 1"])
    stage.put("pictures", "sound", priority=DEMAND)
    assert eventually(lambda: stage.running() == ["bulk", "pictures", "soon 1", "sound"])
    stage.open_gate()
    assert stage.all_done()


def test_connections_to_the_database_may_break_at_any_time(stage: Stage) -> None:
    worker = stage.start("worker")
    stage.put("one", "two")
    assert eventually(lambda: stage.noted("program"))
    for _ in range(30):
        with stage.world.db.begin() as conn:
            conn.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        time.sleep(0.05)
    stage.open_gate()
    assert stage.all_done()
    assert [job.attempt for job in stage.jobs()] == [1, 1]
    assert len(stage.saved()) == 2
    assert "Traceback" not in worker.said()


def test_a_worker_that_wakes_up_too_late_is_refused(stage: Stage) -> None:
    """SIGSTOP for longer than the lease: its job is done by another, and its own word no longer counts."""
    stage.start("sweeper")
    sleeper = stage.start("worker")
    stage.put("one")
    assert eventually(lambda: stage.noted("program"))
    [process], [program] = stage.noted("worker"), stage.noted("program")
    os.kill(process, signal.SIGSTOP)
    stage.start("worker")
    assert eventually(lambda: len(stage.noted("worker")) == 2)
    stage.open_gate()
    assert stage.all_done()
    os.kill(process, signal.SIGCONT)
    assert eventually(lambda: "lost kind=test.hold" in sleeper.said())
    assert stage.saved() == [("one", stage.noted("worker")[1])]
    assert eventually(lambda: not is_alive(program))


def test_messages_may_be_doubled_and_be_about_anything(stage: Stage) -> None:
    ring = doorbell(make_app(stage.settings))
    for job_id in ["job_unknown", *["job_again"] * 20]:
        ring(job_id)
    stage.open_gate()
    stage.start("sweeper")
    worker = stage.start("worker", NEVER)
    stage.put("one", "two")
    assert stage.all_done()
    for job in stage.jobs():
        ring(job.id)
    assert [subject for subject, _ in stage.saved()] == ["one", "two"]
    worker.process.terminate()
    assert worker.process.wait(timeout=60) == 0
    assert len(stage.saved()) == 2
