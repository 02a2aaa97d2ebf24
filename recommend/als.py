"""The factor model: implicit alternating least squares whose regularization grows with how much is known of a row.

The loss is that of Hu, Koren and Volinsky (2008) with the regularization of Rendle et al. (2021): with values v, unobserved weight a and
regularization l, each row solves

    (Y'Y + sum |v|/a y y' + r I) x  =  sum over v > 0 of (1 + v/a) y,      r = l (1 + a)/a (sum |v| + a n)

which for v = 1 is Rendle's loss divided by a, up to the scale of the factors. The solver is the compiled conjugate-gradient kernel of the
`implicit` package, which knows one regularization for a call: rows are sorted by what is known of them and solved in runs whose
regularizations differ by at most a tenth (docs/decisions/0012-frequency-scaled.md). Values below 0 (given up, disliked) are stored below
-1, because the kernel takes -1 for "unseen" and anything above it for wanted.

Same matrix, settings and seed give the same bits with any number of threads. It measures nothing and chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from kit.errors import BadRequest, StepFailed
from recommend.fold_in import AlsSettings
from recommend.interactions import Floats
from recommend.solver import kernel
from recommend.threads import single_blas

_RUN_RATIO = 1.1  # largest over smallest regularization of one call
_FIRST_CG_STEPS, _CG_STEPS, _LAST_CG_STEPS = 1, 2, 3  # each starts from the epoch's before; the last is more exact, for folding in
_WORTH_THREADS = 20_000_000  # multiplications of one step; for less, threads wait for each other longer than they work
_STDDEV = 0.1  # of a row's norm at the start

Matrix = sparse.csr_array


class BadMatrix(BadRequest):
    """The matrix is not viewers by titles, or holds what is not a number."""

    code = "bad_matrix"


class FitFailed(StepFailed):
    """The factors are not finite."""

    code = "fit_failed"


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    viewers: Floats  # U x d
    items: Floats  # I x d

    @property
    def gram(self) -> Floats:
        with single_blas():
            product: Floats = self.items.T @ self.items
        return product


class Fit(Protocol):
    """What fits the factors: `fit` below, or `recommend.spark.SparkFit`."""

    def __call__(
        self, values: Matrix, settings: AlsSettings, *, seed: int, threads: int = 0, progress: Callable[[float], None] = ...
    ) -> Factors: ...


@dataclass(frozen=True, slots=True)
class _Run:
    start: int
    end: int
    regularization: float


def check_matrix(values: Matrix, viewers: int, items: int) -> Matrix:
    """The matrix as the kernel wants it: CSR, float32, 32-bit indices of one width, nothing stored twice. Raises BadMatrix."""
    if values.shape != (viewers, items):
        raise BadMatrix(f"The matrix is {values.shape[0]} x {values.shape[1]}, but there are {viewers} viewers and {items} titles.")
    if not np.isfinite(values.data).all():
        raise BadMatrix("A value is not a number.")
    if values.nnz >= 2**31:
        raise BadMatrix("More than 2,147,483,647 viewer-title pairs need more than one machine.")
    clean = sparse.csr_array(
        (values.data.astype(np.float32), values.indices.astype(np.int32), values.indptr.astype(np.int32)), shape=values.shape
    )
    clean.sum_duplicates()
    return clean


def fit(
    values: Matrix, settings: AlsSettings, *, seed: int, threads: int = 0, progress: Callable[[float], None] = lambda _: None
) -> Factors:
    """Factors from signed values, viewers by titles. `threads` 0 means one for each core; `progress` hears the fraction done.

    Always a new model: nothing is warm-started from an earlier one. Raises BadMatrix and FitFailed.
    """
    values = check_matrix(values, *values.shape)
    rng = np.random.default_rng(seed)
    deviation = np.float32(_STDDEV / np.sqrt(settings.factors))
    viewers = rng.standard_normal((values.shape[0], settings.factors), np.float32) * deviation
    items = rng.standard_normal((values.shape[1], settings.factors), np.float32) * deviation
    known = sparse.csr_array((settings.observed(values.data), values.indices, values.indptr), shape=values.shape)
    viewer_order, viewer_runs = _runs(known.sum(axis=1), values.shape[1], settings)
    item_order, item_runs = _runs(known.sum(axis=0), values.shape[0], settings)
    by_viewer = check_matrix(values[viewer_order][:, item_order], *values.shape)
    by_viewer.data[:] = np.sign(by_viewer.data) * (1.0 + np.abs(by_viewer.data) / settings.unobserved_weight)
    by_item = check_matrix(by_viewer.T.tocsr(), values.shape[1], values.shape[0])
    x, y = np.ascontiguousarray(viewers[viewer_order]), np.ascontiguousarray(items[item_order])
    with single_blas():
        for epoch in range(settings.epochs):
            steps = _FIRST_CG_STEPS if epoch < settings.epochs // 3 else _CG_STEPS if epoch < settings.epochs - 1 else _LAST_CG_STEPS
            _half_epoch(by_viewer, x, y, viewer_runs, steps=steps, threads=threads)
            _half_epoch(by_item, y, x, item_runs, steps=steps, threads=threads)
            progress((epoch + 1) / settings.epochs)
        _half_epoch(by_viewer, x, y, viewer_runs, steps=_LAST_CG_STEPS, threads=threads)  # viewers last, as fold-in would find them
    viewers[viewer_order], items[item_order] = x, y
    if not (np.isfinite(viewers).all() and np.isfinite(items).all()):
        raise FitFailed("The factors grew beyond all bounds: the data or the settings make no sense.")
    return Factors(viewers, items)


def _runs(known: npt.ArrayLike, others: int, settings: AlsSettings) -> tuple[npt.NDArray[np.intp], list[_Run]]:
    """An order of rows, and stretches of it that share a regularization."""
    observed: npt.NDArray[np.float64] = np.asarray(known, np.float64)
    order = np.argsort(observed, kind="stable")
    needed = settings.row_regularization(observed[order], others)
    runs, start = [], 0
    while start < len(order):
        end = int(np.searchsorted(needed, needed[start] * _RUN_RATIO, side="right"))
        runs.append(_Run(start, end, float(needed[start:end].mean())))
        start = end
    return order, runs


def _half_epoch(matrix: Matrix, rows: Floats, others: Floats, runs: list[_Run], *, steps: int, threads: int) -> None:
    width = rows.shape[1]
    for run in runs:
        work = width * (int(matrix.indptr[run.end] - matrix.indptr[run.start]) + width * (run.end - run.start))
        kernel()._least_squares_cg(
            matrix.indptr[run.start : run.end + 1], matrix.indices, matrix.data, rows[run.start : run.end], others,
            run.regularization, threads if work > _WORTH_THREADS else 1, steps,
        )  # fmt: skip
