"""Four thousand schedules hold, and each fault that is put in is found. `python -m tests.simulation.replay SEED` shows a failing seed.

`make simulate` plays a hundred thousand, or as many as it is told. Schedules are the same on every machine and in every order of the tests.
"""

from __future__ import annotations

import pytest

from tests.simulation.chance import Chance
from tests.simulation.faults import PLANTS
from tests.simulation.pipeline import Pipeline, play

SCHEDULES = 4000
PARTS = 8  # tests, so that a failure is told early
FOUND_WITHIN = {"an old list is published": 1000}  # a rung must be lost while its title is being published: one schedule in 500
SOON = 100


@pytest.mark.parametrize("part", range(PARTS))
def test_schedules_hold(part: int) -> None:
    count = SCHEDULES // PARTS
    for seed in range(part * count, (part + 1) * count):
        violation = play(seed)
        assert violation is None, f"seed {seed}: {violation}; python -m tests.simulation.replay {seed}"


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_fault_is_found(plant: str) -> None:
    within = FOUND_WITHIN.get(plant, SOON)
    assert any(play(seed, plant) is not None for seed in range(within)), f"{within} schedules hold with this fault: {plant}"


def test_a_seed_is_one_schedule() -> None:
    runs: list[list[str]] = []
    for _ in range(2):
        runs.append([])
        Pipeline(17, log=runs[-1]).run()
    assert runs[0] == runs[1] != []


def test_the_seeds_reach_what_they_should() -> None:
    """Every fault, and every way in which a title can end, is met often."""
    drawn = [Chance(seed) for seed in range(300)]
    for name in drawn[0].rates.__slots__:
        assert sum(getattr(one.rates, name) > 0 for one in drawn) > 20, name
    ended: dict[str, int] = {}
    lost = doubled = 0
    for seed in range(300):
        sim = Pipeline(seed)
        sim.run()
        for asset in sim.db.assets.values():
            ended[asset.status] = ended.get(asset.status, 0) + 1
        lost += bool(sim.db.lost)
        doubled += any(job.epoch > 1 for job in sim.db.jobs.values())
    assert min(ended.get(status, 0) for status in ("ready", "errored", "deleted")) >= 5, ended
    assert lost >= 10
    assert doubled >= 50
