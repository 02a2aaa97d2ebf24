"""How far a run of FFmpeg is.

What it says about itself (`-progress`): blocks of `key=value` lines, each ended by a line `progress=continue` or `progress=end`.

What it has written. A run that makes many segments says nothing before it begins the last of them (FFmpeg holds its report back until
every output has been opened), so it is judged by the fragments in its files. They grow by one group of pictures at a time, but for the
last of each file, which FFmpeg writes when everything is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.grid import SegmentGrid


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
    """One segment of a rendition that a run writes: the grid frames [first, end)."""

    path: Path
    first: int
    end: int


def pieces(grid: SegmentGrid, paths: Mapping[str, Mapping[int, Path]]) -> list[Piece]:
    """`paths`: of each rendition, where each segment is written."""
    return [Piece(path, *grid.segment_bounds(index)) for of_rung in paths.values() for index, path in of_rung.items()]


def written(pieces: Sequence[Piece], gop_frames: int) -> float:
    """How far the run has come through its stretch of the title, 0 to 1. All rungs are made of the same decoded pictures, so the one that
    shows most speaks for all: small fragments stay in a buffer for a while."""
    first, end = min(piece.first for piece in pieces), max(piece.end for piece in pieces)
    return (max(_reached(piece, first, gop_frames) for piece in pieces) - first) / (end - first)


def _reached(piece: Piece, first: int, gop_frames: int) -> float:
    """The frame at which the run is, as far as this segment can tell; `first` when it is not begun.

    Of the fragment that comes next, about half is encoded. The last fragment of every segment is written when the whole run ends, so a
    segment that has all others is taken to be over.
    """
    found, whole = fragments(piece.path), -(-(piece.end - piece.first) // gop_frames)
    if found == 0:
        return first
    return piece.end if found >= whole - 1 else piece.first + gop_frames * (found + 0.5)


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
