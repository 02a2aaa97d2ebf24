"""Pages and lists as values: hypothesis over any rows, and small cases by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommend.ranked import NO_SCORE, best, history_of, rank, spread
from recommend.ranking import COLD, prior
from recommend.rows import ROWS_MAX, Reason, Row, Suggestion, assemble, explored, impressions_of, row_length, variant_of
from recommend.shelf import POPULARITY_PENALTY, Shelf, Since, model_of, shelf_of
from recommend.store import Title
from tests.models import a_bundle


def title(asset_id: str, *, tags: tuple[str, ...] = ()) -> Title:
    return Title(asset_id, f"p{asset_id}", f"Title {asset_id}", "", tags, datetime(2026, 1, 1, tzinfo=UTC), 10.0, has_poster=True)


def row(name: str, *ids: int) -> Row:
    return Row(name, name, tuple(Suggestion(title(str(one)), 0.0, Reason("new", "")) for one in ids))


NAMES = st.sampled_from(["continue_watching", "top_picks", "because:1", "trending", "new", "tag:x"])
PAGES = st.lists(st.builds(lambda name, ids: row(name, *ids), NAMES, st.lists(st.integers(0, 30), max_size=40)), max_size=14)


@given(PAGES, st.integers(4, 20))
def test_p20_any_page_shows_no_title_twice_and_no_empty_row(rows: list[Row], length: int) -> None:
    page = assemble(rows, length)
    shown = [item.title.asset_id for one in page for item in one.items]
    assert len(shown) == len(set(shown))
    assert all(one.items for one in page)
    assert len(page) <= ROWS_MAX
    assert [one.id for one in page] == [one.id for one in rows if one.id in {found.id for found in page}][: len(page)] or len(rows) > 1


@given(PAGES)
def test_p21_the_log_gives_the_page_again(rows: list[Row]) -> None:
    page = assemble(rows, 10)
    log = impressions_of(page)
    again = [(slot.row_number, slot.position, slot.asset_id) for slot in sorted(log, key=lambda slot: (slot.row_number, slot.position))]
    assert again == [(number, place, item.title.asset_id) for number, one in enumerate(page) for place, item in enumerate(one.items)]


def test_a_tag_of_one_title_is_left_out() -> None:
    page = assemble([row("top_picks", 1, 2), row("tag:y", 2, 3), row("tag:x", 4, 5), row("because:1", 5, 6)], 10)
    assert [one.id for one in page] == ["top_picks", "tag:x", "because:1"]


def test_in_a_small_catalogue_the_first_row_leaves_something() -> None:
    assert [row_length(count) for count in (0, 6, 30, 1000)] == [4, 4, 10, 20]


def test_viewers_are_divided_the_same_way_every_time() -> None:
    found = [variant_of(f"v{n}", "m2", 0.3) for n in range(4000)]
    assert found == [variant_of(f"v{n}", "m2", 0.3) for n in range(4000)]
    assert 0.27 < found.count("b") / 4000 < 0.33
    other = [variant_of(f"v{n}", "m3", 0.3) for n in range(4000)]
    both = sum(one == two == "b" for one, two in zip(found, other, strict=True))
    assert 0.06 < both / 4000 < 0.12  # another experiment divides anew
    assert {variant_of(f"v{n}", "", 0.9) for n in range(50)} == {"a"}


def test_exploring_draws_each_title_as_often_as_it_says() -> None:
    pool = ["a", "b", "c", "d"]
    drawn = [explored(f"v{n}", "1", pool) for n in range(4000)]
    assert {found[1] for found in drawn if found} == {0.25}
    counts = [sum(1 for found in drawn if found and found[0] == one) for one in pool]
    assert min(counts) > 850
    assert explored("v", "1", []) is None
    assert explored("v", "1", pool) == explored("v", "1", pool)


def test_the_best_are_finite_ordered_and_unique() -> None:
    scores = np.array([3, NO_SCORE, 5, 5, 1, NO_SCORE], np.float32)
    assert best(scores, 10).tolist() == [2, 3, 0, 4]
    assert best(scores, 2).tolist() == [2, 3]
    assert best(scores, 0).tolist() == []
    assert best(np.full(3, NO_SCORE), 3).tolist() == []


def test_the_best_of_many_are_those_of_a_whole_sort() -> None:
    rng = np.random.default_rng(4)
    for scores in (rng.normal(size=5003), rng.integers(0, 9, 5003), np.where(rng.random(5003) < 0.99, -np.inf, rng.normal(size=5003))):
        table = scores.astype(np.float32)
        whole = np.lexsort((np.arange(len(table)), -table))[:60]
        assert best(table, 60).tolist() == whole[np.isfinite(table[whole])].tolist()


def test_spreading_puts_something_else_between_near_equals() -> None:
    vectors = np.array([[1, 0], [1, 0.001], [0, 1], [0, 1]], np.float32)
    assert spread(vectors, np.array([1.0, 0.99, 0.98, 0.0], np.float32), 3) == [0, 2, 1]
    assert spread(vectors, np.array([1.0, 0.5, 0.1, 0.0], np.float32), 2) == [0, 1]  # not at any price
    assert spread(vectors[:1], np.array([1.0], np.float32), 5) == [0]


WATCHED = {f"{taste}{n}": [f"{taste}-{k}" for k in range(6) if k != n % 6] for taste in ("x", "y") for n in range(8)}


def a_shelf(*gone: str) -> Shelf:
    return shelf_of([title(f"{taste}-{k}") for taste in ("x", "y") for k in range(6) if f"{taste}-{k}" not in gone], [])


def test_p2_p3_a_list_has_no_sentinel_no_double_and_nothing_left_out() -> None:
    model = model_of(a_bundle(WATCHED), a_shelf("x-5"))
    code = model.codes["x-0"]
    found = rank(model, [(code, 1.0)], ["x-0", "x-1", "never heard of"], 50)
    ids = [one.asset_id for one in found]
    assert len(ids) == len(set(ids)) == 9  # twelve, less one that is gone and two left out
    assert not {"x-0", "x-1", "x-5"} & set(ids)
    assert all(np.isfinite(one.score) and one.score > -3e38 for one in found)
    assert ids[0].startswith("x")
    assert found[0].because == "x-0"


def test_p12_turning_away_lowers_what_is_like_it() -> None:
    model = model_of(a_bundle(WATCHED), a_shelf())

    def place_of_x(*history: tuple[str, float]) -> float:
        ranked = rank(model, [(model.codes[item], value) for item, value in history], ["x-0", "y-0"], 12)
        return float(np.mean([place for place, one in enumerate(ranked) if one.asset_id.startswith("x")]))

    assert place_of_x(("y-0", 0.4), ("x-0", -1.0)) >= place_of_x(("y-0", 0.4))
    assert history_of(model, [], 0.0) == []


def test_what_is_trending_goes_on_where_training_ended() -> None:
    """Half of the half-life later, with two new viewers of one title: what training would count then."""
    made = a_bundle(WATCHED)
    made = replace(made, facts={**made.facts, "history_ends_at_s": 1_000.0, "settings": {**made.settings, "trending_half_life_days": 1.0}})
    now_s = 1_000.0 + 86_400.0 / 2
    model = model_of(made, a_shelf(), Since({"y-0": 2.0, "never heard of": 9.0}, now_s))
    expected = made.trending * 0.5**0.5
    expected[model.codes["y-0"]] += 2.0
    trending = model.common.scores[COLD] + POPULARITY_PENALTY * made.popularity_prior
    np.testing.assert_allclose(trending, prior(expected), rtol=1e-5, atol=1e-6)
    assert model.ids[int(trending.argmax())] == "y-0"


def test_an_empty_catalogue_makes_an_empty_list() -> None:
    model = model_of(a_bundle(WATCHED), Shelf())
    assert rank(model, [(0, 1.0)], [], 10) == []
