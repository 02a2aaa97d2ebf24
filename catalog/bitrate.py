"""The measured bit rates of a rendition, from the sizes and durations of its segments.

Definitions: RFC 8216 section 4.3.4.2. The average is all bits over all seconds. The peak is the largest bit rate of any
contiguous set of segments that lasts between 0.5 and 1.5 target durations; a title too short for such a set is its own peak.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Rates:
    bitrate_bps: int
    peak_bps: int


def measure(sizes_bytes: Sequence[int], durations: Sequence[Fraction], target_s: int) -> Rates:
    """Rates of at least one segment, rounded up. `durations` are seconds."""
    seconds = sum(durations, Fraction(0))
    average = Fraction(8 * sum(sizes_bytes)) / seconds
    peak = Fraction(0)
    for first in range(len(durations)):
        length, size_bytes = Fraction(0), 0
        for duration, size in zip(durations[first:], sizes_bytes[first:], strict=True):
            length, size_bytes = length + duration, size_bytes + size
            if length > Fraction(3, 2) * target_s:
                break
            if length >= Fraction(1, 2) * target_s:
                peak = max(peak, 8 * size_bytes / length)
    return Rates(-int(-average // 1), -int(-max(peak, average) // 1))
