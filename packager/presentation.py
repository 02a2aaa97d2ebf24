"""The value between an encode plan and playlists: the renditions of a title, how long each piece of them lasts, and, once they have
been made, what their segments measured.

`planned` knows only the plan. `build` adds the segment tables that were read from the boxes of the stored segments. It is also the
last place where a wrong table could be noticed before viewers see it, so it compares every segment with the plan: number, decode
time, duration, and the groups of pictures in it. The durations of both are the plan's, so both give the same media playlists.

Pure: no storage, no database, no text formats (those are `packager.hls`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from kit.errors import StepFailed
from media.grid import AUDIO_RATE_HZ
from media.plan import EncodePlan
from media.rendition import AudioRendition, VideoRendition
from media.segments import MeasuredSegment
from packager.protection import is_padded

Span = tuple[int, int]  # ticks: start, end


class WrongSegments(StepFailed):
    """A segment table does not say what the plan says."""

    code = "segment_mismatch"


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """A rung of the ladder; `timescale` ticks are one second. `segments` is empty until they have been measured."""

    spec: VideoRendition
    timescale: int
    spans: tuple[Span, ...]  # of its segments
    gop_ticks: tuple[int, ...]  # durations of all groups of pictures
    segments: tuple[MeasuredSegment, ...] = ()


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """An audio rendition, in the same way."""

    spec: AudioRendition
    timescale: int
    spans: tuple[Span, ...]
    segments: tuple[MeasuredSegment, ...] = ()


Track = VideoTrack | AudioTrack


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a viewer is offered: every rendition of the plan, over one timeline and with one target duration."""

    target_duration_s: int
    duration: Fraction  # seconds
    video: tuple[VideoTrack, ...]  # ascending by size
    audio: tuple[AudioTrack, ...]
    padded: bool = False  # what is fetched is encrypted whole (`packager.protection`)

    @property
    def tracks(self) -> tuple[Track, ...]:
        return (*self.video, *self.audio)


def planned(plan: EncodePlan, without: Collection[str] = ()) -> Presentation:
    """The presentation as it will be, `without` the renditions that were given up."""
    grid = plan.grid
    indexes = range(grid.segment_count)
    spans = tuple(_scaled(grid.segment_bounds(index), grid.frame_ticks) for index in indexes)
    bounds = (grid.gop_bounds(gop) for gop in range(grid.gop_count))
    gop_ticks = tuple((end - first) * grid.frame_ticks for first, end in bounds)
    video = tuple(VideoTrack(rung, grid.timescale, spans, gop_ticks) for rung in plan.video if rung.name not in without)
    heard = {
        samples: tuple(_scaled(grid.audio_bounds(index, samples), samples) for index in indexes)
        for samples in {track.frame_samples for track in plan.audio}
    }
    audio = tuple(AudioTrack(track, AUDIO_RATE_HZ, heard[track.frame_samples]) for track in plan.audio if track.name not in without)
    return Presentation(plan.target_duration_s, grid.duration, video, audio, is_padded(plan))


def build(plan: EncodePlan, tables: Mapping[str, Sequence[MeasuredSegment]], without: Collection[str] = ()) -> Presentation:
    """The same with what was measured. Raises WrongSegments when a table contradicts the plan, or is not complete."""
    made = planned(plan, without)
    video = tuple(replace(track, segments=_checked(track, tables[track.spec.name])) for track in made.video)
    audio = tuple(replace(track, segments=_checked(track, tables[track.spec.name])) for track in made.audio)
    for track in video:
        found = tuple(part.duration_ticks for segment in track.segments for part in segment.fragments)
        if found != track.gop_ticks:
            raise WrongSegments(f"The groups of pictures of {track.spec.name} are not those of the plan.")
    return replace(made, video=video, audio=audio)


def missing(plan: EncodePlan, tables: Mapping[str, Sequence[MeasuredSegment]], without: Collection[str] = ()) -> tuple[str, ...]:
    """The renditions of the plan of which not every segment has been measured."""
    return tuple(track.spec.name for track in planned(plan, without).tracks if len(tables.get(track.spec.name, ())) < len(track.spans))


def _scaled(bounds: tuple[int, int], ticks: int) -> Span:
    return bounds[0] * ticks, bounds[1] * ticks


def _checked(track: Track, table: Sequence[MeasuredSegment]) -> tuple[MeasuredSegment, ...]:
    name, ordered = track.spec.name, tuple(sorted(table, key=lambda segment: segment.index))
    if [segment.index for segment in ordered] != list(range(len(track.spans))):
        raise WrongSegments(f"The segments of {name} are not numbered 0 to {len(track.spans) - 1}.")
    for segment, span in zip(ordered, track.spans, strict=True):
        measured = (segment.decode_time_ticks, segment.decode_time_ticks + segment.duration_ticks)
        if measured != span:
            raise WrongSegments(f"Segment {segment.index} of {name} covers ticks {measured}, but the plan says {span}.")
        if sum(part.duration_ticks for part in segment.fragments) != segment.duration_ticks:
            raise WrongSegments(f"The fragments of segment {segment.index} of {name} do not add up to its duration.")
    return ordered
