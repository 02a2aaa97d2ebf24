"""Columns of history: ids ascend, wrong columns are refused, and a cut leaves no trace of what is later."""

from __future__ import annotations

import numpy as np
import pytest

from recommend import dataset
from recommend.interactions import BadInteractions, Signal, from_codes, from_rows

ROWS = [("b", "y", 10.0), ("a", "x", 20.0), ("b", "x", 30.0)]


def test_codes_follow_the_order_of_the_ids() -> None:
    found = from_rows(ROWS)
    assert (found.viewer_ids, found.item_ids) == (("a", "b"), ("x", "y"))
    assert list(found.viewers) == [1, 0, 1]
    assert list(found.items) == [1, 0, 0]
    assert np.isnan(found.watched_fraction).all()
    assert set(found.signal) == {Signal.WATCHED}


def test_before_leaves_no_id_of_later_rows() -> None:
    """Pitfall 14: id maps."""
    early = from_rows([*ROWS, ("canary", "egg", 30.0)]).before(30.0)
    assert (early.viewer_ids, early.item_ids, len(early)) == (("a", "b"), ("x", "y"), 2)


def test_a_viewer_can_be_taken_out() -> None:
    left = from_rows(ROWS).without_viewers(["b"])
    assert (left.viewer_ids, left.item_ids, list(left.items)) == (("a",), ("x",), [0])


@pytest.mark.parametrize(
    ("columns", "options"),
    [
        (([0], [0, 0], [1.0], ["a"], ["x"]), {}),
        (([0], [1], [1.0], ["a"], ["x"]), {}),
        (([-1], [0], [1.0], ["a"], ["x"]), {}),
        (([0], [0], [float("nan")], ["a"], ["x"]), {}),
        (([0], [0], [float("inf")], ["a"], ["x"]), {}),
        (([0], [0], [1.0], ["a", "a"], ["x"]), {}),
        (([0], [0], [1.0], ["a"], ["x"]), {"signal": [9]}),
        (([0], [0], [1.0], ["a"], ["x"]), {"watched_fraction": [0.5, 0.5]}),
    ],
)
def test_contradicting_columns_are_refused(columns: tuple[object, ...], options: dict[str, object]) -> None:
    with pytest.raises(BadInteractions):
        from_codes(*columns, **options)  # type: ignore[arg-type]


def test_fractions_are_clamped() -> None:
    """Pitfall 11: what a player reports can be absurd."""
    found = from_codes([0, 0], [0, 1], [1.0, 2.0], ["a"], ["x", "y"], watched_fraction=[-3.0, 7.0])
    assert list(found.watched_fraction) == [0.0, 1.0]


def test_the_fingerprint_knows_the_history_and_not_the_order_of_its_rows() -> None:
    same = dataset.fingerprint(from_rows(ROWS[::-1]))
    assert dataset.fingerprint(from_rows(ROWS)) == same
    assert dataset.fingerprint(from_rows([*ROWS[:2], ("b", "x", 31.0)])) != same
