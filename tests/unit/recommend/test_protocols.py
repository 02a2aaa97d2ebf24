"""The three protocols on small files: what is a candidate, what is a denominator, and that nothing of the test is ever seen."""

from __future__ import annotations

import json
from dataclasses import replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommend import loaders, metrics, protocols, published, sampled
from recommend.choice import Ask, choose
from recommend.dataset import build
from recommend.evaluation import Entrant, ask, tabulate, without_hits
from recommend.interactions import Interactions, from_codes
from recommend.model import Model, only
from recommend.protocols import Wanted
from recommend.validation import Bounds, folds
from recommend.weights import WeightSettings
from tests.histories import DAY_S, START_S, tasted

CUT_S = START_S + 80 * DAY_S


def run(task: protocols.Task, names: str = "ndcg@10,recall@10,hr@10", **options: Any) -> dict[str, Any]:
    return protocols.run(task, Wanted(metrics.parse(names), factors=8, epochs=6, **options))


def with_rows(history: Interactions, rows: list[tuple[str, str, float]]) -> Interactions:
    viewers, items = [*history.viewer_ids], [*history.item_ids]
    for viewer, item, _ in rows:
        viewers += [] if viewer in viewers else [viewer]
        items += [] if item in items else [item]
    return from_codes(
        [*history.viewers, *(viewers.index(row[0]) for row in rows)], [*history.items, *(items.index(row[1]) for row in rows)],
        [*history.at_s, *(row[2] for row in rows)], viewers, items,
    )  # fmt: skip


@pytest.fixture(scope="module")
def timed() -> dict[str, Any]:
    return run(protocols.global_time(tasted(), cut=CUT_S))


def test_the_result_has_the_shape_of_the_contract(timed: dict[str, Any]) -> None:
    assert set(timed) >= {
        "protocol", "model", "settings", "chosen_on", "metrics", "intervals", "baselines", "fit_cpu_s", "users", "items",
    }  # fmt: skip
    assert (timed["protocol"], timed["chosen_on"]) == ("global-time", "validation")
    assert json.loads(json.dumps(timed)) == timed
    for name, (low, high) in timed["intervals"].items():
        assert low <= timed["metrics"][name] <= high


def test_denominators_candidates_and_ties_are_stated(timed: dict[str, Any]) -> None:
    """Pitfall 15."""
    assert timed["ties"].startswith("pessimistic")
    assert {"candidates", "recall", "users"} <= set(timed["definitions"])
    assert 0 <= timed["users_without_hits"] < timed["users"]


def test_warm_and_cold_viewers_are_told_apart_with_intervals(timed: dict[str, Any]) -> None:
    """Pitfall 16."""
    new = with_rows(tasted(), [(f"new-{number}", f"item-{number:03d}", CUT_S + number) for number in range(5)])
    found = run(protocols.global_time(new, cut=CUT_S), model="popularity")
    assert found["breakdown"]["cold"]["users"] == 5
    assert found["breakdown"]["warm"]["users"] == timed["users"] == found["users"] - 5
    parts = found["breakdown"]
    mean = sum(part["users"] * part["metrics"]["ndcg@10"] for part in parts.values()) / found["users"]
    assert found["metrics"]["ndcg@10"] == pytest.approx(mean)


def test_every_baseline_answers_beside_the_model(timed: dict[str, Any]) -> None:
    """Pitfall 17."""
    assert set(timed["baselines"]) == {"popularity", "trending-7d", "trending", "als", "rp3beta"}
    assert set(timed["differences"]) == set(timed["baselines"])
    assert timed["metrics"]["ndcg@10"] > 1.3 * timed["baselines"]["popularity"]["ndcg@10"]
    assert timed["differences"]["popularity"]["ndcg@10"]["low"] > 0


def test_nothing_from_the_cut_on_has_any_effect_on_training() -> None:
    """Pitfall 14: canaries at the cut and after it change the question and nothing else."""
    canaries = [("canary", "item-000", CUT_S), ("viewer-001", "egg", CUT_S + 1), ("canary", "egg", CUT_S + 2)] * 40
    plain, loud = protocols.global_time(tasted(), cut=CUT_S), protocols.global_time(with_rows(tasted(), canaries), cut=CUT_S)
    assert (loud.history.viewer_ids, loud.history.item_ids, loud.items) == (plain.history.viewer_ids, plain.history.item_ids, plain.items)
    for name in ("viewers", "items", "at_s"):
        np.testing.assert_array_equal(getattr(loud.history, name), getattr(plain.history, name))
    for settings in (WeightSettings(), WeightSettings(half_life_days=30.0)):
        one, other = build(plain.history, settings, now_s=plain.now_s), build(loud.history, settings, now_s=loud.now_s)
        assert one.trending(7.0).tobytes() == other.trending(7.0).tobytes()
        assert one.popularity.tobytes() == other.popularity.tobytes()
        assert one.values.data.tobytes() == other.values.data.tobytes()


def test_titles_nobody_knew_count_in_the_denominator() -> None:
    """Pitfall 15: what is new after the cut was to be found too, and could not be."""
    task = protocols.global_time(with_rows(tasted(), [("viewer-000", "egg", CUT_S + 1)]), cut=CUT_S)
    data = build(task.history, WeightSettings(), now_s=task.now_s)
    with_egg, without = task.question(data), protocols.global_time(tasted(), cut=CUT_S).question(data)
    assert with_egg.counts.sum() == without.counts.sum() + 1
    assert with_egg.held.nnz == without.held.nnz


def test_a_title_that_was_seen_is_neither_candidate_nor_found() -> None:
    """Pitfall 3."""
    history = tasted()
    task = protocols.global_time(history, cut=CUT_S)
    seen = history.item_ids[int(history.items[(history.viewers == 0) & (history.at_s < CUT_S)][0])]
    again = protocols.global_time(with_rows(history, [("viewer-000", seen, CUT_S + 5)]), cut=CUT_S)
    data = build(task.history, WeightSettings(), now_s=task.now_s)
    first, second = task.question(data), again.question(data)
    assert first.held.nnz == second.held.nnz
    model = Model(settings_of(), None, None, data.popularity, data.trending(7.0))
    lists = ask(second, [Entrant("m", model, only("popularity"))], 30)["m"].lists
    assert lists is not None
    for row, trained in enumerate(second.trained):
        history_of = set(data.values[[int(trained)]].indices)
        assert not history_of & set(lists[row])


def settings_of() -> Any:
    from recommend.fold_in import AlsSettings

    return AlsSettings()


def files_of(folder: Path) -> tuple[Path, Path, Path]:
    """A leave-one-out set: the last title of each viewer among 20 negatives, one of which is the title itself."""
    history = tasted()
    rng = np.random.default_rng(0)
    train, test, negative = [], [], []
    for viewer in range(len(history.viewer_ids)):
        mine = history.items[history.viewers == viewer]
        others = rng.permutation(np.setdiff1d(np.arange(80), mine))[:20]
        train += [f"{viewer}\t{item}\t5\t{number}" for number, item in enumerate(mine[:-1])]
        test.append(f"{viewer}\t{mine[-1]}\t5\t99")
        negative.append("\t".join([f"({viewer},{mine[-1]})", str(mine[-1]), *map(str, others)]))
    for name, lines in (("train", train), ("test", test), ("negatives", negative)):
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder / "train", folder / "test", folder / "negatives"


def test_leave_one_out(tmp_path: Path) -> None:
    found = run(protocols.leave_one_out(*files_of(tmp_path)), "hr@1,hr@10,ndcg@10,mrr@10")
    assert (found["users"], found["items"], found["negatives_dropped"], found["chosen_on"]) == (120, 80, 120, "validation")
    assert found["metrics"]["hr@10"] > found["baselines"]["popularity"]["hr@10"] + 0.1
    assert found["metrics"]["hr@1"] <= found["metrics"]["mrr@10"] <= found["metrics"]["ndcg@10"] <= found["metrics"]["hr@10"]
    assert found["definitions"]["rank"] == "1 + candidates that score at least as high"


def test_the_rank_among_negatives_is_pessimistic(tmp_path: Path) -> None:
    """Pitfall 15: by hand. Popularity x 3, y 2, z 2, w 1; the title to be found is z."""
    (tmp_path / "train").write_text("".join(f"{user} {item}\n" for user, item in zip("abcabcd", "xxxyyzz", strict=True)) + "d w\n")
    (tmp_path / "test").write_text("e z\n")
    for negatives, place in (("w", 1), ("y", 2), ("x y", 3), ("x y w z", 3)):
        (tmp_path / "negatives").write_text("(e,z)\t" + negatives.replace(" ", "\t") + "\n")
        task = protocols.leave_one_out(tmp_path / "train", tmp_path / "test", tmp_path / "negatives")
        found = run(task, "mrr@10,hr@1", model="popularity")
        assert found["metrics"]["mrr@10"] == pytest.approx(1 / place), negatives
        assert found["breakdown"]["cold"]["users"] == 1


def test_without_negatives_the_figures_are_the_mean_of_all_draws(tmp_path: Path) -> None:
    """By hand: 5 people have met x, 4 y, 3 w, 2 z, 1 v. To e, who has met x, y, w and v are free beside z: 2 of 3 are ahead of it."""
    counts = {"x": "abcde", "y": "abcd", "w": "abc", "z": "ab", "v": "a"}
    (tmp_path / "train").write_text("".join(f"{user} {item}\n" for item, users in counts.items() for user in users))
    (tmp_path / "test").write_text("e z\n")
    task = protocols.leave_one_out(tmp_path / "train", tmp_path / "test")
    found = run(task, "mrr@10,hr@2,hr@3,ndcg@3", model="popularity")
    assert found["metrics"] == pytest.approx({"mrr@10": 1 / 3, "hr@2": 0.0, "hr@3": 1.0, "ndcg@3": 0.5})  # all three are drawn
    question = task.question(build(task.history, WeightSettings()))
    data = build(task.history, WeightSettings())
    model = Model(settings_of(), None, None, data.popularity, data.trending(7.0))
    (answer,) = ask(replace(question, drawn=1), [Entrant("m", model, only("popularity"))], 2).values()
    assert answer.chances is not None
    np.testing.assert_allclose(answer.chances, [[1 / 3, 2 / 3]], rtol=1e-12)
    assert without_hits(answer) == 0


def test_draws_of_negatives_are_around_their_mean(tmp_path: Path) -> None:
    """Ten draws by seed, each asked as given candidates, against the exact mean and its own word of how far one draw is from it."""
    train, test, _ = files_of(tmp_path)
    task = protocols.leave_one_out(train, test)
    data = build(task.history, WeightSettings())
    entrants = [Entrant("m", Model(settings_of(), None, None, data.popularity, data.trending(7.0)), only("popularity"))]
    question = replace(task.question(data), drawn=20)
    wanted = metrics.parse("hr@10,ndcg@10,mrr@10,map@10")
    exact = tabulate(question, ask(question, entrants, 10)["m"], wanted, data.values, seed=1)
    values: dict[str, list[float]] = {}
    for seed in range(10):
        given = sampled.drawn(question.histories, question.held.indices.astype(np.intp), seed=seed, negatives=20)
        assert all(len(set(row)) == 20 and row.max() < 80 for row in given.values())
        one = replace(question, drawn=0, candidates=given)
        for name, value in tabulate(one, ask(one, entrants, 10)["m"], wanted, data.values, seed=1).values.items():
            values.setdefault(name, []).append(value)
    for name, of_draws in values.items():
        assert abs(np.mean(of_draws) - exact.values[name]) < 4 * exact.one_draw[name] / np.sqrt(10), name
        assert 0 < exact.one_draw[name] < 0.1


@pytest.mark.parametrize(("ahead", "others", "negatives"), [(0, 30, 5), (7, 30, 5), (30, 30, 5), (29, 30, 5), (3, 4, 9), (0, 0, 9)])
def test_the_chance_of_each_place_is_hypergeometric(ahead: int, others: int, negatives: int) -> None:
    drawn = min(others, negatives)
    exact = [comb(ahead, j) * comb(others - ahead, drawn - j) / comb(others, drawn) if j <= drawn else 0.0 for j in range(10)]
    found = sampled.chances(np.array([ahead]), np.array([others]), 10, negatives=negatives)
    np.testing.assert_allclose(found[0], exact, atol=1e-12)


def test_whole_lists_cannot_be_had_from_given_candidates(tmp_path: Path) -> None:
    with pytest.raises(metrics.UnknownMetric, match="whole lists"):
        run(protocols.leave_one_out(*files_of(tmp_path)), "coverage@10", model="popularity")


def test_full_ranking_by_hand(tmp_path: Path) -> None:
    """Recall over the size of the test set, NDCG over min(k, that size); titles of the training file are no candidates."""
    (tmp_path / "train").write_text("0 1 2\n1 1 2 3\n2 1 3\n3 5\n")  # popularity: 1 x 3, 2 x 2, 3 x 2, 5 x 1
    (tmp_path / "test").write_text("0 3 4 5\n1\n2 5\n")
    found = run(protocols.full_ranking(tmp_path / "train", tmp_path / "test"), "recall@2,ndcg@2,hr@2", model="popularity")
    # User 0 gets 3, 5 (4 is unknown to training: popularity 0): 2 of 3. User 2 gets 2, 5: 1 of 1, second.
    assert (found["users"], found["items"]) == (2, 5)
    assert found["metrics"]["recall@2"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["metrics"]["ndcg@2"] == pytest.approx((1 + 1 / np.log2(3)) / 2)


def test_a_validation_file_counts_as_history(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("0 1\n1 1 2\n")
    (tmp_path / "valid").write_text("0 2\n")
    (tmp_path / "test").write_text("0 3\n")
    found = run(protocols.full_ranking(tmp_path / "train", tmp_path / "test", tmp_path / "valid"), "recall@1", model="popularity")
    assert found["metrics"]["recall@1"] == 1.0  # 1 and 2 are history, 3 is all that is left


def test_settings_are_chosen_on_the_validation_file(tmp_path: Path) -> None:
    history = tasted()
    lines: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for viewer in range(120):
        mine = [str(item) for item in history.items[history.viewers == viewer]]
        for name, part in (("train", mine[4:]), ("valid", mine[2:4]), ("test", mine[:2])):
            lines[name].append(" ".join([str(viewer), *part]))
    for name, rows in lines.items():
        (tmp_path / name).write_text("\n".join(rows) + "\n")
    task = protocols.full_ranking(tmp_path / "train", tmp_path / "test", tmp_path / "valid")
    (fold,) = folds(task.history, task.cut, WeightSettings(), seed=1, bounds=Bounds())
    assert (fold.fit.values.nnz, fold.held.nnz, len(fold.judged)) == (1_200, 240, 120)
    assert run(task, "recall@20")["chosen_on"] == "validation"


@pytest.mark.parametrize("model", ["als", "rp3beta", "popularity", "blend"])
def test_each_model_can_be_asked_for(tmp_path: Path, model: str) -> None:
    found = run(protocols.leave_one_out(*files_of(tmp_path)), "hr@10", model=model)
    assert found["model"] == model or model == "blend"
    assert found["metrics"]["hr@10"] > 0


def test_the_same_seed_gives_the_same_figures(timed: dict[str, Any]) -> None:
    """Pitfall 8, for a whole run."""
    again = run(protocols.global_time(tasted(), cut=CUT_S))
    times = ("fit_cpu_s", "choice_cpu_s", "cpu_s")
    assert {name: value for name, value in again.items() if name not in times} == {k: v for k, v in timed.items() if k not in times}


def test_a_cut_outside_of_the_history_is_refused() -> None:
    with pytest.raises(loaders.BadFile, match="on one side"):
        protocols.global_time(tasted(), cut=START_S + 500 * DAY_S)


def test_known_sets_are_checked_against_the_published_figure() -> None:
    shape = (6_040, 3_704, 988_129)
    assert published.self_check("leave-one-out", shape, {"hr@10": 0.4535, "ndcg@10": 0.2543})["agrees"] is True
    assert published.self_check("leave-one-out", shape, {"hr@10": 0.48})["agrees"] is False
    assert published.self_check("leave-one-out", shape, {"mrr@10": 0.2})["agrees"] is None
    assert published.self_check("leave-one-out", shape, {"hr@10": 0.458}, {"hr@10": 0.002})["agrees"] is True
    assert published.self_check("leave-one-out", shape, {"hr@10": 0.458}, {"hr@10": 0.001})["agrees"] is False
    assert published.self_check("full-ranking", shape, {"hr@10": 0.4535}) == {"set": None, "published_popularity": {}, "agrees": None}


def drifting(viewers: int = 90, titles: int = 12) -> Interactions:
    """Everybody watches eight titles of one taste of three, and then four of another: what comes next is of the second."""
    rng = np.random.default_rng(2)
    rows = []
    for viewer in range(viewers):
        first, second = rng.permutation(3)[:2]
        watched = [*(first * titles + rng.permutation(titles)[:8]), *(second * titles + rng.permutation(titles)[:4])]
        rows += [(viewer, int(title), float(number)) for number, title in enumerate(watched)]
    who, what, when = (list(column) for column in zip(*rows, strict=True))
    return from_codes(who, what, when, [f"v{n:02d}" for n in range(viewers)], [f"t{n:02d}" for n in range(3 * titles)])


def test_where_the_newest_titles_say_most_the_walk_starts_from_them() -> None:
    """Chosen on validation: where the order says something it fades, and where there is none it is not asked."""
    ask_last = Ask("last", factors=8, epochs=4, threads=1, short=False)
    found = choose(drifting(), ask_last)
    tried = {trial.settings["fade"]: trial.value for trial in found.trials if trial.what == "rp3beta"}
    assert found.walk.fade > 0
    assert tried[found.walk.fade] > tried[0] + 0.1
    assert choose(drifting(), replace(ask_last, cut="share")).walk.fade == 0


def test_of_a_dense_history_the_factors_see_more_than_the_walk() -> None:
    bounds = Bounds(dense_pairs_at_most=200, factor_pairs_at_most=500)
    (fold,) = folds(drifting(), "last", WeightSettings(), seed=1, bounds=bounds)
    assert fold.thinned
    assert fold.fit.values.nnz <= 200
    found = choose(drifting(), Ask("last", factors=8, epochs=4, threads=1, short=False, limits=bounds))
    again = choose(drifting(), Ask("last", factors=8, epochs=4, threads=1, short=False, limits=replace(bounds, factor_pairs_at_most=200)))
    first, second = ([trial for trial in one.trials if trial.what == "rp3beta"] for one in (found, again))
    count = min(len(first), len(second))  # other exponents are tried last, and only where the factors are not far better
    assert first[:count] == second[:count]
    assert [trial for trial in found.trials if trial.what == "als"] != [trial for trial in again.trials if trial.what == "als"]


def test_of_many_viewers_some_are_asked_and_the_rest_still_train() -> None:
    whole = protocols.global_time(tasted(), cut=CUT_S)
    some = protocols.global_time(tasted(), cut=CUT_S, viewers_at_most=7, seed=3)
    data = build(whole.history, WeightSettings(), now_s=CUT_S)
    assert len(some.history) == len(whole.history)
    assert 0 < len(some.question(data)) <= 7 < len(whole.question(data))
    assert some.facts == whole.facts
    assert some.facts["users_after_cut"] >= len(whole.question(data))
