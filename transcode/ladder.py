"""Which renditions a source gets. Pure.

A rung is named by the length of its shorter side ("1080p"), so portrait and landscape titles have the same ladder. Nothing is
ever scaled up. When the source lies between two standard sizes it is its own top rung, and then the standard rung just
below is left out if it is nearly as large. A source that no H.264 level can hold is treated as the largest size of its shape that
level 5.2 holds.

Sizes are even (4:2:0 chroma needs it), pixels are square, and the display aspect is kept within 1 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from media.codecs import avc1, h264_level
from media.rendition import VideoRendition
from transcode import table

Profile = Literal["default", "mobile"]

STANDARD_SIDES = (480, 720, 1080, 1440, 2160)
MOBILE_SIDES = (240, 360)
LONGEST_SIDE = 4096
NEARLY_AS_LARGE = Fraction(95, 100)  # of the top rung's shorter side


@dataclass(frozen=True, slots=True)
class Size:
    """A picture in square pixels."""

    width: int
    height: int

    @property
    def short_side(self) -> int:
        return min(self.width, self.height)

    def scaled(self, factor: Fraction) -> Size:
        """The nearest even size."""
        return Size(_even(self.width * factor), _even(self.height * factor))

    def at_short_side(self, side: int) -> Size:
        return self.scaled(Fraction(side, self.short_side))


def _even(length: Fraction) -> int:
    return max(2, 2 * round(length / 2))


def _even_below(length: int) -> int:
    return max(2, length - length % 2)


def _level(size: Size, frame_rate: Fraction) -> int | None:
    maxrate = table.maxrate_bps(size.width, size.height, frame_rate)
    bufsize = round(maxrate * table.BUFFER_S)
    return h264_level(size.width, size.height, frame_rate, maxrate_bps=maxrate, bufsize_bits=bufsize, dpb_frames=table.DPB_FRAMES)


def largest(source: Size, frame_rate: Fraction) -> Size:
    """The source's own size made even, or the largest size of its shape that 2160p and H.264 level 5.2 allow."""
    own = Size(_even_below(source.width), _even_below(source.height))
    top, long_side = STANDARD_SIDES[-1], max(source.width, source.height)
    if own.short_side <= top and long_side <= LONGEST_SIDE and _level(own, frame_rate) is not None:
        return own
    limit = min(Fraction(1), Fraction(top, source.short_side), Fraction(LONGEST_SIDE, long_side))
    for percent in range(100, 0, -1):
        size = source.scaled(limit * Fraction(percent, 100))
        if _level(size, frame_rate) is not None:
            return size
    raise ValueError(f"no H.264 level holds {source.width}x{source.height}")


def sizes(source: Size, frame_rate: Fraction, profile: Profile = "default") -> tuple[Size, ...]:
    """The sizes of the rungs, ascending."""
    top = largest(source, frame_rate)
    sides = STANDARD_SIDES if profile == "default" else MOBILE_SIDES + STANDARD_SIDES
    lower = [side for side in sides if side < top.short_side]
    if lower and top.short_side not in sides and lower[-1] > top.short_side * NEARLY_AS_LARGE:
        lower.pop()
    return (*(source.at_short_side(side) for side in lower), top)


def rungs(source: Size, frame_rate: Fraction, profile: Profile = "default") -> tuple[VideoRendition, ...]:
    """The ladder of a source of this display size, ascending."""
    return tuple(_rung(size, frame_rate) for size in sizes(source, frame_rate, profile))


def _rung(size: Size, frame_rate: Fraction) -> VideoRendition:
    maxrate = table.maxrate_bps(size.width, size.height, frame_rate)
    level = _level(size, frame_rate)
    if level is None:
        raise ValueError(f"no H.264 level holds {size.width}x{size.height}")
    return VideoRendition(
        name=f"{size.short_side}p",
        width=size.width,
        height=size.height,
        frame_rate=frame_rate,
        crf=table.CRF,
        maxrate_bps=maxrate,
        bufsize_bits=round(maxrate * table.BUFFER_S),
        level_idc=level,
        preset=table.PRESET,
        threads=table.THREADS,
        codecs=avc1(level),
    )
