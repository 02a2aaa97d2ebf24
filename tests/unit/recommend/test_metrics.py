"""Metrics by hand, ties, and intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

from recommend import metrics
from recommend.metrics import Metric, UnknownMetric

# Three viewers; what is to be found: {0, 3}, {4}, {1, 2}.
WANTED = sparse.csr_array(np.array([[1, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 1, 1, 0, 0]], np.float32))
SCORES = np.array([[5, 4, 3, 2, 1], [5, 4, 3, 2, 1], [1, 5, 4, 3, 2]], np.float32)
COUNT = np.array([2, 1, 2])


def values(name: str, k: int) -> list[float]:
    lists = metrics.top(SCORES.copy(), WANTED, k)
    return list(metrics.ranked(Metric(name, k), metrics.hits_of(lists, WANTED), COUNT))


@pytest.mark.parametrize(
    ("name", "k", "expected"),
    [
        ("hr", 2, [1, 0, 1]),
        ("recall", 2, [1 / 2, 0, 1]),
        ("recall", 5, [1, 1, 1]),
        ("ndcg", 2, [1 / (1 + 1 / math.log2(3)), 0, 1]),
        ("ndcg", 5, [(1 + 1 / math.log2(5)) / (1 + 1 / math.log2(3)), 1 / math.log2(6), 1]),
        ("ndcg", 1, [1, 0, 1]),  # the ideal has min(k, n) hits
        ("map", 5, [(1 + 2 / 4) / 2, 1 / 5, 1]),
        ("mrr", 5, [1, 1 / 5, 1]),
    ],
)
def test_by_hand(name: str, k: int, expected: list[float]) -> None:
    """Pitfall 15: denominators."""
    assert values(name, k) == pytest.approx(expected)


def test_ties_are_pessimistic() -> None:
    """Pitfall 15: at equal scores what is to be found comes last, so a model that says nothing earns nothing."""
    lists = metrics.top(np.zeros((3, 5), np.float32), WANTED, 3)
    assert not metrics.hits_of(lists, WANTED)[:2].any()
    assert metrics.hits_of(lists, WANTED)[2].sum() == 0


def test_excluded_titles_leave_short_lists_and_no_sentinels() -> None:
    """Pitfall 2: no padding with titles of score -inf, none twice, at most k."""
    scores = SCORES.copy()
    scores[0, :3] = -np.inf
    lists = metrics.top(scores, WANTED, 4)
    assert list(lists[0]) == [3, 4, -1, -1]
    assert all(len(set(row[row >= 0])) == len(row[row >= 0]) for row in lists)
    assert metrics.top(SCORES.copy(), WANTED, 9).shape == (3, 9)


def test_list_metrics_by_hand() -> None:
    lists = np.array([[0, 1], [0, 2], [0, -1]])
    seen = sparse.csr_array(np.array([[1, 1, 0, 0], [1, 0, 1, 0]], np.float32))
    assert metrics.listed(Metric("coverage", 2), lists, seen, seed=1) == 3 / 4
    assert metrics.listed(Metric("coverage", 1), lists, seen, seed=1) == 1 / 4
    assert metrics.listed(Metric("gini", 1), lists, seen, seed=1) == pytest.approx(3 / 4)  # all on one of four
    assert metrics.listed(Metric("novelty", 2), lists, seen, seed=1) == pytest.approx(2 / 5)  # shares 1, 1/2, 1, 1/2, 1
    # Titles 0 and 1 share one viewer of sqrt(2 x 1); so do 0 and 2; a list of one title says nothing.
    assert metrics.listed(Metric("diversity", 2), lists, seen, seed=1) == pytest.approx(1 - 1 / math.sqrt(2))


def test_an_even_spread_has_no_inequality() -> None:
    lists = np.array([[0, 1], [2, 3]])
    seen = sparse.csr_array(np.ones((2, 4), np.float32))
    assert metrics.listed(Metric("gini", 2), lists, seen, seed=1) == pytest.approx(0.0)


def test_intervals_cover_the_mean_and_follow_the_seed() -> None:
    """Pitfall 16."""
    each = np.random.default_rng(0).random(400)
    found = metrics.interval(each, seed=5)
    assert found.low < each.mean() < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * each.std() / math.sqrt(400), rel=0.15)
    assert metrics.interval(each, seed=5) == found


def test_metrics_are_parsed_and_wrong_ones_named() -> None:
    assert [str(one) for one in metrics.parse("hr@10, NDCG@10,hr@10")] == ["hr@10", "ndcg@10"]
    for text in ("hr", "hr@0", "hitrate@10", "", "hr@10;ndcg@10"):
        with pytest.raises(UnknownMetric):
            metrics.parse(text)
