"""What settings are judged by: folds cut out of the training history, and one number for a table of scores.

Three ways to cut, each as the history itself was cut for its test: at moments in time (own history), the last title of each viewer
(leave-one-out), a validation file (rows later than 0), and a share of each viewer's titles at random (the text format, which has no
time). No row of the test is ever among them: these functions are given the training rows only.

The cost is bounded: of a long history a fold keeps whole viewers, drawn by seed, until there are `pairs_at_most`, and judges at most as
many of them as `cells_at_most` scores allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from math import comb
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommend import metrics
from recommend.als import Matrix
from recommend.dataset import Dataset, build
from recommend.interactions import Floats, Interactions, Mask
from recommend.weights import WeightSettings

Cut = Literal["time", "last", "share", "given"]
_TIME_FOLDS = tuple((tenth / 10, (tenth + 1) / 10) for tenth in range(4, 10))  # of the rows by time: training ends, window ends
_MANY_ROWS = 300_000  # from here on the last window, or one share, says enough alone
_SHARE, _SHARES = 0.15, 3  # of the rows, and how many such parts
_BLOCK_CELLS = 3_000_000
_NEGATIVES = 99
_GRID = 4_001


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the cost of a trial. A dense matrix says as much with fewer pairs, and its item-item products cost more; of the factors and
    the blend it says less, because the more viewers there are, the better the factors become (`factor_pairs_at_most`)."""

    pairs_at_most: int = 1_000_000
    dense_pairs_at_most: int = 200_000
    factor_pairs_at_most: int = 400_000
    dense_from: float = 0.01  # share of the cells that are known
    viewers_at_most: int = 1_200  # of a dense matrix, where each says more and costs more
    sparse_viewers_at_most: int = 4_000
    cells_at_most: int = 50_000_000
    cold_at_most: int = 300


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """`fit` is what a trial may learn from; `judged` are the viewers (rows of it) in whose `held` titles it is judged."""

    rows: Interactions
    fit: Dataset
    judged: npt.NDArray[np.intp]
    held: Matrix  # one row for each judged viewer
    cold: Matrix  # the same for viewers without history, who all get one list
    dense: bool = False
    thinned: bool = False  # because it is dense

    @property
    def seen(self) -> Matrix:
        return self.fit.values[self.judged]

    def parts(self) -> Iterator[tuple[slice, Fold]]:
        """The fold in blocks of judged viewers whose scores fit into the memory that an allocator keeps."""
        size = max(1, _BLOCK_CELLS // max(1, self.held.shape[1]))
        for start in range(0, len(self.judged), size):
            rows = slice(start, start + size)
            yield rows, replace(self, judged=self.judged[rows], held=self.held[rows])

    def fewer(self, viewers: int) -> Fold:
        """The same fold, judged by at most so many, spread evenly: ids may be in the order in which viewers came."""
        there = len(self.judged)
        return self.of(np.arange(min(viewers, there)) * there // max(1, min(viewers, there)))

    def of(self, rows: npt.NDArray[np.intp]) -> Fold:
        """The same fold, judged by some of its viewers."""
        return replace(self, judged=self.judged[rows], held=self.held[rows])

    def weighed(self, settings: WeightSettings) -> Fold:
        """The same fold with other weights of the same rows."""
        return replace(self, fit=build(self.rows, settings, now_s=self.fit.now_s))


def folds(history: Interactions, cut: Cut, settings: WeightSettings, *, seed: int, bounds: Bounds) -> list[Fold]:
    """One fold; of a short history six that are cut in time, or three shares. Folds in which nobody can be judged are left out."""
    found = [_fold(history, known, held, settings, seed=seed, bounds=bounds) for known, held in _masks(history, cut, seed)]
    return [fold for fold in found if len(fold.judged)]


def _masks(history: Interactions, cut: Cut, seed: int) -> list[tuple[Mask, Mask]]:
    if not len(history):
        return []
    if cut == "time":
        shares = _TIME_FOLDS if len(history) < _MANY_ROWS else _TIME_FOLDS[-1:]
        moments = [(np.quantile(history.at_s, one), np.quantile(history.at_s, other)) for one, other in shares]
        return [(history.at_s < one, (history.at_s >= one) & (history.at_s <= other)) for one, other in moments]
    if cut == "given":
        held = history.at_s > 0
        return [(~held, held)]
    if cut == "last":
        order = np.lexsort((np.arange(len(history)), history.at_s, history.viewers))
        last = order[np.flatnonzero(np.r_[np.diff(history.viewers[order]) != 0, True])]
        held = np.zeros(len(history), bool)
        held[last] = True
        return [(~held, held)]
    drawn = np.random.default_rng(seed).random(len(history)) // _SHARE
    return [(drawn != part, drawn == part) for part in range(_SHARES if len(history) < _MANY_ROWS else 1)]


def _fold(history: Interactions, known: Mask, held: Mask, settings: WeightSettings, *, seed: int, bounds: Bounds) -> Fold:
    rng = np.random.default_rng(seed)
    counts = np.bincount(history.viewers[known], minlength=len(history.viewer_ids))
    dense = counts.sum() > bounds.dense_from * len(history.viewer_ids) * len(history.item_ids)
    most_pairs = bounds.dense_pairs_at_most if dense else bounds.pairs_at_most
    order = rng.permutation(len(counts))
    kept = np.zeros(len(counts), bool)
    kept[order[np.cumsum(counts[order]) <= max(most_pairs, counts[order[:1]].sum())]] = True
    now_s = float(history.at_s[held].min(initial=np.inf))
    now_s = now_s if np.isfinite(now_s) else float(history.at_s.max(initial=0.0))
    learnt = history.take(known & kept[history.viewers])
    fit = build(learnt, settings, now_s=now_s)
    wanted = wanted_of(history.take(held & kept[history.viewers]), fit.values)
    asked, known_viewers = np.diff(wanted.indptr) > 0, np.diff(fit.values.indptr) > 0
    judged, cold = np.flatnonzero(asked & known_viewers), np.flatnonzero(asked & ~known_viewers)[: bounds.cold_at_most]
    most = min(
        bounds.viewers_at_most if dense else bounds.sparse_viewers_at_most, max(100, bounds.cells_at_most // max(1, len(history.item_ids)))
    )
    if len(judged) > most:
        judged = np.sort(rng.choice(judged, most, replace=False))
    thinned = bool(dense and counts.sum() > bounds.dense_pairs_at_most)
    return Fold(learnt, fit, judged, wanted[judged], wanted[cold], bool(dense), thinned)


def wanted_of(rows: Interactions, known: Matrix) -> Matrix:
    """What is to be found: wanted titles of these rows that the viewer had not met before. Ones, viewers by titles."""
    found = build(rows, WeightSettings()).values
    found.data = (found.data > 0).astype(np.float32)
    found.eliminate_zeros()
    if known.nnz == 0 or found.nnz == 0:
        return sparse.csr_array(found)
    met = sparse.csr_array((np.ones(known.nnz, np.float32), known.indices, known.indptr), shape=known.shape)
    new = sparse.csr_array(found - found.multiply(met))
    new.eliminate_zeros()
    new.sort_indices()
    return new


def exclude(scores: Floats, seen: Matrix) -> Floats:
    """Seen titles are no candidates. Changes and returns `scores`."""
    scores[np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr)), seen.indices] = -np.inf
    return scores


def judged_values(scores: Floats, fold: Fold, cut: Cut) -> metrics.PerViewer:
    """The number that a trial is chosen by, for each judged viewer; `scores` is used up.

    Cut in time: NDCG@10 and NDCG@20; a share: Recall@20 and NDCG@20; the last title: HR@10 and NDCG@10 that are to be expected against
    99 negatives drawn at random, which is the published protocol without its noise. Each pair is averaged.
    """
    scores = exclude(scores, fold.seen)
    return _expected(scores, fold.held) if cut == "last" else _listed(scores, fold.held, cut)


def cold_values(scores: Floats, fold: Fold) -> metrics.PerViewer:
    """The same for viewers without history, who all get the list of this one row of scores. Only where there is time."""
    return _listed(np.repeat(scores[None], fold.cold.shape[0], axis=0), fold.cold, "time")


def _listed(scores: Floats, held: Matrix, cut: Cut) -> metrics.PerViewer:
    lists = metrics.top(scores, held, 20)
    hits, count = metrics.hits_of(lists, held), np.diff(held.indptr).astype(np.int64)
    pair = ("ndcg", 10) if cut == "time" else ("recall", 20)
    return (metrics.ranked(metrics.Metric(*pair), hits, count) + metrics.ranked(metrics.Metric("ndcg", 20), hits, count)) / 2


def _expected(scores: Floats, held: Matrix) -> metrics.PerViewer:
    rows = np.repeat(np.arange(held.shape[0]), np.diff(held.indptr))
    positive = scores[rows, held.indices]
    candidates = np.isfinite(scores).sum(axis=1)[rows] - 1
    above = np.array([np.count_nonzero(scores[row] >= value) for row, value in zip(rows, positive, strict=True)]) - 1
    worth = np.interp(above / np.maximum(1, candidates), np.linspace(0, 1, _GRID), _worth_of_rank())
    return np.asarray(np.bincount(rows, worth, minlength=held.shape[0]) / np.maximum(1, np.diff(held.indptr)), np.float64)


@cache
def _worth_of_rank() -> npt.NDArray[np.float64]:
    """Mean of HR@10 and NDCG@10 against 99 negatives, each of which scores at least as high with probability p, for p on a grid."""
    p = np.linspace(0, 1, _GRID)
    ahead = [comb(_NEGATIVES, j) * p**j * (1 - p) ** (_NEGATIVES - j) for j in range(10)]
    total: npt.NDArray[np.float64] = np.sum([chance * (1 + 1 / np.log2(j + 2)) / 2 for j, chance in enumerate(ahead)], axis=0)
    return total
