"""The value between encoded chunks and playlists: which renditions of a title are whole, and what their segments measured.

`build` takes an encode plan and the segment tables that were read from the boxes of the stored segments, and keeps the
renditions that are complete. It is also the last place where a wrong table could be noticed before viewers see it, so it
compares every segment with the grid of the plan: number, decode time and duration.

Pure: no storage, no database, no text formats (those are `packager.hls`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from kit.errors import StepFailed
from media.grid import AAC_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.plan import EncodePlan
from media.rendition import AudioRendition, VideoRendition
from media.segments import MeasuredSegment


class WrongSegments(StepFailed):
    """A segment table does not say what the plan says."""

    code = "segment_mismatch"


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A rung of the ladder with all of its segments; `timescale` ticks are one second."""

    spec: VideoRendition
    timescale: int
    segments: tuple[MeasuredSegment, ...]


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """The audio rendition with all of its segments."""

    spec: AudioRendition
    timescale: int
    segments: tuple[MeasuredSegment, ...]


Track = VideoTrack | AudioTrack


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a viewer can be offered: complete renditions only, over one timeline and with one target duration."""

    target_duration_s: int
    duration: Fraction  # seconds
    video: tuple[VideoTrack, ...]  # ascending by size
    audio: AudioTrack | None

    @property
    def tracks(self) -> tuple[Track, ...]:
        return self.video if self.audio is None else (*self.video, self.audio)


def build(plan: EncodePlan, tables: Mapping[str, Sequence[MeasuredSegment]]) -> Presentation:
    """The renditions of `plan` whose table in `tables` is complete. Raises WrongSegments when a table contradicts the plan."""
    video = tuple(
        VideoTrack(rung, plan.grid.timescale, _checked(rung.name, tables[rung.name], _video_spans(plan)))
        for rung in plan.video
        if _is_whole(plan, tables, rung.name)
    )
    audio = None
    if plan.audio is not None and _is_whole(plan, tables, plan.audio.name):
        name = plan.audio.name
        audio = AudioTrack(plan.audio, AUDIO_RATE_HZ, _checked(name, tables[name], _audio_spans(plan)))
    return Presentation(plan.grid.target_duration_s, plan.grid.duration, video, audio)


def missing(plan: EncodePlan, presentation: Presentation, wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the renditions named `wanted`, and of the audio, that the plan has and the presentation has not."""
    there = {track.spec.name for track in presentation.tracks}
    needed = (*wanted, plan.audio.name) if plan.audio is not None else tuple(wanted)
    return tuple(name for name in needed if name not in there)


def _is_whole(plan: EncodePlan, tables: Mapping[str, Sequence[MeasuredSegment]], name: str) -> bool:
    return len(tables.get(name, ())) >= plan.grid.segment_count


def _video_spans(plan: EncodePlan) -> list[tuple[int, int]]:
    bounds = (plan.grid.segment_bounds(index) for index in range(plan.grid.segment_count))
    return [(first * plan.grid.frame_ticks, end * plan.grid.frame_ticks) for first, end in bounds]


def _audio_spans(plan: EncodePlan) -> list[tuple[int, int]]:
    bounds = (plan.grid.audio_bounds(index) for index in range(plan.grid.segment_count))
    return [(first * AAC_FRAME_SAMPLES, end * AAC_FRAME_SAMPLES) for first, end in bounds]


def _checked(name: str, table: Sequence[MeasuredSegment], spans: Sequence[tuple[int, int]]) -> tuple[MeasuredSegment, ...]:
    ordered = tuple(sorted(table, key=lambda segment: segment.index))
    if [segment.index for segment in ordered] != list(range(len(spans))):
        raise WrongSegments(f"The segments of {name} are not numbered 0 to {len(spans) - 1}.")
    for segment, (start, end) in zip(ordered, spans, strict=True):
        measured = (segment.decode_time_ticks, segment.decode_time_ticks + segment.duration_ticks)
        if measured != (start, end):
            raise WrongSegments(f"Segment {segment.index} of {name} covers ticks {measured}, but the plan says {(start, end)}.")
        if sum(part.duration_ticks for part in segment.fragments) != segment.duration_ticks:
            raise WrongSegments(f"The fragments of segment {segment.index} of {name} do not add up to its duration.")
    return ordered
