"""How far a run of FFmpeg is.

What it says about itself (`-progress`): blocks of `key=value` lines, each ended by a line `progress=continue` or `progress=end`.

What it has written. A run that makes many segments says nothing before it begins the last of them (FFmpeg holds its report back until
every output has been opened), so it is judged by the fragments in its files. They grow by one group of pictures at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.grid import SegmentGrid
from media.rendition import VideoRendition


@dataclass(frozen=True, slots=True)
class Report:
    """One block. `media_s` is how much has been encoded, in seconds of the title; `speed` is media seconds for each second."""

    frames: int
    media_s: float
    fps: float
    speed: float
    ended: bool


class ProgressReader:
    """Takes one line at a time, gives a Report at the end of each block."""

    def __init__(self) -> None:
        self._block: dict[str, str] = {}

    def line(self, text: str) -> Report | None:
        key, _, value = text.strip().partition("=")
        self._block[key] = value.strip()
        if key != "progress":
            return None
        block, self._block = self._block, {}
        return Report(
            frames=int(_number(block, "frame")),
            media_s=_number(block, "out_time_us") / 1_000_000,
            fps=_number(block, "fps"),
            speed=_number(block, "speed"),
            ended=value.strip() == "end",
        )


def _number(block: dict[str, str], key: str) -> float:
    """0 where FFmpeg has nothing to say yet ("N/A") or says something odd."""
    try:
        return max(0.0, float(block.get(key, "0").rstrip("x")))
    except ValueError:
        return 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment of a rendition that a run writes."""

    path: Path
    frames: int
    pixels: int  # of each frame


def pieces(grid: SegmentGrid, rungs: Sequence[VideoRendition], paths: Mapping[str, Mapping[int, Path]]) -> list[Piece]:
    """`paths`: of each rendition, where each segment is written."""
    found = []
    for rung in rungs:
        for index, path in paths[rung.name].items():
            first, end = grid.segment_bounds(index)
            found.append(Piece(path, end - first, rung.width * rung.height))
    return found


def written(pieces: Sequence[Piece], gop_frames: int) -> float:
    """The share of all pixels that is in the files, 0 to 1; of the fragment that comes next, about half is encoded."""
    done = sum(_frames(piece, gop_frames) * piece.pixels for piece in pieces)
    return done / sum(piece.frames * piece.pixels for piece in pieces)


def _frames(piece: Piece, gop_frames: int) -> float:
    found = fragments(piece.path)
    return min(piece.frames, gop_frames * (found + 0.5)) if 0 < found < -(-piece.frames // gop_frames) else piece.frames * (found > 0)


def fragments(path: Path) -> int:
    """How many fragments of an MP4 file that grows have been begun; 0 when it is not there. Reads headers of boxes only."""
    try:
        with path.open("rb") as file:
            return _count(file)
    except OSError:  # not there yet, or not any more
        return 0


def _count(file: BinaryIO) -> int:
    found = 0
    while len(header := file.read(8)) == 8:
        size = int.from_bytes(header[:4], "big")
        found += header[4:] == b"moof"
        if size < 8:  # nothing that FFmpeg writes into a segment, or not all of it is there
            break
        file.seek(size - 8, 1)
    return found
