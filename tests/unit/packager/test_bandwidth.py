"""BANDWIDTH and AVERAGE-BANDWIDTH against the definitions of RFC 8216, worked out by hand and by brute force."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.bitrate import measure
from packager.bandwidth import iframe_rates, track_rates, variant_rates
from packager.presentation import build, planned
from tests.titles import plan_of, title_of


def peak_by_brute_force(sizes: list[int], durations: list[Fraction], target_s: int) -> Fraction:
    """Every contiguous set of segments that lasts 0.5 to 1.5 target durations; the whole title when there is none."""
    runs = [(first, end) for first in range(len(sizes)) for end in range(first + 1, len(sizes) + 1)]
    rates = [
        Fraction(8 * sum(sizes[first:end])) / sum(durations[first:end])
        for first, end in runs
        if Fraction(target_s, 2) <= sum(durations[first:end]) <= Fraction(3 * target_s, 2)
    ]
    return max(rates, default=Fraction(8 * sum(sizes)) / sum(durations))


def test_by_hand() -> None:
    rates = measure([600_000, 1_200_000, 100_000], [Fraction(6), Fraction(6), Fraction(2)], 6)
    assert rates.bitrate_bps == math.ceil(8 * 1_900_000 / 14)
    assert rates.peak_bps == 1_600_000  # the second segment alone; a tail of 2 s counts only together with it: 8 s, 1 300 000


def test_a_title_shorter_than_half_a_target_is_its_own_peak() -> None:
    rates = measure([10_000], [Fraction(2, 5)], 1)
    assert (rates.bitrate_bps, rates.peak_bps) == (200_000, 200_000)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 10_000_000), st.fractions(Fraction(1, 2), Fraction(13, 2), max_denominator=1001)), min_size=1, max_size=12
    ),
    st.integers(1, 7),
)
def test_peak_is_the_definition(segments: list[tuple[int, Fraction]], target_s: int) -> None:
    sizes, durations = [size for size, _ in segments], [duration for _, duration in segments]
    found = measure(sizes, durations, target_s)
    assert found.bitrate_bps == math.ceil(Fraction(8 * sum(sizes)) / sum(durations))
    assert found.peak_bps == math.ceil(max(peak_by_brute_force(sizes, durations, target_s), Fraction(8 * sum(sizes)) / sum(durations)))


def test_a_variant_is_its_video_and_its_audio() -> None:
    made = build(plan := plan_of(frames=24 * 40), title_of(plan, seed=5).tables)
    video, (audio,) = made.video[0], made.audio
    alone, sound = track_rates(video, made.target_duration_s), track_rates(audio, made.target_duration_s)
    both = variant_rates(video, made.audio, made.target_duration_s)
    assert both.peak_bps == alone.peak_bps + sound.peak_bps
    assert both.bitrate_bps == alone.bitrate_bps + sound.bitrate_bps
    assert variant_rates(video, (), made.target_duration_s) == alone


def test_an_iframe_rendition_is_measured_by_what_its_entries_fetch() -> None:
    made = build(plan := plan_of(frames=24 * 12), title_of(plan).tables)
    video = made.video[0]
    fetched = sum(part.keyframe_size for segment in video.segments for part in segment.fragments)
    assert iframe_rates(video, made.target_duration_s).bitrate_bps == pytest.approx(8 * fetched / 12, abs=1)


def test_before_anything_is_measured_the_plan_says_what_to_expect() -> None:
    made = planned(plan_of(frames=24 * 12))
    video, (audio,) = made.video[0], made.audio
    rates, sound, frames = (track_rates(video, 6), track_rates(audio, 6), iframe_rates(video, 6))
    assert rates.peak_bps == video.spec.maxrate_bps + 0.9 * video.spec.bufsize_bits / 6  # a full buffer, spent within one segment
    for expected in (rates, sound, frames):
        assert 0 < expected.bitrate_bps <= expected.peak_bps
    assert sound.bitrate_bps == audio.spec.bitrate_bps
    assert frames.peak_bps < rates.peak_bps
    both = variant_rates(video, made.audio, 6)
    assert (both.bitrate_bps, both.peak_bps) == (rates.bitrate_bps + sound.bitrate_bps, rates.peak_bps + sound.peak_bps)
