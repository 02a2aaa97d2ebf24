"""A training run with its effects: compaction, reading the lake, publishing, and forgetting old versions.

The only module of the batch side that touches the world; `recommend.training` is what it asks. Two runs at once are harmless: each
publishes a whole model, and the later one is current.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from kit.ids import sortable
from kit.log import logger
from kit.world import World
from recommend import als, bundle, content, lake, store
from recommend.choice import Progress
from recommend.interactions import Interactions
from recommend.training import NothingToLearn, Order, train

KEPT_VERSIONS = 10
NARROWER = 0.8  # of the coverage before: less is said

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    since: datetime | None = None
    seed: int = 1
    factors: int = 0
    threads: int = 0
    keep: int = KEPT_VERSIONS
    publish: bool = True
    engine: Literal["implicit", "spark"] = "implicit"
    master: str = "local[*]"  # of Spark


def learn(
    world: World, options: Options, *, history: Interactions | None = None, progress: Progress = lambda _what, _share: None
) -> dict[str, Any]:
    """Train on the lake, or on `history`, and publish. Raises NothingToLearn and what the store and the database raise."""
    if history is None:
        progress("Reading the history", 0.0)
        lake.compact(world)
        history = lake.read_interactions(world, options.since)
        if not len(history):
            raise NothingToLearn("Nobody has watched anything yet: there is nothing to learn from.")
    elif options.since is not None:
        history = history.take(history.at_s >= options.since.timestamp()).compact()
    with world.db.connect() as conn:
        texts = {title.asset_id: content.text_of(title.title, title.description, title.tags) for title in store.titles(conn)}
    order = Order(sortable("mdl"), world.clock.now(), options.seed, options.factors, threads=options.threads, texts=texts)
    with _engine(world, options) as fit:
        trained = train(history, replace(order, engine=options.engine, fit=fit), progress=progress)
    before = next((one.facts for one in bundle.history(world.storage) if one.current), {})
    notes = narrowing(before, trained.outcome)
    for note in notes:
        _log.warning("model is narrower", version=order.version, detail=note)
    if options.publish:
        bundle.publish(world.storage, trained.bundle, world.clock)
        bundle.prune(world.storage, options.keep)
    return {**trained.outcome, "published": options.publish, "notes": notes}


def _engine(world: World, options: Options) -> AbstractContextManager[als.Fit]:
    """What fits the factors, for as long as it is needed. Spark is imported only where it is asked for."""
    if options.engine == "implicit":
        return nullcontext(als.fit)
    from recommend import spark

    return spark.opened(world.settings.scratch_dir, options.master)


def narrowing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What a person should hear when a model shows far fewer titles than the one before it. Pure."""
    old, new = (((facts.get("metrics") or {}).get("metrics") or {}).get("coverage@10") for facts in (before, after))
    if not old or new is None or new >= NARROWER * old:
        return []
    return [f"The lists cover {new:.1%} of the titles, where those of the model before covered {old:.1%}."]
