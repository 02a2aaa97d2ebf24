"""The options of each encoder, and what its pictures must be like. Pure.

Common to all: closed groups of pictures of constant length and no keyframe off the grid, so that every segment can be encoded and
decoded alone; one thread, so that equal plans give equal bytes; level, profile, colour and chroma position pinned, so that headers do not
depend on content and one init segment serves all segments of a rendition.
"""

from __future__ import annotations

from collections.abc import Mapping

from media.av1 import spelled_level
from media.rendition import VideoRendition
from transcode.colour import CHROMA_LEFT, LABELS, Filter

Options = dict[str, str | int | float]
Params = Mapping[str, str | int | float]

_PIXELS = {8: "yuv420p", 10: "yuv420p10le"}


def pixel_format(rung: VideoRendition) -> str:
    return _PIXELS[rung.bit_depth]


def labels(rung: VideoRendition) -> tuple[Filter, ...]:
    """What the pictures of the rung say about themselves. x264 writes no position of the chroma samples when it is the usual one."""
    return (LABELS[rung.video_range], *(() if rung.codec == "h264" else (CHROMA_LEFT,)))


def encoder_options(rung: VideoRendition, gop: int) -> Options:
    """The options of the rung's encoder; `gop` is the length of a group of pictures in frames."""
    return {"h264": _x264, "hevc": _x265, "av1": _svt_av1}[rung.codec](rung, gop)


def _joined(params: Params) -> str:
    return ":".join(f"{name}={value}" for name, value in params.items())


def _x264(rung: VideoRendition, gop: int) -> Options:
    params: Params = {
        "stitchable": 1,  # headers that do not depend on rate control, so that one init segment serves all chunks
        "open-gop": 0,  # every group of pictures can be decoded alone
        "cpu-independent": 1,  # the same decisions on every CPU
        "force-cfr": 1,  # rate control by frame count, as timestamps are a constant grid
        # Reordering by one picture, not two: a reader that ignores the edit list is late by one picture, which is not seen. It
        # costs 0.3 % of size at equal SSIM (measured).
        "b-pyramid": "none",
    }
    if rung.first_gain != 1:  # x264 divides the quantiser of a key picture by `ipratio` only when pictures came before it
        params = {**params, "zones": f"0,0,b={rung.first_gain:g}"}
    return {
        "c:v": "libx264",
        "preset": rung.preset,
        "threads": rung.threads,
        "profile:v": "high",
        "level": f"{rung.level_idc // 10}.{rung.level_idc % 10}",  # pinned: x264 would choose it from the rate control
        "pix_fmt": "yuv420p",
        "crf": f"{rung.crf:g}",
        "maxrate": rung.maxrate_bps,
        "bufsize": rung.bufsize_bits,
        "g": gop,
        "keyint_min": gop,
        "sc_threshold": 0,  # no keyframe off the grid, at scene cuts
        "x264-params": _joined(params),
        "a53cc": 0,  # captions hidden in the source's pictures are not announced, so they are not passed on
    }


def _x265(rung: VideoRendition, gop: int) -> Options:
    params: Params = {
        "open-gop": 0,  # x265's default is open: keyframes that are CRA pictures, behind which some cannot be decoded
        "keyint": gop,
        "min-keyint": gop,
        "scenecut": 0,
        "info": 0,  # no SEI with all options in the header
        "repeat-headers": 0,  # parameter sets in the init segment, as `hvc1` demands
        "aud": 0,
        "hrd": 0,
        "pools": "none",
        "frame-threads": rung.threads,
        "level-idc": rung.level_idc // 3,  # ten times the level
        "high-tier": 0,
        "vbv-maxrate": rung.maxrate_bps // 1000,
        "vbv-bufsize": rung.bufsize_bits // 1000,
        "log-level": "error",
    }
    if rung.mastering_display:
        params = {**params, "master-display": rung.mastering_display}
    if rung.content_light:
        params = {**params, "max-cll": rung.content_light}
    return {
        "c:v": "libx265",
        "tag:v": "hvc1",
        "preset": rung.preset,
        "profile:v": "main" if rung.bit_depth == 8 else "main10",
        "pix_fmt": pixel_format(rung),
        "crf": f"{rung.crf:g}",
        "g": gop,
        "x265-params": _joined(params),
        "dolbyvision": 0,  # the base layer alone is announced, so nothing else is passed on
        "a53cc": 0,
    }


def _svt_av1(rung: VideoRendition, gop: int) -> Options:
    params: Params = {
        "lp": rung.threads,
        "level": spelled_level(rung.level_idc).replace(".", ""),
        "scd": 0,
        "irefresh-type": 2,  # key frames, not forward key frames: nothing crosses the border of a group of pictures
        "enable-overlays": 0,
    }
    return {
        "c:v": "libsvtav1",
        "preset": rung.preset,
        "pix_fmt": pixel_format(rung),
        "crf": f"{rung.crf:g}",
        "maxrate": rung.maxrate_bps,
        "bufsize": rung.bufsize_bits,
        "g": gop,
        "svtav1-params": _joined(params),
        "dolbyvision": 0,
    }
