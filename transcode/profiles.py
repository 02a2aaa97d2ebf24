"""The profiles: which ladders a title gets. Data; `transcode.ladder` turns it into renditions.

Every profile begins with an H.264 ladder, which everything plays; the others stand beside it over the same sound, and a player takes the
first that it can decode. Where the source is HDR, a ladder may keep that (`hdr`); the H.264 ladder is always SDR.

The presets and the constant rate factors are rows of `make bench-codecs` (docs/benchmarks.md): at equal VMAF the HEVC and the AV1 rung
need 30 and 38 % less than the H.264 rung on the real clips, and their factors are chosen to come near its VMAF. SVT-AV1's preset 8 costs no
more than x264's `veryfast`; finer presets save more and cost twice as much.

Caps are a share of the H.264 cap of the same size (`transcode.table`). HEVC: Apple's HLS authoring specification lists 5,800 kbit/s where
it lists 7,800 for H.264, and 7,000 for HDR. It lists nothing for AV1; its share is that of HEVC.

Sound: every track is there as stereo AAC; these are the forms beside it of a track with six channels or more. E-AC-3 is what televisions
and receivers take, where AAC of six channels often ends as stereo, so it stands beside the ladder that they play best, and in the archive.

Memory: what one encoder of a segment holds for each pixel of its picture, measured by `make bench-codecs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from media.codecs import AAC_LC, EAC3
from media.rendition import VideoCodec, VideoRendition
from transcode import table

Named = Literal["h264", "mobile", "h264+hevc", "h264+av1", "archive"]

STANDARD_SIDES = (480, 720, 1080, 1440, 2160)
MOBILE_SIDES = (240, 360)


@dataclass(frozen=True, slots=True)
class Encoder:
    """How one codec is used. `suffix` makes the names of its rungs unique: "1080p-av1"."""

    codec: VideoCodec
    preset: str
    crf: float
    suffix: str = ""
    bit_depth: int = 8
    cap_share: Fraction = Fraction(1)
    bytes_per_pixel: int = 64
    smallest_side: int = 2  # what the encoder takes
    dpb_frames: int = 2  # H.264: decoded pictures a player must hold
    first_gain: float = 1.0  # `VideoRendition.first_gain`


@dataclass(frozen=True, slots=True)
class Ladder:
    """Rungs of one encoder at these sides and at the source's own."""

    encoder: Encoder | None  # None: nothing for a source that is not HDR
    sides: tuple[int, ...]
    hdr: Encoder | None = None  # what takes the encoder's place where the source is HDR, and keeps it so


# The `ipratio` of x264 that nobody sets: how much finer it makes key pictures that have others before them. So the first picture of a
# segment is what the key picture at its place is in one long encode: titles are −1.3 to +0.9 % larger than that, instead of −3.0 to −2.2
# (docs/decisions/0009-order.md). Those of x265 and SVT-AV1 are −1.8 and +1.1 % without it, and a zone of x265 changed nothing.
KEY_GAIN = 1.4

H264 = Encoder("h264", "veryfast", 23.0, first_gain=KEY_GAIN)
FINE_H264 = Encoder("h264", "medium", 18.0, cap_share=Fraction(2), bytes_per_pixel=96, dpb_frames=4, first_gain=KEY_GAIN)
HEVC = Encoder("hevc", "veryfast", 23.0, "-hevc", cap_share=Fraction(58, 78), bytes_per_pixel=200, smallest_side=64)
HDR = Encoder("hevc", "veryfast", 22.0, "-hdr", 10, Fraction(70, 78), bytes_per_pixel=330, smallest_side=64)
FINE_HDR = Encoder("hevc", "medium", 18.0, "-hdr", 10, Fraction(2), bytes_per_pixel=360, smallest_side=64)
AV1 = Encoder("av1", "8", 28.0, "-av1", cap_share=Fraction(58, 78), bytes_per_pixel=200, smallest_side=64)

PROFILES: dict[Named, tuple[Ladder, ...]] = {
    "h264": (Ladder(H264, STANDARD_SIDES),),
    "mobile": (Ladder(H264, MOBILE_SIDES + STANDARD_SIDES),),
    "h264+hevc": (Ladder(H264, STANDARD_SIDES), Ladder(HEVC, STANDARD_SIDES, hdr=HDR)),
    "h264+av1": (Ladder(H264, STANDARD_SIDES), Ladder(AV1, STANDARD_SIDES)),
    # To keep, and to make other things from: one rung for looking it through and one of the source's size, nearly without loss.
    "archive": (Ladder(FINE_H264, (480,)), Ladder(None, (), hdr=FINE_HDR)),
}


@dataclass(frozen=True, slots=True)
class Surround:
    """5.1 in one codec. `suffix` makes the names of its renditions unique: "audio-51"."""

    codecs: str
    suffix: str
    group: str
    bitrate_bps: int


AAC_51 = Surround(AAC_LC, "-51", "surround", table.SURROUND_BITRATE_BPS)
EAC3_51 = Surround(EAC3, "-ec3", "ec3", table.EAC3_BITRATE_BPS)

SURROUND: dict[Named, tuple[Surround, ...]] = {
    "h264": (AAC_51,),
    "mobile": (AAC_51,),
    "h264+hevc": (AAC_51, EAC3_51),
    "h264+av1": (AAC_51,),
    "archive": (AAC_51, EAC3_51),
}

_ENCODERS = (H264, FINE_H264, HEVC, HDR, FINE_HDR, AV1)


def encoder_bytes(rung: VideoRendition) -> int:
    """What the encoder of one segment of `rung` holds in memory, and what decoding and scaling for it add."""
    like = [item for item in _ENCODERS if (item.codec, item.bit_depth, item.preset) == (rung.codec, rung.bit_depth, rung.preset)]
    return rung.width * rung.height * max(item.bytes_per_pixel for item in like or _ENCODERS)


def named(profile: str, default: Named) -> Named:
    """The profile that `profile` means: "default" is the operator's choice. Raises KeyError for a name that is none."""
    if profile == "default":
        return default
    return next(name for name in PROFILES if name == profile)
