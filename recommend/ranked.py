"""From one viewer's history to an ordered list of titles with reasons. Pure: a model, a history and what must not appear, nothing else.

Filters come before the choice of the best, so a list is short only when there is nothing more. The order is the blend's score, less
a little for what everybody knows, spread so that the list is not one taste ten times (maximal marginal relevance, Carbonell &
Goldstein 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommend import ranking, weights
from recommend.fold_in import fold_in
from recommend.interactions import Floats, Signal
from recommend.shelf import Model
from recommend.viewing import Seen

SPREAD = 0.08  # weight of being unlike what stands above, against 0.92 of the score
_POOL = 3  # times the wanted length: what spreading chooses from
_REASON_TITLES = 40  # latest titles that can be a reason
_GROUP = 16  # titles that are looked at together to find the best
NO_SCORE = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Ranked:
    asset_id: str
    score: float
    because: str | None  # the watched title that speaks most for it


def signals(seen: Sequence[Seen], now_s: float) -> list[tuple[str, float, float, Signal]]:
    """What a history says, row by row: title, time, fraction, signal, as training reads it from the lake (`recommend.lake`).
    A time may lie in the future, if a clock is ahead."""
    rows: list[tuple[str, float, float, Signal]] = []
    for title in seen:
        for session, (fraction, signal) in zip(title.sessions, title.parts, strict=True):
            rows.append((title.asset_id, session.last_at_s, fraction, signal))
        if title.rating:
            signal = Signal.LIKED if title.rating > 0 else Signal.DISLIKED
            rows.append((title.asset_id, title.rated_at_s or now_s, 1.0 if title.rating > 0 else 0.0, signal))
        if title.not_interested_at_s is not None:
            rows.append((title.asset_id, title.not_interested_at_s, 0.0, Signal.DISLIKED))
    return rows


def history_of(model: Model, seen: Sequence[Seen], now_s: float) -> list[tuple[int, float]]:
    """Codes and values of what this viewer watched, the latest first, weighed as in training."""
    codes = model.codes
    rows = signals([title for title in seen if title.asset_id in codes], now_s)
    if not rows:
        return []
    titles, moments, parts, said = zip(*rows, strict=True)
    items = np.array([codes[title] for title in titles], np.int32)
    at_s = np.minimum(np.array(moments, np.float64), now_s)
    part, signal = np.array(parts, np.float32), np.array(said, np.int8)
    settings = weight_settings(model.bundle.settings)
    weighed = weights.weigh(np.zeros(len(rows), np.int32), items, at_s, part, signal, now_s=now_s, settings=settings)
    order = np.argsort(-weighed.last_at_s, kind="stable")
    return list(zip(weighed.items[order].tolist(), weighed.values[order].tolist(), strict=True))


def weight_settings(settings: Any) -> weights.WeightSettings:
    return weights.WeightSettings.from_json(settings["weights"]) if "weights" in settings else weights.WeightSettings()


def rank(model: Model, history: Sequence[tuple[int, float]], left_out: Sequence[str], limit: int) -> list[Ranked]:
    """At most `limit` titles, the best first, none of `left_out` and none that may not be watched now."""
    bundle = model.bundle
    factor = fold_in(bundle, history, ground=model.ground) if ranking.step_for(model.common, history).als else None
    scores = ranking.score(bundle, factor, history, common=model.common)
    scores[[model.codes[one] for one in left_out if one in model.codes]] = NO_SCORE
    pool = best(scores, limit * _POOL)
    chosen = spread(model.common.factors[pool], scores[pool], limit)
    order = [int(pool[place]) for place in chosen]
    because = _because(model.common.factors, order, history)
    return [
        Ranked(model.ids[code], float(scores[code]), model.ids[why] if why is not None else None)
        for code, why in zip(order, because, strict=True)
    ]


def promising(model: Model, history: Sequence[tuple[int, float]], left_out: Sequence[str], limit: int) -> list[str]:
    """Titles that the model has never seen, in the order in which their words fit this viewer; the newest first where words say nothing."""
    titles = list(model.unknown[: len(model.predicted)])
    if model.predicted.shape[1] and any(value > 0 for _, value in history):
        fit = model.predicted @ fold_in(model.bundle, history, ground=model.ground)
        titles = [titles[int(place)] for place in np.argsort(-fit, kind="stable")]
    unwanted = set(left_out)
    return [title for title in titles if title not in unwanted][:limit]


def best(scores: Floats, count: int) -> npt.NDArray[np.int64]:
    """Places of the `count` largest finite scores, the largest first; equal ones by place."""
    count = min(count, len(scores))
    if count == 0:
        return np.zeros(0, np.int64)
    found = np.flatnonzero(scores >= _floor(scores, count))
    found = found[np.argsort(-scores[found], kind="stable")][:count]
    return np.asarray(found[np.isfinite(scores[found])], np.int64)


def _floor(scores: Floats, count: int) -> np.float32:
    """A score that at least `count` titles reach and few surpass: of the groups of titles with the highest scores, what the last has."""
    groups = len(scores) // _GROUP
    if groups < 2 * count:
        return np.float32(np.partition(scores, len(scores) - count)[len(scores) - count])
    highest = scores[: groups * _GROUP].reshape(_GROUP, groups).max(axis=0)
    return np.float32(np.partition(highest, groups - count)[groups - count])


def spread(vectors: Floats, scores: Floats, count: int) -> list[int]:
    """Places in the order in which they are shown: each next one by its score less its likeness to what stands above it."""
    size = len(scores)
    if size <= 1:
        return list(range(min(size, count)))
    reach = float(scores.max() - scores.min()) or 1.0
    worth = (1.0 - SPREAD) * (scores - scores.min()) / reach
    unit = _unit(vectors)
    worth = np.asarray(worth, np.float32)
    beside = worth - np.maximum(np.float32(SPREAD) * (unit @ unit.T), np.float32(0.0))  # what each is worth below each other
    beside.ravel()[:: size + 1] = NO_SCORE
    now = worth.copy()
    chosen: list[int] = []
    for _ in range(min(count, size)):
        place = int(now.argmax())
        chosen.append(place)
        np.minimum(now, beside[place], out=now)
    return chosen


def _because(factors: Floats, codes: Sequence[int], history: Sequence[tuple[int, float]]) -> list[int | None]:
    """For each title the watched one that it is most like; None where none is like it at all."""
    liked = [(item, value) for item, value in history if value > 0][:_REASON_TITLES]
    if not liked or not codes:
        return [None] * len(codes)
    theirs = _unit(factors[[item for item, _ in liked]])
    likeness = _unit(factors[list(codes)]) @ theirs.T * np.array([min(1.0, value) for _, value in liked], np.float32)
    nearest = likeness.argmax(axis=1)
    return [liked[int(place)][0] if likeness[row, place] > 0.15 else None for row, place in enumerate(nearest)]


def _unit(vectors: Floats) -> Floats:
    found = np.asarray(vectors, np.float32)
    return np.asarray(found / np.maximum(np.sqrt(np.vecdot(found, found)), np.float32(1e-9))[:, None], np.float32)
