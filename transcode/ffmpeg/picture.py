"""Still pictures and the moving preview of a title. JPEG is BT.601 in full range (JFIF).

Posters come from the source, everything else from key frames that are stored already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import ffmpeg

from kit.process import Command
from kit.sandbox import Confinement
from media.pictures import PREVIEW_SIDE, Preview, Storyboard, fitted
from media.plan import EncodePlan
from media.rendition import VideoRendition
from transcode.colour import BT709, conversion
from transcode.ffmpeg.run import (
    BULK_NICE,
    ENCODE_MEMORY_BYTES,
    LARGEST_OUTPUT_BYTES,
    PLAIN,
    SCALER,
    SMALL_MEMORY_BYTES,
    Stream,
    Work,
    chain,
    command_of,
    confinement,
    file_url,
    pictures_of,
)
from transcode.plan import lead_in_keyframe, poster_size, tail_frames
from transcode.poster import LOOK_HEIGHT, LOOK_WIDTH

_EDGES = "0 -1 0 -1 4 -1 0 -1 0"  # the Laplacian
_PREVIEW_BPS = 600_000  # with as much in the buffer, 5 s have at most 450 kB
_PREVIEW_CRF = 29
_MOST_PREVIEW_FPS = 30


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored pictures of one rung in a file of their own, which is all that FFmpeg sees of the title."""

    path: Path
    rung: VideoRendition
    out_dir: Path
    program: str
    nice: int = BULK_NICE


def poster_command(work: Work, times: Sequence[Fraction]) -> Command:
    """The picture at each of `times` (source time, keyframes), to `poster_path`, and what a look at it shows, to `look_path`."""
    outputs = []
    for index, time in enumerate(times):
        copies = _poster(work, pictures_of(work, time).filter("trim", end_frame=1)).filter_multi_output("split", 3)
        outputs.append(jpeg(copies[0], poster_path(work.out_dir, index), quality=3))
        grey, edges = (copies[number].filter("format", "gray") for number in (1, 2))
        small = [picture.filter("scale", LOOK_WIDTH, LOOK_HEIGHT, flags="area") for picture in (grey, edges.filter("convolution", _EDGES))]
        look = ffmpeg.filter(small, "vstack").filter("format", "gray")
        raw = {"c:v": "rawvideo", "fps_mode": "passthrough"}
        outputs.append(ffmpeg.output(look, file_url(look_path(work.out_dir, index)), f="rawvideo", **raw, **PLAIN))
    return command_of(outputs, work.program, confinement(work, ENCODE_MEMORY_BYTES), timeout_s=120 + 20 * len(times))


def poster_path(folder: Path, index: int) -> Path:
    return folder / f"poster-{index}.jpg"


def look_path(folder: Path, index: int) -> Path:
    """The picture in grey, and below it its edges; `transcode.poster.Look` reads it."""
    return folder / f"look-{index}.gray"


def still_command(work: Work, frame: int, rewind: Fraction | None = Fraction(0)) -> Command:
    """The picture on show at one grid frame, to `poster_path` 0, decoded from the key frame before it as an encode would."""
    plan, grid = work.plan, work.plan.grid
    keyframe = None if rewind is None else lead_in_keyframe(plan, work.video, frame, rewind)
    shift = round(plan.origin * grid.timescale) + frame * grid.frame_ticks
    pictures = pictures_of(work, keyframe).filter("settb", f"1/{grid.timescale}").filter("setpts", f"PTS-({shift})")
    fill = {"start_time": 0} if plan.origin + frame / grid.frame_rate <= work.video.start else {}
    pictures = pictures.filter("fps", str(grid.frame_rate), round="near", **fill)
    pictures = pictures.filter("tpad", stop_mode="clone", stop=tail_frames(plan, work.video)).filter("trim", start_pts=0, end_pts=1)
    output = jpeg(_poster(work, pictures), poster_path(work.out_dir, 0), quality=3)
    return command_of([output], work.program, confinement(work, ENCODE_MEMORY_BYTES), timeout_s=300)


def _poster(work: Work, picture: Stream) -> Stream:
    """In the size of the poster."""
    if work.video.interlaced:
        picture = picture.filter("bwdif", mode="send_frame", deint="all")
    width, height = poster_size(work.plan)
    return _photograph(chain(picture, conversion(work.video)), width, height)


def _photograph(picture: Stream, width: int, height: int) -> Stream:
    picture = picture.filter("scale", width, height, flags=SCALER, out_color_matrix="bt601", out_range="pc")
    return picture.filter("setsar", 1).filter("format", "yuvj420p")


def jpeg(picture: Stream, target: Path, *, quality: int) -> Stream:
    """One picture as a file. `quality`: from 2, the best, to 31."""
    still = {"c:v": "mjpeg", "q:v": quality, "color_range": "pc", "fps_mode": "passthrough", "update": 1}
    return ffmpeg.output(picture, file_url(target), f="image2", **still, **PLAIN, **{"flags:v": "+bitexact"})


def sheet_command(stored: Stored, board: Storyboard, tiles: int, target: Path) -> Command:
    """One sheet of a storyboard, of the `tiles` key frames in the file."""
    layout = f"{board.columns}x{board.rows(tiles)}"
    sheet = _photograph(_decoded(stored), *board.tile).filter("tile", layout, nb_frames=tiles, padding=0, color="black")
    return _command(stored, jpeg(sheet, target, quality=5), timeout_s=120)


def thumbnail_command(stored: Stored, width: int, target: Path) -> Command:
    """The first picture in the file."""
    picture = _decoded(stored).filter("trim", end_frame=1)
    size = fitted(stored.rung, width, by_width=True)
    return _command(stored, jpeg(_photograph(picture, *size), target, quality=4), timeout_s=60)


def preview_command(stored: Stored, preview: Preview, plan: EncodePlan, target: Path) -> Command:
    """The first pictures of each group in the file, as a silent MP4 that plays while it is being loaded."""
    rate, gop = plan.grid.frame_rate, plan.grid.gop_frames
    moments = _decoded(stored).filter("select", f"lt(mod(n,{gop}),{preview.frames})")
    moments = moments.filter("settb", f"1/{plan.grid.timescale}").filter("setpts", f"N*{plan.grid.frame_ticks}")
    shown_rate = rate
    while shown_rate > _MOST_PREVIEW_FPS:
        shown_rate /= 2
    moments = moments.filter("fps", str(shown_rate))
    width, height = fitted(stored.rung, PREVIEW_SIDE)
    moments = chain(moments.filter("scale", width, height, flags=SCALER).filter("format", "yuv420p").filter("setsar", 1), (BT709,))
    options = {
        "c:v": "libx264", "preset": "veryfast", "threads": 1, "profile:v": "main", "crf": _PREVIEW_CRF, "maxrate": _PREVIEW_BPS,
        "bufsize": _PREVIEW_BPS, "g": 250, "fps_mode": "passthrough", "flags:v": "+bitexact", "movflags": "+faststart",
    }  # fmt: skip
    return _command(stored, ffmpeg.output(moments, file_url(target), f="mp4", **options, **PLAIN), timeout_s=120)


def _decoded(stored: Stored) -> Stream:
    """Every picture in the file. What the edit list would take away (`transcode.cut`) is in place here."""
    options = {
        "protocol_whitelist": "file", "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2", "codec_whitelist": "h264", "threads": 1,
        "ignore_editlist": 1,
    }  # fmt: skip
    return ffmpeg.input(file_url(stored.path), f="mp4", **options)["0"]


def _command(stored: Stored, output: Stream, timeout_s: float) -> Command:
    confine = Confinement(
        reads=(stored.path,), writes=(stored.out_dir,), memory_bytes=SMALL_MEMORY_BYTES, cpu_s=0, file_bytes=LARGEST_OUTPUT_BYTES,
        nice=stored.nice,
    )  # fmt: skip
    return command_of([output], stored.program, confine, timeout_s=timeout_s)
