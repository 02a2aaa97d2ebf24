"""Answers for one viewer: the same as evaluation measured, at once after a change, and safe when nothing is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy import sparse

from recommend import dataset, fold_in, metrics, ranking
from recommend.als import Factors
from recommend.bundle import Bundle
from recommend.model import Model, begun, blended, folded, needed, part_scores
from recommend.ranking import COLD, Weights
from recommend.training import Order, train
from recommend.weights import WeightSettings
from tests.histories import taste_of, tasted

STEPS = [Weights(0, 0.0, 0.0, 0.7, 0.3), Weights(1, 0.2, 0.3, 1.0, 0.0), Weights(3, 0.6, 0.4, 0.1, 0.1)]


@pytest.fixture(scope="module")
def made() -> Bundle:
    found = train(tasted(), Order("mdl_1", datetime(2026, 1, 1, tzinfo=UTC), factors=12)).bundle
    settings = {**found.settings, "blend": [step.as_json() for step in STEPS]}
    return Bundle(
        **{name: getattr(found, name) for name in found.__slots__ if name != "facts"}, facts={**found.facts, "settings": settings}
    )


def history_of(made: Bundle, viewer: int) -> list[tuple[int, float]]:
    items, values = made.history(viewer)
    return [(int(item), float(value)) for item, value in zip(items, values, strict=True)]


@pytest.mark.parametrize("fade", [0, 3])
def test_one_viewer_gets_what_evaluation_scored(made: Bundle, fade: int) -> None:
    """`ranking.score` and the blocks of `recommend.model` are the same blend, also where the walk starts from the newest titles above
    all."""
    made = replace(made, facts={**made.facts, "settings": {**made.settings, "walk": {**made.settings["walk"], "fade": fade}}})
    data = dataset.build(tasted(), WeightSettings.from_json(made.settings["weights"]))
    walked = sparse.csr_array((made.walk_scores, made.walk_items, made.walk_indptr), shape=(80, 80))
    factors = Factors(made.viewer_factors, made.item_factors)
    model = Model(fold_in.als_settings(made), factors, walked, made.popularity, made.trending, STEPS, fade)
    histories = data.by_time[:20]
    vectors = folded(model, histories)
    table = blended(part_scores(model, histories, vectors, parts=needed(STEPS)), histories, STEPS)
    for viewer in range(20):
        history = history_of(made, viewer)
        alone = ranking.score(made, fold_in.fold_in(made, history), history)
        np.testing.assert_allclose(alone, table[viewer], atol=2e-4)


def test_the_walk_starts_from_the_newest_titles_above_all() -> None:
    """By hand, halved for every newer title: of the row 4 (oldest), 2 (disliked), 7, 0 (newest), three walks start."""
    rows = sparse.csr_array((np.array([1.0, -1.0, 2.0, 1.0], np.float32), np.array([4, 2, 7, 0]), np.array([0, 4])), shape=(1, 9))
    np.testing.assert_allclose(begun(rows, 1).toarray()[0], [1, 0, 0, 0, 1 / 8, 0, 0, 1, 0])
    np.testing.assert_allclose(begun(rows, 0).toarray()[0], [1, 0, 0, 0, 1, 0, 0, 2, 0])


def test_a_blend_of_equal_weights_is_the_sum_of_z_scores() -> None:
    """For each viewer, over all titles: what has been published of iALS beside RP3beta."""
    rng = np.random.default_rng(6)
    factors = Factors(rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(30, 3)).astype(np.float32))
    walked = sparse.csr_array((rng.random((30, 30)) < 0.2).astype(np.float32))
    histories = sparse.csr_array((rng.random((4, 30)) < 0.3).astype(np.float32))
    model = Model(fold_in.AlsSettings(3), factors, walked, np.ones(30, np.float32), np.ones(30, np.float32))
    found = part_scores(model, histories, factors.viewers, parts=frozenset({"als", "walk"})).blended(Weights(1, 0.5, 0.5, 0.0, 0.0))
    parts = [factors.viewers @ factors.items.T, (histories @ walked).toarray()]
    z_scores = [(part - part.mean(axis=1, keepdims=True)) / part.std(axis=1, keepdims=True) for part in parts]
    np.testing.assert_allclose(found, sum(z_scores) / 2, atol=1e-4)


def test_equally_old_titles_have_one_order_everywhere() -> None:
    """Read from the newest on, a row ordered by time is a bundle's history, also where several titles have one moment."""
    history = tasted()
    made = dataset.build(replace(history, at_s=np.floor(history.at_s / 4e6)), WeightSettings())
    rows = np.repeat(np.arange(120), np.diff(made.values.indptr))
    newest = made.values.indices[np.lexsort((-made.last_at_s, rows))]
    by_time = made.by_time
    for row in range(120):
        place = slice(by_time.indptr[row], by_time.indptr[row + 1])
        assert list(by_time.indices[place][::-1]) == list(newest[place])


def test_the_taste_is_found(made: Bundle) -> None:
    for viewer in range(12):
        history = history_of(made, viewer)
        scores = ranking.score(made, fold_in.fold_in(made, history), history)
        scores[[item for item, _ in history]] = -np.inf
        best = [made.item_id(int(code)) for code in np.argsort(-scores)[:5]]
        name = bytes(made.viewer_ids[viewer]).decode()
        assert sum(taste_of(item) == taste_of(name) for item in best) >= 3, (name, best)


def test_an_empty_history_is_answered_by_what_everybody_watches(made: Bundle) -> None:
    """Pitfall 6: never ids 0 to 4 at score 0."""
    scores = ranking.score(made, fold_in.fold_in(made, []), [])
    expected = 0.7 * made.trending_prior + 0.3 * made.popularity_prior
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert ranking.weights_for([], 3) == COLD
    assert ranking.weights_for([Weights(1, 1, 0, 0, 0)], 0) == COLD


def test_one_more_title_changes_the_list_and_taking_it_back_restores_it(made: Bundle) -> None:
    """Pitfall 7, bit for bit."""
    history = history_of(made, 0)
    before = ranking.score(made, fold_in.fold_in(made, history), history)
    other = next(code for code in range(80) if code not in dict(history))
    longer = [(other, 1.0), *history]
    after = ranking.score(made, fold_in.fold_in(made, longer), longer)
    assert list(np.argsort(-after)[:20]) != list(np.argsort(-before)[:20])
    again = ranking.score(made, fold_in.fold_in(made, history), history)
    assert again.tobytes() == before.tobytes()


def test_folded_in_is_as_good_as_trained(made: Bundle) -> None:
    """Pitfall 24: the same weights, decay and regularization; NDCG within 1 % of the stored vectors'."""
    data = dataset.build(tasted(), WeightSettings.from_json(made.settings["weights"]))
    model = Model(fold_in.als_settings(made), Factors(made.viewer_factors, made.item_factors), None, made.popularity, made.trending)
    wanted = sparse.csr_array((np.ones(data.values.nnz, np.float32), data.values.indices, data.values.indptr), shape=data.values.shape)
    found = []
    for vectors in (made.viewer_factors, folded(model, data.by_time)):
        lists = metrics.top(np.asarray(vectors @ made.item_factors.T), wanted, 10)
        found.append(metrics.ranked(metrics.Metric("ndcg", 10), metrics.hits_of(lists, wanted), np.diff(wanted.indptr)).mean())
    assert found[1] == pytest.approx(found[0], rel=0.01)


def test_the_order_of_steps_and_lengths(made: Bundle) -> None:
    assert [ranking.weights_for(STEPS, length).at_least for length in (0, 1, 2, 3, 50)] == [0, 1, 1, 3, 3]


def test_live_trends_replace_those_of_the_model(made: Bundle) -> None:
    heat = np.zeros(80, np.float32)
    heat[17] = 50.0
    assert int(np.argmax(ranking.score(made, None, [], common=ranking.shared(made, trending_prior=ranking.prior(heat))))) == 17


def test_what_is_added_once_for_all_viewers_is_in_every_score(made: Bundle) -> None:
    """Filters among it, whatever the length of the history."""
    added = np.zeros(80, np.float32)
    added[[3, 40]], added[5] = -np.inf, 0.5
    common = ranking.shared(made, added=added)
    for length in (0, 1, 2, 5):
        history = history_of(made, 1)[:length]
        factor = fold_in.fold_in(made, history, ground=fold_in.ground_of(made))
        plain, filtered = (ranking.score(made, factor, history, common=one) for one in (None, common))
        np.testing.assert_allclose(filtered, plain + added, atol=1e-5)


def test_a_part_that_is_the_same_everywhere_adds_nothing() -> None:
    assert not ranking.prior(np.full(9, 4.0, np.float32)).any()
