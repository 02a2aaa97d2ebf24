"""Which renditions a source gets. Pure.

A rung is named by the length of its shorter side ("1080p"), so portrait and landscape titles have the same ladder. Nothing is
ever scaled up. When the source lies between two standard sizes it is its own top rung, and then the standard rung just
below is left out if it is nearly as large. A source that no H.264 level can hold is treated as the largest size of its shape that
level 5.2 holds.

Sizes are even (4:2:0 chroma needs it), pixels are square, and the display aspect is kept within 1 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from catalog.asset import Profile
from media.av1 import av01, av1_level
from media.codecs import avc1, h264_level
from media.hevc import hevc_level, hvc1
from media.rendition import VideoRange, VideoRendition
from transcode import table
from transcode.profiles import PROFILES, STANDARD_SIDES, Encoder, Ladder, named

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


@dataclass(frozen=True, slots=True)
class Light:
    """What is known of the light of an HDR source; of any other, SDR."""

    video_range: VideoRange = "SDR"
    mastering_display: str = ""
    content_light: str = ""


SDR = Light()


def sizes(source: Size, frame_rate: Fraction, sides: tuple[int, ...] = STANDARD_SIDES) -> tuple[Size, ...]:
    """The sizes of the rungs, ascending."""
    top = largest(source, frame_rate)
    lower = [side for side in sides if side < top.short_side]
    if lower and top.short_side not in sides and lower[-1] > top.short_side * NEARLY_AS_LARGE:
        lower.pop()
    return (*(source.at_short_side(side) for side in lower), top)


def rungs(source: Size, frame_rate: Fraction, profile: Profile = "default", light: Light = SDR) -> tuple[VideoRendition, ...]:
    """The ladders of a source of this display size: H.264 first, each ascending."""
    ladders = PROFILES[named(profile, "h264")]
    return tuple(rung for ladder in ladders for rung in _ladder(ladder, source, frame_rate, light))


def _ladder(ladder: Ladder, source: Size, frame_rate: Fraction, light: Light) -> Iterator[VideoRendition]:
    kept = ladder.hdr if light.video_range != "SDR" else None
    encoder = kept or ladder.encoder
    if encoder is not None:
        for size in sizes(source, frame_rate, ladder.sides):
            if size.short_side >= encoder.smallest_side:
                yield rung_of(encoder, size, frame_rate, light if kept else SDR)


def rung_of(encoder: Encoder, size: Size, frame_rate: Fraction, light: Light = SDR) -> VideoRendition:
    """One rung. Raises ValueError when no level of the codec holds it."""
    cap = table.maxrate_bps(size.width, size.height, frame_rate)
    maxrate = cap if encoder.cap_share == 1 else round(cap * encoder.cap_share / 10_000) * 10_000
    level, codecs = _announced(encoder, size, frame_rate, maxrate)
    return VideoRendition(
        name=f"{size.short_side}p{encoder.suffix}",
        width=size.width,
        height=size.height,
        frame_rate=frame_rate,
        crf=encoder.crf,
        maxrate_bps=maxrate,
        bufsize_bits=round(maxrate * table.BUFFER_S),
        level_idc=level,
        preset=encoder.preset,
        threads=table.THREADS,
        codecs=codecs,
        codec=encoder.codec,
        bit_depth=encoder.bit_depth,
        video_range=light.video_range,
        mastering_display=light.mastering_display,
        content_light=light.content_light,
        first_gain=encoder.first_gain,
    )


def _announced(encoder: Encoder, size: Size, frame_rate: Fraction, maxrate_bps: int) -> tuple[int, str]:
    """The level, as the codec counts them, and the codec string."""
    width, height, bufsize = size.width, size.height, round(maxrate_bps * table.BUFFER_S)
    if encoder.codec == "hevc":
        level = hevc_level(width, height, frame_rate, maxrate_bps=maxrate_bps, bufsize_bits=bufsize)
    elif encoder.codec == "av1":
        level = av1_level(width, height, frame_rate, maxrate_bps=maxrate_bps)
    else:
        level = h264_level(width, height, frame_rate, maxrate_bps=maxrate_bps, bufsize_bits=bufsize, dpb_frames=encoder.dpb_frames)
    if level is None:
        raise ValueError(f"no level of {encoder.codec} holds {width}x{height}")
    return level, {"hevc": hvc1(level, encoder.bit_depth), "av1": av01(level, encoder.bit_depth), "h264": avc1(level)}[encoder.codec]
