"""One training run: measure on the newest part of the history, then learn from all of it, as one bundle.

1. The newest tenth of the rows is cut off. Settings are chosen inside what is before it, and the model they give is measured on it
beside every
   baseline: these are the figures in the bundle, and no setting was chosen on them.
2. The same settings are fitted to the whole history. That model is the bundle.

A history too short to cut is learnt from with the defaults and says that nothing was measured. Nothing is warm-started; the result is a
function of the history, the texts, the seed and the version's name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np

from kit.errors import BadRequest
from recommend import als, content, metrics, protocols, walk
from recommend.bundle import Bundle, encode_ids
from recommend.choice import Ask, Choice, Progress, choose
from recommend.dataset import Dataset, build, fingerprint
from recommend.interactions import Interactions
from recommend.ranking import prior
from recommend.report import page
from recommend.similar import Similar, similar

METRICS = "ndcg@10,hr@10,recall@20,map@10,mrr@10,coverage@10,gini@10,novelty@10,diversity@10"
_MEASURED_SHARE = 0.9
_LEAST_ROWS, _LEAST_VIEWERS = 200, 20  # below, nothing is measured and nothing chosen
_CELLS_ASKED, _LEAST_ASKED = 100_000_000, 2_000  # scores of viewers times titles that are measured: more say the same and take hours
_FACTORS, _FEW_TITLES_FACTORS, _FEW_TITLES = 128, 64, 2_000


class NothingToLearn(BadRequest):
    """The history holds no viewing that says anything."""

    code = "nothing_to_learn"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be trained. `factors` 0 chooses by the size of the catalogue."""

    version: str
    at: datetime
    seed: int = 1
    factors: int = 0
    epochs: int = 12
    threads: int = 0
    texts: Mapping[str, str] | None = None  # by title id
    engine: Literal["implicit", "spark"] = "implicit"
    fit: als.Fit = als.fit  # the engine's


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    bundle: Bundle
    outcome: dict[str, Any]  # what `headwater train --json` prints


def train(history: Interactions, order: Order, *, progress: Progress = lambda _what, _share: None) -> Trained:
    """Raises NothingToLearn, BadMatrix, FitFailed."""
    started = time.process_time()
    factors = order.factors or (_FACTORS if len(history.item_ids) >= _FEW_TITLES else _FEW_TITLES_FACTORS)
    ask = Ask("time", factors, order.epochs, order.seed, order.threads, by_count=order.engine == "spark")
    measured, choice = measure(history, ask, fit=order.fit, progress=progress)
    data = build(history, choice.weights, now_s=float(history.at_s.max(initial=0.0)))
    if not (data.values.data > 0).any():
        raise NothingToLearn("Nobody has watched anything yet: there is nothing to learn from.")
    bundle = _fitted(data, choice, order, progress)
    facts = {
        "settings": choice.as_json(), "chosen_on": choice.chosen_on, "chosen_by_users": choice.viewers, "engine": order.engine,
        "trained_at": order.at.isoformat(), "history_ends_at_s": data.now_s, "seed": order.seed, "fingerprint": fingerprint(history),
        "data": {"rows": len(history), "pairs": int(data.values.nnz), "users": len(data.viewer_ids), "items": len(data.item_ids)},
        "metrics": measured, "choice": [{"what": trial.what, "value": trial.value, **trial.settings} for trial in choice.trials],
        "cpu_s": round(time.process_time() - started, 3),
    }  # fmt: skip
    outcome = {"version": order.version, **{name: value for name, value in facts.items() if name != "choice"}}
    return Trained(replace(bundle, facts=facts, report=page(order.version, facts)), outcome)


def measure(history: Interactions, ask: Ask, *, fit: als.Fit = als.fit, progress: Progress) -> tuple[dict[str, Any], Choice]:
    """Figures of the newest tenth, and the settings that were chosen before it."""
    wanted = protocols.Wanted(metrics.parse(METRICS), seed=ask.seed, factors=ask.factors, epochs=ask.epochs, threads=ask.threads, fit=fit)
    if len(history) >= _LEAST_ROWS and len(history.viewer_ids) >= _LEAST_VIEWERS:
        try:
            most = max(_LEAST_ASKED, _CELLS_ASKED // max(1, len(history.item_ids)))
            task = protocols.global_time(history, share=_MEASURED_SHARE, viewers_at_most=most, seed=ask.seed)
        except BadRequest:  # everything happened at one moment
            return {}, choose(history, ask, progress=progress)
        chosen = choose(task.history, ask, progress=progress)
        found = protocols.answer(task, chosen, wanted, progress=progress)
        kept = ("metrics", "intervals", "baselines", "baseline_intervals", "differences", "breakdown", "users", "users_after_cut",
                "users_without_hits", "cut_at", "ties", "definitions")  # fmt: skip
        return {name: found[name] for name in kept}, chosen
    return {}, replace(choose(history.take(np.zeros(0, np.intp)), ask), chosen_on="defaults")


def _fitted(data: Dataset, choice: Choice, order: Order, progress: Progress) -> Bundle:
    found = order.fit(
        data.values, choice.als, seed=order.seed, threads=order.threads, progress=lambda share: progress("Fitting factors", share)
    )
    walked = walk.fit(data.by_time, choice.walk, progress=lambda share: progress("Fitting the item-item walk", share))
    progress("Writing the model", 0.0)
    alike: Similar = similar(data.by_time, found.items)
    popularity, trending = data.popularity, data.trending(choice.trending_days)
    rows = np.repeat(np.arange(data.values.shape[0]), np.diff(data.values.indptr))
    newest = np.lexsort((-data.last_at_s, rows))
    texts = order.texts or {}
    words = [texts.get(item, "") for item in data.item_ids]
    learnt = content.fit(words, found.items, popularity) if any(words) else np.zeros((0, 0), np.float32)
    return Bundle(
        item_ids=encode_ids(data.item_ids), viewer_ids=encode_ids(data.viewer_ids), item_factors=found.items, viewer_factors=found.viewers,
        item_gram=found.gram, walk_indptr=walked.indptr.astype(np.int64), walk_items=walked.indices.astype(np.int32),
        walk_scores=walked.data.astype(np.float32), similar_indptr=alike.indptr, similar_items=alike.items, similar_scores=alike.scores,
        similar_support=alike.support, history_indptr=data.values.indptr.astype(np.int64),
        history_items=data.values.indices[newest].astype(np.int32), history_weights=data.values.data[newest].astype(np.float32),
        popularity=popularity, trending=trending, popularity_prior=prior(popularity), trending_prior=prior(trending),
        content_map=learnt, version=order.version,
    )  # fmt: skip
