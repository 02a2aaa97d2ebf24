"""AV1: levels, codec strings, and the little of its bitstream that must be looked at to trust it. Pure.

Sources: AV1 Bitstream and Decoding Process Specification 5.3 (OBU headers), 4.10.5 (leb128), 5.9.2 (the first bits of a frame header),
6.2.2 (OBU types), annex A.3 (levels); AV1 Codec ISO Media File Format Binding 2.3 (`av1C`), 2.4 (samples), 5 (codec strings).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

KEY_FRAME = 0
_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6


@dataclass(frozen=True, slots=True)
class Level:
    """A row of A.3: `idx` is `seq_level_idx`, sizes and rates are in luma samples, the bitrate is that of the Main tier."""

    idx: int
    max_pic_size: int
    max_h_size: int
    max_v_size: int
    max_display_rate: int
    max_kbps: int


LEVELS = (
    Level(0, 147_456, 2_048, 1_152, 4_423_680, 1_500),
    Level(1, 278_784, 2_816, 1_584, 8_363_520, 3_000),
    Level(4, 665_856, 4_352, 2_448, 19_975_680, 6_000),
    Level(5, 1_065_024, 5_504, 3_096, 31_950_720, 10_000),
    Level(8, 2_359_296, 6_144, 3_456, 70_778_880, 12_000),
    Level(9, 2_359_296, 6_144, 3_456, 141_557_760, 20_000),
    Level(12, 8_912_896, 8_192, 4_352, 267_386_880, 30_000),
    Level(13, 8_912_896, 8_192, 4_352, 534_773_760, 40_000),
    Level(14, 8_912_896, 8_192, 4_352, 1_069_547_520, 60_000),
    Level(16, 35_651_584, 16_384, 8_704, 1_069_547_520, 60_000),
    Level(17, 35_651_584, 16_384, 8_704, 2_139_095_040, 100_000),
)


def av1_level(width: int, height: int, frame_rate: Fraction, *, maxrate_bps: int) -> int | None:
    """The lowest level, Main tier, that holds such a stream, as `seq_level_idx` (8 is level 4.0); None when there is none."""
    for level in LEVELS:
        if (
            width * height <= level.max_pic_size
            and width <= level.max_h_size
            and height <= level.max_v_size
            and width * height * frame_rate <= level.max_display_rate
            and maxrate_bps <= level.max_kbps * 1000
        ):
            return level.idx
    return None


def spelled_level(idx: int) -> str:
    """ "4.0" for 8: A.3, `X = 2 + (seq_level_idx >> 2)`, `Y = seq_level_idx & 3`."""
    return f"{2 + (idx >> 2)}.{idx & 3}"


def av01(level_idx: int, bit_depth: int) -> str:
    """The codec string of a Main profile, Main tier stream in BT.709 and limited range: `av01.0.08M.08`."""
    return f"av01.0.{level_idx:02}M.{bit_depth:02}"


def av01_of_configuration(av1c: bytes) -> str:
    """The codec string that an `av1C` box payload itself states, without the optional fields. Raises ValueError."""
    if len(av1c) < 4 or av1c[0] != 0x81:
        raise ValueError("not an AV1 codec configuration record")
    profile, level, tier = av1c[1] >> 5, av1c[1] & 31, av1c[2] >> 7
    high, twelve = av1c[2] >> 6 & 1, av1c[2] >> 5 & 1
    return f"av01.{profile}.{level:02}{'MH'[tier]}.{(12 if twelve else 10) if high else 8:02}"


def obus(sample: bytes | memoryview) -> Iterator[tuple[int, bytes | memoryview]]:
    """Type and payload of each OBU of one sample. Raises ValueError when the lengths do not add up."""
    at = 0
    while at < len(sample):
        head = sample[at]
        at += 2 if head & 0b100 else 1  # obu_extension_flag
        size = len(sample) - at
        if head & 0b10:  # obu_has_size_field; without, it is the last of its sample
            size, at = _leb128(sample, at)
        if head & 0x80 or at + size > len(sample):
            raise ValueError("an OBU is longer than its sample")
        yield head >> 3 & 15, sample[at : at + size]
        at += size


def _leb128(data: bytes | memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        if at + index >= len(data):
            break
        value |= (data[at + index] & 0x7F) << 7 * index
        if not data[at + index] & 0x80:
            return value, at + index + 1
    raise ValueError("the length of an OBU is cut off")


def is_key(sample: bytes | memoryview) -> bool:
    """Whether decoding can begin at this sample: a sequence header, and a key frame that is shown as the first frame.

    Raises ValueError when there is no frame, or an OBU is damaged.
    """
    has_header = False
    for kind, payload in obus(sample):
        has_header |= kind == _SEQUENCE_HEADER
        if kind in (_FRAME, _FRAME_HEADER):
            if not len(payload):
                raise ValueError("a frame is empty")
            # show_existing_frame (1 bit), frame_type (2), show_frame (1); a reduced header, which nobody writes for video, has none.
            existing, frame_type, shown = payload[0] >> 7, payload[0] >> 5 & 3, payload[0] >> 4 & 1
            return has_header and not existing and frame_type == KEY_FRAME and bool(shown)
    raise ValueError("a sample has no frame")


def has_key(sample: bytes | memoryview) -> bool:
    """Whether any frame of the sample, shown or not, is a key frame. Raises ValueError when an OBU is damaged."""
    firsts = (payload[0] for kind, payload in obus(sample) if kind in (_FRAME, _FRAME_HEADER) and len(payload))
    return any(not first >> 7 and first >> 5 & 3 == KEY_FRAME for first in firsts)
