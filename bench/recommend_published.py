"""Published protocols on files that are named, a part of `python -m bench.recommend`. None of the sets is in this repository.

    leave-one-out  TRAIN TEST [NEGATIVES]: the NCF files. Without the negatives their mean over all draws (`recommend.sampled`), and a few
                   draws by seed beside it, each asked as if it had been given.
    full-ranking   TRAIN TEST [VALIDATION]: one line for each viewer, as LightGCN and UltraGCN give their sets away.
    split          RATINGS: a set in that form made here, where the files of its authors are not at hand: rows of viewers and titles of
                   fewer than 20 are left out until none is left, then a fifth of each viewer's titles, drawn by seed, is to be found. Of
                   MovieLens-1M this leaves exactly the 6,022 viewers, 3,043 titles and 995,154 pairs that UltraGCN counts
                   ("Movielens1M_m1"); which of them are in its test file only that file says, so several seeds are measured.

Settings are chosen by the code on validation data inside the training part, as `headwater evaluate` does. CPU seconds are of choosing,
building and fitting, one thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recommend import metrics, protocols, sampled
from recommend.choice import Ask, choose
from recommend.dataset import build
from recommend.evaluation import Entrant, ask, tabulate
from recommend.interactions import Interactions
from recommend.model import needed, only
from recommend.protocols import Task, Wanted, fitted

_CORE, _TEST_SHARE = 20, 0.2
_SAID = ("users", "items", "training_rows", "metrics", "intervals", "baselines", "settings", "chosen_on", "choice_cpu_s", "fit_cpu_s",
         "self_check", "one_draw", "definitions")  # fmt: skip


def leave_one_out(files: Sequence[Path], *, factors: int = 192, draws: int = 5) -> dict[str, Any]:
    task = protocols.leave_one_out(*files)
    wanted = Wanted(metrics.parse("hr@10,ndcg@10"), factors=factors, threads=1)
    found = _said(protocols.run(task, wanted)) | {"negatives": "given" if len(files) > 2 else "mean over all draws"}
    return found if len(files) > 2 else found | {"draws": _draws(task, wanted, draws)}


def _draws(task: Task, wanted: Wanted, count: int) -> dict[str, list[dict[str, float]]]:
    """The blend and popularity among negatives of so many seeds."""
    choice = choose(task.history, Ask(task.cut, wanted.factors, wanted.epochs, wanted.seed, wanted.threads, short=False))
    data = build(task.history, choice.weights)
    model = fitted(data, choice, needed(choice.steps), wanted)
    entrants = [Entrant("model", model, choice.steps), Entrant("popularity", model, only("popularity"))]
    question = task.question(data)
    found: dict[str, list[dict[str, float]]] = {entrant.name: [] for entrant in entrants}
    for seed in range(1, count + 1):
        given = sampled.drawn(question.histories, question.held.indices.astype(np.intp), seed=seed)
        one = replace(question, drawn=0, candidates=given)
        for name, answers in ask(one, entrants, 10).items():
            values = tabulate(one, answers, wanted.metrics, data.values, seed=1).values
            found[name].append({metric: round(value, 4) for metric, value in values.items()})
    return found


def full_ranking(files: Sequence[Path], *, factors: int = 192) -> dict[str, Any]:
    wanted = Wanted(metrics.parse("recall@20,ndcg@20"), factors=factors, threads=1)
    return _said(protocols.run(protocols.full_ranking(*files), wanted))


def split(history: Interactions, *, seeds: Sequence[int] = (1, 2, 3), factors: int = 192) -> dict[str, Any]:
    """Full ranking on our own split of a set, by seed."""
    kept = core(history, _CORE)
    found: dict[str, Any] = {"users": len(kept.viewer_ids), "items": len(kept.item_ids), "pairs": len(kept), "seeds": {}}
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder:
            files = written(kept, Path(folder), seed=seed)
            found["seeds"][str(seed)] = full_ranking(files, factors=factors)
    return found


def core(history: Interactions, least: int) -> Interactions:
    """Rows of viewers and titles that have at least so many of such rows."""
    kept = np.ones(len(history), bool)
    while True:
        of_viewer, of_title = np.bincount(history.viewers[kept]), np.bincount(history.items[kept])
        few = np.zeros(len(history), bool)
        few[kept] = (of_viewer[history.viewers[kept]] < least) | (of_title[history.items[kept]] < least)
        if not few.any():
            return history.take(kept).compact()
        kept &= ~few


def written(history: Interactions, folder: Path, *, seed: int) -> tuple[Path, Path]:
    """train.txt and test.txt, viewers and titles by their codes: a fifth of the titles of each viewer, rounded, is in the second."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(history))
    order = order[np.argsort(history.viewers[order], kind="stable")]
    counts = np.bincount(history.viewers, minlength=len(history.viewer_ids))
    starts = np.r_[0, np.cumsum(counts)]
    lines: dict[str, list[str]] = {"train.txt": [], "test.txt": []}
    for viewer, count in enumerate(counts):
        titles = history.items[order[starts[viewer] : starts[viewer + 1]]]
        held = round(_TEST_SHARE * int(count))
        for name, part in (("test.txt", titles[:held]), ("train.txt", titles[held:])):
            lines[name].append(" ".join(map(str, [viewer, *sorted(part.tolist())])))
    for name, rows in lines.items():
        (folder / name).write_text("\n".join(rows) + "\n")
    return folder / "train.txt", folder / "test.txt"


def _said(found: dict[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in _SAID if name in found}
