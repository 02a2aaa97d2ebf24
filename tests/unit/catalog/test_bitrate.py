"""Measured bit rates, against figures worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from catalog.bitrate import Rates, measure

F = Fraction


@pytest.mark.parametrize(
    ("sizes_bytes", "durations", "rates"),
    [
        ([750_000], [F(6)], Rates(1_000_000, 1_000_000)),
        ([750_000, 1_500_000], [F(6), F(6)], Rates(1_500_000, 2_000_000)),
        # The tail alone lasts less than half a target; with the segment before it, it lasts 7 s, which counts.
        ([750_000, 750_000, 625_000], [F(6), F(6), F(1)], Rates(1_307_693, 1_571_429)),
        # A title shorter than half a target is its own peak.
        ([1_000], [F(1, 2)], Rates(16_000, 16_000)),
        # 8.9 s are within 1.5 targets, 9.1 s are not.
        ([0, 900], [F(6), F(29, 10)], Rates(809, 809)),
        ([0, 910], [F(6), F(31, 10)], Rates(800, 2_349)),
    ],
)
def test_rates(sizes_bytes: list[int], durations: list[Fraction], rates: Rates) -> None:
    assert measure(sizes_bytes, durations, 6) == rates
