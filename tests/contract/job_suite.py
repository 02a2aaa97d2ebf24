"""What a store of jobs promises, for every implementation: PostgreSQL's, which the product has, and the simulation's in memory.

The longest of these tests plays the same few hundred events, drawn from a seed, on the store and on the one in memory, and compares
everything that can be seen after each.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kit.errors import Rejected, StepFailed, Unavailable
from kit.jobs import Job, NewJob, Refused, State
from tests.simulation.memory import Database
from tests.simulation.memory_jobs import MemoryJobs


@dataclass(frozen=True)
class Bench:
    """`jobs` has the functions of `kit.job_store`; `begin` opens a transaction; `pass_s` lets time go by for what is stored."""

    jobs: Any
    begin: Callable[[], AbstractContextManager[Any]]
    pass_s: Callable[[float], None]

    def do(self, name: str, *args: Any, **more: Any) -> Any:
        with self.begin() as conn:
            return getattr(self.jobs, name)(conn, *args, **more)


def in_memory() -> Bench:
    db = Database()

    def pass_s(seconds: float) -> None:
        db.clock.seconds += seconds

    return Bench(MemoryJobs(), db.begin, pass_s)


def new(subject: str, **more: Any) -> NewJob:
    return NewJob(**{"kind": "test.step", "subject": subject, "asset_id": "ast_1", **more})


def seen(job: Job) -> tuple[Any, ...]:
    """All of a job but its id and its times."""
    times = (job.lease_until is None, job.started_at is None, job.finished_at is None)
    return (
        job.kind, job.subject, job.asset_id, dict(job.args), job.priority, job.state, job.attempt, job.epoch, job.owner, *times,
        round(job.progress, 6), dict(job.stats), job.error_code, job.error_detail,
    )  # fmt: skip


class JobContract:
    """Subclasses give the fixture `bench`."""

    def test_the_same_work_is_one_job_with_one_bell(self, bench: Bench) -> None:
        first, second, other = bench.do("enqueue_all", [new("a"), new("a", args={"n": 1}), new("b")])
        assert (first.id, first.args) == (second.id, {})
        assert [bell.job_id for bell in bench.do("take_bells")] == [first.id, other.id]
        assert bench.do("enqueue", new("b")).id == other.id
        bench.do("forget_bells", bench.do("take_bells"))
        assert bench.do("take_bells") == []

    def test_what_is_undone_leaves_nothing(self, bench: Bench) -> None:
        with pytest.raises(RuntimeError), bench.begin() as conn:
            bench.jobs.enqueue(conn, new("a"))
            raise RuntimeError
        assert bench.do("claim", "w") is None
        assert bench.do("take_bells") == []

    def test_turns(self, bench: Bench) -> None:
        """Urgency, then the asset with the fewest workers, then who waited longest, then age."""
        bench.do("enqueue_all", [new("a1"), new("a2"), new("b1", asset_id="ast_2"), new("c1", asset_id="ast_3"), new("a3", priority=5)])
        assert [bench.do("claim", "w").subject for _ in range(2)] == ["a3", "b1"]
        served = bench.do("claim", "w")
        assert served.subject == "c1"
        bench.do("finish", served, {})
        bench.do("enqueue", new("c2", asset_id="ast_3"))
        assert [bench.do("claim", "w").subject for _ in range(3)] == ["c2", "a1", "a2"]

    def test_only_what_is_asked_for_is_claimed(self, bench: Bench) -> None:
        bench.do("enqueue_all", [new("other", kind="test.other", priority=9), new("mine"), new("later", delay_s=100)])
        assert bench.do("claim", "w", least_priority=10) is None
        assert bench.do("claim", "w", kinds=["test.step"]).subject == "mine"
        assert bench.do("claim", "w", kinds=["test.step"]) is None
        bench.pass_s(101)
        assert bench.do("claim", "w", kinds=["test.step"]).subject == "later"

    def test_an_owner_of_the_past_is_not_heard(self, bench: Bench) -> None:
        bench.do("enqueue", new("a"))
        old = bench.do("claim", "first", 45.0)
        with pytest.raises(Refused):
            bench.do("expire", old.id)
        bench.pass_s(46)
        assert [job.id for job in bench.do("expired")] == [old.id]
        assert bench.do("expire", old.id).error_code == "worker_lost"
        now = bench.do("claim", "second")
        assert (now.epoch, now.attempt) == (2, 2)
        assert not bench.do("heartbeat", old, 0.9, {})
        assert not bench.do("is_held", old)
        words: tuple[tuple[str, Any], ...] = (("finish", ({},)), ("release", ()), ("hold", ()))
        for word, more in words:
            with pytest.raises(Refused):
                bench.do(word, old, *more)
        assert bench.do("finish", now, {"x": 1}).state is State.SUCCEEDED

    def test_bells_are_rung_again_for_what_nobody_came_for(self, bench: Bench) -> None:
        job = bench.do("enqueue", new("a"))
        bench.do("forget_bells", bench.do("take_bells"))
        assert bench.do("ring_again") == 0
        bench.pass_s(20)
        assert bench.do("ring_again") == 1
        assert [bell.job_id for bell in bench.do("take_bells")] == [job.id]
        assert bench.do("ring_again") == 0

    @pytest.mark.parametrize("seed", range(3))
    def test_whatever_happens_it_is_as_in_memory(self, bench: Bench, seed: int) -> None:
        history = History(seed)
        pair = (bench, in_memory())
        for number in range(120):
            event = history.next()
            told = [event(one) for one in pair]
            assert told[0] == told[1], f"event {number}"
            shown = [{key: seen(job) for key, job in everything(one).items()} for one in pair]
            assert shown[0] == shown[1], f"after event {number}"


def everything(bench: Bench) -> dict[str, Job]:
    return {job.subject: job for asset in ("ast_0", "ast_1", "ast_2") for job in bench.do("jobs_of_asset", asset)}


class History:
    """Events drawn from a seed. What an event is about is named by its subject, because ids differ from store to store."""

    def __init__(self, seed: int) -> None:
        self._roll = random.Random(seed)
        self._made = 0
        self._claims: dict[str, list[Job]] = {}

    def next(self) -> Callable[[Bench], Any]:
        roll = self._roll
        draw = roll.choice(
            (self._make, self._make, self._claim, self._claim, self._claim, self._word, self._word, self._word, self._wait, self._sweep,
             self._look, self._cancel if roll.random() < 0.15 else self._word)
        )  # fmt: skip
        return draw()

    def _make(self) -> Callable[[Bench], Any]:
        self._made += 1
        made = new(
            f"{self._made:03}", asset_id=f"ast_{self._roll.randrange(3)}", priority=self._roll.choice((0, 0, 5, 200)),
            args={"chunk": self._roll.randrange(3)}, max_attempts=self._roll.choice((1, 3)), delay_s=self._roll.choice((0.0, 0.0, 30.0)),
        )  # fmt: skip
        return lambda bench: seen(bench.do("enqueue", made))

    def _claim(self) -> Callable[[Bench], Any]:
        least = self._roll.choice((None, None, 100))
        owner = f"w{self._roll.randrange(3)}"

        def claim(bench: Bench) -> Any:
            job = bench.do("claim", owner, least_priority=least)
            return None if job is None else seen(job)

        return claim

    def _word(self) -> Callable[[Bench], Any]:
        """Of an owner, at times one of the past."""
        pick, late = self._roll.random(), self._roll.random() < 0.2
        kind, roll = self._roll.choice(("finish", "finish", "heartbeat", "release", "counted", "free", "never")), self._roll.random()

        def say(bench: Bench) -> Any:
            running = sorted((job for job in everything(bench).values() if job.epoch > 0), key=lambda job: (job.state, job.subject))
            if not running:
                return None
            job = running[int(pick * len(running))]
            if late:
                job = _with_epoch(job, job.epoch - 1)
            try:
                return _say(bench, job, kind, roll)
            except Refused:
                return "refused"

        return say

    def _wait(self) -> Callable[[Bench], Any]:
        seconds = self._roll.choice((1.0, 5.0, 20.0, 50.0, 700.0))
        return lambda bench: bench.pass_s(seconds)

    def _sweep(self) -> Callable[[Bench], Any]:
        def sweep(bench: Bench) -> Any:
            late = [seen(bench.do("expire", job.id)) for job in bench.do("expired")]
            bench.do("forget_bells", bench.do("take_bells"))
            return late, bench.do("ring_again"), len(bench.do("take_bells"))

        return sweep

    def _look(self) -> Callable[[Bench], Any]:
        asset, chunk = f"ast_{self._roll.randrange(3)}", self._roll.randrange(3)

        def look(bench: Bench) -> Any:
            raised = bench.do("prefer", asset, "test.step", {"chunk": chunk}, 3)
            under_way = [bench.do("is_under_way", "test.step", f"{number:03}") for number in range(1, 10)]
            counts = [bench.do("unfinished", f"ast_{number}") for number in range(3)], bench.do("unfinished", asset, ["test.step"])
            return raised, under_way, counts

        return look

    def _cancel(self) -> Callable[[Bench], Any]:
        asset = f"ast_{self._roll.randrange(3)}"
        return lambda bench: bench.do("cancel_asset", asset)


def _with_epoch(job: Job, epoch: int) -> Job:
    return replace(job, epoch=epoch)


def _say(bench: Bench, job: Job, kind: str, roll: float) -> Any:
    errors = {"counted": StepFailed("It broke."), "free": Unavailable("The store is away."), "never": Rejected("No video.")}
    if kind in errors:
        return seen(bench.do("fail", job, errors[kind], roll, {"cpu_s": 1.0}))
    if kind == "heartbeat":
        return bench.do("heartbeat", job, roll, {"fps": 10})
    return seen(bench.do(kind, job, *([{"cpu_s": 2.0}] if kind == "finish" else [])))
