"""What the packets of a source say: when its pictures are shown, where decoding can begin, how far it really reaches.

ffprobe prints a line for each packet, in the order of the file. `PacketScan` takes the lines one at a time and keeps a few
counters for each stream, so an hour of video needs no more memory than a second. Presentation times come out of order
(B-frames), by at most the depth of the decoder's picture buffer (16 pictures, ITU-T H.264 A.3.1), so a small heap sorts them.

Lines are evidence from a stranger: a line that makes no sense is skipped, numbers are bounded.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from ingest.frame_rate import BIN_S, Spacing

REORDER = 64  # pictures held back to sort presentation times
BINS = 4096  # different steps counted
KEYFRAME_EVERY_S = Fraction(1, 2)  # closer keyframes are not remembered: nobody needs to begin that exactly
LARGEST = 2**62  # timestamps beyond this are nonsense
FIELDS = 6  # stream, pts, dts, duration, size, flags; side data may follow


@dataclass(frozen=True, slots=True)
class Reach:
    """Where the packets of one stream begin and end; seconds."""

    first: Fraction
    end: Fraction


@dataclass(frozen=True, slots=True)
class Scan:
    """The packets of a source, summed up."""

    spacing: Spacing | None  # of the pictures that are shown; None when there is none
    last_duration: Fraction  # how long the packet of the last picture says it lasts, 0 when it does not say
    keyframes: tuple[Fraction, ...]  # ascending
    encrypted: bool
    reach: Mapping[int, Reach]  # of each stream, the packets that an edit list hides included


@dataclass(slots=True)
class _Times:
    """Presentation times of one stream, sorted and measured as they come; in ticks."""

    waiting: list[int] = field(default_factory=list)
    missing: int = 0
    count: int = 0
    first: int = 0
    last: int = 0
    shortest: int = LARGEST
    longest: int = 0
    steps: Counter[int] = field(default_factory=Counter)
    keyframes: list[int] = field(default_factory=list)

    @property
    def average(self) -> Fraction:
        return Fraction(self.last - self.first, self.count - 1) if self.count > 1 else Fraction(0)

    def keyframe(self, time: int | None, apart: Fraction) -> None:
        if time is not None and (not self.keyframes or time - self.keyframes[-1] >= apart):
            self.keyframes.append(time)

    def add(self, time: int | None) -> None:
        if time is None:
            self.missing += 1
        elif len(self.waiting) < REORDER:
            heapq.heappush(self.waiting, time)
        else:
            self._settle(heapq.heappushpop(self.waiting, time))

    def finish(self) -> None:
        while self.waiting:
            self._settle(heapq.heappop(self.waiting))

    def _settle(self, time: int) -> None:
        self.count += 1
        if self.count == 1:
            self.first = self.last = time
            return
        step = max(0, time - self.last)
        self.last = max(self.last, time)
        self.shortest = min(self.shortest, step)
        self.longest = max(self.longest, step)
        if step in self.steps or len(self.steps) < BINS:
            self.steps[step] += 1

    def spacing(self, tick: Fraction, later_pictures: int) -> Spacing:
        """The steps between the times, all moved later by so many average steps."""
        bins: Counter[int] = Counter()
        for step, count in self.steps.items():
            bins[round(step * tick / BIN_S)] += count
        shortest = self.shortest if self.count > 1 else 0
        later = later_pictures * self.average * tick
        first, last = self.first * tick + later, self.last * tick + later
        return Spacing(self.count, first, last, tick, shortest * tick, self.longest * tick, dict(bins))


def _ticks(text: str) -> int | None:
    try:
        value = int(text)
    except ValueError:
        return None
    return value if -LARGEST < value < LARGEST else None


class PacketScan:
    """Feed it every line of `ingest.ffprobe.packets_command`, then ask for `result`.

    `video`: index of the stream whose pictures count, which a decoder shows `reorder_depth` pictures late. `ticks`: seconds in
    a tick of each stream.
    """

    def __init__(self, video: int, reorder_depth: int, ticks: Mapping[int, Fraction]) -> None:
        self._video = video
        self._reorder_depth = reorder_depth
        self._ticks = ticks
        self._reach: dict[int, list[int]] = {}
        self._shown = _Times()
        self._decoded = _Times()
        self._durations: tuple[int, int] = (-LARGEST, 0)  # latest presentation time so far, and its duration
        self._began = False
        self._encrypted = False
        self.held_bytes = 0  # what all packets so far claim to hold

    @property
    def pictures(self) -> int:
        """Shown so far."""
        return max(self._shown.count + len(self._shown.waiting), self._decoded.count + len(self._decoded.waiting))

    @property
    def position(self) -> Fraction:
        """How far the video has been read; seconds on its clock."""
        reach = self._reach.get(self._video)
        return Fraction(0) if reach is None else reach[1] * self._ticks[self._video]

    @property
    def span(self) -> Fraction:
        """Seconds of the video that have been read."""
        reach = self._reach.get(self._video)
        return Fraction(0) if reach is None else (reach[1] - reach[0]) * self._ticks[self._video]

    def line(self, text: str) -> None:
        parts = text.strip().split(",")
        if len(parts) < FIELDS or not parts[0].isdigit():
            return
        stream = int(parts[0]) if len(parts[0]) < 6 else -1
        if stream not in self._ticks:
            return
        pts, dts, duration, size = (_ticks(part) for part in parts[1:5])
        time = dts if pts is None else pts
        length = max(0, duration or 0)
        self.held_bytes += max(0, size or 0)
        if time is not None:
            reach = self._reach.setdefault(stream, [time, time])
            reach[0] = min(reach[0], time)
            reach[1] = max(reach[1], time + length)
        if stream == self._video and size != 0:
            self._picture(pts, dts, length, parts[5], parts[6:])

    def _picture(self, pts: int | None, dts: int | None, length: int, flags: str, more: list[str]) -> None:
        key, hidden = flags.startswith("K"), "D" in flags
        self._encrypted = self._encrypted or any("Encryption" in word for word in more)
        if key and not self._began:
            # Pictures before the first keyframe of a recording cannot be decoded: forget them.
            self._began = True
            self._shown, self._decoded = _Times(), _Times()
            self._durations = (-LARGEST, 0)
        if hidden:
            return
        self._shown.add(pts)
        self._decoded.add(dts)
        time = dts if pts is None else pts
        if time is not None:
            self._durations = max(self._durations, (time, length))
        if key:
            apart = KEYFRAME_EVERY_S / self._ticks[self._video]
            self._shown.keyframe(pts, apart)
            self._decoded.keyframe(dts, apart)

    def result(self) -> Scan:
        """Call it once, when all lines are in."""
        tick = self._ticks[self._video]
        self._shown.finish()
        self._decoded.finish()
        # AVI and MPEG program streams leave out presentation times. Decoding times are then as far apart, and a decoder shows
        # each picture as much later as it holds pictures back.
        by_decoding = self._shown.missing > 0 and self._decoded.count > 0
        times, late = (self._decoded, self._reorder_depth) if by_decoding else (self._shown, 0)
        return Scan(
            spacing=times.spacing(tick, late) if times.count else None,
            last_duration=self._durations[1] * tick,
            keyframes=tuple((time + late * times.average) * tick for time in times.keyframes),
            encrypted=self._encrypted,
            reach={stream: Reach(low * self._ticks[stream], high * self._ticks[stream]) for stream, (low, high) in self._reach.items()},
        )
