"""What a viewing counts, row by row and pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from recommend.interactions import Signal
from recommend.weights import DAY_S, LEAST_SHARE, WeightSettings, weigh

NOW_S = 1_000 * DAY_S
Row = tuple[float, Signal, float]  # fraction, signal, age in days


def value(rows: list[Row], half_life_days: float = 0.0) -> float:
    """The value of one viewer and one title; 0 when the pair is dropped."""
    zeros = np.zeros(len(rows), np.int32)
    at_s = np.array([NOW_S - age * DAY_S for _, _, age in rows])
    fraction, signal = np.array([row[0] for row in rows], np.float32), np.array([row[1] for row in rows], np.int8)
    found = weigh(zeros, zeros, at_s, fraction, signal, now_s=NOW_S, settings=WeightSettings(half_life_days=half_life_days))
    return float(found.values[0]) if len(found) else 0.0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(float("nan"), Signal.WATCHED, 0)], 1.0),  # nobody measured
        ([(0.46, Signal.WATCHED, 0)], 0.5),
        ([(0.95, Signal.WATCHED, 0)], 1.0),
        ([(0.02, Signal.WATCHED, 0)], 0.0),
        ([(0.3, Signal.COMPLETED, 0)], 1.0),
        ([(0.05, Signal.ABANDONED, 0)], -0.5),
        ([(1.0, Signal.LIKED, 0)], 1.0 + np.log(1.5)),
        ([(0.0, Signal.DISLIKED, 0)], -1.0),
        ([(0.95, Signal.WATCHED, 0)] * 100, 1.0 + np.log(100.0)),  # saturates
        ([(0.05, Signal.ABANDONED, 9), (0.95, Signal.WATCHED, 3)], 1.0),  # tried again and liked it
        ([(0.95, Signal.WATCHED, 3), (0.0, Signal.DISLIKED, 1)], -1.0),  # the newest opinion holds
        ([(0.0, Signal.DISLIKED, 3), (0.95, Signal.WATCHED, 1)], 1.0),
    ],
)
def test_value_of_a_pair(rows: list[Row], expected: float) -> None:
    assert value(rows) == pytest.approx(expected, abs=1e-6)


def test_values_are_halved_with_age_but_never_forgotten() -> None:
    assert value([(1.0, Signal.WATCHED, 30)], 30.0) == pytest.approx(0.5)
    assert value([(1.0, Signal.WATCHED, 3_000)], 30.0) == pytest.approx(LEAST_SHARE)
    assert value([(0.0, Signal.DISLIKED, 30)], 30.0) == pytest.approx(-0.5)


def test_a_clock_that_is_ahead_counts_as_now() -> None:
    """Pitfall 11: skewed clocks."""
    assert value([(1.0, Signal.WATCHED, -5)], 30.0) == pytest.approx(1.0)


def test_the_order_of_rows_does_not_matter() -> None:
    rows: list[Row] = [(0.3, Signal.WATCHED, 1), (0.0, Signal.DISLIKED, 2), (0.9, Signal.WATCHED, 3)]
    assert value(rows) == value(rows[::-1])
