"""Text tracks as values: subtitles, captions and chapters of a title, uploaded or found in its source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from media.cues import Problem, TrackKind

TrackStatus = Literal["waiting", "ready", "unsupported", "errored"]
TrackOrigin = Literal["uploaded", "source"]
MAX_TRACKS = 100  # of one title
CHAPTERS = -1  # as the "stream" that a container's chapters are


@dataclass(frozen=True, slots=True)
class NewTrack:
    """What is known when a track is made."""

    kind: TrackKind
    language: str  # BCP 47, or "und"
    name: str  # shown to viewers
    default: bool = False
    forced: bool = False
    origin: TrackOrigin = "uploaded"
    stream_index: int | None = None  # of the source
    format: str = ""
    status: TrackStatus = "waiting"
    detail: str | None = None  # why it is unsupported or errored


@dataclass(frozen=True, slots=True)
class Content:
    """Cues that were read from a file and lie in the store under their digest."""

    format: str
    cues_sha256: str
    cue_count: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """A track as stored. It can be seen by viewers when it has a pack."""

    id: str
    asset_id: str
    kind: TrackKind
    language: str
    name: str
    default: bool
    forced: bool
    origin: TrackOrigin
    stream_index: int | None
    format: str
    status: TrackStatus
    detail: str | None
    cue_count: int
    problems: tuple[Problem, ...]
    cues_sha256: str | None
    plan_digest: str | None
    pack_digest: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TextPack:
    """One object with all that viewers are sent of a track: its playlist, the whole text, and then each segment."""

    digest: str
    offsets: tuple[int, ...]  # of the parts, and the end of the last

    def part(self, number: int) -> tuple[int, int] | None:
        """The bytes [start, end) of a part, None when there is no such."""
        return (self.offsets[number], self.offsets[number + 1]) if 0 <= number < len(self.offsets) - 1 else None


PLAYLIST_PART, WHOLE_PART, FIRST_SEGMENT_PART = 0, 1, 2
