"""What an encoded segment turned out to be, read from its own boxes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fragment:
    """One `moof` + `mdat` pair (one group of pictures) inside a segment object; offsets in bytes from its start."""

    offset: int
    size: int
    keyframe_size: int  # bytes from the start of the `moof` to the end of the first sample: what an I-frame playlist names
    duration_ticks: int


@dataclass(frozen=True, slots=True)
class MeasuredSegment:
    """One stored media segment of one rendition."""

    index: int
    size_bytes: int
    sha256: str  # hex
    decode_time_ticks: int  # tfdt of the first fragment
    duration_ticks: int
    fragments: tuple[Fragment, ...]
