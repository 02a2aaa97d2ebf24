"""Timed text, whatever file it came from: cues on the title's clock, and what was wrong with the file.

A cue's text is WebVTT cue text (W3C WebVTT section 4.2.2) that has been cleaned: `captions` makes it, `packager` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

TrackKind = Literal["subtitles", "captions", "chapters"]


@dataclass(frozen=True, slots=True)
class Cue:
    """One text from `start_ms` to `end_ms` after the beginning of the title."""

    start_ms: int
    end_ms: int
    text: str
    settings: str = ""  # WebVTT cue settings: "line:5% align:start"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of a file that could not be taken over as it was. `line` counts from 1; 0: the file as a whole."""

    line: int
    detail: str


def to_json(cues: Iterable[Cue]) -> bytes:
    """The form in which cues are stored: they are written anew for every plan of their title."""
    rows = [[cue.start_ms, cue.end_ms, cue.text, cue.settings] for cue in cues]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def from_json(data: bytes) -> tuple[Cue, ...]:
    """What `to_json` stored."""
    return tuple(Cue(*row) for row in json.loads(data))


def past_the_end(cues: Sequence[Cue], duration: Fraction) -> tuple[Problem, ...]:
    """What a title of this length (seconds) cuts off, in one sentence."""
    end_ms = int(duration * 1000)
    lost = sum(1 for cue in cues if cue.start_ms >= end_ms)
    cut = sum(1 for cue in cues if cue.start_ms < end_ms < cue.end_ms)
    said = []
    if lost:
        said.append(f"{lost} cue{'s begin' if lost > 1 else ' begins'} after the end of the title and cannot be shown.")
    if cut:
        said.append(f"{cut} cue{'s last' if cut > 1 else ' lasts'} longer than the title and {'are' if cut > 1 else 'is'} cut at its end.")
    return tuple(Problem(0, sentence) for sentence in said)
