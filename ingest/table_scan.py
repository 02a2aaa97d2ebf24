"""What the packets of a source say (`ingest.packets.Scan`), out of its index instead of its packets. Pure.

The answers are those of a `PacketScan` of the same file, without the scan: tests/media/test_probe_index.py compares them for every
clip. Millions of samples are summed up by loops that run in C.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from itertools import compress, islice
from math import ceil
from operator import sub

from ingest.frame_rate import BIN_S, Spacing
from ingest.packets import BINS, KEYFRAME_EVERY_S, Reach, Scan
from media.source_map import Delivered

PCM_PACKET = 1024  # samples of sound in one packet of raw PCM


def packet_count(tracks: Iterable[Delivered]) -> int:
    """How many packets ffprobe would list."""
    return sum(one.delivery.stop // PCM_PACKET if one.track.pcm else one.delivery.end - one.delivery.first for one in tracks)


def scan(video: Delivered, tracks: Mapping[int, Delivered]) -> Scan:
    """The scan of a file whose pictures are those of `video`."""
    tick = Fraction(1, video.track.timescale)
    keys = _keys(video)
    shown = _Shown(video, keys[0] if keys else video.delivery.first)
    return Scan(
        spacing=shown.spacing(tick),
        last_duration=shown.last_duration * tick,
        keyframes=tuple(time * tick for time in _thinned(shown.keyframes(keys), KEYFRAME_EVERY_S / tick)),
        encrypted=False,
        reach={number: _reach(one) for number, one in tracks.items()},
    )


def _reach(one: Delivered) -> Reach:
    track, given = one.track, one.delivery
    tick = Fraction(1, track.timescale)
    return Reach((min(track.composition_times[given.first : given.end]) + given.shift) * tick, (given.stop + given.shift) * tick)


def _keys(video: Delivered) -> range | tuple[int, ...]:
    """The samples handed out at which decoding can begin, hidden ones included."""
    first, end = video.delivery.first, video.delivery.end
    sync = video.track.sync
    return range(first, end) if sync is None else sync[bisect_left(sync, first) : bisect_left(sync, end)]


class _Shown:
    """The pictures that are shown, from the first keyframe handed out on: pictures before it cannot be decoded."""

    def __init__(self, video: Delivered, first: int) -> None:
        given = video.delivery
        stored = video.track.composition_times[first : given.end]
        lengths = given.lengths[first - given.first :]
        begin, end = given.shown or (min(stored), max(stored) + 1)
        wanted = [begin <= time < end for time in stored]
        self._wanted, self._first = wanted, first
        self._times = [time + given.shift for time in stored]
        self.times = sorted(compress(self._times, wanted))
        pairs = zip(compress(self._times, wanted), compress(lengths, wanted), strict=True)
        self.last_duration = max(pairs, default=(0, 0))[1]

    def keyframes(self, keys: Iterable[int]) -> Iterable[int]:
        return (self._times[key - self._first] for key in keys if self._wanted[key - self._first])

    def spacing(self, tick: Fraction) -> Spacing | None:
        times = self.times
        if not times:
            return None
        steps = Counter(map(sub, islice(times, 1, None), times))
        bins: Counter[int] = Counter()
        for step, count in islice(steps.items(), BINS):
            bins[round(step * tick / BIN_S)] += count
        shortest, longest = min(steps, default=0), max(steps, default=0)
        return Spacing(len(times), times[0] * tick, times[-1] * tick, tick, shortest * tick, longest * tick, dict(bins))


def _thinned(times: Iterable[int], apart: Fraction) -> Iterable[int]:
    least, last = ceil(apart), None
    for time in times:
        if last is None or time - last >= least:
            yield time
            last = time
