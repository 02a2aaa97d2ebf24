"""What is done to whom: from the seed alone, everybody in turn, and in the proportions that are wanted."""

from __future__ import annotations

from itertools import islice

from bench.chaos.faults import Kind, Target, faults
from bench.chaos.inventory import Work
from bench.chaos.measure import waits
from bench.chaos.processes import Process, below, targets


def test_a_seed_says_everything() -> None:
    assert list(islice(faults(7, 1.0), 200)) == list(islice(faults(7, 1.0), 200))
    assert list(islice(faults(7, 1.0), 200)) != list(islice(faults(8, 1.0), 200))


def test_everybody_is_killed_and_frozen_in_time() -> None:
    drawn = list(islice(faults(1, 1.0), 700))
    who = set(Target) - {Target.NOBODY}
    assert {fault.target for fault in drawn if fault.kind is Kind.KILL} == who
    assert {fault.target for fault in drawn if fault.kind is Kind.STOP} == who
    assert {fault.kind for fault in drawn if fault.target is Target.NOBODY} == {Kind.SLOW, Kind.FULL}
    assert any(fault.hold_s > 45 for fault in drawn), "somebody is frozen for longer than a lease"
    assert all(0 <= fault.pick < 1 and 0 <= fault.after_s <= 4 for fault in drawn)


def test_who_is_who() -> None:
    """Parts are the children of a supervisor; a program of a worker may have children of its own."""
    told = [
        (2, 1, "python -m stack.cli api --listen unix:/x"), (3, 1, "python -m stack.cli worker"), (4, 3, "python -m stack.cli worker"),
        (5, 4, "/x/ffmpeg -i y"), (6, 5, "/x/helper"), (7, 1, "/x/bin/postgres -D z"), (8, 7, "postgres: checkpointer"),
        (9, 1, "nginx: master process x"), (10, 9, "nginx: worker process"), (11, 20, "python -m stack.cli api"),
    ]  # fmt: skip
    processes = {pid: Process(pid, parent, command) for pid, parent, command in told}
    found = {target: [process.pid for process in who] for target, who in targets(processes, [1]).items() if who}
    assert found == {
        Target.API: [2], Target.WORKER: [3], Target.WORKER_PROCESS: [4], Target.PROGRAM: [5, 6], Target.DATABASE: [7],
        Target.BACKEND: [8], Target.EDGE: [9], Target.EDGE_PROCESS: [10],
    }  # fmt: skip
    assert [process.pid for process in below(processes, 3)] == [4, 5, 6]


def test_what_the_broker_is_worth() -> None:
    def job(kind: str, due_s: float, started_s: float | None) -> Work:
        return Work("job", kind, "s", "ast", "succeeded", 1, "", due_s, started_s)

    found = waits(
        [job("probe", 10, 10.5), job("probe", 20, 20.1), job("plan", 3, 3.2)],
        [job("probe", 1, 9), job("plan", 7, 7.1), job("purge", 1, None)],
    )
    assert [(wait.kind, round(wait.added_s, 2)) for wait in found] == [("plan", -0.1), ("probe", 7.7), ("purge", float("inf"))]
