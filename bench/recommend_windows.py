"""Lists of a real history in one window after another: what a service with nightly training would have shown, a part of `python -m
bench.recommend`.

At each of ten moments everything before it trains, with settings that were chosen before it, and the viewers until the next moment are
asked. The values of all windows are put together, so that the intervals are those of a few hundred viewers, and those with a history are
told apart from those without, to whom every list is the same.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from recommend import metrics, protocols
from recommend.choice import Ask, choose
from recommend.dataset import build
from recommend.evaluation import Entrant, ask
from recommend.interactions import Interactions
from recommend.model import needed
from recommend.protocols import Wanted, baselines, fitted

_CUTS = np.linspace(0.5, 0.95, 10)
METRIC = metrics.Metric("ndcg", 10)


def windows(history: Interactions, *, factors: int = 64) -> dict[str, Any]:
    """NDCG@10 of the blend and of each baseline over all windows, and the paired differences, for all viewers and for known ones."""
    moments = [*np.quantile(history.at_s, _CUTS), np.inf]
    values: dict[str, list[metrics.PerViewer]] = {}
    known = []
    for begin, end in pairwise(moments):
        task = protocols.global_time(history.take(history.at_s < end), cut=float(begin))
        choice = choose(task.history, Ask("time", factors=factors, threads=1))
        data = build(task.history, choice.weights, now_s=task.now_s)
        question = task.question(data)
        wanted = Wanted([METRIC], factors=factors, threads=1)
        model = fitted(data, choice, needed(choice.steps), wanted)
        answers = ask(question, [Entrant("model", model, choice.steps), *baselines(task, data, model, choice, wanted)], METRIC.k)
        known.append(question.trained >= 0)
        for name, found in answers.items():
            values.setdefault(name, []).append(metrics.ranked(METRIC, found.hits, question.counts))
    table = {name: np.concatenate(parts) for name, parts in values.items()}
    warm = np.concatenate(known)
    return {name: _compared(table, rows) for name, rows in (("all", np.ones(len(warm), bool)), ("with a history", warm))}


def _compared(table: dict[str, metrics.PerViewer], rows: Any) -> dict[str, Any]:
    mine, found = table["model"][rows], {}
    for name, values in table.items():
        spread = metrics.interval(mine - values[rows], seed=1)
        found[name] = {"ndcg@10": round(float(values[rows].mean()), 4)}
        if name != "model":
            difference = round(float((mine - values[rows]).mean()), 4)
            found[name] |= {"difference": difference, "low": round(spread.low, 4), "high": round(spread.high, 4)}
    return {"viewers": int(rows.sum()), "models": found}
