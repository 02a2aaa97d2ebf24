"""Over random grids: what every set of playlists of one title promises, whatever its rate and length."""

from __future__ import annotations

import re
from fractions import Fraction

from hypothesis import example, given, settings
from hypothesis import strategies as st

from media.grid import SegmentGrid
from packager import hls
from packager.presentation import build
from tests.titles import plan_of, title_of

RATES = st.one_of(
    st.sampled_from([Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50),
                     Fraction(60000, 1001), Fraction(60), Fraction(15), Fraction(12)]),
    st.fractions(Fraction(1), Fraction(60), max_denominator=1001),
)  # fmt: skip
MICROSECOND = Fraction(1, 1_000_000)


def extinfs(text: str) -> list[Fraction]:
    return [Fraction(match) for match in re.findall(r"^#EXTINF:([0-9.]+),$", text, re.MULTILINE)]


@settings(deadline=None)
@given(RATES, st.integers(1, 2_000))
def test_one_timeline(rate: Fraction, frames: int) -> None:
    plan = plan_of(frames=frames, rate=rate)
    made = build(plan, title_of(plan, least=50, most=90).tables)
    target_s = made.target_duration_s
    playlists = {track.spec.name: extinfs(hls.render_media(track, target_s)) for track in made.tracks}
    assert playlists["480p"] == playlists["720p"]  # P6: the same boundaries in every rung
    assert len(playlists["audio"]) == len(playlists["480p"])
    assert abs(sum(playlists["480p"]) - Fraction(frames) / rate) <= MICROSECOND  # P1
    assert abs(sum(playlists["audio"]) - sum(playlists["480p"])) <= Fraction(1024, 48_000)  # P3
    for durations in playlists.values():  # P7
        assert max(int(duration + Fraction(1, 2)) for duration in durations) <= target_s
        assert all(duration > 0 for duration in durations)
    assert abs(sum(extinfs(hls.render_iframes(made.video[0], target_s))) - Fraction(frames) / rate) <= MICROSECOND


@settings(deadline=None)
@given(RATES, st.integers(1, 20_000))
@example(Fraction(1641, 1001), 34)  # the second of its segments is the only one of 5.504 s
def test_the_target_duration_holds_for_every_audio_segment(rate: Fraction, frames: int) -> None:
    grid = SegmentGrid(rate, frames)
    longest = max((grid.audio_bounds(index) for index in range(grid.segment_count)), key=lambda bounds: bounds[1] - bounds[0])
    assert int(Fraction((longest[1] - longest[0]) * 1024, 48_000) + Fraction(1, 2)) <= grid.target_duration_s()
