"""Three ways to cut a history into what is known and what is to be found, and one run of them: choose, fit, ask, report.

    global-time    one moment in time: everything before trains, everything from it on is to be found. Nothing later than the moment is
                   read before the answers are compared: no id, no count, no setting.
    leave-one-out  the NCF protocol: one title of each viewer among given negatives; rank = 1 + candidates scoring at least as high.
                   Without a file of negatives, the exact mean over all draws of 99 (`recommend.sampled`).
    full-ranking   the LightGCN text format: all titles that the viewer has not in the training file are candidates.

Settings are chosen inside the training part (`recommend.choice`), by a cut of the same kind, or on a validation file where there is one.
Popularity, trending, item-item and factors alone always answer too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy import sparse

from recommend import als, loaders, sampled, walk
from recommend.als import Matrix
from recommend.choice import Ask, Asked, Choice, Progress, choose
from recommend.dataset import Dataset, build
from recommend.evaluation import PESSIMISTIC, Entrant, Question, Table, ask, breakdown, differences, tabulate, without_hits
from recommend.interactions import Interactions, from_codes
from recommend.metrics import Metric
from recommend.model import Model, needed, only
from recommend.published import self_check
from recommend.validation import Cut, wanted_of

Named = Literal["global-time", "leave-one-out", "full-ranking"]
_GIVEN = "the given negatives and the title itself; a negative that equals it is dropped"
_DRAWN = f"{sampled.NEGATIVES} titles that the viewer has not met and the title itself: the exact mean over all draws, not one draw"
_ORDERED = "where the file has no timestamps, the order of its lines is the order in time"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to do. `model` "auto" is the blend with the weights that were chosen."""

    metrics: list[Metric]
    model: Literal["auto", "als", "rp3beta", "blend", "popularity"] = "auto"
    seed: int = 1
    factors: int = 192
    epochs: int = 10
    threads: int = 0
    fit: als.Fit = als.fit


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A protocol applied to data: what trains, how settings are chosen, and the question."""

    protocol: Named
    history: Interactions
    question: Callable[[Dataset], Question]
    cut: Cut
    now_s: float | None
    items: int
    facts: dict[str, Any]


def global_time(history: Interactions, *, cut: float | None = None, share: float = 0.8, viewers_at_most: int = 0, seed: int = 1) -> Task:
    """Cut at `cut` (seconds since 1970), or where `share` of the rows are before it. Rows of the very moment are to be found.

    Of more than `viewers_at_most` viewers after the cut so many are asked, drawn by `seed`; 0 asks everyone. All train."""
    moment = float(np.quantile(history.at_s, share)) if cut is None else cut
    known, later = history.before(moment), history.take(history.at_s >= moment)
    if not len(known) or not len(later):
        raise loaders.BadFile(f"All rows are on one side of {_date(moment)}: nothing to learn from, or nothing to find.")

    asked = _some_viewers(later, viewers_at_most, seed) if viewers_at_most else later

    def question(data: Dataset) -> Question:
        return _of_viewers(asked, data)

    facts = {
        "cut_at": _date(moment),
        "training_rows": len(known),
        "test_rows": len(later),
        "users_after_cut": len(np.unique(later.viewers)),
    }
    return Task("global-time", known, question, "time", moment, len(known.item_ids), facts)


def _some_viewers(rows: Interactions, most: int, seed: int) -> Interactions:
    there = np.unique(rows.viewers)
    if len(there) <= most:
        return rows
    kept = np.zeros(len(rows.viewer_ids), bool)
    kept[np.random.default_rng(seed).choice(there, most, replace=False)] = True
    return rows.take(kept[rows.viewers])


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _of_viewers(later: Interactions, data: Dataset) -> Question:
    """The viewers of `later`, with titles they had not met; viewers and titles that training does not know are among them."""
    viewer_code = {viewer: code for code, viewer in enumerate(data.viewer_ids)}
    item_code = {item: code for code, item in enumerate(data.item_ids)}
    asked = later.compact()
    places = np.array([item_code.get(item, -1) for item in asked.item_ids], np.int64)
    trained = np.array([viewer_code.get(viewer, -1) for viewer in asked.viewer_ids], np.int64)
    wanted = wanted_of(asked, _nothing(len(asked.viewer_ids), len(asked.item_ids)))
    rows, items = np.repeat(np.arange(wanted.shape[0]), np.diff(wanted.indptr)), places[wanted.indices]
    histories = _rows_of(data.by_time, trained)
    ordered = data.values[np.maximum(trained, 0)]
    keys = np.repeat(np.arange(len(trained)), np.diff(ordered.indptr)) * (len(data.item_ids) + 1) + ordered.indices
    known = trained[np.repeat(np.arange(len(trained)), np.diff(ordered.indptr))] >= 0
    met = np.isin(rows * (len(data.item_ids) + 1) + items, keys[known]) & (items >= 0)
    counts = np.bincount(rows[~met], minlength=len(trained)).astype(np.int64)
    there = ~met & (items >= 0)
    shape = (len(trained), len(data.item_ids))
    held = sparse.csr_array((np.ones(int(there.sum()), np.float32), (rows[there], items[there])), shape=shape)
    held.sort_indices()
    kept = np.flatnonzero(counts > 0)
    said = {
        "candidates": "all titles known before the cut that the viewer had not met",
        "recall": "hits / titles to be found, also such as were new after the cut",
        "users": "everyone with a new title after the cut; viewers without history are cold",
    }
    return Question(histories[kept], held[kept], trained[kept], counts[kept], said=said)


def _nothing(rows: int, columns: int) -> Matrix:
    return sparse.csr_array((np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(rows + 1, np.int32)), shape=(rows, columns))


def _rows_of(values: Matrix, trained: Any) -> Matrix:
    """Rows of a matrix, empty ones where the place is -1."""
    found = values[np.maximum(trained, 0)]
    lengths = np.where(trained >= 0, np.diff(found.indptr), 0)
    kept = np.repeat(trained >= 0, np.diff(found.indptr))
    return sparse.csr_array((found.data[kept], found.indices[kept], np.r_[0, np.cumsum(lengths)]), shape=found.shape)


def leave_one_out(train: Path, test: Path, negatives: Path | None = None) -> Task:
    """The three files of the NCF protocol, or two of them."""
    history = loaders.ratings(train)
    held = loaders.held_out(test)
    others = loaders.negatives(negatives) if negatives else None
    absent = [f"({user},{item})" for user, item in held if others and (user, item) not in others.of]
    if negatives and absent:
        raise loaders.BadFile(f"{negatives.name} has no line for {absent[0]}, which is in {test.name}.")
    given = others.of if others else {}
    history = _with_items(history, {item for row in given.values() for item in row} | {item for _, item in held})

    def question(data: Dataset) -> Question:
        viewers, items = _codes(data.viewer_ids), _codes(data.item_ids)
        trained = np.array([viewers.get(user, -1) for user, _ in held], np.int64)
        columns = np.array([items[item] for _, item in held], np.int32)
        wanted = sparse.csr_array((np.ones(len(held), np.float32), columns, np.arange(len(held) + 1)), shape=(len(held), len(items)))
        rows = {row: np.array([items[item] for item in given[pair]], np.int64) for row, pair in enumerate(held)} if others else {}
        said = {"candidates": _GIVEN if others else _DRAWN, "rank": "1 + candidates that score at least as high", "time": _ORDERED}
        count = 0 if others else sampled.NEGATIVES
        return Question(_rows_of(data.by_time, trained), wanted, trained, np.ones(len(held), np.int64), rows, count, said)

    facts = {"training_rows": len(history), "test_rows": len(held), "negatives_dropped": others.dropped if others else 0}
    return Task("leave-one-out", history, question, "last", None, len(history.item_ids), facts)


def _codes(ids: tuple[str, ...]) -> dict[str, int]:
    return {name: code for code, name in enumerate(ids)}


def _with_items(history: Interactions, items: set[str]) -> Interactions:
    """The same rows over more titles."""
    new = sorted(items - set(history.item_ids))
    return from_codes(
        history.viewers, history.items, history.at_s, history.viewer_ids, [*history.item_ids, *new],
        watched_fraction=history.watched_fraction, signal=history.signal,
    )  # fmt: skip


def full_ranking(train: Path, test: Path, validation: Path | None = None) -> Task:
    """The text files of the LightGCN protocol. A validation file is history too once the settings are chosen."""
    known, later = loaders.adjacency(train), loaders.adjacency(test)
    extra = loaders.adjacency(validation) if validation else {}
    items = {item for lines in (known, extra, later) for row in lines.values() for item in row}
    rows = [(user, item, 0.0) for user, row in known.items() for item in row]
    rows += [(user, item, 1.0) for user, row in extra.items() for item in row]
    if not rows:
        raise loaders.BadFile(f"{train.name} has users but no items.")
    viewers, titles = [user for user, _, _ in rows], [item for _, item, _ in rows]
    viewer_ids, item_ids = sorted(set(viewers)), sorted(items)
    viewer_of, item_of = _codes(tuple(viewer_ids)), _codes(tuple(item_ids))
    history = from_codes(
        [viewer_of[viewer] for viewer in viewers], [item_of[title] for title in titles], [at for _, _, at in rows], viewer_ids, item_ids
    )

    def question(data: Dataset) -> Question:
        asked = [(user, row) for user, row in later.items() if row]
        trained = np.array([viewer_of.get(user, -1) for user, _ in asked], np.int64)
        columns = [sorted({item_of[item] for item in row}) for _, row in asked]
        counts = np.array([len(row) for row in columns], np.int64)
        flat = np.array([code for row in columns for code in row], np.int32)
        shape = (len(asked), len(item_ids))
        held = sparse.csr_array((np.ones(len(flat), np.float32), flat, np.r_[0, np.cumsum(counts)]), shape=shape)
        said = {
            "candidates": "all titles that the viewer has not in the training file",
            "recall": "hits / size of the viewer's test set",
            "ndcg": "ideal over min(k, that size)",
        }
        return Question(_rows_of(data.by_time, trained), held, trained, counts, said=said)

    facts = {"training_rows": len(history), "validation_file": validation is not None}
    return Task("full-ranking", history, question, "given" if extra else "share", None, len(item_ids), facts)


def run(task: Task, wanted: Wanted, *, progress: Progress = lambda _what, _share: None) -> dict[str, Any]:
    """The whole of `headwater evaluate`, as the value that it prints with --json."""
    started = time.process_time()
    asked: Asked = "blend" if wanted.model in {"auto", "blend"} else wanted.model  # type: ignore[assignment]
    short = task.cut == "time"
    ask_for = Ask(task.cut, wanted.factors, wanted.epochs, wanted.seed, wanted.threads, short=short, model=asked)
    choice = choose(task.history, ask_for, progress=progress)
    return answer(task, choice, wanted, progress=progress, choice_cpu_s=time.process_time() - started)


def answer(task: Task, choice: Choice, wanted: Wanted, *, progress: Progress, choice_cpu_s: float = 0.0) -> dict[str, Any]:
    """The same with settings that were chosen before, inside the task's history."""
    started = time.process_time() - choice_cpu_s
    data = build(task.history, choice.weights, now_s=task.now_s)
    model = fitted(data, choice, needed(choice.steps), wanted, progress)
    fit_cpu_s = time.process_time() - started
    entrants = [Entrant("model", model, choice.steps), *baselines(task, data, model, choice, wanted, progress=progress)]
    question = task.question(data)
    progress("Ranking", 0.5)
    answers = ask(question, entrants, max(metric.k for metric in wanted.metrics))
    tables = {name: tabulate(question, found, wanted.metrics, data.values, seed=wanted.seed) for name, found in answers.items()}
    mine = tables.pop("model")
    return {
        "protocol": task.protocol, "model": _name(choice), "settings": choice.as_json(), "chosen_on": choice.chosen_on,
        "metrics": mine.values, "intervals": mine.intervals,
        "baselines": {name: table.values for name, table in tables.items()},
        "baseline_intervals": {name: table.intervals for name, table in tables.items()},
        "differences": {name: differences(mine, table, seed=wanted.seed) for name, table in tables.items()},
        "breakdown": breakdown(question, mine), "baseline_breakdown": {name: breakdown(question, table) for name, table in tables.items()},
        "users": len(question), "items": task.items, "users_without_hits": without_hits(answers["model"]),
        "chosen_by_users": choice.viewers, "seed": wanted.seed, **task.facts,
        "fit_cpu_s": round(fit_cpu_s, 3), "choice_cpu_s": round(choice_cpu_s, 3), "cpu_s": round(time.process_time() - started, 3),
        "ties": PESSIMISTIC, "definitions": question.said, "self_check": _checked(task, question, tables), "one_draw": mine.one_draw,
    }  # fmt: skip


def fitted(data: Dataset, choice: Choice, parts: frozenset[str], wanted: Wanted, progress: Progress = lambda _what, _share: None) -> Model:
    """These parts of a model, with the settings that were chosen."""
    factors = walked = None
    if "als" in parts:
        factors = wanted.fit(
            data.values, choice.als, seed=wanted.seed, threads=wanted.threads, progress=lambda share: progress("Fitting factors", share)
        )
    if "walk" in parts:
        walked = walk.fit(data.by_time, choice.walk, progress=lambda share: progress("Fitting the item-item walk", share))
    return Model(choice.als, factors, walked, data.popularity, data.trending(choice.trending_days), choice.steps, choice.walk.fade)


def baselines(
    task: Task, data: Dataset, model: Model, choice: Choice, wanted: Wanted, *, progress: Progress = lambda _what, _share: None
) -> list[Entrant]:
    """Popularity, and where the blend was asked for each of its parts alone; a viewer without history gets popularity."""
    found = [Entrant("popularity", model, only("popularity"))]
    if wanted.model not in {"auto", "blend"}:
        return found
    if task.cut == "time":
        week = replace(model, trending=data.trending(7.0))
        found += [Entrant("trending-7d", week, only("trending")), Entrant("trending", model, only("trending"))]
    missing = frozenset({"als", "walk"}) - needed(choice.steps)
    rest = fitted(data, choice, missing, wanted, progress) if missing else model
    whole = replace(model, factors=model.factors or rest.factors, walk=model.walk if model.walk is not None else rest.walk)
    return [*found, Entrant("als", whole, only("als")), Entrant("rp3beta", whole, only("rp3beta"))]


def _name(choice: Choice) -> str:
    warm = [step for step in choice.steps if step.at_least]
    used = {name for name in ("als", "walk", "trending", "popularity") if any(getattr(step, name) for step in warm)}
    return {"walk": "rp3beta"}.get(alone := next(iter(used)), alone) if len(used) == 1 else "blend"


def _checked(task: Task, question: Question, tables: dict[str, Table]) -> dict[str, Any]:
    shape = (len(question), task.items, int(task.facts["training_rows"]))
    return self_check(task.protocol, shape, tables["popularity"].values, tables["popularity"].one_draw)
