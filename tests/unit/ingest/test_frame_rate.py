"""The frame rate of the encode, from measured steps between pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame_rate import BIN_S, FASTEST, SLOWEST, STANDARD, Spacing, choose, snap, within_limits


def spaced(times: Sequence[Fraction], tick: Fraction) -> Spacing:
    """The spacing of pictures at these times, which the container rounds to whole ticks."""
    written = [round(time / tick) * tick for time in times]
    steps = [later - earlier for earlier, later in pairwise(written)]
    bins = Counter(round(step / BIN_S) for step in steps)
    return Spacing(
        len(written), written[0], written[-1], tick, min(steps, default=Fraction(0)), max(steps, default=Fraction(0)), dict(bins)
    )


def even(rate: Fraction, count: int, tick: Fraction, start: Fraction = Fraction(0)) -> Spacing:
    return spaced([start + index / rate for index in range(count)], tick)


MS = Fraction(1, 1000)
TS = Fraction(1, 90_000)
NTSC_FILM, NTSC, NTSC_FAST = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)


@pytest.mark.parametrize("rate", STANDARD, ids=str)
@pytest.mark.parametrize("tick", [MS, TS, Fraction(1, 12_288), Fraction(1, 600), Fraction(1, 1_000_000)], ids=str)
def test_every_standard_rate_is_found_in_every_container_clock(rate: Fraction, tick: Fraction) -> None:
    found = choose(even(rate, 1500, tick, start=Fraction(7, 5)), [])
    assert (found.encode, found.constant) == (rate, True)


@pytest.mark.parametrize(
    ("claim", "other"), [(Fraction(24), NTSC_FILM), (NTSC_FILM, Fraction(24)), (NTSC, Fraction(30)), (Fraction(60), NTSC_FAST)]
)
def test_a_claim_decides_between_rates_that_a_short_clip_cannot_tell_apart(claim: Fraction, other: Fraction) -> None:
    short = even(claim, 20, MS)
    assert choose(short, [claim]).encode == claim
    assert choose(short, [other]).encode == other  # nothing contradicts it in under a second


def test_a_claim_is_not_believed_against_the_measurement() -> None:
    assert choose(even(Fraction(25), 500, MS), [Fraction(30), Fraction(50), Fraction(24)]).encode == 25


@pytest.mark.parametrize(
    ("source", "encode"),
    [
        *(
            (Fraction(120), Fraction(60)),
            (Fraction(100), Fraction(50)),
            (Fraction(120000, 1001), NTSC_FAST),
            (Fraction(240), Fraction(60)),
            (Fraction(90), Fraction(45)),
            (Fraction(144), Fraction(48)),
        ),
        *(
            (Fraction(5), Fraction(10)),
            (Fraction(7), Fraction(14)),
            (Fraction(1), Fraction(10)),
            (Fraction(3), Fraction(12)),
            (Fraction(1, 4), Fraction(10)),
        ),
        *(
            (Fraction(18), Fraction(18)),
            (Fraction(14985, 1000), Fraction(14985, 1000)),
            (Fraction(375, 10), Fraction(375, 10)),
            (Fraction(25, 2), Fraction(25, 2)),
        ),
    ],
)
def test_rates_out_of_bounds_are_divided_or_multiplied_and_odd_ones_are_kept(source: Fraction, encode: Fraction) -> None:
    found = choose(even(source, 400, TS), [])
    assert (found.source, found.encode, found.constant) == (source, encode, True)


def test_names_that_mean_a_standard_rate() -> None:
    assert snap(Fraction(2398, 100)) == NTSC_FILM
    assert snap(Fraction(23976, 1000)) == NTSC_FILM
    assert snap(Fraction(2997, 100)) == NTSC
    assert snap(Fraction(10_000_000, 333_667)) == NTSC
    assert snap(Fraction(24)) == 24
    assert snap(Fraction(18)) == 18


def test_mixed_rates_take_the_usual_one() -> None:
    """A second at 60, a second at 30: two pictures of three follow each other at 60."""
    times = [Fraction(0)]
    while times[-1] < 8:
        times.append(times[-1] + (Fraction(1, 60) if times[-1] % 2 < 1 else Fraction(1, 30)))
    found = choose(spaced(times, Fraction(1, 15_360)), [Fraction(10800, 239), Fraction(60)])
    assert (found.encode, found.constant) == (60, False)


def test_a_screen_that_stands_still_keeps_the_rate_of_its_bursts() -> None:
    times = [second + Fraction(index, 60) for second in range(0, 20, 2) for index in range(30)]
    assert choose(spaced(times, Fraction(1, 15_360)), [Fraction(20), Fraction(60)]).encode == 60


@pytest.mark.parametrize(("claims", "expected"), [([Fraction(30)], Fraction(30)), ([NTSC], NTSC), ([Fraction(90_000)], Fraction(30))])
def test_a_wandering_clock_takes_the_standard_rate_it_means(claims: list[Fraction], expected: Fraction) -> None:
    times = [Fraction(index, 30) + Fraction(index * 7 % 9, 1000) for index in range(900)]
    found = choose(spaced(times, MS), claims)
    assert (found.encode, found.constant) == (expected, False)


def test_film_shown_at_sixty_hertz_is_film() -> None:
    """Steps of 1/30 and 1/20 s by turns (2:3 pulldown in the timestamps) are 24 pictures per second."""
    times = [Fraction(0)]
    for index in range(480):
        times.append(times[-1] + (Fraction(1, 30) if index % 2 else Fraction(1, 20)))
    assert choose(spaced(times, TS), []).encode == 24


def test_uneven_and_faster_than_sixty_is_sixty() -> None:
    times = [Fraction(0)]
    for index in range(500):
        times.append(times[-1] + Fraction(1, 70) + Fraction(index % 5, 1000))
    assert choose(spaced(times, Fraction(1, 100_000)), []).encode == 60


def test_a_slide_show_gets_the_slowest_rate() -> None:
    assert choose(spaced([Fraction(0), Fraction(4), Fraction(7), Fraction(15)], MS), []).encode == SLOWEST


def test_a_dropped_frame_makes_it_uneven_but_changes_no_rate() -> None:
    times = [Fraction(index, 25) for index in range(500) if index != 250]
    found = choose(spaced(times, TS), [Fraction(25)])
    assert (found.encode, found.constant) == (25, False)


def test_one_picture_takes_the_claim_or_an_ordinary_rate() -> None:
    alone = even(Fraction(24), 1, TS)
    assert choose(alone, [Fraction(24)]).encode == 24
    assert choose(alone, []).encode == 25
    assert choose(alone, [Fraction(1, 180)]).encode == 10
    assert choose(alone, [Fraction(90_000)]).encode == 25  # a clock, not a rate


def test_pictures_at_one_time_break_nothing() -> None:
    same = spaced([Fraction(1)] * 5, TS)
    assert choose(same, []).encode == 25


@given(st.fractions(min_value=Fraction(1, 1000), max_value=Fraction(1000)))
def test_within_limits_is_within_limits(rate: Fraction) -> None:
    found = within_limits(rate)
    assert SLOWEST <= found <= FASTEST
    if not FASTEST < rate < FASTEST + 1:
        assert (rate / found).denominator == 1 or (found / rate).denominator == 1


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=80), st.sampled_from([MS, TS, Fraction(1, 1_000_000_000)]), st.lists(
    st.fractions(min_value=Fraction(1, 10**9), max_value=Fraction(10**9)), max_size=2))  # fmt: skip
def test_any_spacing_gets_a_rate_that_can_be_encoded(steps: list[int], tick: Fraction, claims: list[Fraction]) -> None:
    times = [Fraction(0)]
    for step in steps:
        times.append(times[-1] + step * tick)
    found = choose(spaced(times, tick), claims)
    assert SLOWEST <= found.encode <= FASTEST
    assert found.source > 0
    assert found.encode.numerator < 2**31
