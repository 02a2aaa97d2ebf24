"""A whole training run in memory: choosing, measuring, similar titles, words, and what one viewer can do to the others."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from recommend import content, dataset, fold_in, ranking, validation
from recommend.bundle import Bundle, check
from recommend.choice import Ask, choose
from recommend.interactions import Interactions, Signal, from_codes
from recommend.learn import narrowing
from recommend.similar import LEAST_SUPPORT, similar
from recommend.training import NothingToLearn, Order, Trained, train
from recommend.validation import Bounds, folds
from recommend.walk import WalkSettings
from recommend.weights import WeightSettings
from tests.histories import DAY_S, START_S, settled, taste_of, tasted

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order("mdl_1", AT, factors=12, texts={f"item-{n:03d}": f"Number {n} about subject{n % 4}" for n in range(80)})


@pytest.fixture(scope="module")
def made() -> Trained:
    return train(tasted(), ORDER)


def names(made: Bundle, codes: np.ndarray) -> list[str]:
    return [made.item_id(int(code)) for code in codes]


def test_the_outcome_says_what_was_learnt_from_and_how_good_it_is(made: Trained) -> None:
    check(made.bundle)
    assert made.outcome["version"] == made.bundle.version == "mdl_1"
    assert made.outcome["data"] == {"rows": 1680, "pairs": 1680, "users": 120, "items": 80}
    assert made.outcome["chosen_on"] == "validation"
    measured = made.outcome["metrics"]
    assert measured["metrics"]["ndcg@10"] > measured["baselines"]["popularity"]["ndcg@10"]
    assert {"coverage@10", "gini@10"} <= set(measured["metrics"])  # pitfall 25: kept with every release
    assert made.outcome["fingerprint"] == dataset.fingerprint(tasted())


def test_training_again_gives_the_same_bits(made: Trained) -> None:
    """Pitfall 8, and 9: nothing is carried over from the run before."""
    again = train(tasted(), replace(ORDER, version="mdl_2", threads=2)).bundle
    for name in ("item_factors", "viewer_factors", "walk_scores", "similar_items", "trending", "content_map"):
        assert getattr(again, name).tobytes() == getattr(made.bundle, name).tobytes(), name


def test_no_setting_is_chosen_on_what_is_measured(made: Trained) -> None:
    """Pitfall 14: what comes after the cut may change the figures, and never the settings."""
    history = tasted()
    cut_s = datetime.fromisoformat(made.outcome["metrics"]["cut_at"]).timestamp()
    late = np.flatnonzero(history.at_s >= cut_s)
    shuffled = history.items.copy()
    shuffled[late] = np.random.default_rng(0).permutation(shuffled[late])
    other = train(replace(history, items=shuffled), ORDER).outcome
    assert other["settings"] == made.outcome["settings"]
    assert other["metrics"]["metrics"] != made.outcome["metrics"]["metrics"]


def test_similar_titles(made: Trained) -> None:
    """Pitfall 18: never itself, the same support in both directions and enough of it, cosine and not fame."""
    bundle = made.bundle
    support = {}
    for item in range(80):
        codes, cosines, both = bundle.similar(item)
        assert item not in codes
        assert (both >= LEAST_SUPPORT).all()
        assert (np.diff(cosines) <= 1e-6).all()
        assert (cosines <= 1.00001).all()
        support |= {(item, int(code)): int(count) for code, count in zip(codes, both, strict=True)}
    assert all(support[other, one] == count for (one, other), count in support.items() if (other, one) in support)
    for famous in names(bundle, np.argsort(-bundle.popularity)[:4]):
        code = bundle.item_code(famous)
        assert code is not None
        alike = names(bundle, bundle.similar(code)[0][:3])
        assert sum(taste_of(one) == taste_of(famous) for one in alike) >= 2


def test_a_blockbuster_is_not_similar_to_everything() -> None:
    """Pitfall 18: one title that everybody watched is in few of the lists' first ten."""
    history = tasted(viewers=200, items=100)
    at_s = np.full(200, START_S)
    viewers, items = np.r_[history.viewers, np.arange(200)], np.r_[history.items, np.full(200, 100)]
    everybody = from_codes(viewers, items, np.r_[history.at_s, at_s], history.viewer_ids, [*history.item_ids, "item-blockbuster"])
    made = train(everybody, replace(ORDER, texts=None)).bundle
    code = made.item_code("item-blockbuster")
    lists = [made.similar(item)[0][:10] for item in range(101)]
    filled = [one for one in lists if len(one)]
    assert len(filled) > 20
    assert sum(code in one for one in filled) / len(lists) < 0.2


def test_titles_without_viewers_are_like_nothing() -> None:
    values = dataset.build(tasted(viewers=4, items=12, each=3), WeightSettings()).values
    found = similar(values, np.zeros((12, 4), np.float32))
    assert len(found.items) == 0
    assert len(found.indptr) == 13


def test_words_place_a_title_nobody_has_watched(made: Trained) -> None:
    """The route of new titles: its words say which taste it is for."""
    unseen = content.predict(made.bundle.content_map, ["Number 999 about subject2"])[0]
    scores = made.bundle.viewer_factors @ unseen
    fans = [taste_of(bytes(made.bundle.viewer_ids[code]).decode()) == 2 for code in np.argsort(-scores)[:20]]
    assert sum(fans) >= 15
    both = content.shrunk(np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32), np.array([0.0, 30.0], np.float32))
    np.testing.assert_allclose(both, [[0] * 3, [0.5] * 3])


def test_words_are_hashed_alike_everywhere() -> None:
    """No salt of the process may be in them: the map is used by another one."""
    assert sorted(content.features(["Été à la Mer"]).indices) == sorted(content.features(["mer LA à été"]).indices)
    assert content.features(["lighthouse"]).indices[0] == 4352
    of_tags = content.features([content.text_of("Zug", "", ["War", "Comedy"]), content.text_of("", "", ["Comedy", "War"])])
    assert np.diff(of_tags.indptr).tolist() == [4, 3]  # the words, and the pair in either order
    assert set(of_tags.indices[4:]) < set(of_tags.indices[:4])
    assert content.predict(np.zeros((0, 0), np.float32), ["x"]).shape == (1, 0)


def test_the_ridge_follows_what_words_say() -> None:
    """Words that settle the factors are trusted; words that have nothing to do with them are held back."""
    rng = np.random.default_rng(2)
    told = rng.integers(0, 10, 300)
    texts, viewers = [f"word{number}" for number in told], np.full(300, 50.0, np.float32)
    meant, meaningless = rng.standard_normal((10, 4))[told].astype(np.float32), rng.standard_normal((300, 4)).astype(np.float32)
    ridges = [content._best_ridge(content.features(texts), factors) for factors in (meant, meaningless)]
    assert ridges == [min(content.RIDGES), max(content.RIDGES)]
    found = content.predict(content.fit(texts, meant, viewers), texts)
    np.testing.assert_allclose(found, meant, atol=0.1)


def test_one_heavy_viewer_does_not_change_the_others() -> None:
    """Pitfall 13: somebody with everything, fifty times over (10,000 events), shifts 1,500 others by less than 5 % (about 2)."""
    history = tasted(viewers=1_500, items=200, each=20)
    heavy = np.tile(np.arange(200), 50)
    ids = [*history.viewer_ids, "viewer-heavy"]
    viewers = np.r_[history.viewers, np.full(len(heavy), 1_500)]
    at_s = np.r_[history.at_s, np.full(len(heavy), history.at_s.min())]
    loud = from_codes(viewers, np.r_[history.items, heavy], at_s, ids, history.item_ids)
    settings = choose(history, Ask("time", factors=12, epochs=8, threads=1))
    from recommend.training import _fitted

    def lists(rows: Interactions) -> list[set[int]]:
        bundle = _fitted(dataset.build(rows, settings.weights), settings, replace(ORDER, texts=None), lambda _what, _share: None)
        bundle = replace(bundle, facts={"settings": settings.as_json()})
        found = []
        for viewer in range(0, 1_500, 30):
            watched = [(int(item), float(value)) for item, value in zip(*bundle.history(viewer), strict=True)]
            scores = ranking.score(bundle, fold_in.fold_in(bundle, watched), watched)
            scores[[item for item, _ in watched]] = -np.inf
            found.append(set(np.argsort(-scores)[:20].tolist()))
        return found

    overlap = np.mean([len(one & other) / 20 for one, other in zip(lists(history), lists(loud), strict=True)])
    assert overlap > 0.95, overlap


def test_trending_counts_viewers_and_not_plays() -> None:
    """Pitfall 28: a profile that loops a video a thousand times is one viewer."""
    codes = [0] * 1_000 + [1, 2]
    looped = from_codes(codes, [0] * 1_000 + [1, 1], np.linspace(START_S, START_S + DAY_S, 1_002), ["a", "b", "c"], ["loop", "liked"])
    trending = dataset.build(looped, WeightSettings()).trending(7.0)
    assert looped.item_ids == ("liked", "loop")
    assert trending[0] > 1.5 * trending[1]


def test_popularity_and_trending_count_nobody_who_gave_up() -> None:
    given_up = from_codes([0, 1], [0, 0], [START_S] * 2, ["a", "b"], ["x"], signal=[Signal.ABANDONED, Signal.COMPLETED])
    data = dataset.build(given_up, WeightSettings())
    assert list(data.popularity) == list(data.trending(7.0)) == [1.0]


def test_a_short_history_is_learnt_from_with_defaults() -> None:
    found = train(tasted(viewers=6, items=8, each=3), Order("mdl_1", AT, factors=4))
    assert (found.outcome["chosen_on"], found.outcome["metrics"]) == ("defaults", {})
    assert "too short" in found.bundle.report


def test_nothing_wanted_is_nothing_to_learn() -> None:
    rows = from_codes([0], [0], [START_S], ["a"], ["x"], signal=[Signal.DISLIKED])
    with pytest.raises(NothingToLearn):
        train(rows, Order("mdl_1", AT))


def test_the_cost_of_choosing_is_bounded() -> None:
    """However long the history, a fold keeps whole viewers up to a number of pairs and judges by a number of them."""
    bounds = Bounds(pairs_at_most=300, dense_pairs_at_most=300, viewers_at_most=9, cells_at_most=10**9)
    for cut in ("time", "last", "share"):
        found = folds(tasted(), cut, WeightSettings(), seed=1, bounds=bounds)  # type: ignore[arg-type]
        assert found
        assert all(fold.fit.values.nnz <= 300 and len(fold.judged) <= 9 for fold in found)


def test_a_short_history_is_judged_by_three_shares_of_each_viewers_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two of them hold the same row; of a long history one is enough."""
    history = tasted()
    found = folds(history, "share", WeightSettings(), seed=1, bounds=Bounds())
    held = [{(int(fold.judged[row]), int(column)) for row, column in zip(*fold.held.nonzero(), strict=True)} for fold in found]
    assert len(set.union(*held)) == sum(map(len, held))
    assert [len(fold.rows) + fold.held.nnz for fold in found] == 3 * [len(history)]
    monkeypatch.setattr(validation, "_MANY_ROWS", len(history))
    assert len(folds(history, "share", WeightSettings(), seed=1, bounds=Bounds())) == 1


def test_fewer_judges_are_spread_over_all() -> None:
    (fold, *_) = folds(tasted(), "share", WeightSettings(), seed=1, bounds=Bounds())
    few = fold.fewer(10)
    assert len(few.judged) == few.held.shape[0] == 10
    assert few.judged[-1] > 0.8 * fold.judged[-1]
    assert list(fold.fewer(10_000).judged) == list(fold.judged)


def test_the_climb_begins_with_published_settings() -> None:
    """Of small data with those of MovieLens-1M; where the titles are very many, with less regularization for each observation."""
    rng = np.random.default_rng(1)
    many = from_codes(
        np.repeat(np.arange(40), 10), rng.integers(0, 30_000, 400), np.zeros(400), [f"v{n:02d}" for n in range(40)],
        [f"t{n:05d}" for n in range(30_000)],
    )  # fmt: skip
    for history, weight, regularization in ((tasted(), 0.3, 0.007), (many, 0.03, 0.001)):
        first = choose(history, Ask("share", factors=4, epochs=2, threads=1, model="als")).trials[0].settings
        assert (first["unobserved_weight"], first["regularization"]) == (weight, regularization)


def test_the_walk_of_sparse_data_is_chosen_around_published_settings() -> None:
    """Anelli et al. (2023): exponents of .44 to .77, penalties of 0 to .6, 342 to 777 neighbours, rows that sum to 1."""
    ask = Ask("share", factors=4, epochs=2, threads=1, model="rp3beta", limits=Bounds(dense_from=1.0))
    tried = [WalkSettings(**trial.settings) for trial in choose(tasted(), ask).trials]
    for exponent, penalty in ((0.57, 0.0), (0.77, 0.42), (0.44, 0.6)):
        assert any(abs(one.exponent - exponent) <= 0.14 and abs(one.popularity_penalty - penalty) <= 0.1 for one in tried)
    assert {one.neighbours for one in tried} == {60, 200, 500}
    assert {one.even for one in tried} == {False, True}


def test_a_model_that_shows_far_fewer_titles_is_said() -> None:
    """Pitfall 25: coverage does not drop by a fifth unnoticed."""

    def facts(coverage: float) -> dict[str, object]:
        return {"metrics": {"metrics": {"coverage@10": coverage}}}

    assert narrowing(facts(0.5), facts(0.41)) == narrowing({}, facts(0.1)) == narrowing(facts(0.5), {"metrics": {}}) == []
    assert narrowing(facts(0.5), facts(0.39)) == ["The lists cover 39.0% of the titles, where those of the model before covered 50.0%."]


def test_the_report_is_one_page_that_loads_nothing(made: Trained) -> None:
    page = made.bundle.report
    HTMLParser().feed(page)
    assert page.count("<svg") == 3
    assert "this model" in page
    assert "popularity" in page
    for loading in ("src=", "href=", "url(", "<script", "@import"):
        assert loading not in page


def test_no_rating_set_is_in_the_repository() -> None:
    """Pitfall 26: MovieLens and its like may be measured with, and never shipped."""
    top = Path(__file__).resolve().parents[3]
    listing = subprocess.run(["git", "ls-files"], cwd=top, capture_output=True, text=True, check=True).stdout.lower().splitlines()
    assert listing
    assert not [name for name in listing if name.rsplit("/", 1)[-1].startswith(("ratings.", "movies.", "ml-")) or "movielens" in name]


def test_who_knows_what_everybody_knows_is_shown_what_has_risen_since() -> None:
    """Chosen on validation, and for long histories alone: newcomers still get what everybody watches."""
    steps = choose(settled(), Ask("time", factors=8, epochs=4, threads=1)).steps
    longest = steps[-1]
    assert longest.at_least >= 30
    assert longest.popularity < 0 < longest.trending
    assert all(step.popularity >= 0 for step in steps if step.at_least < 30)
