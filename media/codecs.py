"""RFC 6381 codec strings, H.264 levels, and the little of a bitstream that must be looked at to trust it.

Levels are the smallest that the picture size, frame rate, bitrate and decoded picture buffer allow, because a level that is
higher than needed makes devices refuse what they could play (Apple HLS authoring rule 1.11).

Sources: RFC 6381 3.3 (`avc1.PPCCLL`, `mp4a.40.OO`), ITU-T H.264 (08/2021) table A-1 and A.3.3 (level limits), table 7-1 (NAL
unit types), ISO/IEC 14496-15 5.3.3.1 (`AVCDecoderConfigurationRecord`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

AAC_LC, EAC3 = "mp4a.40.2", "ec-3"
NAL_IDR = 5

_HIGH_PROFILE_IDC = 100
_MACROBLOCK = 16
_HIGH_RATE_FACTOR = 1250  # cpbBrVclFactor of the High profile, table A-2: bits for each unit of MaxBR and MaxCPB


@dataclass(frozen=True, slots=True)
class Level:
    """One row of table A-1. Rates in macroblocks per second, sizes in macroblocks, MaxBR and MaxCPB in the table's units."""

    idc: int
    max_mbps: int
    max_fs: int
    max_dpb_mbs: int
    max_br: int
    max_cpb: int


LEVELS = (
    Level(10, 1_485, 99, 396, 64, 175),
    Level(11, 3_000, 396, 900, 192, 500),
    Level(12, 6_000, 396, 2_376, 384, 1_000),
    Level(13, 11_880, 396, 2_376, 768, 2_000),
    Level(20, 11_880, 396, 2_376, 2_000, 2_000),
    Level(21, 19_800, 792, 4_752, 4_000, 4_000),
    Level(22, 20_250, 1_620, 8_100, 4_000, 4_000),
    Level(30, 40_500, 1_620, 8_100, 10_000, 10_000),
    Level(31, 108_000, 3_600, 18_000, 14_000, 14_000),
    Level(32, 216_000, 5_120, 20_480, 20_000, 20_000),
    Level(40, 245_760, 8_192, 32_768, 20_000, 25_000),
    Level(41, 245_760, 8_192, 32_768, 50_000, 62_500),
    Level(42, 522_240, 8_704, 34_816, 50_000, 62_500),
    Level(50, 589_824, 22_080, 110_400, 135_000, 135_000),
    Level(51, 983_040, 36_864, 184_320, 240_000, 240_000),
    Level(52, 2_073_600, 36_864, 184_320, 240_000, 240_000),
)


def _macroblocks(pixels: int) -> int:
    return -(-pixels // _MACROBLOCK)


def h264_level(width: int, height: int, frame_rate: Fraction, *, maxrate_bps: int, bufsize_bits: int, dpb_frames: int) -> int | None:
    """The lowest level of High profile that holds such a stream, times ten (40 is level 4.0); None when not even 5.2 does."""
    across, down = _macroblocks(width), _macroblocks(height)
    size = across * down
    for level in LEVELS:
        longest_side = isqrt(8 * level.max_fs)
        if (
            size <= level.max_fs
            and max(across, down) <= longest_side
            and size * frame_rate <= level.max_mbps
            and size * dpb_frames <= level.max_dpb_mbs
            and maxrate_bps <= level.max_br * _HIGH_RATE_FACTOR
            and bufsize_bits <= level.max_cpb * _HIGH_RATE_FACTOR
        ):
            return level.idc
    return None


def avc1(level_idc: int) -> str:
    """The codec string of a High profile stream with no constraint flags: `avc1.640028` for level 4.0."""
    return f"avc1.{_HIGH_PROFILE_IDC:02x}00{level_idc:02x}"


def avc1_of_configuration(avcc: bytes) -> str:
    """The codec string that an `avcC` box payload itself states."""
    if len(avcc) < 7 or avcc[0] != 1:
        raise ValueError("not an AVC decoder configuration record")
    return f"avc1.{avcc[1]:02x}{avcc[2]:02x}{avcc[3]:02x}"


def nal_types(sample: bytes | memoryview) -> Iterator[int]:
    """The NAL unit types of one sample, four length bytes before each unit. Raises ValueError when the lengths do not add up."""
    return (first & 31 for first in units(sample))


def units(sample: bytes | memoryview) -> Iterator[int]:
    """The first byte of each NAL unit of one sample. Raises ValueError when the lengths do not add up."""
    at = 0
    while at < len(sample):
        if at + 5 > len(sample):
            raise ValueError("a sample ends inside a NAL unit header")
        (length,) = struct.unpack_from(">I", sample, at)
        if length < 1 or at + 4 + length > len(sample):
            raise ValueError("a NAL unit is longer than its sample")
        yield sample[at + 4]
        at += 4 + length
