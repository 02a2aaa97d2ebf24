"""What folding in costs in quality: the same viewers once trained and once only folded in, a part of `python -m bench.recommend`.

The last title of every viewer is held out. A tenth of the viewers at a time is left out of training altogether and folded in from their
history; the value is the HR@10 that is to be expected against 99 negatives drawn at random (`recommend.validation`), compared viewer by
viewer with the model that was trained with them. Settings are chosen on all of the training rows, once. Beside it: the same for histories
cut to their newest one or two titles, against popularity.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from recommend import als, dataset, walk
from recommend.als import Matrix
from recommend.choice import Ask, Choice, choose
from recommend.dataset import Dataset
from recommend.interactions import Floats, Interactions
from recommend.model import Model, blended, folded, only, part_scores
from recommend.ranking import Weights
from recommend.validation import exclude, wanted_of

Values = npt.NDArray[np.float64]
_NEGATIVES, _PLACES = 99, 10


def folding_worth(history: Interactions, *, factors: int = 64, parts: int = 10, tried: int = 10) -> dict[str, Any]:
    """HR@10 of trained and of folded viewers, and their difference with its standard error; `tried` of `parts` groups of viewers."""
    last = _last_rows(history)
    known = history.take(~last)
    choice = choose(known, Ask("last", factors=factors, threads=1))
    data = dataset.build(known, choice.weights)
    held = wanted_of(history.take(last), data.values)
    group = np.random.default_rng(5).permutation(len(history.viewer_ids)) % parts
    whole, found = _fitted(data, choice), {name: list[Values]() for name in ("trained", "folded", "popularity", "newest_1", "newest_2")}
    for number in range(tried):
        out = np.flatnonzero((group == number) & (np.diff(held.indptr) > 0))
        without = _fitted(dataset.build(known.take(group[known.viewers] != number), choice.weights, now_s=data.now_s), choice)
        rows, wanted = data.by_time[out], held[out]
        assert whole.factors is not None
        found["trained"].append(_hit_rate(whole, rows, rows, whole.factors.viewers[out], wanted, choice.steps))
        found["folded"].append(_hit_rate(without, rows, rows, folded(without, rows), wanted, choice.steps))
        found["popularity"].append(_hit_rate(without, rows, rows, folded(without, rows), wanted, only("popularity")))
        for length in (1, 2):
            short = _newest(rows, length)
            found[f"newest_{length}"].append(_hit_rate(without, short, rows, folded(without, short), wanted, choice.steps))
    table = {name: np.concatenate(values) for name, values in found.items()}
    lost = table["trained"] - table["folded"]
    return {
        "viewers": len(lost), "hr@10": {name: round(float(values.mean()), 4) for name, values in table.items()},
        "lost": round(float(lost.mean()), 4), "standard_error": round(float(lost.std() / np.sqrt(len(lost))), 4), "target": 0.01,
    }  # fmt: skip


def _last_rows(history: Interactions) -> npt.NDArray[np.bool_]:
    order = np.lexsort((np.arange(len(history)), history.at_s, history.viewers))
    found = np.zeros(len(history), bool)
    found[order[np.flatnonzero(np.r_[np.diff(history.viewers[order]) != 0, True])]] = True
    return found


def _fitted(data: Dataset, choice: Choice) -> Model:
    factors = als.fit(data.values, choice.als, seed=1, threads=1)
    walked, trending = walk.fit(data.by_time, choice.walk), data.trending(choice.trending_days)
    return Model(choice.als, factors, walked, data.popularity, trending, fade=choice.walk.fade)


def _newest(rows: Matrix, length: int) -> Matrix:
    """Each row's last entries, which are the newest."""
    kept = rows.indptr[1:].repeat(np.diff(rows.indptr)) - np.arange(rows.nnz) <= length
    starts = np.r_[0, np.cumsum(np.minimum(np.diff(rows.indptr), length))]
    return Matrix((rows.data[kept], rows.indices[kept], starts), shape=rows.shape)


def _hit_rate(model: Model, known: Matrix, seen: Matrix, vectors: Floats, held: Matrix, steps: list[Weights]) -> Values:
    scores = blended(part_scores(model, known, vectors, parts=frozenset({"als", "walk"})), known, steps)
    scores = exclude(scores, seen)
    wanted = scores[np.arange(len(scores)), held.indices]
    ahead = (scores >= wanted[:, None]).sum(axis=1) - 1
    chance = ahead / np.maximum(1, np.isfinite(scores).sum(axis=1) - 1)
    terms = [comb(_NEGATIVES, j) * chance**j * (1 - chance) ** (_NEGATIVES - j) for j in range(_PLACES)]
    return np.asarray(np.sum(terms, axis=0), np.float64)
