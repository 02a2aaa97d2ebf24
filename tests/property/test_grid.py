"""Over random grids and chunkings: everything is covered once, and boundaries are where they should be."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from media.grid import AAC_FRAME_SAMPLES, EAC3_FRAME_SAMPLES, SegmentGrid, place_of_gop
from tests import sources
from transcode.plan import CHUNK_MEMORY_BYTES, PlanOptions, frames_of, make_plan
from transcode.profiles import encoder_bytes
from transcode.verify import planned_fragments

STANDARD_RATES = (24_000, 24_024, 25_025, 30_000, 30_030, 50_050, 60_000, 60_060)  # divided by 1,001
RATES = st.one_of(st.sampled_from([Fraction(rate, 1001) for rate in STANDARD_RATES]), st.fractions(1, 60, max_denominator=1001))


@settings(deadline=None)
@given(RATES, st.integers(1, 40_000))
@example(Fraction(24), 1)
@example(Fraction(60_000, 1001), 60 * 3600 * 2)
def test_segments_cover_the_title(rate: Fraction, frames: int) -> None:
    grid = SegmentGrid(rate, frames)
    assert grid.frame_ticks * rate == grid.timescale  # a frame lasts a whole number of ticks
    video = [grid.segment_bounds(index) for index in range(grid.segment_count)]
    sound = [grid.audio_bounds(index) for index in range(grid.segment_count)]
    for bounds, end in ((video, grid.frames), (sound, grid.audio_frames())):
        assert (bounds[0][0], bounds[-1][1]) == (0, end)
        assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert all(first < end for first, end in video)
    assert all(first % grid.gop_frames == 0 for first, _ in video)
    half_an_aac_frame = Fraction(512, 48_000)
    for (first, _), (heard, _) in zip(video, sound, strict=True):
        assert abs(Fraction(heard * 1024, 48_000) - first / rate) <= half_an_aac_frame
    excess = Fraction(grid.audio_frames() * 1024, 48_000) - grid.duration
    assert abs(excess) <= max(half_an_aac_frame, Fraction(1024, 48_000) - grid.duration)


@settings(deadline=None)
@given(RATES, st.integers(1, 40_000))
@example(Fraction(24), 1)
@example(Fraction(375, 8), 283)  # sound alone
def test_segments_of_longer_frames_cover_the_title_and_leave_nothing_out(rate: Fraction, frames: int) -> None:
    grid = SegmentGrid(rate, frames)
    sound = [grid.audio_bounds(index, EAC3_FRAME_SAMPLES) for index in range(grid.segment_count)]
    assert (sound[0][0], sound[-1][1]) == (0, grid.audio_frames(EAC3_FRAME_SAMPLES))
    assert all(before[1] == after[0] and before[0] < before[1] for before, after in pairwise(sound))
    frame = Fraction(EAC3_FRAME_SAMPLES, 48_000)
    assert 0 <= sound[-1][1] * frame - grid.duration < frame
    for index, (heard, _) in enumerate(sound):
        assert abs(heard * frame - grid.segment_bounds(index)[0] / rate) <= frame / 2
    longest = max(end - first for first, end in sound) * frame
    assert int(longest + Fraction(1, 2)) <= grid.target_duration_s((AAC_FRAME_SAMPLES, EAC3_FRAME_SAMPLES))
    assert grid.target_duration_s() <= grid.target_duration_s((AAC_FRAME_SAMPLES, EAC3_FRAME_SAMPLES))


@settings(deadline=None)
@given(RATES, st.integers(1, 40_000))
@example(Fraction(24), 24 * 18 + 11)  # a tail joins the last segment
def test_groups_of_pictures_cover_the_title_and_lie_in_their_segments(rate: Fraction, frames: int) -> None:
    grid = SegmentGrid(rate, frames)
    groups = [grid.gop_bounds(gop) for gop in range(grid.gop_count)]
    assert (groups[0][0], groups[-1][1]) == (0, frames)
    assert all(before[1] == after[0] and before[0] < before[1] for before, after in pairwise(groups))
    for gop, (first, end) in enumerate(groups):
        segment, place = place_of_gop(gop, grid.segment_count)
        start, stop = grid.segment_bounds(segment)
        assert start <= first < end <= stop
        assert first == start + place * grid.gop_frames


@settings(deadline=None, max_examples=60)
@given(RATES, st.integers(1, 1200), st.floats(1, 120), st.integers(1, 30))
def test_chunks_cover_the_segments(rate: Fraction, seconds: int, chunk_s: float, keyframe_every: int) -> None:
    info = sources.source(sources.video(rate=rate, seconds=seconds, keyframe_every=keyframe_every))
    plan = make_plan(info, "digest", PlanOptions(chunk_s), "encoder")
    ends = [chunk.end_segment for chunk in plan.chunks]
    assert [chunk.first_segment for chunk in plan.chunks] == [0, *ends[:-1]]
    assert ends[-1] == plan.grid.segment_count
    most = CHUNK_MEMORY_BYTES // sum(encoder_bytes(rung) for rung in plan.video)
    wanted = min(most, max(1, round(chunk_s / float(plan.grid.segment_frames / rate))))
    assert plan.chunks[0].end_segment <= (2 if wanted > 2 else 1)
    lengths = [chunk.end_segment - chunk.first_segment for chunk in plan.chunks[1:]]
    assert all(wanted - wanted // 4 <= length <= wanted + wanted // 4 for length in lengths[:-1])
    assert all(length <= min(most, wanted + wanted // 2) for length in lengths)
    for chunk in plan.chunks:
        first, end = frames_of(plan, chunk.of(["any"]))
        assert sum(sum(planned_fragments(plan, index)) for index in chunk.segments) == end - first
