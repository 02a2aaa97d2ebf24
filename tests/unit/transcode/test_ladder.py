"""The ladder: which rungs a source gets, and that each of them can be played."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.asset import Profile
from transcode import table
from transcode.ladder import LONGEST_SIDE, Size, rungs, sizes

FILM = Fraction(24)


def names(width: int, height: int, profile: Profile = "default", rate: Fraction = FILM) -> list[str]:
    return [rung.name for rung in rungs(Size(width, height), rate, profile)]


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (3840, 2160, ["480p", "720p", "1080p", "1440p", "2160p"]),
        (2560, 1440, ["480p", "720p", "1080p", "1440p"]),
        (1920, 1080, ["480p", "720p", "1080p"]),
        (1280, 720, ["480p", "720p"]),
        (854, 480, ["480p"]),
        (1080, 1920, ["480p", "720p", "1080p"]),  # portrait: by the shorter side
        (480, 854, ["480p"]),
        (853, 479, ["478p"]),  # below the ladder: its own size, made even
        (320, 180, ["180p"]),
        (720, 576, ["480p", "576p"]),  # between two rungs: its own size on top
        (1920, 800, ["480p", "720p", "800p"]),
        (1920, 1090, ["480p", "720p", "1090p"]),  # 1080p is nearly as large, so it is left out
        (2000, 1136, ["480p", "720p", "1136p"]),  # 1080 is 95.1 % of 1136 …
        (2000, 1138, ["480p", "720p", "1080p", "1138p"]),  # … and 94.9 % of 1138
        (7680, 4320, ["480p", "720p", "1080p", "1440p", "2160p"]),
        (8192, 4320, ["480p", "720p", "1080p", "1440p", "2160p"]),
        (5000, 5000, ["480p", "720p", "1080p", "1440p", "2160p"]),
        (7680, 2160, ["480p", "720p", "1080p", "1152p"]),  # as wide as level 5.2 allows
        (1, 1, ["2p"]),
    ],
)
def test_rungs_of_a_source(width: int, height: int, expected: list[str]) -> None:
    assert names(width, height) == expected


def test_the_mobile_profile_adds_small_rungs() -> None:
    assert names(1280, 720, "mobile") == ["240p", "360p", "480p", "720p"]
    assert names(480, 360, "mobile") == ["240p", "360p"]
    assert names(400, 300, "mobile") == ["240p", "300p"]
    assert names(320, 180, "mobile") == ["180p"]


def test_wide_and_tall_sources_have_mirrored_ladders() -> None:
    wide, tall = sizes(Size(1920, 818), FILM), sizes(Size(818, 1920), FILM)
    assert [(size.height, size.width) for size in wide] == [(size.width, size.height) for size in tall]


def test_sizes_keep_the_shape() -> None:
    assert sizes(Size(1920, 1080), FILM) == (Size(854, 480), Size(1280, 720), Size(1920, 1080))
    assert sizes(Size(1440, 1080), FILM)[0] == Size(640, 480)


SIDES = st.integers(16, 8192)
RATES = st.sampled_from([Fraction(24), Fraction(30_000, 1001), Fraction(50), Fraction(60)])


@settings(deadline=None, max_examples=300)
@given(SIDES, SIDES, RATES, st.sampled_from(["default", "mobile"]))
def test_what_every_ladder_promises(width: int, height: int, rate: Fraction, profile: Profile) -> None:
    if max(width, height) > 16 * min(width, height):
        width = min(width, 16 * height)
        height = min(height, 16 * width)
    made = rungs(Size(width, height), rate, profile)
    assert len({rung.name for rung in made}) == len(made)
    for rung in made:
        assert rung.width % 2 == rung.height % 2 == 0
        assert rung.width <= width + 1 and rung.height <= height + 1  # never larger, but for what makes it even
        assert max(rung.width, rung.height) <= LONGEST_SIDE
        assert min(rung.width, rung.height) <= 2160
        assert rung.level_idc <= 52
        assert rung.codecs == f"avc1.6400{rung.level_idc:02x}"
        assert rung.threads == 1  # more would make equal plans give different bytes: see transcode.table
        assert rung.bufsize_bits <= 3 * rung.maxrate_bps  # half of the shortest chunk, 6 s
        if min(rung.width, rung.height) >= 100:
            assert abs(Fraction(rung.width, rung.height) / Fraction(width, height) - 1) <= Fraction(1, 50)
        if min(rung.width, rung.height) >= 200:
            assert abs(Fraction(rung.width, rung.height) / Fraction(width, height) - 1) <= Fraction(1, 100)
    for lower, higher in pairwise(made):
        assert lower.width < higher.width and lower.height < higher.height
        assert lower.maxrate_bps <= higher.maxrate_bps


def test_caps_are_the_tables_at_its_rows() -> None:
    for row in table.ROWS:
        width = row.pixels // row.short_side
        assert table.maxrate_bps(width, row.short_side, FILM) == row.maxrate_kbps * 1000
        assert abs(table.maxrate_bps(width, row.short_side, Fraction(60)) - row.maxrate_kbps * 1500) <= 5_000


@settings(deadline=None)
@given(st.integers(100, 9_000_000), st.integers(100, 9_000_000))
def test_caps_grow_with_the_picture(one: int, other: int) -> None:
    less, more = sorted((one, other))
    assert table.maxrate_bps(less, 1, FILM) <= table.maxrate_bps(more, 1, FILM)
