"""One score for every title: the blend of factors, item-item walk, trending and popularity, exactly as it was measured in evaluation.

Each part is brought to mean 0 and deviation 1 over all titles, then added with the weights that validation chose for a history of
this length: few titles watched, and what everybody watches weighs more; many, and the viewer's own taste does. With nothing
watched the score is trending's. A part that is equal for all titles adds nothing.

Filters, diversity and reasons are the caller's; so is leaving out what was seen. `score` reads whole columns: exact, no approximate search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommend.bundle import Bundle
from recommend.interactions import Codes, Floats, Times

LONGEST_HISTORY = 300  # titles of a history that the walk starts from at most, the newest
_LEAST_DEVIATION = 1e-12  # below, all titles are alike


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the parts, for histories of at least `at_least` positive titles."""

    at_least: int
    als: float
    walk: float
    trending: float
    popularity: float

    def as_json(self) -> dict[str, float]:
        return asdict(self)


COLD = Weights(0, 0.0, 0.0, 1.0, 0.0)  # nothing is known of the viewer, and nothing was chosen for that


def weights_for(steps: Sequence[Weights], length: int) -> Weights:
    """The step of the longest history that is not longer than this one; steps ascend. Without a step for it, `COLD`."""
    fitting = [step for step in steps if step.at_least <= length]
    return fitting[-1] if fitting else COLD


def blend_steps(settings: Mapping[str, Any]) -> list[Weights]:
    return [Weights(**step) for step in settings["blend"]]


def standardised(scores: Floats) -> Floats:
    """Rows of mean 0 and deviation 1 (in place where it can be); a row of equal numbers becomes zeros."""
    scores -= scores.mean(axis=-1, keepdims=True)
    deviation = np.sqrt(np.vecdot(scores, scores) / max(1, scores.shape[-1]))
    scores *= np.where(deviation > _LEAST_DEVIATION, 1.0 / np.maximum(deviation, _LEAST_DEVIATION), 0.0)[..., None].astype(np.float32)
    return scores


def prior(counts: Floats) -> Floats:
    """A popularity as a part of the blend: logarithm, then mean 0 and deviation 1."""
    return standardised(np.log1p(counts.astype(np.float32)))


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """What the answers to all viewers have in common, added up once for a model."""

    steps: tuple[Weights, ...]
    scores: Mapping[Weights, Floats]  # for each step, `COLD` among them: what depends on no viewer, one number for each title
    fade: int  # of the walk (`recommend.walk`)
    factors: Floats  # of the titles, in memory of this process: it is read whole for every answer, and a mapped file is read half as fast


def shared(bundle: Bundle, *, trending_prior: Floats | None = None, added: Floats | None = None) -> Shared:
    """`trending_prior` replaces the bundle's, which is as old as the model (`prior` makes one from live counts). `added` is added to
    every score; minus infinity leaves a title out."""
    steps = tuple(blend_steps(bundle.settings))
    trending = bundle.trending_prior if trending_prior is None else trending_prior
    found = {}
    for step in {*steps, COLD}:
        found[step] = np.float32(step.popularity) * bundle.popularity_prior + np.float32(step.trending) * trending
        if added is not None:
            found[step] += added
    return Shared(steps, found, int(bundle.settings.get("walk", {}).get("fade", 0)), np.array(bundle.item_factors))


@dataclass(frozen=True, slots=True, eq=False)
class _Walked:
    """Where the walk from some titles leads, raw: what each way brings to `titles`, which names some more than once, and for each title
    of all the whole of it."""

    titles: Codes
    brought: Floats
    sums: Times


def longest(fade: int) -> int:
    """Newest titles of a history that the walk starts from: of those before, each would count less than a thousandth of the newest."""
    return min(LONGEST_HISTORY, 10 * fade) if fade else LONGEST_HISTORY


def starts(newer: npt.NDArray[np.int64], fade: int) -> Floats:
    """What the walk from titles of a history counts beside so many newer ones each: halved for every `fade` of them, if it is not 0."""
    return np.exp2(newer * np.float32(-1.0 / fade)).astype(np.float32) if fade else np.ones(len(newer), np.float32)


def _walked(bundle: Bundle, history: Sequence[tuple[int, float]], fade: int) -> _Walked:
    newest = history[: longest(fade)]
    values = np.fromiter((value for _, value in newest), np.float32, len(newest))
    wanted = values > 0
    items = np.fromiter((item for item, _ in newest), np.intp, len(newest))[wanted]
    values = (values * starts(np.arange(len(newest)), fade))[wanted]
    begins = bundle.walk_indptr[items]
    lengths = bundle.walk_indptr[items + 1] - begins
    ends = np.cumsum(lengths)
    places = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begins - (ends - lengths), lengths)
    titles, brought = bundle.walk_items[places], bundle.walk_scores[places] * np.repeat(values, lengths)
    sums = np.bincount(titles, brought, minlength=len(bundle.item_ids))
    return _Walked(titles, brought, np.asarray(sums, np.float64))


def score(bundle: Bundle, factor: Floats | None, history: Sequence[tuple[int, float]], *, common: Shared | None = None) -> Floats:
    """The blend for a viewer with this factor (stored or folded in) and history (code, value), the newest title first.

    `common` is what `shared` made of the same bundle. Higher is better; scores of two viewers or two models cannot be compared.
    Without a factor, the factors have no part in it.
    """
    common = common or shared(bundle)
    weights, count = step_for(common, history), len(bundle.item_ids)
    taken, reached, walk_scale = 0.0, None, 0.0
    if weights.walk:
        reached = _walked(bundle, history, common.fade)
        there = reached.sums[reached.titles]
        walk_scale, mean = _scale(weights.walk, float(reached.brought.sum()), float(reached.brought @ there), count)
        taken += walk_scale * mean
    liked, like_scale = None, 0.0
    if weights.als and factor is not None:
        liked = common.factors @ factor
        like_scale, mean = _scale(weights.als, float(liked.sum()), float(liked @ liked), count)
        taken += like_scale * mean
    total: Floats = common.scores[weights] - np.float32(taken)
    if reached is not None:  # the same number to each place of a title that is named twice
        total[reached.titles] += (walk_scale * there).astype(np.float32)
    if liked is not None:
        liked *= np.float32(like_scale)
        total += liked
    return total


def _scale(weight: float, total: float, squares: float, count: int) -> tuple[float, float]:
    """Weight over deviation, and the mean, of numbers with this sum and this sum of squares; 0 where all are equal."""
    mean = total / count
    variance = squares / count - mean * mean
    return (weight / float(np.sqrt(variance)), mean) if variance > max(_LEAST_DEVIATION**2, 1e-6 * mean * mean) else (0.0, mean)


def step_for(common: Shared, history: Sequence[tuple[int, float]]) -> Weights:
    """The step of the blend for this history."""
    return weights_for(common.steps, sum(value > 0 for _, value in history))
