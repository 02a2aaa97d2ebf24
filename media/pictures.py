"""The pictures beside the renditions: what they are called, when they show what, and from which rung they are made. Pure.

All but the posters are made from key frames that are stored already, so they have the renditions' shape, colours and
orientation, and cost no second decode of the source. There is a key frame every two seconds; times are snapped to these, so the
set of pictures that can be asked for is bounded. Everything follows from the plan (and, of a chosen poster, from its time), so
a name under a plan's digest always means the same bytes.

Source: W3C Media Fragments URI 1.0 section 4.2.2 (`#xywh=`), as players read it in the cues of a thumbnail track.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from media.plan import EncodePlan
from media.rendition import VideoRendition

POSTER = "poster.jpg"  # the one that was chosen for its content
STORYBOARD = "storyboard.vtt"
PREVIEW = "preview.mp4"
THUMBNAIL_WIDTHS = (160, 320, 640, 960, 1280)

TILE_SIDE = 160  # the longer side of one picture of a storyboard
SHEET_COLUMNS = SHEET_ROWS = 10
MOST_SHEETS = 10

PREVIEW_MOMENTS = 4
PREVIEW_MOMENT_S = Fraction(5, 4)
PREVIEW_SIDE = 480  # the longer side

NAME = re.compile(r"poster(?:-[0-9]{8})?\.jpg|storyboard-[0-9]{3}\.jpg|storyboard\.vtt|preview\.mp4")
"""Every name directly below a plan; thumbnails are `t/<width>/<group>.jpg`."""


def chosen_poster(time_s: float) -> str:
    """The poster that shows this moment, to the millisecond."""
    return f"poster-{round(time_s * 1000):08d}.jpg"


def sheet(number: int) -> str:
    return f"storyboard-{number:03d}.jpg"


def thumbnail(width: int, gop: int) -> str:
    return f"t/{width}/{gop:05d}.jpg"


def fitted(rung: VideoRendition, side: int, *, by_width: bool = False) -> tuple[int, int]:
    """Width and height of a picture of this rung whose longer side, or width, is `side` at most; even, and never enlarged."""
    factor = min(Fraction(1), Fraction(side, rung.width if by_width else max(rung.width, rung.height)))
    return max(2, 2 * round(rung.width * factor / 2)), max(2, 2 * round(rung.height * factor / 2))


def gop_at(plan: EncodePlan, time_s: Fraction) -> int:
    """The group of pictures that is on show at this presentation time; the last one behind the end."""
    return min(int(time_s * plan.grid.frame_rate) // plan.grid.gop_frames, plan.grid.gop_count - 1)


def rung_for(plan: EncodePlan, width: int, lost: Collection[str] = ()) -> VideoRendition:
    """The smallest H.264 rung that is at least so wide, or else the widest: every machine can decode these, and they are in SDR.
    `lost` ones are never made. Raises ValueError when none is left."""
    rungs = [rung for rung in plan.video if rung.codecs.startswith("avc1") and rung.name not in lost]
    if not rungs:
        raise ValueError("no rung is left to make pictures of")
    rungs.sort(key=lambda rung: rung.width * rung.height)
    return next((rung for rung in rungs if rung.width >= width), rungs[-1])


@dataclass(frozen=True, slots=True)
class Storyboard:
    """Tiles from the whole length, `columns` wide on each sheet. Tile n shows the first picture of group `gops[n]`."""

    tile: tuple[int, int]  # width and height
    gops: tuple[int, ...]
    columns: int

    @property
    def per_sheet(self) -> int:
        return self.columns * SHEET_ROWS

    @property
    def sheets(self) -> tuple[Sequence[int], ...]:
        """The groups on each sheet."""
        return tuple(self.gops[first : first + self.per_sheet] for first in range(0, len(self.gops), self.per_sheet))

    def rows(self, tiles: int) -> int:
        return -(-tiles // self.columns)

    def place(self, tile: int) -> tuple[int, int, int]:
        """The number of the sheet of this tile, and where its upper left corner is."""
        number, at = divmod(tile, self.per_sheet)
        row, column = divmod(at, self.columns)
        return number, column * self.tile[0], row * self.tile[1]


def storyboard(plan: EncodePlan) -> Storyboard:
    """A tile for every group of pictures, or for every second one and so on, so that ten sheets hold the longest title."""
    step = ceil(Fraction(plan.grid.gop_count, SHEET_COLUMNS * SHEET_ROWS * MOST_SHEETS))
    gops = tuple(range(0, plan.grid.gop_count, step))
    return Storyboard(fitted(rung_for(plan, 1), TILE_SIDE), gops, min(SHEET_COLUMNS, len(gops)))


def render_storyboard(plan: EncodePlan) -> str:
    """The WebVTT file that tells players which part of which sheet shows which time, beside the plan's own folder."""
    board, rate = storyboard(plan), plan.grid.frame_rate
    starts = [plan.grid.gop_bounds(gop)[0] / rate for gop in board.gops]
    cues = list(_cues(plan, board, [*starts, plan.grid.duration]))
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def _cues(plan: EncodePlan, board: Storyboard, times: Sequence[Fraction]) -> Iterator[str]:
    width, height = board.tile
    for tile in range(len(board.gops)):
        number, left, top = board.place(tile)
        span = f"{_clock(times[tile])} --> {_clock(times[tile + 1])}"
        yield f"{span}\n{plan.digest}/{sheet(number)}#xywh={left},{top},{width},{height}"


def _clock(time_s: Fraction) -> str:
    seconds, milliseconds = divmod(round(time_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}.{milliseconds:03d}"


@dataclass(frozen=True, slots=True)
class Preview:
    """A few moments in motion: of each of these groups of pictures the first `frames`."""

    gops: tuple[int, ...]
    frames: int


def preview(plan: EncodePlan) -> Preview:
    """Four moments of 1.25 s from all over the title; of a title of up to three groups of pictures everything."""
    grid = plan.grid
    if grid.gop_count < PREVIEW_MOMENTS:
        return Preview(tuple(range(grid.gop_count)), grid.gop_frames)
    gops = tuple((2 * moment + 1) * grid.gop_count // (2 * PREVIEW_MOMENTS) for moment in range(PREVIEW_MOMENTS))
    return Preview(gops, max(1, round(PREVIEW_MOMENT_S * grid.frame_rate)))
