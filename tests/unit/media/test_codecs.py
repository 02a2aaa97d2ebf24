"""Levels against the standard's table and against what well-known encoders say of the same streams."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from media.codecs import LEVELS, avc1, avc1_of_configuration, h264_level, nal_types


def level(width: int, height: int, rate: Fraction | int, *, maxrate: int = 300_000, bufsize: int = 450_000, dpb: int = 2) -> int | None:
    return h264_level(width, height, Fraction(rate), maxrate_bps=maxrate, bufsize_bits=bufsize, dpb_frames=dpb)


@pytest.mark.parametrize(
    ("width", "height", "rate", "codec"),
    [
        (854, 480, 24, "avc1.64001e"),
        (854, 480, 30, "avc1.64001f"),
        (640, 360, 30, "avc1.64001e"),
        (1280, 720, Fraction(30_000, 1001), "avc1.64001f"),
        (1280, 720, 60, "avc1.640020"),
        (1920, 1080, 24, "avc1.640028"),
        (1920, 1080, 30, "avc1.640028"),
        (1920, 1080, 60, "avc1.64002a"),
        (1080, 1920, 30, "avc1.640028"),
        (2560, 1440, 30, "avc1.640032"),
        (3840, 2160, 24, "avc1.640033"),
        (3840, 2160, 60, "avc1.640034"),
        (320, 180, 24, "avc1.64000c"),
    ],
)
def test_the_lowest_level_that_holds_it(width: int, height: int, rate: Fraction | int, codec: str) -> None:
    found = level(width, height, rate)
    assert found is not None
    assert avc1(found) == codec


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, 40),
        ({"maxrate": 25_000_001}, 41),  # High profile: 1,250 bits for each unit of MaxBR, 20,000 at level 4.0
        ({"maxrate": 25_000_000}, 40),
        ({"bufsize": 31_250_001}, 41),
        ({"dpb": 5}, 50),  # level 4.2 holds four pictures of this size
        ({"dpb": 4}, 40),
    ],
)
def test_every_limit_counts(change: dict[str, int], found: int) -> None:
    assert level(1920, 1080, 24, **change) == found


def test_a_side_may_not_be_too_long_for_its_level() -> None:
    assert level(2048, 16, 1) == 31  # 128 macroblocks across need a MaxFS of 2,048 or more, A.3.1 (f)
    assert level(8704, 16, 1) is None


def test_nothing_holds_eight_thousand_lines() -> None:
    assert level(7680, 4320, 24) is None
    assert level(4096, 2304, 60) is None  # size is allowed, macroblocks per second are not


def test_the_table_grows() -> None:
    for lower, higher in pairwise(LEVELS):
        assert lower.idc < higher.idc
        assert lower.max_mbps <= higher.max_mbps
        assert lower.max_fs <= higher.max_fs
        assert lower.max_dpb_mbs <= higher.max_dpb_mbs


def test_the_codec_string_of_a_header() -> None:
    assert avc1_of_configuration(bytes.fromhex("01640033ffe1001e67640033")) == "avc1.640033"
    with pytest.raises(ValueError, match="configuration record"):
        avc1_of_configuration(b"\x02abcdefg")


def test_nal_units_of_a_sample() -> None:
    sample = b"\0\0\0\2\x06\xff" + b"\0\0\0\1\x65"
    assert list(nal_types(sample)) == [6, 5]


@pytest.mark.parametrize("sample", [b"\0\0\0\x09\x65", b"\0\0\0\0\x65", b"\0\0", b"\0\0\0\1\x65\0\0"])
def test_damaged_samples_are_refused(sample: bytes) -> None:
    with pytest.raises(ValueError, match="NAL"):
        list(nal_types(sample))
