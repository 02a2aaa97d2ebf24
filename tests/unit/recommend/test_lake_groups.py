"""Which days are compacted in one go."""

from __future__ import annotations

from datetime import date

from recommend.lake import together


def test_small_days_go_together_and_a_large_one_alone() -> None:
    days = [date(2026, 1, number) for number in range(1, 8)]
    counts = [40, 50, 20, 500, 30, 70, 1]
    assert together(list(zip(days, counts, strict=True)), 100) == [days[:2], days[2:3], days[3:4], days[4:6], days[6:]]
    assert together([], 100) == []
