"""The factor model: the equations it solves, the same bits every time, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recommend import als, dataset, fold_in
from recommend.als import BadMatrix, FitFailed, Matrix
from recommend.fold_in import AlsSettings
from recommend.threads import single_blas
from recommend.weights import WeightSettings
from tests.histories import tasted

SETTINGS = AlsSettings(factors=8, regularization=0.02, unobserved_weight=0.3, epochs=60)
FEW = replace(SETTINGS, epochs=3)


def matrix(*, seed: int = 0, shape: tuple[int, int] = (60, 40)) -> Matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_array(((rng.random(shape) < 0.2) * rng.choice([1.0, 0.5, -1.0], shape)).astype(np.float32))


def test_at_the_end_every_row_solves_its_own_equation() -> None:
    """The kernel, its signs, and the regularization of runs of rows, against the closed form of one row."""
    values = matrix()
    found = als.fit(values, SETTINGS, seed=1)
    for viewer in range(values.shape[0]):
        row = slice(values.indptr[viewer], values.indptr[viewer + 1])
        exact = fold_in.solve_row(
            found.items, found.gram, values.indices[row].astype(np.int64), values.data[row].astype(np.float64), SETTINGS
        )  # fmt: skip
        np.testing.assert_allclose(found.viewers[viewer], exact, atol=0.03 * np.abs(exact).max())


@pytest.mark.parametrize("by_count", [False, True])
def test_few_titles_are_folded_in_by_as_many_equations(by_count: bool) -> None:
    """The short way and the long way find the same."""
    rng = np.random.default_rng(3)
    factors = rng.normal(0, 0.2, (200, 24)).astype(np.float32)
    settings = replace(SETTINGS, factors=24, by_count=by_count)
    gram = factors.T @ factors
    sizes, axes = np.linalg.eigh(gram.astype(np.float64))
    ground = fold_in.Ground(settings, factors, gram, sizes, axes)
    for count in (1, 2, 12):
        codes, values = rng.choice(200, count, replace=False), rng.choice([1.0, 0.3, -0.5], count)
        values[0] = 1.0
        exact = fold_in.solve_row(factors, gram, codes, values, settings)
        np.testing.assert_allclose(fold_in.solve_few(ground, codes, values), exact, rtol=1e-4, atol=1e-6)


def test_regularization_grows_with_what_is_known() -> None:
    """Rendle et al. 2021: l (1 + a)/a (n + a I)."""
    settings = AlsSettings(regularization=0.1, unobserved_weight=0.5)
    np.testing.assert_allclose(settings.row_regularization(np.array([0.0, 10.0]), 40), [0.3 * 20, 0.3 * 30])


@pytest.mark.parametrize(
    ("regularization", "weight", "known", "titles"), [(0.007, 0.3, 165, 3_706), (0.001, 0.3, 27, 40_981), (0.001, 0.03, 27, 40_981)]
)
def test_settings_of_implicit_in_ours(regularization: float, weight: float, known: int, titles: int) -> None:
    """`implicit` with alpha = 1 + 1/a on ones and a regularization for all rows is ours with a, and l such that a mean row has that
    regularization. What it wants for good lists, 20 to 100, is .007 for MovieLens-1M and .001 for Gowalla."""
    settings = AlsSettings(regularization=regularization, unobserved_weight=weight)
    assert 35 < settings.row_regularization(np.array([float(known)]), titles)[0] < 60


def test_runs_of_rows_differ_by_at_most_a_tenth() -> None:
    known = np.arange(1.0, 500.0)
    order, runs = als._runs(known, 100, SETTINGS)
    needed = SETTINGS.row_regularization(known[order], 100)
    assert [run.start for run in runs[1:]] == [run.end for run in runs[:-1]]
    assert (runs[0].start, runs[-1].end) == (0, len(known))
    for run in runs:
        assert needed[run.end - 1] <= needed[run.start] * 1.1001


def test_one_and_two_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pitfall 8."""
    monkeypatch.setattr(als, "_WORTH_THREADS", 0)
    values = matrix(shape=(300, 200))
    one, two = als.fit(values, FEW, seed=7, threads=1), als.fit(values, FEW, seed=7, threads=2)
    assert one.viewers.tobytes() == two.viewers.tobytes()
    assert one.items.tobytes() == two.items.tobytes()
    assert one.items.tobytes() != als.fit(values, FEW, seed=8, threads=1).items.tobytes()


def test_a_matrix_of_another_shape_is_rejected() -> None:
    """Pitfall 1: a transposed matrix would train silently."""
    with pytest.raises(BadMatrix, match="40 x 60, but there are 60 viewers and 40 titles"):
        als.check_matrix(matrix().T.tocsr(), 60, 40)


def test_pairs_outside_of_the_shape_are_rejected() -> None:
    """Pitfall 1, where the matrix is made."""
    history = tasted(viewers=30, items=20, each=5)
    pairs = dataset.weigh(
        history.items, history.viewers, history.at_s, history.watched_fraction, history.signal, now_s=0.0, settings=WeightSettings()
    )
    with pytest.raises(BadMatrix):
        dataset.as_matrix(pairs, (20, 5))


def test_what_is_not_a_number_is_rejected() -> None:
    """Pitfall 11: the fit fails loudly."""
    values = matrix()
    values.data[3] = np.nan
    with pytest.raises(BadMatrix, match="not a number"):
        als.fit(values, SETTINGS, seed=1)


def test_factors_that_are_not_finite_fail_the_fit() -> None:
    """Pitfall 11, from the other side."""
    values = matrix()
    values.data[:] = 1e25
    with pytest.raises(FitFailed), np.errstate(all="ignore"):
        als.fit(values, SETTINGS, seed=1)


def test_indices_of_mixed_width_are_normalised() -> None:
    """Pitfall 27."""
    values = matrix()
    wide = sparse.csr_array(values.copy())
    wide.indptr, wide.indices = values.indptr.astype(np.int64), values.indices.astype(np.int64)
    assert als.fit(wide, SETTINGS, seed=1).items.tobytes() == als.fit(values, SETTINGS, seed=1).items.tobytes()
    narrow = als.check_matrix(wide, *wide.shape)
    assert (narrow.indptr.dtype, narrow.indices.dtype) == (np.int32, np.int32)


def test_a_second_fit_is_a_new_model() -> None:
    """Pitfall 9: a larger catalogue after the first fit neither crashes nor changes what the same data gives."""
    small, large = matrix(), matrix(shape=(90, 70))
    first = als.fit(small, SETTINGS, seed=1)
    assert als.fit(large, SETTINGS, seed=1).items.shape == (70, 8)
    assert als.fit(small, SETTINGS, seed=1).items.tobytes() == first.items.tobytes()


def test_an_abandon_lowers_and_a_glance_does_not_raise() -> None:
    """Pitfall 12: with the stored values that `recommend.weights` makes of them."""
    values = dataset.build(tasted(), WeightSettings()).values  # a glance is not in it: see test_weights
    found = als.fit(values, SETTINGS, seed=1)
    history = values.indices[values.indptr[0] : values.indptr[1]].astype(np.int64)
    expected = found.items @ found.viewers[0]
    title = max((item for item in range(values.shape[1]) if item not in history), key=expected.__getitem__)  # one that would be shown

    def score(value: float | None) -> float:
        codes = history if value is None else np.r_[history, title]
        worth = np.ones(len(history)) if value is None else np.r_[np.ones(len(history)), value]
        return float(fold_in.solve_row(found.items, found.gram, codes, worth, SETTINGS) @ found.items[title])

    assert score(-0.5) < score(None) < score(1.0)
    assert score(-1.0) < score(-0.5)


def test_linear_algebra_has_one_thread_during_a_fit() -> None:
    """Pitfall 22. That nothing warns is held for all tests by the configuration of pytest."""
    from threadpoolctl import threadpool_info

    with single_blas():
        assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} <= {1}


def test_viewers_and_titles_without_anything_get_zeros() -> None:
    values = matrix()
    padded = sparse.csr_array((values.data, values.indices, np.r_[values.indptr, values.indptr[-1]]), shape=(61, 45))
    found = als.fit(padded, SETTINGS, seed=1)
    assert not found.viewers[60].any()
    assert not found.items[40:].any()
