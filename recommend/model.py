"""A fitted model, and the scores of many viewers at once.

The same blend as `recommend.ranking.score` gives for one viewer, in blocks of rows, for evaluation and for choosing settings; a test
holds the two equal. `Part` names a model that can answer by itself, which is how baselines are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommend.als import Factors, Matrix
from recommend.fold_in import AlsSettings, solve_row
from recommend.interactions import Floats
from recommend.ranking import Weights, longest, prior, standardised, starts, weights_for
from recommend.threads import single_blas

Part = Literal["als", "rp3beta", "trending", "popularity"]
Rows = npt.NDArray[np.intp]


def only(part: Part) -> list[Weights]:
    """Steps of a blend that is this one part, whatever the history; without history, popularity, if the part has nothing to go by."""
    alone = {name: float(part == which) for name, which in _FIELDS.items()}
    cold = Weights(0, 0.0, 0.0, float(part == "trending"), float(part != "trending"))
    return [cold, Weights(1, **alone)]


_FIELDS: dict[str, Part] = {"als": "als", "walk": "rp3beta", "trending": "trending", "popularity": "popularity"}


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Parts that were fitted to the same viewers and titles. A part that is None scores nothing."""

    als: AlsSettings
    factors: Factors | None
    walk: Matrix | None
    popularity: Floats
    trending: Floats
    steps: list[Weights] = field(default_factory=list)
    fade: int = 0  # of the walk


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Standardised scores of each part for the same rows; None where the model has no such part. Rows x titles."""

    als: Floats | None
    walk: Floats | None
    trending: Floats  # one row
    popularity: Floats  # one row

    def of(self, rows: Rows) -> Scores:
        """Of some of the rows."""
        return Scores(
            None if self.als is None else self.als[rows], None if self.walk is None else self.walk[rows], self.trending, self.popularity
        )

    def blended(self, weights: Weights, rows: npt.NDArray[np.bool_] | slice = slice(None)) -> Floats:
        first = self.als if self.als is not None else self.walk
        count = len(first[rows]) if first is not None else (int(rows.sum()) if isinstance(rows, np.ndarray) else 1)
        total = np.zeros((count, len(self.popularity)), np.float32)
        if weights.als and self.als is not None:
            total += np.float32(weights.als) * self.als[rows]
        if weights.walk and self.walk is not None:
            total += np.float32(weights.walk) * self.walk[rows]
        total += np.float32(weights.trending) * self.trending + np.float32(weights.popularity) * self.popularity
        return total


def folded(model: Model, histories: Matrix) -> Floats:
    """Factors of these rows of history, solved exactly."""
    assert model.factors is not None
    gram, width = model.factors.gram, model.factors.items.shape[1]
    found = np.zeros((histories.shape[0], width), np.float32)
    with single_blas():
        for row in range(histories.shape[0]):
            place = slice(histories.indptr[row], histories.indptr[row + 1])
            codes, values = histories.indices[place].astype(np.int64), histories.data[place].astype(np.float64)
            found[row] = solve_row(model.factors.items, gram, codes, values, model.als)
    return found


def begun(histories: Matrix, fade: int) -> Matrix:
    """What the walk starts from: wanted titles; of rows that are longer than ranking takes, the last columns. Weighed by how many newer
    ones follow."""
    rows = np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))
    newer = histories.indptr[1:][rows] - np.arange(len(rows)) - 1
    kept = (histories.data > 0) & (newer < longest(fade))
    values = histories.data[kept] * starts(newer[kept], fade)
    return sparse.csr_array((values, (rows[kept], histories.indices[kept])), shape=histories.shape)


def part_scores(model: Model, histories: Matrix, viewer_factors: Floats | None, *, parts: frozenset[str]) -> Scores:
    """For rows of history (oldest title first) with these factors. Only the named parts of `Weights` are computed."""
    als = walked = None
    with single_blas():
        if "als" in parts and model.factors is not None and viewer_factors is not None:
            als = standardised(viewer_factors @ model.factors.items.T)
        if "walk" in parts and model.walk is not None:
            walked = standardised(np.asarray((begun(histories, model.fade) @ model.walk).toarray(), np.float32))
    return Scores(als, walked, prior(model.trending), prior(model.popularity))


def blended(scores: Scores, histories: Matrix, steps: list[Weights]) -> Floats:
    """One row of scores for each history, each with the weights for its length."""
    positive = np.bincount(
        np.repeat(np.arange(histories.shape[0]), np.diff(histories.indptr))[histories.data > 0], minlength=histories.shape[0]
    )
    found = np.empty((histories.shape[0], len(scores.popularity)), np.float32)
    chosen = [weights_for(steps, int(length)) for length in positive]
    for weights in set(chosen):
        rows = np.array([one == weights for one in chosen])
        found[rows] = scores.blended(weights, rows)
    return found


def needed(steps: list[Weights]) -> frozenset[str]:
    return frozenset(name for name in ("als", "walk") if any(getattr(step, name) for step in steps))
