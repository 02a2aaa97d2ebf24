"""What is asked of an encoder, and the names under which results are known."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

H264Profile = Literal["high"]


@dataclass(frozen=True, slots=True)
class VideoRendition:
    """One rung of the ladder. `name` is unique in a plan and is a path element ("1080p")."""

    name: str
    width: int  # even
    height: int  # even
    frame_rate: Fraction
    crf: float
    maxrate_bps: int  # VBV
    bufsize_bits: int  # VBV
    level_idc: int  # H.264 level times ten: 31, 40, 51
    preset: str
    threads: int
    codecs: str  # RFC 6381: "avc1.64001f"


@dataclass(frozen=True, slots=True)
class AudioRendition:
    """The stereo AAC track, encoded once and whole."""

    name: str  # "audio"
    source_index: int  # stream index inside the source
    channels: int
    sample_rate_hz: int
    bitrate_bps: int
    codecs: str  # "mp4a.40.2"
    language: str  # BCP 47 or "und"
    label: str  # shown to viewers
