"""How far a run of FFmpeg is.

What it says about itself (`-progress`): blocks of `key=value` lines, each ended by a line `progress=continue` or `progress=end`.

What it has written. A run that makes many segments says nothing before it begins the last of them (FFmpeg holds its report back until
every output has been opened), so it is judged by the fragments in its files. They grow by one group of pictures at a time, but for the
last of each file, which FFmpeg writes when everything is over. Seconds pass from one fragment to the next, so in between it is taken to
go on as it went so far (`Strides`).
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


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a run has come through its stretch of the title as its files show it, and the point from which on they show more; 0 to 1."""

    done: float
    until: float


def written(pieces: Sequence[Piece], gop_frames: int) -> Reach:
    """All rungs are made of the same decoded pictures, so the one that shows most speaks for all: small fragments stay in a buffer for a
    while."""
    first, end = min(piece.first for piece in pieces), max(piece.end for piece in pieces)
    done = max(_reached(piece, first, gop_frames) for piece in pieces)
    until = min((mark for piece in pieces for mark in _marks(piece, gop_frames) if mark > done), default=end)
    return Reach((done - first) / (end - first), (until - first) / (end - first))


def _marks(piece: Piece, gop_frames: int) -> list[float]:
    """Where a run is when each fragment of this segment appears but the last, which comes when the whole run ends. A fragment is written
    when the next has begun, and the encoder holds back some pictures beside that: about half a group of them."""
    count = -(-(piece.end - piece.first) // gop_frames)
    return [min(piece.end, piece.first + gop_frames * (found + 0.5)) for found in range(1, count)]


def _reached(piece: Piece, first: int, gop_frames: int) -> float:
    """The frame at which the run is, as far as this segment can tell; `first` when it is not begun."""
    found, marks = fragments(piece.path), _marks(piece, gop_frames)
    if found == 0:
        return first
    return marks[found - 1] if found <= len(marks) else piece.end


class Strides:
    """How far a run is at any moment that is not before the last one asked about; seconds of one clock. It never falls."""

    def __init__(self, began_s: float) -> None:
        self._began_s = self._seen_s = began_s
        self._seen = 0.0

    def at(self, now_s: float, reach: Reach) -> float:
        """By what is seen `now_s`: from the last fragment on as fast as up to there, but no further than where the next would show."""
        if reach.done > self._seen:
            self._seen, self._seen_s = reach.done, now_s
        took_s = self._seen_s - self._began_s
        since = self._seen * (now_s - self._seen_s) / took_s if took_s > 0 else 0.0
        return min(reach.until, self._seen + since)


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
