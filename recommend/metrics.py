"""What a list is worth: ranking metrics for each viewer, list metrics over all, and bootstrap intervals.

For each viewer with anything to find: a list of the k best candidates, `hits[p]` whether place p holds one of the n titles to find.

    hr@k      1 if there is any hit                         recall@k  hits / n
    ndcg@k    sum of 1/log2(p + 2) over hits, divided by that of an ideal list of min(k, n) hits
    map@k     mean over min(k, n) of the precision at each hit             mrr@k     1 / (place of the first hit), else 0

Means are over viewers with n > 0; one without hits counts as 0. Ties are pessimistic: at equal scores what is not to be found comes first.
Over all lists:

    coverage@k   share of the titles that anybody is shown      gini@k   inequality of how often titles are shown (0: all alike)
    novelty@k    mean of -log2(share of viewers who watched it) diversity@k  mean over lists of 1 - cosine between two titles' viewers

Intervals are percentile bootstraps over viewers; the difference of two models is resampled in pairs, viewer by viewer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

from kit.errors import BadRequest
from recommend.als import Matrix
from recommend.interactions import Floats

RANKED = ("hr", "recall", "ndcg", "map", "mrr")
LISTED = ("coverage", "gini", "novelty", "diversity")
_RESAMPLES = 1_000
_DRAWS_KEPT = 12_000_000  # viewers times resamples, 4 bytes each
_LISTS_FOR_DIVERSITY = 300

Hits = npt.NDArray[np.bool_]
PerViewer = npt.NDArray[np.float64]


class UnknownMetric(BadRequest):
    code = "unknown_metric"


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    name: str
    k: int

    def __str__(self) -> str:
        return f"{self.name}@{self.k}"


def parse(text: str) -> list[Metric]:
    """ "hr@10,ndcg@10" as metrics, each once. Raises UnknownMetric."""
    found = []
    for word in filter(None, (part.strip().lower() for part in text.split(","))):
        match = re.fullmatch(rf"({'|'.join(RANKED + LISTED)})@([1-9]\d{{0,3}})", word)
        if match is None:
            raise UnknownMetric(f"{word!r} is not a metric: say one of {', '.join(RANKED + LISTED)} with a length, as in ndcg@10.")
        found.append(Metric(match[1], int(match[2])))
    if not found:
        raise UnknownMetric("No metric was named.")
    return list(dict.fromkeys(found))


def top(scores: Floats, wanted: Matrix, k: int) -> npt.NDArray[np.int64]:
    """The k best columns of each row, the best first; -1 where fewer than k are finite. `scores` is changed: columns that `wanted`
    stores are moved down by the smallest step, so that of equal scores they come last. Excluded columns are -inf."""
    rows = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr))
    scores[rows, wanted.indices] = np.nextafter(scores[rows, wanted.indices], np.float32(-np.inf))
    size = min(k, scores.shape[1])
    if size < scores.shape[1]:
        best = np.argpartition(scores, scores.shape[1] - size, axis=1)[:, scores.shape[1] - size :]
    else:
        best = np.broadcast_to(np.arange(size), (len(scores), size))
    values = np.take_along_axis(scores, best, axis=1)
    order = np.lexsort((best, -values), axis=1)
    best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
    lists = np.full((len(scores), k), -1, np.int64)
    lists[:, :size] = np.where(np.isfinite(values), best, -1)
    return lists


def hits_of(lists: npt.NDArray[np.int64], wanted: Matrix) -> Hits:
    """Which places of each list hold what is to be found."""
    width = wanted.shape[1] + 1
    rows = np.arange(len(lists))[:, None]
    keys = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr)) * width + wanted.indices
    found: Hits = np.isin(rows * width + lists, keys) & (lists >= 0)
    return found


def ranked(metric: Metric, hits: Hits, count: npt.NDArray[np.int64]) -> PerViewer:
    """A metric of `RANKED` for each viewer, from hits by place and how many titles were to be found."""
    seen = hits[:, : metric.k].astype(np.float64)
    places = np.arange(seen.shape[1])
    within = np.maximum(1, np.minimum(metric.k, count))
    if metric.name == "hr":
        return np.asarray(seen.sum(axis=1) > 0, np.float64)
    if metric.name == "recall":
        return np.asarray(seen.sum(axis=1) / np.maximum(1, count), np.float64)
    if metric.name == "ndcg":
        gains = 1.0 / np.log2(np.arange(metric.k) + 2.0)
        return np.asarray((seen @ gains[: seen.shape[1]]) / np.cumsum(gains)[within - 1], np.float64)
    if metric.name == "map":
        return np.asarray((seen * np.cumsum(seen, axis=1) / (places + 1.0)).sum(axis=1) / within, np.float64)
    first = np.where(seen.any(axis=1), seen.argmax(axis=1) + 1.0, np.inf)
    return np.asarray(1.0 / first, np.float64)


def expected(metric: Metric, chances: PerViewer) -> PerViewer:
    """The same where one title is to be found and only the chance of each place is known (`recommend.sampled`): the mean over all draws."""
    return np.asarray(chances[:, : metric.k] @ _gains(metric), np.float64)


def deviation(metric: Metric, chances: PerViewer) -> float:
    """How far the mean over viewers of one draw is from that of all draws: its standard deviation."""
    within = chances[:, : metric.k]
    variance = within @ _gains(metric) ** 2 - (within @ _gains(metric)) ** 2
    return float(np.sqrt(np.maximum(variance, 0.0).sum()) / max(1, len(chances)))


def _gains(metric: Metric) -> PerViewer:
    """What the only title that is to be found is worth at each place."""
    place = np.arange(metric.k, dtype=np.float64)
    if metric.name in {"hr", "recall"}:
        return np.ones(metric.k)
    return 1.0 / (np.log2(place + 2.0) if metric.name == "ndcg" else place + 1.0)


def listed(metric: Metric, lists: npt.NDArray[np.int64], seen: Matrix, *, seed: int) -> float:
    """A metric of `LISTED` over all lists; `seen` is the training matrix, viewers by titles."""
    shown = lists[:, : metric.k]
    counts = np.bincount(shown[shown >= 0], minlength=seen.shape[1])
    if metric.name == "coverage":
        return float((counts > 0).mean())
    if metric.name == "gini":
        ascending = np.sort(counts)
        total = ascending.sum()
        place = np.arange(1, len(ascending) + 1)
        return float(((2 * place - len(ascending) - 1) * ascending).sum() / (len(ascending) * total)) if total else 0.0
    if metric.name == "novelty":
        viewers = np.maximum(1.0, np.bincount(seen.indices, minlength=seen.shape[1]))
        return float(-np.log2(viewers[shown[shown >= 0]] / seen.shape[0]).mean()) if (shown >= 0).any() else 0.0
    return _diversity(shown, seen, seed)


def _diversity(shown: npt.NDArray[np.int64], seen: Matrix, seed: int) -> float:
    rows = np.arange(len(shown))
    if len(rows) > _LISTS_FOR_DIVERSITY:
        rows = np.sort(np.random.default_rng(seed).choice(len(shown), _LISTS_FOR_DIVERSITY, replace=False))
    picked = shown[rows]
    place = np.repeat(np.arange(len(rows)), picked.shape[1])[picked.ravel() >= 0]
    chosen = sparse.csr_array((np.ones(len(place)), (place, picked[picked >= 0])), shape=(len(rows), seen.shape[1]))
    by_item = sparse.csr_array((np.ones(seen.nnz), seen.indices, seen.indptr), shape=seen.shape).T.tocsr()
    norms = np.sqrt(np.maximum(1.0, np.diff(by_item.indptr)))
    by_item.data /= np.repeat(norms, np.diff(by_item.indptr))
    watched = np.diff(by_item.indptr) > 0
    together = chosen @ by_item
    size: PerViewer = np.asarray(chosen.sum(axis=1), np.float64)
    lengths = np.bincount(np.repeat(np.arange(len(rows)), np.diff(together.indptr)), together.data**2, minlength=len(rows))
    cosines = lengths - chosen @ watched.astype(np.float64)  # less each title with itself
    pairs = size * (size - 1)
    return float((1.0 - cosines[pairs > 0] / pairs[pairs > 0]).mean()) if (pairs > 0).any() else 0.0


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 95 % of the bootstrap."""

    low: float
    high: float


def interval(values: PerViewer, *, seed: int) -> Interval:
    """Of the mean over viewers. The same seed draws the same viewers, so two intervals are comparable."""
    if not len(values):
        return Interval(0.0, 0.0)
    if len(values) * _RESAMPLES <= _DRAWS_KEPT:
        means = np.asarray(_drawn(len(values), seed) @ values, np.float64) / len(values)
    else:
        rng = np.random.default_rng(seed)
        means = np.array([values[rng.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLES)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(low), float(high))


@lru_cache(maxsize=2)
def _drawn(count: int, seed: int) -> Floats:
    """How often each of so many viewers is in each resample: kept, because every metric of every model is resampled alike."""
    rng = np.random.default_rng(seed)
    return np.array([np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(_RESAMPLES)], np.float32)
