"""What answers and events cost: `python -m bench.recommend_serving`, a part of `make bench-recommend`.

Ranking: one answer of 20 titles, from a history as the database holds it to an ordered list with reasons: weights, fold-in, the
blend over all titles, filters, the best, diversity; CPU time of the one thread, and the clock beside it, which other work on the
machine moves. At 40,000 titles of 128 factors (target: p99 2 ms) and at 200,000 (15 ms), in one thread, with random factors and
histories of 5 to 60 titles.

Home: a page of ten rows over HTTP (a real socket, the whole application, a live database with its impression log), target p95 50 ms.

Events: batches of 500 posted to the same server; events accepted in a second of CPU of the API process and its share of PostgreSQL is
not counted apart, so the wall clock of a server that is kept busy by one client is given beside it (target: 5,000 a second per core).

Writes bench/results/recommend-serving.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from threadpoolctl import threadpool_limits

from accounts import store as accounts
from bench.live_world import live_world
from kit.clock import SystemClock
from kit.world import World
from recommend.bundle import Bundle, encode_ids
from recommend.fold_in import AlsSettings, ground_of
from recommend.ranked import history_of, rank
from recommend.ranking import Weights, prior, shared
from recommend.shelf import Model, Shelf
from recommend.viewing import Seen, Session, seen
from recommend.weights import WeightSettings
from tests.api_client import served
from web.app import create_app

RESULTS = Path(__file__).parent / "results" / "recommend-serving.json"
F32 = np.float32
_clock = SystemClock()


def percentiles(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(times_s)
    return {
        "p50_ms": round(statistics.median(ordered) * 1e3, 3),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1e3, 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)] * 1e3, 3),
        "answers": len(ordered),
    }


def timed(work: Callable[[int], object], rounds: int, *, clock: Callable[[], float] = _clock.monotonic_s, warm: int = 20) -> list[float]:
    for number in range(warm):
        work(number)
    times = []
    for number in range(rounds):
        began_s = clock()
        work(number)
        times.append(clock() - began_s)
    return times


def synthetic(ids: list[str], factors: int, seed: int = 1) -> Bundle:
    """A model with the shape of a real one: 50 neighbours a title in the walk, 20 similar ones."""
    rng, count = np.random.default_rng(seed), len(ids)
    item_factors = rng.normal(0, 0.1, (count, factors)).astype(F32)
    popularity = (rng.pareto(1.2, count) * 20 + 1).astype(F32)

    def rows(length: int) -> dict[str, Any]:
        starts = np.arange(0, (count + 1) * length, length, dtype=np.int64)
        scores = -np.sort(-rng.random((count, length)).astype(F32), axis=1)
        return {"indptr": starts, "items": rng.integers(0, count, count * length, dtype=np.int32), "scores": scores.ravel()}

    walk, similar = rows(50), rows(20)
    settings = {
        "als": AlsSettings(factors).as_json(), "weights": WeightSettings(half_life_days=90.0).as_json(),
        "blend": [Weights(1, 0.5, 0.7, 0.3, 0.1).as_json(), Weights(5, 1.0, 0.7, 0.1, 0.05).as_json()],
    }  # fmt: skip
    return Bundle(
        item_ids=encode_ids(ids), viewer_ids=encode_ids(["v"]), item_factors=item_factors, viewer_factors=np.zeros((1, factors), F32),
        item_gram=item_factors.T @ item_factors, **{f"walk_{name}": value for name, value in walk.items()},
        **{f"similar_{name}": value for name, value in similar.items()}, similar_support=np.full(count * 20, 9, np.int32),
        history_indptr=np.zeros(2, np.int64), history_items=np.zeros(0, np.int32), history_weights=np.zeros(0, F32), popularity=popularity,
        trending=popularity, popularity_prior=prior(popularity), trending_prior=prior(popularity[::-1].copy()),
        content_map=np.zeros((0, 0), F32), version="bench",
        facts={"settings": settings, "metrics": {}, "trained_at": datetime.now(UTC).isoformat()},
    )  # fmt: skip


def histories(ids: list[str], now_s: float, count: int = 200) -> list[list[Seen]]:
    rng = np.random.default_rng(2)

    def session(item: str, number: int) -> Session:
        watched_s = float(rng.uniform(30, 3000))
        return Session(
            "v", item, str(number), watched_s, watched_s, watched_s, 3000.0, watched_s > 2700, False, now_s, now_s - number * 9e3
        )

    lengths = rng.integers(5, 61, count)
    return [seen([session(ids[int(k)], n) for n, k in enumerate(rng.integers(0, len(ids), length))], []) for length in lengths]


def bench_ranking(titles: int, factors: int, rounds: int) -> dict[str, Any]:
    ids = [f"ast_{number:08d}" for number in range(titles)]
    bundle = synthetic(ids, factors)
    handicap = np.where(np.random.default_rng(3).random(titles) > 0.05, 0.0, -np.inf).astype(F32)
    codes = {one: code for code, one in enumerate(ids)}
    model = Model(bundle, tuple(ids), codes, shared(bundle, added=handicap), ground_of(bundle), (), np.zeros((0, 0), F32))
    now_s = _clock.now().timestamp()
    viewers = histories(ids, now_s)

    def answer(number: int) -> object:
        viewer = viewers[number % len(viewers)]
        return rank(model, history_of(model, viewer, now_s), [title.asset_id for title in viewer if title.completed], 20)

    with threadpool_limits(1, "blas"):
        cpu, wall = (percentiles(timed(answer, rounds, clock=clock)) for clock in (time.thread_time, _clock.monotonic_s))
        return {"titles": titles, "factors": factors, "cpu": cpu, "wall": wall}


class FixedShelves:
    """A shelf that is never renewed: what is measured is answering."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def now(self) -> Shelf:
        return self._shelf


def fill(world: World, titles: int) -> list[str]:
    """Titles that can be watched, in the database."""
    ids = [f"ast_{number:026d}" for number in range(titles)]
    with world.db.begin() as conn:
        conn.exec_driver_sql("INSERT INTO plans (digest, plan) VALUES ('bench', '{}')")
        conn.exec_driver_sql(
            "INSERT INTO assets (id, title, tags, status, playable, source, plan_digest) SELECT 'ast_' || lpad(n::text, 26, '0'), "
            "'Title number ' || n, ARRAY['tag ' || n %% 12], 'ready', true, '{\"duration\": \"3000/1\"}', 'bench' "
            "FROM generate_series(0, %s) n",
            (titles - 1,),
        )
        conn.exec_driver_sql("INSERT INTO playback_ids (id, asset_id, policy) SELECT 'p' || id, id, 'public' FROM assets")
        conn.exec_driver_sql(
            "INSERT INTO presentations (asset_id, plan_digest, stage, multivariant, has_poster) "
            "SELECT id, 'bench', 'ready', '{}', true FROM assets"
        )
        conn.exec_driver_sql("ANALYZE")
    return ids


def bench_http(world: World, titles: int, factors: int, rounds: int) -> dict[str, Any]:
    """Home pages and events over a socket."""
    from recommend import shelf as shelves
    from recommend import store

    ids = fill(world, titles)
    app = create_app(world)
    with world.db.begin() as conn:
        key = accounts.create_key(conn, "bench").secret
        catalogue = store.titles(conn)
    rng = np.random.default_rng(5)
    trends = [store.Trend(ids[int(code)], float(heat), 3) for code, heat in zip(rng.integers(0, titles, 400), rng.random(400), strict=True)]
    plain = shelves.shelf_of(catalogue, trends)
    full = replace(plain, models={"a": shelves.model_of(synthetic(ids, factors), plain)}, trouble="")
    app.state.recommender.shelves = FixedShelves(full)
    with served(app) as base, httpx.Client(base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        events = bench_events(client, ids)
        viewers = [f"viewer-{number}" for number in range(50)]
        assert client.post("/v1/events", json=[one for viewer in viewers for one in a_history(viewer, ids, rng)]).status_code == 202
        rows = [len(client.get(f"/v1/viewers/{viewer}/home").json()["rows"]) for viewer in viewers[:10]]
        cpu_s = _cpu_s()
        home = percentiles(timed(lambda number: client.get(f"/v1/viewers/{viewers[number % 50]}/home").raise_for_status(), rounds, warm=0))
        home["cpu_ms"] = round((_cpu_s() - cpu_s) / rounds * 1e3, 2)  # of the API and of the client that asks it
    return {"titles": titles, "factors": factors, "home": {"rows": statistics.median(rows), **home}, "events": events}


def a_history(viewer: str, ids: list[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {"viewer_id": viewer, "asset_id": ids[int(code)], "session_id": f"s{n}", "kind": "complete" if n % 3 else "heartbeat",
         "position_s": 3000.0 if n % 3 else 900.0, "watched_s": 2900.0 if n % 3 else 900.0, "at": (now - timedelta(hours=n)).isoformat()}
        for n, code in enumerate(rng.integers(0, len(ids), 18))
    ]  # fmt: skip


def bench_events(client: httpx.Client, ids: list[str], batches: int = 40, size: int = 500) -> dict[str, float]:
    rng, at = np.random.default_rng(7), datetime.now(UTC).isoformat()
    bodies = [
        json.dumps({"events": [
            {"event_id": f"{batch}-{n}", "viewer_id": f"v{rng.integers(0, 5000)}", "asset_id": ids[int(rng.integers(0, 500))],
             "session_id": f"s{rng.integers(0, 5)}", "kind": "heartbeat", "position_s": float(n), "watched_s": float(n), "at": at}
            for n in range(size)
        ]})
        for batch in range(batches + 2)
    ]  # fmt: skip
    headers = {"content-type": "application/json"}
    for body in bodies[:2]:
        client.post("/v1/events", content=body, headers=headers).raise_for_status()
    cpu_s, began_s = _cpu_s(), _clock.monotonic_s()
    accepted = sum(client.post("/v1/events", content=body, headers=headers).raise_for_status().json()["accepted"] for body in bodies[2:])
    wall_s, cpu_s = _clock.monotonic_s() - began_s, _cpu_s() - cpu_s
    return {"accepted": accepted, "per_wall_s": round(accepted / wall_s), "per_cpu_s_of_the_api": round(accepted / cpu_s)}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def bench_live(titles: int, factors: int, rounds: int) -> dict[str, Any]:
    with live_world() as world:
        return bench_http(world, titles, factors, rounds)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    arguments.add_argument("--rounds", type=int, default=600, help="answers of each kind that are measured")
    rounds = arguments.parse_args().rounds
    ranking = [bench_ranking(40_000, 128, rounds), bench_ranking(200_000, 128, max(100, rounds // 4))]
    for found, target_ms in zip(ranking, (2.0, 15.0), strict=True):
        cpu, wall = found["cpu"], found["wall"]
        print(
            f"top 20 of {found['titles']:>7,} x {found['factors']}: p99 {cpu['p99_ms']} ms of CPU (p50 {cpu['p50_ms']}), "
            f"{wall['p99_ms']} ms by the clock (target {target_ms})"
        )
    live = bench_live(5_000, 64, max(100, rounds // 4))
    home, events = live["home"], live["events"]
    print(
        f"home over HTTP, {home['rows']:g} rows, {live['titles']:,} titles: p50 {home['p50_ms']} ms, p95 {home['p95_ms']} ms (target 50), "
        f"{home['cpu_ms']} ms of CPU"
    )
    print(f"events: {events['per_cpu_s_of_the_api']:,} per CPU second of the API, {events['per_wall_s']:,} per second (target 5,000)")
    result = {"at": datetime.now(UTC).isoformat(), "cpus": os.cpu_count(), "load": os.getloadavg()[0], "ranking": ranking, "live": live}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
