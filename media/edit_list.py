"""What an edit list makes of a track: which samples a demuxer hands out, at what time, and which of them are not to be shown. Pure.

This follows FFmpeg's demuxer exactly, because its clock is the one on which everything here is planned: samples from the sync
sample before the edit on are handed out marked as hidden, and so are those behind the edit up to the next sync sample. An edit list
of empty edits and one real one is what muxers, phones and cutters write; any other raises `BadBoxes`. Of a fragmented file every
sample is handed out, and the edit list only moves the clock.

Source: ISO/IEC 14496-12:2022 8.6.6. tests/media/test_sample_tables.py compares every clip with ffprobe.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add

from media.isobmff import BadBoxes
from media.sample_tables import Track


@dataclass(frozen=True, slots=True)
class Delivery:
    """The samples `[first, end)` are handed out, at their composition time plus `shift`."""

    first: int
    end: int
    shift: int  # ticks
    shown: tuple[int, int] | None  # composition times `[from, to)` that are to be shown; None: all
    lengths: Sequence[int]  # ticks that each sample handed out says it lasts
    stop: int  # composition time at which the last of them ends


def delivery(track: Track, movie_timescale: int) -> Delivery:
    """Raises BadBoxes for an edit list that is not understood."""
    if track.starts is not None:
        return _delivered(track, (0, len(track)), track.decode_shift - time_offset(track, movie_timescale)[0], None)
    if not track.edits:
        return _delivered(track, (0, len(track)), 0, None)
    *empty, edit = track.edits
    if edit.media_time < 0 or any(before.media_time >= 0 for before in empty):
        raise BadBoxes("the edit list is one that is not understood")
    delay = sum(_rescaled(before.duration, track.timescale, movie_timescale) for before in empty)
    duration = _rescaled(edit.duration, track.timescale, movie_timescale)
    start, stop = edit.media_time, edit.media_time + duration
    if duration <= 0:
        raise BadBoxes("an edit shows nothing")
    if track.pcm:
        return _pcm(track, start, stop, delay)
    first = _begin(track, start)
    end = _end(track, first, stop, duration)
    shift = _sound_shift(track, first, start, delay) if track.kind == "soun" else _shift(track, (first, end), (start, stop), delay)
    return _delivered(track, (first, end), shift, (start, stop))


def time_offset(track: Track, movie_timescale: int) -> tuple[int, int]:
    """What an edit list takes from the decode times of a fragmented track, of which it hides nothing, and where it begins. Ticks.

    Raises BadBoxes for an edit list that is not understood.
    """
    if not track.edits:
        return 0, 0
    *empty, edit = track.edits
    if edit.media_time < 0 or len(empty) > 1 or any(before.media_time >= 0 for before in empty):
        raise BadBoxes("the edit list is one that is not understood")
    return edit.media_time - sum(_rescaled(before.duration, track.timescale, movie_timescale) for before in empty), edit.media_time


def _delivered(track: Track, samples: tuple[int, int], shift: int, shown: tuple[int, int] | None) -> Delivery:
    first, end = samples
    # Without composition offsets FFmpeg counts the lengths from the first sample it hands out, not from the first of the track.
    lengths = track.durations[first:end] if track.offsets is not None else track.durations[: end - first]
    return Delivery(first, end, shift, shown, lengths, max(map(add, track.composition_times[first:end], lengths)))


def _rescaled(ticks: int, to: int, per: int) -> int:
    """Rounded to the nearest, halves up, as FFmpeg's av_rescale does."""
    return (ticks * to + per // 2) // per


def _begin(track: Track, start: int) -> int:
    """The sync sample before the edit; for sound a second earlier, because its decoders need a run-up."""
    if track.kind == "soun":
        start = max(start - track.timescale, 0)
    index = bisect_right(track.decode_times, start) - 1
    candidates: Iterator[int] | range
    candidates = range(index, -1, -1) if track.sync is None else reversed(track.sync[: bisect_right(track.sync, index)])
    for candidate in candidates:
        if track.offsets is None or track.composition_times[candidate] <= start:
            return candidate
    return 0


def _end(track: Track, first: int, stop: int, duration: int) -> int:
    """Behind the first sync sample that reaches the end of the edit; the second one when pictures are reordered, because some of
    the edit may follow the first."""
    count = len(track)

    def reaches(index: int) -> bool:
        lasts = track.durations[index] if index + 1 < count else duration
        return track.composition_times[index] + lasts >= stop

    if track.sync is None and track.offsets is None:
        return min(count, max(first, bisect_left(track.decode_times, stop, first + 1) - 1) + 1)
    wanted = 2 if track.offsets is not None and track.kind != "soun" else 1
    syncs = range(first, count) if track.sync is None else track.sync[bisect_left(track.sync, first) :]
    for index in syncs:
        wanted -= reaches(index)
        if not wanted:
            return index + 1
    return count


def _shift(track: Track, samples: tuple[int, int], edit: tuple[int, int], delay: int) -> int:
    """The first picture shown comes at `delay`."""
    first, end = samples
    start, stop = edit
    inside = [index for index, time in enumerate(track.composition_times[first:end], first) if start <= time < stop]
    if not inside:
        raise BadBoxes("an edit shows nothing")
    begin = track.decode_times[inside[0]]
    if track.kind != "vide":
        return delay - begin
    earliest = -1
    for index in inside:
        time = track.composition_times[index] - begin + delay
        earliest = time if earliest < 0 else min(earliest, time)
    return delay - begin - max(0, earliest - delay)


def _sound_shift(track: Track, first: int, start: int, delay: int) -> int:
    if track.offsets is not None or track.decode_times[first] > start or sum(track.durations) <= start:
        raise BadBoxes("sound with an edit list that is not understood")
    return delay - start


def _pcm(track: Track, start: int, stop: int, delay: int) -> Delivery:
    """Of raw sound, the last packet is cut where the edit ends."""
    if start:
        raise BadBoxes("raw sound that is cut at its start")
    end = bisect_left(track.decode_times, stop)
    return Delivery(0, end, delay, (start, stop), track.durations[:end], min(stop, sum(track.durations)))
