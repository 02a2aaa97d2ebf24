"""HEVC: levels, codec strings, and the little of its bitstream that must be looked at to trust it. Pure.

Sources: ITU-T H.265 (07/2024) tables A.8 and A.9 (level limits of the Main tier), A.4.1 (longest side), table 7-1 (NAL unit types);
ISO/IEC 14496-15 8.3.3.1 (`HEVCDecoderConfigurationRecord`) and annex E.3 (`hvc1.1.6.L93.B0`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from media.codecs import units

IDR_TYPES = (19, 20)  # IDR_W_RADL, IDR_N_LP: nothing behind them refers to anything before them
IRAP_TYPES = range(16, 24)  # every picture at which decoding could begin; CRA and BLA, whose leading pictures may not decode, included

_BR_FACTOR = 1000  # CpbBrVclFactor of Main and Main 10, table A.10
_CONSTRAINTS = 0x90  # progressive_source and frame_only_constraint: what x265 writes of progressive pictures


@dataclass(frozen=True, slots=True)
class Level:
    """A row of tables A.8 and A.9. `idc` is thirty times the level; MaxBR and MaxCPB (equal in the Main tier but for two rows) in kbit."""

    idc: int
    max_luma_ps: int
    max_luma_sr: int
    max_br: int
    max_cpb: int


LEVELS = (
    Level(30, 36_864, 552_960, 128, 350),
    Level(60, 122_880, 3_686_400, 1_500, 1_500),
    Level(63, 245_760, 7_372_800, 3_000, 3_000),
    Level(90, 552_960, 16_588_800, 6_000, 6_000),
    Level(93, 983_040, 33_177_600, 10_000, 10_000),
    Level(120, 2_228_224, 66_846_720, 12_000, 12_000),
    Level(123, 2_228_224, 133_693_440, 20_000, 20_000),
    Level(150, 8_912_896, 267_386_880, 25_000, 25_000),
    Level(153, 8_912_896, 534_773_760, 40_000, 40_000),
    Level(156, 8_912_896, 1_069_547_520, 60_000, 60_000),
    Level(180, 35_651_584, 1_069_547_520, 60_000, 60_000),
    Level(183, 35_651_584, 2_139_095_040, 120_000, 120_000),
    Level(186, 35_651_584, 4_278_190_080, 240_000, 240_000),
)


def hevc_level(width: int, height: int, frame_rate: Fraction, *, maxrate_bps: int, bufsize_bits: int) -> int | None:
    """The lowest level, Main tier, that holds such a stream, times thirty (93 is level 3.1); None when there is none."""
    pixels = width * height
    for level in LEVELS:
        if (
            pixels <= level.max_luma_ps
            and max(width, height) <= isqrt(8 * level.max_luma_ps)
            and pixels * frame_rate <= level.max_luma_sr
            and maxrate_bps <= level.max_br * _BR_FACTOR
            and bufsize_bits <= level.max_cpb * _BR_FACTOR
        ):
            return level.idc
    return None


def hvc1(level_idc: int, bit_depth: int) -> str:
    """The codec string of a progressive Main (8 bits) or Main 10 stream: `hvc1.1.6.L93.90`."""
    profile, compatible = (1, 0b0110) if bit_depth == 8 else (2, 0b0100)  # compatibility flags 1 and 2, or 2, in reverse bit order
    return f"hvc1.{profile}.{compatible:x}.L{level_idc}.{_CONSTRAINTS:x}"


def hvc1_of_configuration(hvcc: bytes) -> str:
    """The codec string that an `hvcC` box payload itself states. Raises ValueError."""
    if len(hvcc) < 23 or hvcc[0] != 1:
        raise ValueError("not an HEVC decoder configuration record")
    space, tier, profile = hvcc[1] >> 6, hvcc[1] >> 5 & 1, hvcc[1] & 31
    (flags,) = struct.unpack_from(">I", hvcc, 2)
    compatible = int(f"{flags:032b}"[::-1], 2)
    constraints = hvcc[6:12].rstrip(b"\0")
    parts = [
        f"hvc1.{('', 'A', 'B', 'C')[space]}{profile}",
        f"{compatible:x}",
        f"{'LH'[tier]}{hvcc[12]}",
        *(f"{byte:x}" for byte in constraints),
    ]
    return ".".join(parts)


def nal_types(sample: bytes | memoryview) -> Iterator[int]:
    """The NAL unit types of one sample, four length bytes before each unit. Raises ValueError when the lengths do not add up."""
    return (first >> 1 & 63 for first in units(sample))
