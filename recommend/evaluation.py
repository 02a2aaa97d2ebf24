"""How good a model's lists are, beside every baseline, on what it could not have seen.

A `Question` is a set of viewers, what was known of each, and what is to be found; the protocols (`recommend.protocols`) make them. All
models answer the same question in one pass, so that their values can be compared viewer by viewer. Every result says what its numbers
mean: candidates, ties, denominators, and how many viewers nothing was found for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from recommend import metrics, sampled
from recommend.als import Matrix
from recommend.interactions import Floats
from recommend.metrics import Metric, PerViewer
from recommend.model import Model, blended, needed, part_scores
from recommend.ranking import Weights
from recommend.validation import exclude

_CELLS = 3_000_000  # scores that are in memory at once
PESSIMISTIC = "pessimistic: of equal scores the one that is not to be found comes first"


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One row for each viewer that is asked about. `trained` is their row in the model, -1 for a viewer it does not know."""

    histories: Matrix  # rows x titles, oldest first, signed values
    held: Matrix  # rows x titles: what is to be found, ones, columns ascend
    trained: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]  # titles to be found, also such as the model has never heard of
    candidates: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)  # of a row, where they are given
    drawn: int = 0  # candidates that a draw would give each row, all draws being equally probable; one title is to be found then
    said: dict[str, str] = field(default_factory=dict)  # candidate set, denominators: for people

    def __len__(self) -> int:
        return len(self.trained)


@dataclass(frozen=True, slots=True)
class Entrant:
    """A model that is compared: a name, how it blends, and the model whose parts it blends."""

    name: str
    model: Model
    steps: list[Weights]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of one entrant: hits by place for each row, and its lists (None where candidates were given). Where candidates would be drawn, the
    chance of a hit at each place, and no hits."""

    hits: metrics.Hits
    lists: npt.NDArray[np.int64] | None
    chances: PerViewer | None = None


def ask(question: Question, entrants: list[Entrant], k: int) -> dict[str, Answers]:
    """What each entrant answers, `k` places long."""
    found: dict[str, list[Answers]] = {entrant.name: [] for entrant in entrants}
    for rows in _blocks(question):
        histories, held = question.histories[rows], question.held[rows]
        for entrant, scores in _scores(question, entrants, rows, histories):
            if question.drawn:
                ahead, others = sampled.counted(exclude(scores, histories), held.indices.astype(np.intp))
                likely = sampled.chances(ahead, others, k, negatives=question.drawn)
                found[entrant.name].append(Answers(np.zeros((len(rows), k), bool), None, likely))
            elif question.candidates:
                found[entrant.name].append(Answers(_hits_among(question, rows, scores, held, k), None))
            else:
                lists = metrics.top(exclude(scores, histories), held, k)
                found[entrant.name].append(Answers(metrics.hits_of(lists, held), lists))
    return {name: _joined(parts, k) for name, parts in found.items()}


def _blocks(question: Question) -> Iterator[npt.NDArray[np.intp]]:
    size = max(1, _CELLS // max(1, question.held.shape[1]))
    for start in range(0, len(question), size):
        yield np.arange(start, min(start + size, len(question)))


def _scores(question: Question, entrants: list[Entrant], rows: npt.NDArray[np.intp], histories: Matrix) -> Iterator[tuple[Entrant, Floats]]:
    """The parts of one model are computed once for all entrants that share it."""
    models = {id(entrant.model): entrant.model for entrant in entrants}
    for identity, model in models.items():
        mine = [entrant for entrant in entrants if id(entrant.model) == identity]
        trained = question.trained[rows]
        vectors = None
        if model.factors is not None:
            vectors = np.where(trained[:, None] >= 0, model.factors.viewers[np.maximum(trained, 0)], np.float32(0.0))
        parts = part_scores(model, histories, vectors, parts=frozenset().union(*(needed(entrant.steps) for entrant in mine)))
        for entrant in mine:
            yield entrant, blended(parts, histories, entrant.steps)


def _hits_among(question: Question, rows: npt.NDArray[np.intp], scores: Floats, held: Matrix, k: int) -> metrics.Hits:
    """Rank among given candidates: 1 and those that score at least as high as the title to be found (one for each row)."""
    hits = np.zeros((len(rows), k), bool)
    for place, row in enumerate(rows):
        wanted = held.indices[held.indptr[place] : held.indptr[place + 1]]
        ahead = int((scores[place, question.candidates[int(row)]] >= scores[place, wanted[0]]).sum()) if len(wanted) else k
        if ahead < k:
            hits[place, ahead] = True
    return hits


def _joined(parts: list[Answers], k: int) -> Answers:
    hits = np.concatenate([np.zeros((0, k), bool), *(part.hits for part in parts)])
    lists = [part.lists for part in parts if part.lists is not None]
    likely = [part.chances for part in parts if part.chances is not None]
    return Answers(hits, np.concatenate(lists) if lists else None, np.concatenate(likely) if likely else None)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Values of the wanted metrics for one entrant; `each` keeps the ranked ones by viewer."""

    values: dict[str, float]
    intervals: dict[str, list[float]]
    each: dict[str, PerViewer]
    one_draw: dict[str, float] = field(default_factory=dict)  # standard deviation of the value of one draw, where candidates are drawn


def tabulate(question: Question, answers: Answers, wanted: list[Metric], seen: Matrix, *, seed: int) -> Table:
    values: dict[str, float] = {}
    intervals: dict[str, list[float]] = {}
    each: dict[str, PerViewer] = {}
    one_draw: dict[str, float] = {}
    for metric in wanted:
        if metric.name in metrics.RANKED:
            if answers.chances is not None:
                each[str(metric)] = metrics.expected(metric, answers.chances)
                one_draw[str(metric)] = metrics.deviation(metric, answers.chances)
            else:
                each[str(metric)] = metrics.ranked(metric, answers.hits, question.counts)
            values[str(metric)] = float(each[str(metric)].mean()) if len(question) else 0.0
            spread = metrics.interval(each[str(metric)], seed=seed)
            intervals[str(metric)] = [spread.low, spread.high]
        elif answers.lists is None:
            raise metrics.UnknownMetric(f"{metric} needs whole lists, and this protocol ranks given candidates.")
        else:
            values[str(metric)] = metrics.listed(metric, answers.lists, seen, seed=seed)
    return Table(values, intervals, each, one_draw)


def differences(one: Table, other: Table, *, seed: int) -> dict[str, dict[str, float]]:
    """How much better `one` is, by metric, with the interval of the paired difference."""
    found = {}
    for name, values in one.each.items():
        spread = metrics.interval(values - other.each[name], seed=seed)
        found[name] = {"difference": float((values - other.each[name]).mean()), "low": spread.low, "high": spread.high}
    return found


def breakdown(question: Question, table: Table) -> dict[str, Any]:
    """The same values for viewers the model knows and for those it does not."""
    found: dict[str, Any] = {}
    for name, rows in (("warm", question.trained >= 0), ("cold", question.trained < 0)):
        means = {metric: float(values[rows].mean()) for metric, values in table.each.items()} if rows.any() else {}
        found[name] = {"users": int(rows.sum()), "metrics": means}
    return found


def without_hits(answers: Answers) -> int:
    """Viewers for whom nothing was found; where candidates are drawn, as many as are to be expected."""
    if answers.chances is not None:
        return round(float((1.0 - answers.chances.sum(axis=1)).sum()))
    return int((~answers.hits.any(axis=1)).sum())
