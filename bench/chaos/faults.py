"""What is done to whom and when, decided by a seed alone. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    KILL = "kill"  # SIGKILL
    STOP = "stop"  # SIGSTOP, and SIGCONT after `hold_s`
    SLOW = "slow"  # every answer of the store takes longer, for `hold_s`
    FULL = "full"  # the workers' disk has no room, for `hold_s`


class Target(StrEnum):
    """Who is meant. A part is the process that the supervisor started; the others live below one."""

    API = "api"
    WORKER = "worker"
    WORKER_PROCESS = "worker process"
    PROGRAM = "program"  # FFmpeg or ffprobe, run by a worker
    SWEEPER = "sweeper"
    BROKER = "broker"
    DATABASE = "database"
    BACKEND = "database connection"
    STORE = "store"
    EDGE = "edge"
    EDGE_PROCESS = "edge process"
    NOBODY = "machine"


_WEIGHTS = {
    Target.API: 5, Target.WORKER: 5, Target.WORKER_PROCESS: 5, Target.PROGRAM: 6, Target.SWEEPER: 4, Target.BROKER: 4,
    Target.DATABASE: 3, Target.BACKEND: 3, Target.STORE: 4, Target.EDGE: 3, Target.EDGE_PROCESS: 3,
}  # fmt: skip
_STOPS, _MACHINE = 0.2, 0.04  # of all faults: frozen instead of killed; the disk and the store's speed
_LONG = (Target.WORKER, Target.WORKER_PROCESS)  # frozen for longer than a lease now and then: another owner has taken over by then
_LEASE_S = 45.0


@dataclass(frozen=True, slots=True)
class Fault:
    number: int
    kind: Kind
    target: Target
    pick: float  # 0 to 1: which of several processes
    after_s: float  # since the fault before
    hold_s: float = 0.0


def faults(seed: int, mean_pause_s: float) -> Iterator[Fault]:
    """Without end. Pauses are exponential, so they come in bursts too; the first of each target come in turn."""
    dice = random.Random(seed)
    targets, weights = list(_WEIGHTS), list(_WEIGHTS.values())
    first = dice.sample(targets, len(targets))
    number = 0
    while True:
        after_s, pick = min(4 * mean_pause_s, dice.expovariate(1 / mean_pause_s)), dice.random()
        target = first.pop() if first else dice.choices(targets, weights)[0]
        roll, long = dice.random(), dice.random() < 0.15
        hold_s = dice.uniform(_LEASE_S + 5, _LEASE_S + 20) if long and target in _LONG else dice.uniform(0.3, 6.0)
        if roll < _MACHINE:
            kind = dice.choice([Kind.SLOW, Kind.FULL])
            yield Fault(number, kind, Target.NOBODY, pick, after_s, dice.uniform(5, 20))
        elif roll < _MACHINE + _STOPS:
            yield Fault(number, Kind.STOP, target, pick, after_s, hold_s)
        else:
            yield Fault(number, Kind.KILL, target, pick, after_s)
        number += 1
