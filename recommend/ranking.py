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

from recommend.bundle import Bundle
from recommend.interactions import Floats

LONGEST_HISTORY = 300  # titles of a history that the walk starts from, the first of the sequence


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
    deviation = np.sqrt(np.einsum("...i,...i->...", scores, scores) / max(1, scores.shape[-1]))
    scores *= np.where(deviation > 1e-12, 1.0 / np.maximum(deviation, 1e-12), 0.0)[..., None].astype(np.float32)
    return scores


def prior(counts: Floats) -> Floats:
    """A popularity as a part of the blend: logarithm, then mean 0 and deviation 1."""
    return standardised(np.log1p(counts.astype(np.float32)))


def walk_scores(bundle: Bundle, history: Sequence[tuple[int, float]]) -> Floats:
    """Where the walk from these titles leads, raw: for each title the sum of value times transition score."""
    rows = [
        (bundle.walk_items[start:end], bundle.walk_scores[start:end] * np.float32(value))
        for item, value in history[:LONGEST_HISTORY]
        if value > 0
        for start, end in [(int(bundle.walk_indptr[item]), int(bundle.walk_indptr[item + 1]))]
    ]
    count = len(bundle.item_ids)
    if not rows:
        return np.zeros(count, np.float32)
    codes, scores = np.concatenate([row[0] for row in rows]), np.concatenate([row[1] for row in rows])
    return np.bincount(codes, scores, minlength=count).astype(np.float32)


def score(bundle: Bundle, factor: Floats, history: Sequence[tuple[int, float]], *, trending_prior: Floats | None = None) -> Floats:
    """The blend for a viewer with this factor (stored or folded in) and history (code, value), the newest title first.

    `trending_prior` replaces the bundle's, which is as old as the model (`prior` makes one from live counts). Higher is better;
    scores of two viewers or two models cannot be compared.
    """
    weights = weights_for(blend_steps(bundle.settings), sum(value > 0 for _, value in history))
    total = np.multiply(bundle.popularity_prior, np.float32(weights.popularity))
    room = np.empty_like(total)
    if weights.trending:
        total += np.multiply(bundle.trending_prior if trending_prior is None else trending_prior, np.float32(weights.trending), out=room)
    if weights.walk:
        walked = standardised(walk_scores(bundle, history))
        total += np.multiply(walked, np.float32(weights.walk), out=room)
    if weights.als:
        liked = standardised(np.matmul(bundle.item_factors, factor, out=room))
        liked *= np.float32(weights.als)
        total += liked
    return total
