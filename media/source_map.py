"""Which bytes of a source a piece of work needs: from times to byte ranges, without the samples between them. Pure.

`SourceMap` is a value, stored with the asset. Its `header` is what FFmpeg reads to open the file: the boxes of the index, and the
first samples of each track, from which it learns what the index does not say. Each track is a row of stretches that begin where
decoding can begin (video: a keyframe, at most two a second; audio: about a second of packets).

A reader of video asks from the keyframe at which decoding will begin. What lies behind the end and is still needed is included:
pictures are stored in another order than they are shown, and FFmpeg reads a little further than what it is asked for.

Not done here: fetching (`kit.scratch`), reading the index (`media.sample_tables`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice, pairwise
from math import ceil
from operator import add, sub
from typing import NamedTuple

from media.edit_list import Delivery
from media.sample_tables import Track

PROBE_BYTES = 5_000_000  # FFmpeg looks no further than this into a file to learn about its tracks …
PROBE_S = 5  # … nor further than this into any track
GAP_BYTES = 64 << 10  # a smaller gap is read over: another request costs more than these bytes
MOST_STRETCHES = 7200  # of one track; longer tracks have longer stretches
MOST_PIECES = 4  # of one stretch
VIDEO_APART_S = Fraction(1, 2)
SOUND_APART_S = Fraction(1)
LOOK_AHEAD = 48  # pictures between the last one wanted and the last one read: reordering, frame rate filter, queues


class ByteRange(NamedTuple):
    """Bytes `[start, end)` of the source."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class StreamMap:
    """Where one track lies. `times[i]` (ticks) is where stretch i begins, `pieces[i]` its byte ranges as start, end, start, end …"""

    index: int  # of the stream inside the container
    tick: Fraction  # seconds
    look_ahead: int  # ticks behind a time that are read to show what comes before it
    times: tuple[int, ...]
    pieces: tuple[tuple[int, ...], ...]

    def ranges(self, start_s: Fraction, end_s: Fraction) -> Iterator[ByteRange]:
        """The stretches from the one that holds `start_s` to the last one that is read for `[start_s, end_s)`."""
        first = max(0, bisect_right(self.times, start_s / self.tick) - 1)
        end = max(first + 1, bisect_left(self.times, end_s / self.tick + self.look_ahead))
        for piece in self.pieces[first:end]:
            yield from map(ByteRange, piece[::2], piece[1::2])


@dataclass(frozen=True, slots=True)
class SourceMap:
    """Where everything lies in a source of `size_bytes`. Times are source times, as in `MediaInfo`."""

    size_bytes: int
    header: tuple[int, ...]  # byte ranges: start, end, start, end …
    streams: tuple[StreamMap, ...]

    def header_ranges(self) -> tuple[ByteRange, ...]:
        """What has to be there for FFmpeg to open the file."""
        return merged(map(ByteRange, self.header[::2], self.header[1::2]))

    def video_ranges(self, start_s: Fraction, end_s: Fraction) -> tuple[ByteRange, ...]:
        """What decoding the video from the keyframe at `start_s` (or the one before) up to `end_s` reads, header included."""
        return merged((*self.header_ranges(), *merged(self.streams[0].ranges(start_s, end_s), GAP_BYTES)))

    def audio_ranges(self, stream_index: int, start_s: Fraction, end_s: Fraction) -> tuple[ByteRange, ...]:
        """The same for an audio stream. Raises KeyError when there is no such stream."""
        for stream in self.streams:
            if stream.index == stream_index:
                return merged((*self.header_ranges(), *merged(stream.ranges(start_s, end_s), GAP_BYTES)))
        raise KeyError(stream_index)

    def everything(self) -> tuple[ByteRange, ...]:
        return (ByteRange(0, self.size_bytes),)


def merged(ranges: Iterable[tuple[int, int]], gap_bytes: int = 0) -> tuple[ByteRange, ...]:
    """The same bytes as ascending ranges that do not touch; gaps of up to `gap_bytes` are filled."""
    found: list[ByteRange] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1].end + gap_bytes:
            found[-1] = ByteRange(found[-1].start, max(end, found[-1].end))
        elif end > start:
            found.append(ByteRange(start, end))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A track, what its edit list makes of it, and its stream index."""

    stream: int
    track: Track
    delivery: Delivery


def source_map(
    size_bytes: int, index_ranges: Iterable[tuple[int, int]], video: Delivered, sounds: Sequence[Delivered], gap_bytes: int = GAP_BYTES
) -> SourceMap:
    """The map of a file. `index_ranges`: the boxes outside the media data, and the headers of all boxes; between them, gaps of up to
    `gap_bytes` are read over."""
    every = (video, *sounds)
    header = merged((*index_ranges, *chain.from_iterable(first_samples(one) for one in every)), gap_bytes)
    return SourceMap(size_bytes, tuple(chain.from_iterable(header)), tuple(_stream_map(one) for one in every))


def first_samples(one: Delivered) -> Iterator[tuple[int, int]]:
    """The byte ranges of the samples from which FFmpeg may learn what the track is."""
    track, first = one.track, one.delivery.first
    size = ticks = 0
    for index in range(first, one.delivery.end):
        if size > PROBE_BYTES or ticks > PROBE_S * track.timescale:
            return
        yield track.positions[index], track.positions[index] + track.sizes[index]
        size += track.sizes[index]
        ticks += track.durations[index]


def begun_earlier(stream: StreamMap, late: Sequence[int]) -> StreamMap:
    """The same for a reader that begins at a stretch only if asked for a time so many ticks behind its beginning, and else before it."""
    return replace(stream, times=tuple(map(add, stream.times, late)), look_ahead=stream.look_ahead + max(late))


def _stream_map(one: Delivered) -> StreamMap:
    track, delivery = one.track, one.delivery
    shown = [time + delivery.shift for time in track.composition_times[delivery.first : delivery.end]]
    firsts = _starts(one, shown)
    bounds = [*firsts[1:], delivery.end]
    starts = track.positions
    ends = [start + size for start, size in zip(starts, track.sizes, strict=True)]
    return StreamMap(
        index=one.stream,
        tick=Fraction(1, track.timescale),
        look_ahead=_look_ahead(shown) if track.kind == "vide" else track.timescale,
        times=tuple(shown[first - delivery.first] for first in firsts),
        pieces=tuple(_pieces(starts[first:end], ends[first:end]) for first, end in zip(firsts, bounds, strict=True)),
    )


def _starts(one: Delivered, shown: list[int]) -> list[int]:
    """The samples at which stretches begin, far enough apart in time; the first is the first sample handed out."""
    track, delivery = one.track, one.delivery
    wanted_s = VIDEO_APART_S if track.kind == "vide" else SOUND_APART_S
    lasts_s = Fraction(max(shown) - min(shown), track.timescale)
    apart = ceil(max(wanted_s, lasts_s / MOST_STRETCHES) * track.timescale)
    candidates: Iterable[int] = range(delivery.first, delivery.end)
    if track.sync is not None:
        candidates = (index for index in track.sync if delivery.first <= index < delivery.end)
    starts = [delivery.first]
    for index in candidates:
        if shown[index - delivery.first] - shown[starts[-1] - delivery.first] >= apart:
            starts.append(index)
    return starts


def _look_ahead(shown: list[int]) -> int:
    """The longest time that `LOOK_AHEAD` pictures of the track take."""
    times = sorted(shown)
    return max(map(sub, islice(times, LOOK_AHEAD, None), times), default=times[-1] - times[0]) + 1


def _pieces(starts: Sequence[int], ends: Sequence[int]) -> tuple[int, ...]:
    """Few byte ranges that hold all of these; the smallest gaps are filled first."""
    between = list(map(sub, islice(starts, 1, None), ends))
    if not between or (min(between) >= 0 and max(between) <= GAP_BYTES):
        return starts[0], ends[-1]
    found = merged(zip(starts, ends, strict=True), GAP_BYTES)
    if len(found) > MOST_PIECES:
        gaps = sorted((later.start - before.end for before, later in pairwise(found)), reverse=True)
        found = merged(found, gaps[MOST_PIECES - 1])
    return tuple(chain.from_iterable(found))
