"""Two figures that need a system without other trouble: how soon a killed worker's work goes on, and what the broker's absence costs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bench.chaos import clips as clip_kinds
from bench.chaos import inventory
from bench.chaos.client import Client, Order
from bench.chaos.clips import Clip
from bench.chaos.faults import Target
from bench.chaos.inflict import Account, Recovery, owner_pid, running
from bench.chaos.inventory import Work
from bench.chaos.processes import below, targets
from bench.chaos.report import LIMIT_S, spread
from bench.chaos.rig import Rig, rig
from bench.chaos.run import settle
from bench.figures import machine
from stack import servers
from stack.child import Child

ADDED_LIMIT_S = 15.0
_FIND_S, _AGAIN_S, _QUIET_S = 60.0, 120.0, 300.0


def recovery(folder: Path, kills: int) -> dict[str, Any]:
    """SIGKILL to the whole worker while it works: seconds until each of its jobs runs again, by the job rows."""
    clips = clip_kinds.make(folder / "clips", ("work",))
    account = Account()
    with rig(folder / "rig") as whole:
        engine = whole.engine()
        watch = Recovery(engine, account)
        try:
            for number in range(kills):
                _send(whole, clips[0], f"recovery-{number}")
                _kill_at_work(whole, engine, watch, account)
                end_s = time.monotonic() + _AGAIN_S
                while account.lost and time.monotonic() < end_s:
                    time.sleep(0.5)
            left = settle(engine, _QUIET_S)
            statuses = sorted({title.status for title in inventory.of_database(engine).titles})
        finally:
            watch.stop()
            engine.dispose()
    passed = bool(account.again_s) and not account.lost and not left and statuses == ["ready"] and max(account.again_s) <= LIMIT_S
    seen = spread(account.again_s)
    return {
        **machine(), "kills": account.kills[Target.WORKER], "jobs": len(account.again_s), "limit_s": LIMIT_S,
        "running_again": None if seen is None else asdict(seen), "each_s": sorted(account.again_s),
        "not_running_again": len(account.lost), "titles": statuses, "passed": passed,
    }  # fmt: skip


def _send(whole: Rig, clip: Clip, key: str) -> None:
    client = Client(whole.stack.url, whole.stack.api_key, threading.Event())
    with contextlib.closing(client):
        sent = client.carry_out(Order(key, clip, "put", "keep", 1, 0.0))
    if not sent.acknowledged:
        raise SystemExit(f"The clip was not taken: {sent.refused}")


def _kill_at_work(whole: Rig, engine: Engine, watch: Recovery, account: Account) -> None:
    """The worker's main process, as soon as it has more than one job at work, none of them on its last attempt."""
    end_s = time.monotonic() + _FIND_S
    while time.monotonic() < end_s:
        processes = whole.processes()
        for part in targets(processes, whole.roots)[Target.WORKER]:
            pids = {process.pid for process in below(processes, part.pid)}
            jobs = [job for job in running(engine) if owner_pid(job.owner) in pids]
            if len(jobs) > 1 and all(job.attempt < job.max_attempts for job in jobs):
                claims = watch.claims(list(pids))
                os.kill(part.pid, signal.SIGKILL)
                account.lost += claims
                account.kills[Target.WORKER] += 1
                return
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Wait:
    """How long the steps of one kind waited, from when they could begin until somebody began."""

    kind: str
    with_broker_s: float  # median
    without_broker_s: float  # the longest

    @property
    def added_s(self) -> float:
        return self.without_broker_s - self.with_broker_s


def waits(with_broker: Sequence[Work], without: Sequence[Work]) -> list[Wait]:
    """By kind. Pure."""
    found = []
    for kind in sorted({job.kind for job in without}):
        before = spread([job.started_s - job.due_s for job in with_broker if job.kind == kind and job.started_s is not None])
        after = spread([job.started_s - job.due_s for job in without if job.kind == kind and job.started_s is not None])
        found.append(Wait(kind, before.median_s if before else 0.0, after.max_s if after else float("inf")))
    return found


def broker_away(folder: Path, titles: int) -> dict[str, Any]:
    """The same titles one after the other, on a stack with a broker, and on one that is started without it and never sees it."""
    clips = clip_kinds.make(folder / "clips", ("film", "silent", "segments"))
    with _broker(folder / "broker") as address:
        jobs = _worked(folder / "with", clips, titles, address)
    without = _worked(folder / "without", clips, titles, f"redis+socket://{folder}/nobody.sock")
    table_of_waits = waits(jobs[0], without[0])
    passed = jobs[1] == without[1] == ["ready"] and all(wait.added_s <= ADDED_LIMIT_S for wait in table_of_waits)
    longest = max((wait.added_s for wait in table_of_waits), default=float("inf"))
    return {
        **machine(), "titles": titles, "jobs_with_broker": len(jobs[0]), "jobs_without": len(without[0]), "ended_with": jobs[1],
        "ended_without": without[1], "limit_s": ADDED_LIMIT_S, "longest_added_s": round(longest, 2),
        "waits": [{**asdict(wait), "added_s": round(wait.added_s, 2)} for wait in table_of_waits], "passed": passed,
    }  # fmt: skip


def _worked(folder: Path, clips: Sequence[Clip], titles: int, broker_url: str) -> tuple[tuple[Work, ...], list[str]]:
    with rig(folder, {"HEADWATER_BROKER_URL": broker_url}) as whole:
        engine = whole.engine()
        try:
            for number in range(titles):
                _send(whole, clips[number % len(clips)], f"broker-{number}")
                _settle_work(engine)
            there = inventory.of_database(engine)
        finally:
            engine.dispose()
    return there.jobs, sorted({title.status for title in there.titles})


def _settle_work(engine: Engine) -> None:
    """Until every job has ended; messages for a broker that is away may wait for ever."""
    end_s = time.monotonic() + _QUIET_S
    while time.monotonic() < end_s and any("jobs" in what for what in inventory.unrest(engine)):
        time.sleep(0.2)


@contextmanager
def _broker(folder: Path) -> Iterator[str]:
    places = servers.places(folder)
    child = Child(servers.valkey(places))
    try:
        child.wait_ready()
        yield servers.valkey_url(places)
    finally:
        child.stop()
