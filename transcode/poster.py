"""Which picture stands for the title. Pure.

Keyframes from all over the title are candidates, because the first one is often black. Each is scored by a look at it: a grey
picture of 64 by 36, and the strength of its edges, measured at the poster's own size and then averaged to 64 by 36 as well. Three
things count: how much there is to see (the entropy of the grey levels), how sharp it is, and how much contrast it has. What is nearly
black, nearly white, or mostly one flat colour, as title cards are, counts for little of that. The earliest of those that are nearly
as good as the best is taken, because the beginning tells least of how it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import log2, sqrt
from typing import Self

from media.info import VideoStream

PLACES = tuple(Fraction(percent, 100) for percent in (6, 15, 25, 38, 50, 62, 75, 88))  # of the title's length
LOOK_WIDTH, LOOK_HEIGHT = 64, 36
NEARLY_AS_GOOD = 0.9
_LEVELS = 32  # of grey, into which pictures are sorted
_FULL_ENTROPY = 4.5  # of 5 bits: what a rich picture has
_FULL_EDGES = 6.0  # mean of the positive part of the Laplacian, in grey levels of 255; blurred pictures have less than 1
_FULL_SPREAD = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at one candidate shows. Grey levels from 0 to 255."""

    mean: float
    spread: float  # standard deviation
    entropy: float  # bits, of 32 levels
    flat: float  # share of the three neighbouring levels of 32 that have most
    edges: float

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """Reads what `transcode.ffmpeg.picture.poster_command` wrote; None when it is not whole."""
        count = LOOK_WIDTH * LOOK_HEIGHT
        if len(data) != 2 * count:
            return None
        grey, edges = data[:count], data[count:]
        mean = sum(grey) / count
        spread = sqrt(sum((level - mean) ** 2 for level in grey) / count)
        sorted_in = Counter(level * _LEVELS // 256 for level in grey)
        shares = [sorted_in[level] / count for level in range(_LEVELS)]
        entropy = -sum(share * log2(share) for share in shares if share)
        flat = max(sum(shares[max(0, level - 1) : level + 2]) for level in range(_LEVELS))
        return cls(mean, spread, entropy, flat, sum(edges) / count)

    @property
    def score(self) -> float:
        """From 0 (nothing to see) to 1."""
        light = _ramp(self.mean, 12, 45) * _ramp(255 - self.mean, 12, 45)
        full = 1.0 - 0.9 * _ramp(self.flat, 0.5, 0.9)
        rich, sharp = min(1.0, self.entropy / _FULL_ENTROPY), min(1.0, self.edges / _FULL_EDGES)
        return light * full * (0.45 * rich + 0.35 * sqrt(sharp) + 0.2 * min(1.0, self.spread / _FULL_SPREAD))


def _ramp(value: float, none: float, whole: float) -> float:
    return min(1.0, max(0.0, (value - none) / (whole - none)))


def candidates(video: VideoStream) -> tuple[Fraction, ...]:
    """Source times of different keyframes, ascending; the start of the video where it has no keyframes to speak of."""
    length = video.end - video.start
    chosen = {_nearest(video.keyframes, video.start + place * length) for place in PLACES if video.keyframes}
    return tuple(sorted(chosen)) or (video.start,)


def _nearest(times: Sequence[Fraction], wanted: Fraction) -> Fraction:
    return min(times, key=lambda time: abs(time - wanted))


def best(looks: Sequence[Look | None]) -> int | None:
    """The index of the poster among the candidates (None: not made). None when there is none."""
    scores = [-1.0 if look is None else look.score for look in looks]
    top = max(scores, default=-1.0)
    return next((index for index, score in enumerate(scores) if score >= max(0.0, NEARLY_AS_GOOD * top)), None)
