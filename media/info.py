"""What a source file is, as far as the pipeline needs to know it.

`MediaInfo` is the only thing that later steps learn about a source. It is a value: it is stored as JSON on the asset and
read back unchanged. Times are exact `Fraction` seconds on the source's own clock (which need not start at 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Hdr = Literal["sdr", "hdr10", "hlg", "dolby_vision"]


@dataclass(frozen=True, slots=True)
class VideoStream:
    """The one video stream that is encoded (attached pictures never count)."""

    index: int  # stream index inside the container
    codec: str  # ffprobe's codec name: "h264", "hevc", "prores" …
    width: int  # display size: after rotation, with square pixels
    height: int
    coded_width: int  # as stored
    coded_height: int
    rotation: int  # degrees clockwise a player must turn it: 0, 90, 180, 270
    pixel_aspect: Fraction  # sample aspect ratio, 1 when unknown
    pixel_format: str
    bit_depth: int
    interlaced: bool
    frame_rate: Fraction  # the constant rate the encode uses (frames per second, ≤ 60)
    constant_rate: bool  # False when the source's own frames are unevenly spaced
    start: Fraction  # time of the first frame shown
    end: Fraction  # time at which the last frame ends
    packets: int
    keyframes: tuple[Fraction, ...]  # times at which decoding can begin, ascending, thinned to at most two per second
    color_space: str  # ffprobe's color_space, "unknown" when not said
    color_transfer: str
    color_primaries: str
    full_range: bool
    hdr: Hdr
    mastering_display: str = ""  # "G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)" in steps of 0.00002 and 0.0001 cd/m²; empty when not said
    content_light: str = ""  # "MaxCLL,MaxFALL" in cd/m²; empty when not said


@dataclass(frozen=True, slots=True)
class AudioStream:
    """One audio stream of the source."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    channel_layout: str
    start: Fraction
    end: Fraction
    language: str  # BCP 47 or "und"
    title: str
    default: bool
    forced: bool = False
    commentary: bool = False
    visual_impaired: bool = False  # describes the pictures
    hearing_impaired: bool = False  # speech is easier to understand


@dataclass(frozen=True, slots=True)
class CoverPicture:
    """A still picture that comes with the sound."""

    index: int
    codec: str  # one of `accepted.PICTURE_CODECS`


@dataclass(frozen=True, slots=True)
class SubtitleStream:
    """One subtitle stream of the source, text or pictures."""

    index: int
    codec: str  # ffprobe's codec name: "subrip", "mov_text", "hdmv_pgs_subtitle" …
    language: str  # BCP 47 or "und"
    title: str
    default: bool
    forced: bool
    hearing_impaired: bool


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A source that was accepted: a video, with sound or without, or sound alone."""

    container: str  # ffprobe's format name, e.g. "mov,mp4,m4a,3gp,3g2,mj2"
    size_bytes: int
    duration: Fraction  # from the earliest start to the latest end of the streams used
    video: VideoStream | None
    audio: tuple[AudioStream, ...]
    attached_pictures: int
    subtitle_codecs: tuple[str, ...]
    subtitles: tuple[SubtitleStream, ...] = ()
    chapters: int = 0
    closed_captions: bool = False  # EIA-608 or 708 inside the pictures
    cover: CoverPicture | None = None  # of sound alone
    ancillary: int | None = None  # the stream of an MXF file that may carry captions beside the pictures (SMPTE ST 436)
