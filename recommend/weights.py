"""How much one viewing counts: rows of history become one signed value for each viewer and title.

    watched a fraction   0 below 5 % (as if it had never been seen), then fraction / 0.92, at most 1: the credits are not the film
    completed            1
    liked                1.5
    abandoned            -0.5
    disliked             -1

Each is halved with its age, down to a fifth. Several positive rows of one pair saturate as 1 + log(sum), so playing a clip a hundred
times does not make a hundred viewers of one. An explicit dislike holds until something positive comes after it; an abandon only where
nothing positive is known.

Training and serving both call `weigh`, so a title finished a minute ago counts for the next page as it will for the next model. Pairs
that are worth less than 0.05 at any age are dropped: a stored value of nearly 0 would still count as wanted in the model (recommend.als).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommend.interactions import Codes, Floats, Signal, Times

DAY_S = 86_400.0
LEAST_VALUE = 0.05  # magnitude below which a pair is dropped
LEAST_SHARE = 0.2  # that age leaves of a value: what was watched long ago was still watched


@dataclass(frozen=True, slots=True)
class WeightSettings:
    """Values by signal; ages are halved every `half_life_days`, or never when it is 0."""

    half_life_days: float = 0.0
    least_fraction: float = 0.05
    whole_fraction: float = 0.92
    completed: float = 1.0
    liked: float = 1.5
    abandoned: float = -0.5
    disliked: float = -1.0

    def as_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WeightSettings:
        return cls(**{name: float(number) for name, number in value.items()})


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """One row for each viewer and title, ascending by viewer, then title. `last_at_s` is when they last met."""

    viewers: Codes
    items: Codes
    values: Floats
    last_at_s: Times

    def __len__(self) -> int:
        return len(self.viewers)


def row_values(fraction: Floats, signal: npt.NDArray[np.int8], settings: WeightSettings) -> Floats:
    """The value of each row by itself, before age."""
    part = np.where(np.isnan(fraction), np.float32(1.0), fraction)
    watched = np.where(part < settings.least_fraction, 0.0, np.minimum(1.0, part / settings.whole_fraction))
    by_signal = np.array([0.0, settings.completed, settings.abandoned, settings.liked, settings.disliked], dtype=np.float32)
    return np.where(signal == Signal.WATCHED, watched, by_signal[signal]).astype(np.float32)


def decay(at_s: Times, now_s: float, half_life_days: float) -> Times:
    """0.5 to the power of age over half-life. What lies in the future (a clock that is ahead) counts as now."""
    if half_life_days <= 0:
        return np.ones(len(at_s))
    halved: Times = np.power(0.5, np.maximum(0.0, now_s - at_s) / (half_life_days * DAY_S))
    return halved


def weigh(
    viewers: Codes, items: Codes, at_s: Times, fraction: Floats, signal: npt.NDArray[np.int8], *, now_s: float, settings: WeightSettings
) -> Weighed:
    """One value for each pair. For one viewer, `viewers` is all zeros."""
    value = row_values(fraction, signal, settings)
    value = np.where(np.abs(value) < LEAST_VALUE, 0.0, value) * np.maximum(LEAST_SHARE, decay(at_s, now_s, settings.half_life_days))
    order = np.lexsort((at_s, items, viewers))
    viewers, items, at_s, value, signal = viewers[order], items[order], at_s[order], value[order], signal[order]
    if not len(viewers):
        return Weighed(viewers, items, value.astype(np.float32), at_s)
    begins = np.ones(len(viewers), bool)
    np.logical_or(viewers[1:] != viewers[:-1], items[1:] != items[:-1], out=begins[1:])
    if begins.all():  # each pair once, as in most sets of ratings and most histories of one viewer: there is nothing to add up
        merged = np.where(signal == Signal.DISLIKED, np.minimum(value, 0.0), _saturated(value)).astype(np.float32)
        kept = merged != 0
        return Weighed(viewers[kept], items[kept], merged[kept], at_s[kept])
    first = np.flatnonzero(begins)
    positive = np.add.reduceat(np.maximum(value, 0.0), first)
    negative = np.minimum.reduceat(np.minimum(value, 0.0), first)
    never = -np.inf
    wanted_at = np.maximum.reduceat(np.where(value > 0, at_s, never), first)
    refused_at = np.maximum.reduceat(np.where(signal == Signal.DISLIKED, at_s, never), first)
    refused = (refused_at > never) & (refused_at >= wanted_at)
    merged = np.where(refused | (positive <= 0), negative, _saturated(positive)).astype(np.float32)
    last_at_s = np.maximum.reduceat(at_s, first)
    kept = merged != 0
    return Weighed(viewers[first][kept], items[first][kept], merged[kept], last_at_s[kept])


def _saturated(value: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is more than one view counts as 1 + log of it."""
    return np.where(value > 1.0, 1.0 + np.log(np.maximum(value, 1.0)), value)
