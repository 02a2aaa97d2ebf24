"""What training costs and what its lists are worth: `python -m bench.recommend`, a part of `make bench-recommend`.

    fit       1,000,000 events, 64 factors, 12 iterations, one thread: CPU seconds (target 5)
    dense     a set of MovieLens-1M's shape, leave-one-out, settings chosen by the code: CPU seconds of choosing and fitting (target 15)
    score     top 20 of one viewer including fold-in, at 40,000 titles of 128 factors (target p99 2 ms) and 200,000 (15 ms), CPU time
    folding   viewers who were never trained beside the same viewers trained, on a set of MovieLens-1M's shape and, with --ratings, on
              a real one: HR@10 that folding in loses (target 0.01)
    large     10,000,000 events of 200,000 viewers: dataset, choice, fit, similar titles and bundle; seconds and peak memory (target 4 GiB)
    lists     with --ratings FILE: a global-time split of a real set at three moments, the served blend beside every baseline
    windows   with --ratings: the same in ten windows one after another, all viewers together, and those with a history by themselves
    words     with --ratings, --titles FILE (movies.csv, movies.dat or a RecBole .item) and perhaps --tags FILE: a tenth of the titles is
              hidden; their order from words alone
    leave-one-out, full-ranking, split
              published protocols on the files that these options name (`bench.recommend_published`)

Made-up histories: viewers of a few tastes, titles with a Zipf law. They say what things cost, and nothing about how good a list is.
Writes bench/results/recommend.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bench.recommend_folding import folding_worth
from bench.recommend_published import full_ranking, leave_one_out, split
from bench.recommend_windows import windows
from bench.recommend_words import texts_of, words_worth
from recommend import als, dataset, fold_in, loaders, metrics, protocols, ranked, ranking
from recommend.choice import Ask, choose
from recommend.fold_in import AlsSettings
from recommend.interactions import Interactions, from_codes
from recommend.protocols import Wanted
from recommend.threads import single_blas
from recommend.training import Order, train
from recommend.weights import WeightSettings

RESULTS = Path(__file__).parent / "results" / "recommend.json"
_BY_SET = ("folding", "words", "full-ranking")  # what was measured of other sets stays
DAY_S = 86_400.0
GIB = 1 << 30


def made_up(viewers: int, items: int, events: int, *, tastes: int = 40, seed: int = 1) -> Interactions:
    """A history over a year. Half of what a viewer watches is of their taste, the rest is what everybody watches."""
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(0.0, 1.0, viewers)
    who = rng.choice(viewers, events, p=activity / activity.sum()).astype(np.int32)
    own = rng.random(events) < 0.5
    rank = np.minimum((items * rng.random(events) ** 3).astype(np.int64), items - 1)
    of_taste = np.minimum(rank // tastes * tastes + who % tastes, items - 1)
    what = np.where(own, of_taste, rank).astype(np.int32)
    at_s = 1.7e9 + rng.random(events) * 365 * DAY_S
    part = rng.beta(3, 1, events).astype(np.float32)
    return from_codes(who, what, at_s, [f"v{n:08d}" for n in range(viewers)], [f"t{n:07d}" for n in range(items)], watched_fraction=part)


def fit_cost() -> dict[str, Any]:
    data = dataset.build(made_up(50_000, 10_000, 1_000_000), WeightSettings())
    before = time.process_time()
    als.fit(data.values, AlsSettings(64, epochs=12), seed=1, threads=1)
    return {"events": 1_000_000, "pairs": int(data.values.nnz), "cpu_s": round(time.process_time() - before, 2), "target_s": 5}


def dense_cost() -> dict[str, Any]:
    """Pairs as in MovieLens-1M: 6,040 by 3,706, about a million, one held out of each viewer."""
    history = made_up(6_040, 3_706, 1_750_000, tastes=15)
    before = time.process_time()
    choice = choose(history, Ask("last", factors=192, epochs=10, short=False, threads=1))
    chosen = time.process_time()
    data = dataset.build(history, choice.weights)
    als.fit(data.values, choice.als, seed=1, threads=1)
    done = time.process_time()
    return {
        "pairs": int(data.values.nnz), "choice_cpu_s": round(chosen - before, 2), "fit_cpu_s": round(done - chosen, 2),
        "cpu_s": round(done - before, 2), "target_s": 15,
    }  # fmt: skip


def score_cost(titles: int, answers: int) -> dict[str, Any]:
    """`fold_in`, `score`, leaving out what was seen, and the best 20."""
    from bench.recommend_bundle import random_bundle

    rng = np.random.default_rng(2)
    bundle = random_bundle(titles, 128)
    common, ground = ranking.shared(bundle), fold_in.ground_of(bundle)
    took = []
    with single_blas():
        for _ in range(answers + 20):
            watched = [(int(item), 1.0) for item in rng.choice(titles, 40, replace=False)]
            before = time.thread_time()
            scores = ranking.score(bundle, fold_in.fold_in(bundle, watched, ground=ground), watched, common=common)
            scores[[item for item, _ in watched]] = -np.inf
            ranked.best(scores, 20)
            took.append((time.thread_time() - before) * 1e3)
    p50, p99 = np.percentile(took[20:], [50, 99])
    return {"titles": titles, "factors": 128, "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "answers": answers}


def large_cost(events: int) -> dict[str, Any]:
    """In a process of its own, so that the peak is its own."""
    argv = [sys.executable, "-m", "bench.recommend", "--child", str(events)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent).stdout
    return dict(json.loads(said))


def large_child(events: int) -> dict[str, Any]:
    history = made_up(max(50, events // 50), max(20, min(20_000, events // 500)), events)
    before, began = time.process_time(), time.monotonic()
    trained = train(history, Order("mdl_bench", datetime.now(UTC), factors=64, threads=2))
    return {
        "events": events, "users": trained.outcome["data"]["users"], "items": trained.outcome["data"]["items"],
        "pairs": trained.outcome["data"]["pairs"], "cpu_s": round(time.process_time() - before, 1), "wall_s": round(time.monotonic() -
        began, 1), "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB, 2), "target_gib": 4,
    }  # fmt: skip


def lists_worth(ratings: Path) -> list[dict[str, Any]]:
    history = loaders.ratings(ratings)
    wanted = Wanted(metrics.parse("ndcg@10,recall@20,hr@10"), factors=128, threads=1)
    rows = []
    for share in (0.7, 0.8, 0.9):
        found = protocols.run(protocols.global_time(history, share=share), wanted)
        rows.append({"trained_on_share": share} | {name: found[name] for name in ("users", "metrics", "intervals", "baselines",
        "differences",
                    "breakdown", "baseline_breakdown", "settings", "fit_cpu_s")})  # fmt: skip
    return rows


def words_of(ratings: Path, titles: Path, tags: Path | None) -> dict[str, Any]:
    """By the set, and by the seed that hides titles."""
    history, texts = loaders.ratings(ratings), texts_of(titles, tags)
    return {ratings.parent.name: {str(seed): words_worth(history, texts, seed=seed) for seed in (1, 2, 3)}}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000, help="of the large history; 0 leaves it out")
    parser.add_argument("--ratings", type=Path, help="user item rating timestamp")
    parser.add_argument("--titles", type=Path, help="movies.csv, movies.dat or a RecBole .item: names and genres")
    parser.add_argument("--tags", type=Path, help="userId,movieId,tag,timestamp: further words of the titles")
    parser.add_argument("--leave-one-out", type=Path, nargs="+", metavar="FILE", help="NCF files: TRAIN TEST [NEGATIVES]")
    parser.add_argument(
        "--full-ranking", type=Path, nargs="+", action="append", metavar="FILE", help="a line for each viewer: TRAIN TEST [VALIDATION]"
    )
    parser.add_argument("--split", type=Path, metavar="FILE", help="a ratings table that is split here, for full ranking")
    parser.add_argument("--only", default="", help="fit,score: only these parts; the figures of the others stay as they are in the file")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(large_child(options.child)))
        return 0
    now = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}
    found: dict[str, Any] = json.loads(RESULTS.read_bytes()) if options.only and RESULTS.exists() else now
    for name, measured in _parts(options).items():
        if not options.only or name in options.only.split(","):
            value = measured()
            found[name] = {**found.get(name, {}), **value} if options.only and name in _BY_SET else value
            if options.only:
                found["measured_apart"] = {**found.get("measured_apart", {}), name: now}
            print(f"{name:<8} {json.dumps(value)[:400]}", flush=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _parts(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """What there is to measure with these options."""
    found: dict[str, Callable[[], Any]] = {
        "fit": fit_cost, "dense": dense_cost, "score": lambda: [score_cost(40_000, 400), score_cost(200_000, 100)],
        "folding": lambda: _foldings(options.ratings),
    }  # fmt: skip
    if options.events:
        found["large"] = lambda: large_cost(options.events)
    if options.ratings:
        found["lists"] = lambda: lists_worth(options.ratings)
        found["windows"] = lambda: windows(loaders.ratings(options.ratings))
    if options.ratings and options.titles:
        found["words"] = lambda: words_of(options.ratings, options.titles, options.tags)
    if options.leave_one_out:
        found["leave-one-out"] = lambda: leave_one_out(options.leave_one_out)
    if options.full_ranking:
        found["full-ranking"] = lambda: {files[0].parent.name: full_ranking(files) for files in options.full_ranking}
    if options.split:
        found["split"] = lambda: split(loaders.ratings(options.split))
    return found


def _foldings(ratings: Path | None) -> dict[str, Any]:
    found = {"made up": folding_worth(made_up(6_040, 3_706, 1_000_000, tastes=15), tried=2)}
    return found | ({ratings.parent.name: folding_worth(loaders.ratings(ratings))} if ratings else {})


if __name__ == "__main__":
    sys.exit(main())
