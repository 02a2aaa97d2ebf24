"""VMAF of one segment in every rendition: the source is decoded once, and each rendition beside it.

The reference goes through the filters of an encode (`transcode.ffmpeg.video`), so what is compared is what the encoder was given, frame
by frame: both sides are numbered from 0 on the title's grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import ffmpeg

from catalog.quality import EVERY, MODEL
from kit.process import Command
from media.rendition import VideoCodec
from transcode.colour import BT709, conversion
from transcode.ffmpeg.run import ENCODE_MEMORY_BYTES, SCALER, Stream, Work, chain, command_of, confinement, file_url, pictures_of
from transcode.ffmpeg.video import on_grid
from transcode.plan import lead_in_keyframe
from transcode.quality import display_size

_DECODERS: Mapping[VideoCodec, str] = {"h264": "h264", "hevc": "hevc", "av1": "libdav1d"}
_SLOWEST_PIXELS_PER_S = 2_000_000  # a twentieth of what one core scores


def score_command(work: Work, films: Mapping[str, Path], index: int, *, rewind: Fraction | None) -> Command:
    """Score segment `index` of the renditions in `films` (each its init segment and that segment), to `report_path`."""
    plan, size = work.plan, display_size(work.plan)
    first, end = plan.grid.segment_bounds(index)
    keyframe = None if rewind is None else lead_in_keyframe(plan, work.video, first, rewind)
    source = chain(on_grid(pictures_of(work, keyframe), plan, work.video, first, end), conversion(work.video))
    source = _shown(source, size)
    copies = source.filter_multi_output("split", len(films)) if len(films) > 1 else [source]
    outputs = [
        _scored(_shown(_film(work, name, path), size), copies[number], report_path(work.out_dir, name))
        for number, (name, path) in enumerate(films.items())
    ]
    confine = confinement(work, ENCODE_MEMORY_BYTES)
    decoded = (end - first) * (1 + len(films)) * size[0] * size[1]
    return command_of(
        outputs,
        work.program,
        replace(confine, reads=(*confine.reads, *films.values())),
        timeout_s=120 + decoded / _SLOWEST_PIXELS_PER_S,
        silent_s=decoded / _SLOWEST_PIXELS_PER_S,
    )


def report_path(folder: Path, rendition: str) -> Path:
    return folder / f"{rendition}.json"


def _film(work: Work, name: str, path: Path) -> Stream:
    """Every picture of a stored segment, numbered from 0. What the edit list would take away (`transcode.cut`) is in place here."""
    decoder = _DECODERS[work.plan.rendition(name).codec]
    options = {
        "protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2", "codec_whitelist": decoder, "threads": 1,
        "ignore_editlist": 1, "c:v": decoder,
    }  # fmt: skip
    rate = work.plan.grid.frame_rate
    pictures = ffmpeg.input(file_url(path), f="mp4", **options)["0"]
    return pictures.filter("settb", f"{rate.denominator}/{rate.numerator}").filter("setpts", "N")


def _shown(pictures: Stream, size: tuple[int, int]) -> Stream:
    """As a viewer sees it: at the size of the display, in BT.709."""
    scaled = pictures.filter("scale", *size, flags=SCALER, out_color_matrix="bt709", out_range="tv")
    return chain(scaled.filter("format", "yuv420p").filter("setsar", 1), (BT709,))


def _scored(encode: Stream, source: Stream, report: Path) -> Stream:
    log = {"log_fmt": "json", "log_path": str(report)}
    judged = ffmpeg.filter([encode, source], "libvmaf", model=f"version={MODEL}", n_subsample=EVERY, n_threads=1, shortest=1, **log)
    return ffmpeg.output(judged, "-", f="null", fps_mode="passthrough")
