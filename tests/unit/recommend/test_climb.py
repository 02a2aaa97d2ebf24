"""A choice leaves its start for what is better by more than chance, and for nothing else."""

from __future__ import annotations

import numpy as np

from recommend.climb import Place, climb, preferred, surpasses
from recommend.metrics import PerViewer

AXES = ((0, 1), (1, 0), (1, -1))
SHAPE = (6, 7)
EASE = np.random.default_rng(1).normal(0.4, 0.3, 500)  # of each viewer: how easily their titles are found by anything


def test_better_is_better_viewer_by_viewer() -> None:
    """By hand: leads of 1, 1 and 4 have the mean 2 and the standard error sqrt(2 / 3); of 2, -2 and 1 the mean is 1/3, the error .98."""
    base = np.array([0.0, 50.0, 7.0])
    assert surpasses(base + np.array([1, 1, 4]), base)
    assert not surpasses(base + np.array([2, -2, 1]), base)
    assert not surpasses(base, base)


def test_what_leads_by_chance_is_not_preferred() -> None:
    noise = np.random.default_rng(2).normal(0, 0.2, (3, 500))
    noise -= noise.mean(axis=1, keepdims=True)
    values = {"start": EASE + noise[0], "lucky": EASE + noise[1] + 0.004, "good": EASE + noise[2] + 0.05}
    assert preferred("start", ["lucky"], values.__getitem__) == "start"
    assert preferred("start", ["lucky", "good"], values.__getitem__) == "good"
    assert preferred("start", [], values.__getitem__) == "start"


def hill(top: Place, height: float, noise: float, asked: list[Place]) -> PerViewer:
    """Of the place that was asked last: the lower, the farther it is from the top."""
    place = asked[-1]
    steps = abs(place[0] - top[0]) + abs(place[1] - top[1])
    return EASE - height * steps + np.random.default_rng(hash(place) % 1_000).normal(0, noise, len(EASE))


def climbed(start: Place, top: Place, *, height: float, noise: float = 0.0, at_most: int = 42) -> tuple[Place, list[Place]]:
    asked: list[Place] = []

    def values(place: Place) -> PerViewer:
        asked.append(place)
        return hill(top, height, noise, asked)

    return climb(start, SHAPE, AXES, values, at_most=at_most), asked


def test_a_climb_ends_at_the_top_and_asks_each_place_once() -> None:
    for start, top in (((2, 1), (5, 6)), ((4, 3), (0, 0)), ((2, 3), (2, 3))):
        end, asked = climbed(start, top, height=0.01)
        assert end == top
        assert len(asked) == len(set(asked))
        assert all(0 <= row < SHAPE[0] and 0 <= column < SHAPE[1] for row, column in asked)


def test_a_clear_slope_is_climbed_in_spite_of_noise() -> None:
    assert climbed((2, 1), (4, 4), height=0.1, noise=0.2)[0] == (4, 4)


def test_a_plain_of_noise_is_hardly_walked() -> None:
    """Of equal settings the best of all trials is anywhere; a climb stays within a step or two of its start."""
    end, asked = climbed((2, 3), (2, 3), height=0.0, noise=0.2)
    assert abs(end[0] - 2) + abs(end[1] - 3) <= 2
    assert len(asked) <= 20


def test_trials_are_bounded() -> None:
    end, asked = climbed((0, 0), (5, 6), height=0.01, at_most=4)
    assert len(asked) == 4
    assert end in asked
