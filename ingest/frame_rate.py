"""Which constant frame rate a source is encoded at, from how far apart its pictures really are. Pure.

Containers say what they like about frame rates: Matroska rounds times to milliseconds, phones wander, screen recorders
stand still. So the rate comes from the measured steps between presentation times; what the container claims only decides
between rates that the measurement cannot tell apart (24 and 23.976 in a clip of one second).

Standard rates are those of broadcasting and film, and the ones Apple's HLS authoring rule 1.19 lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

FASTEST = 60
SLOWEST = 10
STANDARD = (
    *(Fraction(10), Fraction(12), Fraction(25, 2), Fraction(15), Fraction(20), Fraction(24000, 1001), Fraction(24), Fraction(25)),
    *(Fraction(30000, 1001), Fraction(30), Fraction(48), Fraction(50), Fraction(60000, 1001), Fraction(60)),
)
FAST = (
    *(Fraction(72), Fraction(75), Fraction(90), Fraction(96), Fraction(100), Fraction(120000, 1001), Fraction(120), Fraction(144)),
    *(Fraction(200), Fraction(240000, 1001), Fraction(240)),
)
ASSUMED = Fraction(25)  # for a picture that comes alone and says nothing

ALIKE = Fraction(2, 10_000)  # two rates closer than this are one: 24 and 23.976 are five times as far apart
ROUGHLY = Fraction(15, 1000)  # the same for a rate that is itself an average over uneven steps
WANDER_S = Fraction(12, 10_000)  # steps this close to their average are even, and only badly written down
BIN_S = Fraction(1, 100_000)  # width of the bins in which `Spacing` counts steps


@dataclass(frozen=True, slots=True)
class Spacing:
    """The steps between the pictures of one stream, in order of presentation; times in seconds."""

    pictures: int
    first: Fraction
    last: Fraction  # the presentation time of the last picture, not its end
    tick: Fraction  # resolution of the timestamps
    shortest: Fraction  # step; 0 when two pictures share a time
    longest: Fraction
    bins: Mapping[int, int]  # step divided by BIN_S, rounded -> how many steps

    @property
    def average(self) -> Fraction:
        return (self.last - self.first) / (self.pictures - 1) if self.pictures > 1 else Fraction(0)


@dataclass(frozen=True, slots=True)
class Rate:
    """`source`: pictures per second that the source has (the usual number, when they are uneven); `encode`: those we make."""

    source: Fraction
    encode: Fraction
    constant: bool


def choose(spacing: Spacing, claims: Iterable[Fraction]) -> Rate:
    """The rate to encode at. `claims`: rates that the container names, best first."""
    named = [snap(claim) for claim in claims if 0 < claim <= 1000]
    if spacing.average <= 0:
        source = named[0] if named else ASSUMED
        return Rate(source, within_limits(source), constant=True)
    even = _even(spacing, named)
    if even is not None:
        return Rate(even, within_limits(even), constant=True)
    usual = _usual(spacing)
    return Rate(usual, _room_for(usual, named), constant=False)


def snap(rate: Fraction) -> Fraction:
    """The standard rate that this one was meant to be, or the rate itself."""
    nearest = min((*STANDARD, *FAST), key=lambda standard: abs(standard - rate))
    return nearest if abs(nearest - rate) <= ALIKE * nearest else rate.limit_denominator(1001) or rate


def within_limits(rate: Fraction) -> Fraction:
    """A rate from 10 to 60 of which `rate` is a multiple or a fraction, so that pictures fall on the new grid evenly."""
    if FASTEST < rate < FASTEST + 1:
        return Fraction(FASTEST)
    if rate > FASTEST:
        return rate / -(-rate // FASTEST)
    if rate < SLOWEST:
        return rate * -(-SLOWEST // rate)
    return rate


def _even(spacing: Spacing, named: list[Fraction]) -> Fraction | None:
    """The rate of evenly spaced pictures, or None when they are not."""
    period = spacing.average
    off = max(spacing.longest - period, period - spacing.shortest)
    if spacing.shortest <= 0 or off > max(spacing.tick * Fraction(101, 100), min(WANDER_S, period / 8)):
        return None
    doubt = spacing.tick / (spacing.pictures - 1)  # both ends are rounded to a tick
    slowest, fastest = 1 / (period + doubt) * (1 - ALIKE), 1 / max(period - doubt, period / 2) * (1 + ALIKE)
    for rate in named:
        if slowest <= rate <= fastest:
            return rate
    fitting = [rate for rate in (*STANDARD, *FAST) if slowest <= rate <= fastest]
    if fitting:
        return min(fitting, key=lambda rate: abs(rate - 1 / period))
    return _simplest(1 / (period + doubt), 1 / max(period - doubt, period / 2))


def _simplest(low: Fraction, high: Fraction) -> Fraction:
    """The fraction with the smallest denominator from `low` to `high`, no worse than thousandths."""
    for denominator in range(1, 1002):
        numerator = -(-low.numerator * denominator // low.denominator)
        if numerator <= high * denominator:
            return Fraction(numerator, denominator)
    return ((low + high) / 2).limit_denominator(1001)


def _usual(spacing: Spacing) -> Fraction:
    """The rate at which most pictures follow each other: the average of the steps that are not far from the middle one."""
    steps = sorted((step, count) for step, count in spacing.bins.items() if step > 0)
    so_far = list(accumulate(count for _, count in steps))
    middle = next((step for (step, _), reached in zip(steps, so_far, strict=True) if 2 * reached >= so_far[-1]), 0)
    near = [(step, count) for step, count in steps if 5 * middle <= 8 * step and 5 * step <= 8 * middle]
    if not near:
        return 1 / spacing.average
    return sum(count for _, count in near) / (sum(step * count for step, count in near) * BIN_S)


def _room_for(usual: Fraction, named: list[Fraction]) -> Fraction:
    """The standard rate that `usual` nearly is, else the next larger one, at most 60."""
    likely = [rate for rate in (*named, *STANDARD, *FAST) if rate in (*STANDARD, *FAST) and abs(rate - usual) <= ROUGHLY * rate]
    if likely and likely[0] in named:
        return within_limits(likely[0])
    if likely:
        return within_limits(min(likely, key=lambda rate: abs(rate - usual)))
    return next((standard for standard in STANDARD if standard >= usual), STANDARD[-1])
