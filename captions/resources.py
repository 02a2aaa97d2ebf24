"""The JSON of text tracks in the public contract."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from captions.reading import MAX_PROBLEMS
from catalog.asset import Playback
from catalog.track import Track, TrackOrigin, TrackStatus
from media.cues import TrackKind
from media.language import MAX_CHARS, normal

FEW_PROBLEMS = 5  # of each track in the JSON of its asset

TRACK_EXAMPLE: dict[str, Any] = {
    "id": "trk_01m3g6p8dwn4x7k2v9q5c8r1ht",
    "kind": "subtitles",
    "language": "fr",
    "name": "Français",
    "default": False,
    "forced": False,
    "origin": "uploaded",
    "format": "srt",
    "status": "ready",
    "detail": None,
    "cue_count": 812,
    "problem_count": 1,
    "problems": [{"line": 214, "detail": "The times of the cue cannot be read."}],
    "url": "/v/7h2kq9vw3m1x5tz8c4pd/t/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b/whole.vtt",
    "created_at": "2026-11-22T14:03:00Z",
    "updated_at": "2026-11-22T14:03:00Z",
}


def _language(text: str) -> str:
    found = normal(text)
    if found is None:
        raise ValueError('not a language tag (BCP 47), such as "fr" or "pt-BR"')
    return found


def _readable(text: str) -> str:
    if "\x00" in text or not all(sign.isprintable() for sign in text):
        raise ValueError("only signs that can be shown")
    return " ".join(text.split())


Language = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARS), AfterValidator(_language)]
Name = Annotated[str, StringConstraints(max_length=100), AfterValidator(_readable)]


class TrackProblem(BaseModel):
    """What could not be taken over as it was. `line` counts from 1; 0 means the file as a whole."""

    line: int
    detail: str


class TrackResource(BaseModel):
    """Text of a title: subtitles, captions (which also say what is heard) or chapters."""

    model_config = ConfigDict(json_schema_extra={"examples": [TRACK_EXAMPLE]})

    id: str
    kind: TrackKind
    language: str = Field(description="BCP 47; `und` when unknown.")
    name: str = Field(description="Shown to viewers.")
    default: bool
    forced: bool
    origin: TrackOrigin
    format: str = Field(description="What it was read from: srt, webvtt, ass, ttml, or the codec of the source's stream.")
    status: TrackStatus
    detail: str | None = Field(description="Why it is unsupported or errored.")
    cue_count: int
    problem_count: int
    problems: list[TrackProblem] = Field(description=f"At most {MAX_PROBLEMS}; within an asset the first {FEW_PROBLEMS}.")
    url: str | None = Field(description="The whole text as WebVTT, once it can be watched.")
    created_at: datetime
    updated_at: datetime


class TrackList(BaseModel):
    data: list[TrackResource]
    next_cursor: None = None


class TrackChanges(BaseModel):
    """What is named is replaced; what is not named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Français", "default": True}]})

    kind: TrackKind = "subtitles"
    language: Language = "und"
    name: Name = ""
    default: bool = False
    forced: bool = False


def track_resource(track: Track, playbacks: Sequence[Playback], *, most_problems: int = MAX_PROBLEMS + 1) -> TrackResource:
    """The public JSON of a track. Pure."""
    public = next((item.id for item in playbacks if item.policy == "public"), None)
    return TrackResource(
        id=track.id,
        kind=track.kind,
        language=track.language,
        name=track.name,
        default=track.default,
        forced=track.forced,
        origin=track.origin,
        format=track.format,
        status=track.status,
        detail=track.detail,
        cue_count=track.cue_count,
        problem_count=len(track.problems),
        problems=[TrackProblem(line=item.line, detail=item.detail) for item in track.problems[:most_problems]],
        url=f"/v/{public}/t/{track.pack_digest}/whole.vtt" if public and track.pack_digest else None,
        created_at=track.created_at,
        updated_at=track.updated_at,
    )
