"""`python -m tests.simulation.replay SEED` shows what happens under one seed, event by event, and whether it is right.
`--schedules N` plays N seeds from SEED on, and says the first that fails. `--plant NAME` puts a fault in first."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.faults import PLANTS
from tests.simulation.invariants import Violation
from tests.simulation.pipeline import Pipeline, play


def show(seed: int, plant: str) -> int:
    log: list[str] = []
    sim = Pipeline(seed, plant, log)
    print(f"seed {seed}: {sim.chance.titles}\n{sim.chance.rates}, {sim.chance.workers} workers")
    try:
        sim.run()
    except Violation as violation:
        print(*log, "", f"seed {seed} FAILS after {sim.events} events: {violation}", sep="\n")
        return 1
    print(*log, "", f"seed {seed} holds: {sim.events} events, {sim.watch.checks} checks", sep="\n")
    return 0


def many(first: int, count: int, plant: str) -> int:
    began = time.perf_counter()
    for seed in range(first, first + count):
        if (violation := play(seed, plant)) is not None:
            print(
                f"seed {seed} FAILS: {violation}\nShow it: python -m tests.simulation.replay {seed}"
                + (f" --plant '{plant}'" if plant else "")
            )
            return 1
    seconds = time.perf_counter() - began
    print(f"{count} schedules hold, seeds {first} to {first + count - 1}, {seconds:.1f} s ({1000 * seconds / count:.2f} ms each)")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--schedules", type=int, default=0, metavar="N")
    parser.add_argument("--plant", choices=PLANTS, default="")
    asked = parser.parse_args()
    return many(asked.seed, asked.schedules, asked.plant) if asked.schedules else show(asked.seed, asked.plant)


if __name__ == "__main__":
    sys.exit(main())
