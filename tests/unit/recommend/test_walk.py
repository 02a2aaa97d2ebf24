"""RP3beta on a table that can be followed by hand, and the bounds of its work."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from recommend import walk
from recommend.walk import WalkSettings

# Viewers by titles:  A: x y    B: x y z    C: y    (degrees x 2, y 3, z 1; A 2, B 3, C 1)
SEEN = sparse.csr_array(np.array([[1, 1, 0], [1, 1, 1], [0, 1, 0]], np.float32))


def dense(settings: WalkSettings) -> np.ndarray:
    return np.asarray(walk.fit(SEEN, settings).toarray())


def test_transition_scores_by_hand() -> None:
    found = dense(WalkSettings(exponent=1.0, popularity_penalty=0.0))
    # x to y: from x to A or B with 1/2 each, from A to y with 1/2, from B to y with 1/3.
    expected = [[0, 0.5 / 2 + 0.5 / 3, 0.5 / 3], [1 / 3 / 2 + 1 / 3 / 3, 0, 1 / 3 / 3], [1 / 3, 1 / 3, 0]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_popular_titles_are_held_back() -> None:
    plain, held = dense(WalkSettings(1.0, 0.0)), dense(WalkSettings(1.0, 0.5))
    np.testing.assert_allclose(held, plain / np.sqrt([2.0, 3.0, 1.0]), rtol=1e-6)


def test_the_exponent_weighs_the_paths() -> None:
    found = dense(WalkSettings(exponent=2.0, popularity_penalty=0.0))
    assert found[0, 1] == pytest.approx(2**-2 * (2**-2 + 3**-2))


def test_only_the_best_neighbours_are_kept_and_the_best_comes_first() -> None:
    full = walk.fit(SEEN, WalkSettings(neighbours=5))
    assert all(np.all(np.diff(full.data[full.indptr[row] : full.indptr[row + 1]]) <= 0) for row in range(3))
    one = walk.fit(SEEN, WalkSettings(neighbours=1))
    assert list(np.diff(one.indptr)) == [1, 1, 1]
    np.testing.assert_array_equal(one.toarray(), walk.narrowed(full, 1).toarray())


def test_rows_can_be_made_to_sum_to_one() -> None:
    plain, even = dense(WalkSettings(0.5, 0.2)), dense(WalkSettings(0.5, 0.2, even=True))
    np.testing.assert_allclose(even, plain / plain.sum(axis=1, keepdims=True), rtol=1e-6)
    nothing = walk.evened(walk.fit(sparse.csr_array((2, 3), dtype=np.float32), WalkSettings()))
    assert nothing.nnz == 0


def test_of_some_titles_the_same_rows_are_fitted_as_of_all() -> None:
    values = sparse.csr_array((np.random.default_rng(0).random((80, 50)) < 0.2).astype(np.float32))
    only = np.arange(50) % 3 == 0
    whole, some = walk.fit(values, WalkSettings()).toarray(), walk.fit_many(values, [WalkSettings()], only=only)[0].toarray()
    np.testing.assert_array_equal(some, whole * only[:, None])


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("exponent", "penalty"), [(1.0, 0.5), (0.57, 0.0), (0.77, 0.42), (0.44, 0.6)])
def test_it_is_the_published_formula(exponent: float, penalty: float, even: bool) -> None:
    """Christoffel et al. (2015): both transition matrices to a power, their product, over a power of popularity, and
    perhaps rows that sum to 1. With the settings of Anelli et al. (2023) for Gowalla, Yelp2018 and Amazon-Book, and the original ones."""
    seen = (np.random.default_rng(5).random((90, 40)) < 0.15).astype(np.float64)
    to_title = np.divide(seen, seen.sum(axis=1, keepdims=True), where=seen > 0, out=np.zeros_like(seen)) ** exponent
    to_viewer = np.divide(seen.T, seen.sum(axis=0)[:, None], where=seen.T > 0, out=np.zeros_like(seen.T)) ** exponent
    expected = to_viewer @ to_title / seen.sum(axis=0) ** penalty
    np.fill_diagonal(expected, 0.0)
    if even:
        expected /= expected.sum(axis=1, keepdims=True)
    found = walk.fit(sparse.csr_array(seen.astype(np.float32)), WalkSettings(exponent, penalty, 40, even=even))
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)


def test_what_was_given_up_takes_no_part() -> None:
    values = SEEN.toarray()
    values[2, 2] = -1.0
    np.testing.assert_array_equal(walk.fit(sparse.csr_array(values), WalkSettings()).toarray(), walk.fit(SEEN, WalkSettings()).toarray())


def test_blocks_give_what_one_product_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    values = sparse.csr_array((np.random.default_rng(0).random((80, 50)) < 0.2).astype(np.float32))
    whole = walk.fit(values, WalkSettings()).toarray()
    monkeypatch.setattr(walk, "_BLOCK_CELLS", 1)
    np.testing.assert_array_equal(walk.fit(values, WalkSettings()).toarray(), whole)


def test_of_a_very_long_history_the_newest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_LONGEST", 2)
    rows = sparse.csr_array((np.ones(3, np.float32), np.array([2, 0, 1]), np.array([0, 3])), shape=(1, 3))  # oldest first
    assert sorted(walk.positives(rows).indices) == [0, 1]
