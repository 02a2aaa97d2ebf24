"""Does to a rig what `faults` says, keeps account of it, and watches how soon a killed worker's work goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bench.chaos.faults import Fault, Kind, Target
from bench.chaos.processes import Process, below, table, targets
from bench.chaos.rig import Rig

_FIND_S = 3.0  # how long a fault waits for a process that it can hit
_SLOW_S = 0.15
_IN_THE_BUD = 0.2  # so many of the hits on a worker may come while it is starting; more, on a slow machine, and it would never start
_WORKERS = (Target.WORKER, Target.WORKER_PROCESS, Target.PROGRAM)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that was running when its worker was killed."""

    job_id: str
    kind: str
    epoch: int
    at_s: float


@dataclass(slots=True)
class Account:
    """What was done."""

    kills: Counter[str] = field(default_factory=Counter)
    stops: Counter[str] = field(default_factory=Counter)
    machine: Counter[str] = field(default_factory=Counter)
    spared: int = 0  # times that a worker was not hit because a job of it was on its last attempt: three losses end a job by design
    nobody: int = 0  # faults for which there was no process
    lost: list[Claim] = field(default_factory=list)
    again_s: list[float] = field(default_factory=list)  # from the kill to the same job running again


class Recovery:
    """Looks after the jobs of killed workers, in a thread of its own."""

    def __init__(self, engine: Engine, account: Account) -> None:
        self._engine, self._account = engine, account
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recovery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def claims(self, pids: Sequence[int]) -> list[Claim]:
        """What these processes have claimed. Raises when the database is away."""
        return [Claim(row.id, row.kind, row.epoch, time.time()) for row in running(self._engine) if owner_pid(row.owner) in pids]

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            with contextlib.suppress(SQLAlchemyError):
                self._look()

    def _look(self) -> None:
        waiting = list(self._account.lost)
        if not waiting:
            return
        with self._engine.connect() as conn:
            rows = conn.execute(
                text("SELECT id, state, epoch, started_at FROM jobs WHERE id = ANY(:ids)"), {"ids": [claim.job_id for claim in waiting]}
            ).all()
        found = {row.id: row for row in rows}
        for claim in waiting:
            row = found.get(claim.job_id)
            if row is not None and row.epoch > claim.epoch:
                self._account.again_s.append(round(row.started_at.timestamp() - claim.at_s, 2))
            if row is None or row.epoch > claim.epoch or row.state not in ("queued", "running"):
                self._account.lost.remove(claim)


def running(engine: Engine) -> Sequence[Any]:
    with engine.connect() as conn:
        return conn.execute(text("SELECT id, kind, owner, epoch, attempt, max_attempts FROM jobs WHERE state = 'running'")).all()


def _has_begun(processes: dict[int, Process], process: Process, target: Target) -> bool:
    """Whether a worker has its processes. Of the others that cannot be seen."""
    return target is not Target.WORKER or any(other.parent == process.pid for other in processes.values())


def owner_pid(owner: str) -> int:
    """An owner is host/pid/token."""
    return int(owner.split("/")[1])


class Inflictor:
    """Use from one thread; what ends by itself (a stop, a slow store) ends in threads of its own."""

    def __init__(self, rig: Rig, engine: Engine, account: Account) -> None:
        self._rig, self._engine, self.account = rig, engine, account
        self.recovery = Recovery(engine, account)
        self._ends: list[tuple[float, threading.Timer]] = []
        self._frozen: set[int] = set()

    def inflict(self, fault: Fault) -> bool:
        """Whether it was a kill that hit somebody."""
        if fault.target is Target.NOBODY:
            self._to_machine(fault)
            return False
        hit = self._choose(fault)
        if hit is None:
            self.account.nobody += 1
            return False
        if fault.kind is Kind.KILL:
            return self._kill(fault.target, hit)
        self._freeze(fault, hit)
        return False

    def calm(self) -> None:
        """End everything that was begun: wake who is frozen, give the disk back, make the store quick."""
        for _, timer in self._ends:
            timer.cancel()
        for pid in list(self._frozen):
            self._wake(pid)
        self._rig.free_disk()
        self._rig.store.proxy.delay_s = 0.0
        self.recovery.stop()

    def _choose(self, fault: Fault) -> Process | None:
        end_s = time.monotonic() + _FIND_S
        while time.monotonic() < end_s:
            processes = self._rig.processes()
            found = sorted(targets(processes, self._rig.roots)[fault.target], key=lambda process: process.pid)
            found = [process for process in found if not process.command.startswith("postgres: startup")]
            found = [process for process in found if fault.pick < _IN_THE_BUD or _has_begun(processes, process, fault.target)]
            allowed = [process for process in found if self._may_hit(processes, process, fault)]
            if allowed:
                return allowed[int(fault.pick * len(allowed))]
            self.account.spared += bool(found)
            time.sleep(0.05)
        return None

    def _may_hit(self, processes: dict[int, Process], process: Process, fault: Fault) -> bool:
        """Three lost workers end a job, and should: a file that kills workers must not kill them for ever. So nobody is hit who
        works on a job's last attempt."""
        if fault.target not in _WORKERS or (fault.kind is Kind.STOP and fault.hold_s < 30):
            return True
        try:
            last = {owner_pid(row.owner) for row in running(self._engine) if row.attempt >= row.max_attempts}
        except SQLAlchemyError:
            return False
        above = set[int]()
        pid = process.pid
        while pid in processes and pid not in above:
            above.add(pid)
            pid = processes[pid].parent
        return not last & (above | {child.pid for child in below(processes, process.pid)})

    def _kill(self, target: Target, process: Process) -> bool:
        claims, others = list[Claim](), list[Process]()
        if target in (Target.WORKER, Target.WORKER_PROCESS):
            found = self._claims_of_frozen(process)
            if found is None:
                self.account.spared += 1
                return False
            claims, others = found, [member for member in below(table(), process.pid) if member.pid not in self._frozen]
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        _signal(others, signal.SIGCONT)  # to die, or not, as if they had never been frozen
        self._frozen.discard(process.pid)
        self.account.lost += claims
        self.account.kills[target] += 1
        return True

    def _claims_of_frozen(self, process: Process) -> list[Claim] | None:
        """What the worker holds, which is frozen from now on so that it holds no more; None, and it goes on, when it must be spared."""
        group = [process, *below(table(), process.pid)]
        _signal(group, signal.SIGSTOP)
        pids = [member.pid for member in group]
        try:
            last = any(job.attempt >= job.max_attempts and owner_pid(job.owner) in pids for job in running(self._engine))
            claims = None if last else self.recovery.claims(pids)
        except SQLAlchemyError:
            claims = None
        if claims is None:
            _signal([member for member in group if member.pid not in self._frozen], signal.SIGCONT)
        return claims

    def _freeze(self, fault: Fault, process: Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGSTOP)
            self._frozen.add(process.pid)
            self.account.stops[fault.target] += 1
            self._later(fault.hold_s, lambda: self._wake(process.pid))

    def _wake(self, pid: int) -> None:
        if pid in self._frozen:
            self._frozen.discard(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _to_machine(self, fault: Fault) -> None:
        if fault.kind is Kind.SLOW:
            self._rig.store.proxy.delay_s = _SLOW_S
            self._later(fault.hold_s, lambda: setattr(self._rig.store.proxy, "delay_s", 0.0))
        elif self._rig.fill_disk():
            self._later(fault.hold_s, self._rig.free_disk)
        self.account.machine[fault.kind] += 1

    def _later(self, after_s: float, do: object) -> None:
        timer = threading.Timer(after_s, do)  # type: ignore[arg-type]
        timer.daemon = True
        timer.start()
        self._ends.append((after_s, timer))


def _signal(processes: Sequence[Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def attack(inflictor: Inflictor, plan: Iterator[Fault], kills: int, limit_s: float, fallen: Callable[[], str]) -> None:
    """Until so many kills have hit, or the time is over, or the whole system has `fallen` (which then says how)."""
    end_s, done = time.monotonic() + limit_s, 0
    while done < kills and time.monotonic() < end_s and not fallen():
        fault = next(plan)
        time.sleep(fault.after_s)
        done += inflictor.inflict(fault)
