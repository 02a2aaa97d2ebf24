"""Where FFmpeg begins to read a fragmented MP4 file whose `sidx` it believes, so that it is given those bytes. Pure.

A `sidx` that reaches to the end of the file makes FFmpeg read no more `moof` boxes than it needs. It then looks for a place in two
steps. The last fragment whose time in `sidx` is not after the time it was asked for, less the beginning of the track's edit list, has
the keyframe. Then it looks for the decode time of that keyframe in all other tracks, by their times; and when one of them leads to an
earlier fragment, that one is read, and the pictures begin there too.

What is found here is a bound: asked for this time or later, FFmpeg begins at this fragment or a later one. It is found only for files
in which every fragment has samples of every track, pictures from a keyframe on, and is named by each `sidx`; the others are read whole.
Because FFmpeg reads only the heads of fragments that it passes, a worker fetches no others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from math import ceil
from operator import itemgetter

from media.edit_list import time_offset
from media.fragment_places import SegmentIndex
from media.isobmff import BadBoxes
from media.sample_tables import Movie
from media.source_map import Delivered, StreamMap, begun_earlier, merged

MOST_LATE_S = 60
JOINED_BYTES = 4096  # between the ranges of a stretch, which are kept for each of thousands


@dataclass(frozen=True, slots=True)
class Seeking:
    """Times in seconds of the source."""

    heads: Sequence[tuple[int, int]]  # of the fragments: from their `moof` to their media; and what comes behind the last one
    pictures: Sequence[Fraction]  # from when on asking leads to that fragment or a later one
    sound_late: Mapping[int, Fraction]  # how far before the time that is asked for the sound of a track may begin


def map_begun(stream: StreamMap, seeking: Seeking, number: int) -> StreamMap:
    """The map of a track for a reader that begins so, and reads the heads of the fragments on its way. `number` is the track's."""
    stream = replace(stream, pieces=tuple(_with_heads(piece, seeking.heads) for piece in stream.pieces))
    if number in seeking.sound_late:
        return begun_earlier(stream, [ceil(seeking.sound_late[number] / stream.tick)] * len(stream.times))
    asked = (seeking.pictures[_fragment(seeking.heads, piece[0])] for piece in stream.pieces)
    return begun_earlier(stream, [max(0, ceil(time / stream.tick) - begin) for time, begin in zip(asked, stream.times, strict=True)])


def _fragment(heads: Sequence[tuple[int, int]], place: int) -> int:
    """In which fragment a byte lies."""
    return max(0, bisect_right(heads, place, key=itemgetter(0)) - 1)


def _with_heads(piece: tuple[int, ...], heads: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The byte ranges of a stretch with the heads of its fragments, and that of the next, which FFmpeg looks at in passing."""
    passed = heads[_fragment(heads, piece[0]) : _fragment(heads, piece[-1] - 1) + 2]
    return tuple(chain.from_iterable(merged((*zip(piece[::2], piece[1::2], strict=True), *passed), JOINED_BYTES)))


def seeking(fronts: Sequence[SegmentIndex], movie: Movie, tracks: Sequence[Delivered], heads: Sequence[tuple[int, int]]) -> Seeking:
    """Of a file with these `sidx` in front of fragments whose heads are `heads`; the last of these is no fragment. Raises BadBoxes."""
    places = [start for start, _ in heads[:-1]]
    videos = [one for one in tracks if one.track.kind == "vide"]
    if len(videos) != 1 or any(sidx.places != tuple(places) for sidx in fronts):
        raise BadBoxes("sidx names fragments where there are none, or it is not clear whose clock counts")
    (video,) = (_Times(one, fronts, movie, places) for one in videos)
    others = [_Times(one, fronts, movie, places) for one in tracks if one is not videos[0]]
    if not video.begins_with_keyframes():
        raise BadBoxes("a fragment begins with a picture that cannot be decoded")
    pictures = _pictures(video, others)
    late: Fraction = max(later - shown for shown, later in zip(video.shown, [*pictures[1:], video.end], strict=True))
    if late > MOST_LATE_S:
        raise BadBoxes("sidx is about other times than the fragments")
    reordered: Fraction = max(shown - decoded for shown, decoded in zip(video.shown, video.decoded, strict=True))
    sound_late = {}
    for other in others:
        before: Fraction = max(at - begin for at, begin in zip(video.shown, other.shown, strict=True))
        sound_late[other.number] = late + reordered + other.taken + max(Fraction(0), before)
    return Seeking(heads, pictures, sound_late)


def _pictures(video: _Times, others: Sequence[_Times]) -> list[Fraction]:
    found: list[Fraction] = []
    at, wanted, count = 0, Fraction(0), len(video.asked)
    for fragment in range(count):
        wanted = max([wanted, *(other.asked[fragment] for other in others)]) if others else video.decoded[fragment]
        at = max(at, fragment)
        while at < count and video.decoded[at] < wanted:
            at += 1
        found.append(max(video.asked[at], *found[-1:], video.shown[fragment]) if at < count else video.end)
    return found


class _Times:
    """The times of a track's first samples in all fragments, seconds. `asked`: from when on FFmpeg takes the fragment."""

    def __init__(self, one: Delivered, fronts: Sequence[SegmentIndex], movie: Movie, places: Sequence[int]) -> None:
        track, tick = one.track, Fraction(1, one.track.timescale)
        offset, begin = time_offset(track, movie.timescale)
        self._track, self.number = track, one.stream
        self._firsts = _firsts(one, places)
        self.taken = (begin + track.decode_shift) * tick
        self.shown = [(track.composition_times[first] + one.delivery.shift) * tick for first in self._firsts]
        self.decoded = [(track.decode_times[first] - offset) * tick for first in self._firsts]
        self.end = (one.delivery.stop + one.delivery.shift) * tick
        own = [sidx for sidx in fronts if sidx.track_id == track.track_id]
        said = [[ceil(time * track.timescale / Fraction(sidx.timescale)) for time in sidx.times] for sidx in own or fronts]
        if not own:  # the fragments that were read are known by their own times
            said.append([track.decode_times[first] for first in self._firsts])
        self.asked = [max(times) * tick + self.taken for times in zip(*said, strict=True)]

    def begins_with_keyframes(self) -> bool:
        return self._track.sync is None or set(self._firsts) <= set(self._track.sync)


def _firsts(one: Delivered, places: Sequence[int]) -> list[int]:
    """The first sample of the track in each fragment."""
    found: dict[int, int] = {}
    before = 0
    for place, count in zip(one.track.chunks, one.track.chunk_samples, strict=True):
        found.setdefault(bisect_right(places, place) - 1, before)
        before += count
    if sorted(found) != list(range(len(places))):
        raise BadBoxes("a fragment has nothing of a track")
    return [found[fragment] for fragment in range(len(places))]
