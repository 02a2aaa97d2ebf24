"""Every SDR rendition is BT.709 in limited range, every HDR one BT.2020 with the source's own curve, and says so. Pure: filters as values.

A source that does not say what its colours mean is taken as browsers take it: BT.601 up to 576 lines, BT.709 above. HDR pictures
(PQ and HLG, and the Dolby Vision profiles built on them) are tone-mapped; decoding the PQ curve as if it were SDR looks washed out.

Sources: ITU-T H.273 (names of matrices, transfer functions, primaries), ITU-R BT.2408 (reference white of HDR).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from media.info import VideoStream
from media.rendition import VideoRange

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
_UNSAID = ("", "unknown", "unspecified", "reserved")
_MOST_SD_LINES = 576
_SAID_BY_FRAMES = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL", "DYNAMIC_HDR_PLUS", "DOVI_RPU_BUFFER", "DOVI_METADATA")


@dataclass(frozen=True, slots=True)
class Filter:
    """One FFmpeg filter and its options."""

    name: str
    options: Mapping[str, str | int | float] = field(default_factory=dict)


BT709 = Filter("setparams", {"colorspace": "bt709", "color_primaries": "bt709", "color_trc": "bt709", "range": "tv"})


def _bt2020(transfer: str) -> Filter:
    said = {"colorspace": "bt2020nc", "color_primaries": "bt2020", "color_trc": transfer, "range": "tv"}
    return Filter("setparams", said)


LABELS: Mapping[VideoRange, Filter] = {"SDR": BT709, "PQ": _bt2020("smpte2084"), "HLG": _bt2020("arib-std-b67")}
# Whatever the source said, so that headers do not depend on it: half a sample to the left of where some put it is not seen.
CHROMA_LEFT = Filter("setparams", {"chroma_location": "left"})


def is_hdr(video: VideoStream) -> bool:
    return video.color_transfer in HDR_TRANSFERS


def range_of(video: VideoStream) -> VideoRange:
    """What an HDR rendition of the source would be."""
    ranges: dict[str, VideoRange] = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
    return ranges.get(video.color_transfer, "SDR")


def kept(video: VideoStream) -> tuple[Filter, ...]:
    """Filters for pictures that stay HDR: labelled, and without what a frame says of its own, which the plan says for all."""
    return (_labels(video), *(Filter("sidedata", {"mode": "delete", "type": kind}) for kind in _SAID_BY_FRAMES))


def conversion(video: VideoStream) -> tuple[Filter, ...]:
    """Filters that make what is only probable explicit, and tone-map HDR. What remains (matrix and range) the scaler converts."""
    labels = _labels(video)
    return (labels, *_tone_map()) if is_hdr(video) else (labels,)


def _said(value: str, otherwise: str) -> str:
    return otherwise if value in _UNSAID else value


def _labels(video: VideoStream) -> Filter:
    """The source's own description, completed."""
    if is_hdr(video):
        matrix, primaries = "bt2020nc", "bt2020"
    elif min(video.coded_width, video.coded_height) <= _MOST_SD_LINES:
        matrix, primaries = "smpte170m", "smpte170m"
    else:
        matrix, primaries = "bt709", "bt709"
    said = {"colorspace": _said(video.color_space, matrix), "color_primaries": _said(video.color_primaries, primaries)}
    return Filter("setparams", {**said, "range": "pc" if video.full_range else "tv"})


def _tone_map() -> tuple[Filter, ...]:
    """To linear light, to the smaller gamut, and back to a gamma picture of 8 bits.

    1.0 is the white of HDR graphics and skies, 203 cd/m². The Möbius curve leaves what is darker nearly as it is and bends highlights
    up to 1,000 cd/m² into what is left (compared by eye and mean luma with an SDR original: Hable's curve is a third darker). The
    peak is fixed, so that chunks cannot differ by what their metadata says.
    """
    return (
        Filter("zscale", {"transfer": "linear", "npl": 203}),
        Filter("format", {"pix_fmts": "gbrpf32le"}),
        Filter("zscale", {"primaries": "bt709"}),
        Filter("tonemap", {"tonemap": "mobius", "param": 0.3, "desat": 0, "peak": 5}),
        Filter("zscale", {"transfer": "bt709", "matrix": "bt709", "range": "tv", "dither": "none"}),
        Filter("format", {"pix_fmts": "yuv420p"}),
        # Left in place, these would be written into the renditions, which are not HDR any more.
        Filter("sidedata", {"mode": "delete", "type": "MASTERING_DISPLAY_METADATA"}),
        Filter("sidedata", {"mode": "delete", "type": "CONTENT_LIGHT_LEVEL"}),
    )
