"""Choosing among settings without believing in luck.

Of many noisy trials the best is seldom the best setting: part of its lead is luck, and the fewer rows there are to judge by, the more. So a
choice has a place where it starts, which is what is known to be good elsewhere, and leaves it only for what is better by more than the
standard error of the difference. Viewers are compared with themselves: a viewer whose titles are easy to find is easy for both.

What a trial is and what it costs is the caller's; here are only values, one for each viewer that judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from recommend.metrics import PerViewer

_T = TypeVar("_T")
Place = tuple[int, int]  # of a grid


def surpasses(values: PerViewer, others: PerViewer) -> bool:
    """Whether the first are better by more than chance: by more than one standard error of the mean of the paired differences."""
    ahead = values - others
    return bool(ahead.mean() > ahead.std() / np.sqrt(len(ahead)))


def preferred(start: _T, others: Iterable[_T], values_of: Callable[[_T], PerViewer]) -> _T:
    """The best of the others (the first of equal ones) where it is better than the start by more than chance, else the start."""
    best = max(others, key=lambda other: float(values_of(other).mean()), default=start)
    return best if surpasses(values_of(best), values_of(start)) else start


def climb(start: Place, shape: Place, axes: Iterable[Place], values_of: Callable[[Place], PerViewer], *, at_most: int) -> Place:
    """Where a climb over a grid ends: it follows each axis both ways, step by step, as long as a step is better by more than chance, and
    begins again with the first until none is. After so many trials it looks at no new place."""
    tried: dict[Place, PerViewer] = {}

    def better(step: Place, than: Place) -> bool:
        for place in (than, step):
            if place not in tried:
                if len(tried) >= at_most or not all(0 <= at < size for at, size in zip(place, shape, strict=True)):
                    return False
                tried[place] = values_of(place)
        return surpasses(tried[step], tried[than])

    ways, best, moved = [(sign * axis[0], sign * axis[1]) for axis in axes for sign in (1, -1)], start, True
    while moved:
        moved = False
        for way in ways:
            while better(step := (best[0] + way[0], best[1] + way[1]), best):
                best, moved = step, True
    return best
