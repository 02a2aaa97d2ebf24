"""Which picture stands for the title. Pure.

Keyframes from all over the title are candidates, because the first one is often black. The size of a JPEG says how much there is to
see in it: the earliest candidate that is not much emptier than the richest one is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from media.info import VideoStream

PLACES = (Fraction(1, 10), Fraction(1, 4), Fraction(2, 5), Fraction(3, 5), Fraction(4, 5))  # of the title's length
RICH_ENOUGH = 0.5  # of the largest candidate's bytes


def candidates(video: VideoStream) -> tuple[Fraction, ...]:
    """Source times of different keyframes, ascending; the start of the video where it has no keyframes to speak of."""
    length = video.end - video.start
    chosen = {_nearest(video.keyframes, video.start + place * length) for place in PLACES if video.keyframes}
    return tuple(sorted(chosen)) or (video.start,)


def _nearest(times: Sequence[Fraction], wanted: Fraction) -> Fraction:
    return min(times, key=lambda time: abs(time - wanted))


def best(sizes_bytes: Sequence[int]) -> int:
    """The index of the poster among JPEGs of these sizes (0: not made). Raises StopIteration when there is none."""
    richest = max(sizes_bytes)
    return next(index for index, size in enumerate(sizes_bytes) if size > 0 and size >= RICH_ENOUGH * richest)
