"""What is asked of an encoder, and the names under which results are known."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from media.codecs import EAC3
from media.grid import AAC_FRAME_SAMPLES, EAC3_FRAME_SAMPLES

VideoCodec = Literal["h264", "hevc", "av1"]
VideoRange = Literal["SDR", "PQ", "HLG"]  # HLS's words for the transfer function: BT.709, SMPTE ST 2084, ARIB STD-B67


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
    level_idc: int  # as the codec writes it: H.264 level times ten (40), HEVC level times thirty (120), AV1 `seq_level_idx` (8)
    preset: str
    threads: int
    codecs: str  # RFC 6381: "avc1.64001f"
    codec: VideoCodec = "h264"
    bit_depth: int = 8
    video_range: VideoRange = "SDR"
    mastering_display: str = ""  # of HDR, as x265 takes it: "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    content_light: str = ""  # of HDR: "1000,400", MaxCLL and MaxFALL in candelas per square metre
    # H.264: how much finer the first picture of each segment is quantised than its encoder would by itself, as a ratio of quantiser steps.
    # 1 in plans of before there was this: their titles are finished, and their segments made again, as they were begun.
    first_gain: float = 1.0


@dataclass(frozen=True, slots=True)
class AudioRendition:
    """One track of the source in one form, encoded once and whole. `name` is unique in a plan and is a path element.

    Renditions of one `group` have the same codec and number of channels; the same track may be in several groups.
    """

    name: str  # "audio" of the track that is heard unless somebody chooses; "audio-2", "audio-51", "audio-ec3", "audio-low" …
    source_index: int  # stream index inside the source
    channels: int
    sample_rate_hz: int
    bitrate_bps: int
    codecs: str  # "mp4a.40.2", "ec-3"
    language: str  # BCP 47 or "und"
    label: str  # shown to viewers
    group: str = "audio"
    default: bool = True  # heard unless somebody chooses
    autoselect: bool = True  # may be chosen by language; commentaries are not
    characteristics: tuple[str, ...] = ()  # uniform type identifiers, RFC 8216 4.3.4.1
    limited: bool = False  # what is too loud after mixing is held down
    gain_db: float = 0.0  # that the track is made louder by

    @property
    def frame_samples(self) -> int:
        """Samples of each channel in one coded frame."""
        return EAC3_FRAME_SAMPLES if self.codecs == EAC3 else AAC_FRAME_SAMPLES
