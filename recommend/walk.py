"""The item-item model RP3beta: two steps of a random walk from a title over its viewers to other titles, popular ones held back.

Christoffel et al. (2015), "Blockbusters and Wallflowers", with the exponents of "A Troubling Analysis" (Ferrari Dacrema et al., 2021):

    W[i, j] = d_i^-e  sum over viewers u of both of  d_u^-e   d_j^-b

where d counts positive pairs, `exponent` is e and `popularity_penalty` is b. Only the best `neighbours` of a title are kept. With `even`,
what is kept of a row is divided by its sum instead of by d_i^e: all titles of a history then say equally much of what comes next, which
pays with small exponents. On sparse data it is the strongest cheap model; on dense data the factors are stronger, so
`recommend.choice` weighs the two.

What a viewer watched last says more of what comes next than what they watched first, and the factors cannot know it: to them a history
is a set. So the walk starts from a title with a weight that is halved for every `fade` newer ones beside it (`recommend.ranking.starts`).

The product over all titles is made in blocks of titles, so that memory is bounded; viewers of very many titles count with their newest
only, because their square is the cost and their taste is everybody's. Exact and deterministic; values below 0 take no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recommend.als import Matrix
from recommend.interactions import Codes, Floats

_BLOCK_CELLS = 24_000_000  # titles of a block times all titles, at most
_LONGEST = 500  # titles of one viewer that take part


@dataclass(frozen=True, slots=True)
class WalkSettings:
    exponent: float = 1.0
    popularity_penalty: float = 0.5
    neighbours: int = 200
    fade: int = 0  # titles; 0: all of a history count alike
    even: bool = False  # rows sum to 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def positives(values: Matrix) -> Matrix:
    """1 where a value is above 0, for at most 500 titles of each viewer (the last in their row: rows may be ordered by time)."""
    kept = values.data > 0
    rows = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))[kept]
    counts = np.bincount(rows, minlength=values.shape[0])
    starts = np.r_[0, np.cumsum(counts)]
    late = np.arange(len(rows)) - starts[rows] >= counts[rows] - _LONGEST
    found = sparse.csr_array(
        (np.ones(int(late.sum()), np.float32), (rows[late], values.indices[kept][late].astype(np.int32))), shape=values.shape
    )
    found.indptr, found.indices = found.indptr.astype(np.int32), found.indices.astype(np.int32)
    return found


def _power(counts: npt.ArrayLike, exponent: float) -> Floats:
    safe = np.maximum(np.asarray(counts, np.float64), 1.0)
    return np.power(safe, -exponent).astype(np.float32)


def blocks(seen: Matrix, exponent: float, only: npt.NDArray[np.bool_] | None = None) -> Iterator[tuple[int, sparse.csr_array]]:
    """(first title, transition counts of a block of titles to all titles) before seeds and targets are scaled; itself is left out, and so
    are the rows of titles that are not among `only`."""
    by_item = seen.T.tocsr() if only is None else _of_titles(seen, only).T.tocsr()
    by_viewer = seen.copy()
    by_viewer.data *= np.repeat(_power(seen.sum(axis=1), exponent), np.diff(seen.indptr).astype(np.intp))
    size = max(16, _BLOCK_CELLS // max(1, seen.shape[1]))
    for start in range(0, seen.shape[1], size):
        block = sparse.csr_array(by_item[start : start + size] @ by_viewer)
        rows = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
        block.data[block.indices == rows + start] = 0.0
        yield start, block


def _of_titles(seen: Matrix, only: npt.NDArray[np.bool_]) -> Matrix:
    kept = only[seen.indices]
    rows = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))[kept]
    return sparse.csr_array((seen.data[kept], (rows, seen.indices[kept])), shape=seen.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Some entries of some rows: how many of each row, and these one row after the other."""

    lengths: npt.NDArray[np.int64]
    columns: Codes
    values: Floats


def best_of_rows(block: sparse.csr_array, target: Floats, count: int) -> Kept:
    """The `count` largest products of value and target of each row, the largest first, without zeros. Equal ones are in order of columns
    as far as they are kept."""
    lengths = np.zeros(block.shape[0], np.int64)
    columns, values = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for row in range(block.shape[0]):
        where = block.indices[block.indptr[row] : block.indptr[row + 1]]
        worth = block.data[block.indptr[row] : block.indptr[row + 1]] * target[where]
        if len(worth) > count:
            best = np.argpartition(worth, len(worth) - count)[len(worth) - count :]
            where, worth = where[best], worth[best]
        order = np.lexsort((where, -worth))
        order = order[worth[order] > 0]
        lengths[row] = len(order)
        columns.append(where[order])
        values.append(worth[order])
    return Kept(lengths, np.concatenate(columns), np.concatenate(values))


def fit(values: Matrix, settings: WalkSettings, *, progress: Callable[[float], None] = lambda _: None) -> Matrix:
    """Transition scores, titles by titles, the best of each row first (so its column indices do not ascend)."""
    return fit_many(values, [settings], progress=progress)[0]


def fit_many(
    values: Matrix, several: Sequence[WalkSettings], *, only: npt.NDArray[np.bool_] | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Matrix]:  # fmt: skip
    """The same for several settings of one exponent, for the cost of hardly more than one. With `only`, of these titles' rows."""
    (exponent,) = {settings.exponent for settings in several}
    seen = positives(values)
    watched = seen.sum(axis=0)
    seed, targets = _power(watched, exponent), [_power(watched, settings.popularity_penalty) for settings in several]
    found: list[list[Kept]] = [[] for _ in several]
    for start, block in blocks(seen, exponent, only):
        for kept, settings, target in zip(found, several, targets, strict=True):
            best = best_of_rows(block, target, settings.neighbours)
            scale = np.repeat(seed[start : start + block.shape[0]], best.lengths)
            kept.append(Kept(best.lengths, best.columns, best.values * scale))
        progress((start + block.shape[0]) / seen.shape[1])
    joined = [_joined(kept, seen.shape[1]) for kept in found]
    return [evened(one) if settings.even else one for one, settings in zip(joined, several, strict=True)]


def _joined(kept: list[Kept], count: int) -> Matrix:
    lengths = np.concatenate([np.zeros(1, np.int64), *(one.lengths for one in kept)])
    columns = np.concatenate([np.zeros(0, np.int32), *(one.columns for one in kept)])
    scores = np.concatenate([np.zeros(0, np.float32), *(one.values for one in kept)])
    return sparse.csr_array((scores, columns.astype(np.int32), np.cumsum(lengths)), shape=(count, count))


def narrowed(walk: Matrix, neighbours: int) -> Matrix:
    """The same walk with fewer neighbours of each title."""
    rows = np.repeat(np.arange(walk.shape[0]), np.diff(walk.indptr))
    kept = np.arange(walk.nnz) - walk.indptr[rows] < neighbours
    lengths = np.minimum(np.diff(walk.indptr), neighbours)
    return sparse.csr_array((walk.data[kept], walk.indices[kept], np.r_[0, np.cumsum(lengths)]), shape=walk.shape)


def evened(walk: Matrix) -> Matrix:
    """The same walk with rows that sum to 1."""
    lengths = np.diff(walk.indptr)
    sums = np.bincount(np.repeat(np.arange(walk.shape[0]), lengths), walk.data, minlength=walk.shape[0])
    scale = np.repeat(1.0 / np.maximum(sums, np.finfo(np.float64).tiny), lengths)
    return sparse.csr_array(((walk.data * scale).astype(np.float32), walk.indices, walk.indptr), shape=walk.shape)
