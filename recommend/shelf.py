"""Everything that answers are made of and that belongs to no viewer: the titles, what is watched now, and the models.

A `Shelf` is one frozen value that is made in the background and exchanged whole, so an answer never mixes two models or waits for
one. `Shelves` looks every few seconds, when somebody asks: at the pointer of the models, at the time of the last change of any
asset, and at the trends. A model that cannot be read leaves the one before it in place. Threads are begun by asking and end with
their look.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kit.db import is_away
from kit.errors import HeadwaterError
from kit.log import logger
from kit.world import World
from recommend import bundle, measures, ranking, store
from recommend.bundle import Bundle
from recommend.fold_in import Ground, ground_of
from recommend.interactions import Floats
from recommend.ranking import Shared
from recommend.store import Title

LOOK_S = 3.0
TRENDS_S = 20.0
HALF_LIFE_S, WINDOW_S = 3 * 86_400.0, 21 * 86_400.0
STALE_S = 30 * 86_400.0  # a model that knows nothing of the last month
COPY_KEPT_S = 3_600.0  # of a model that this process no longer answers from
POPULARITY_PENALTY = 0.03  # of a deviation of log popularity, in the unit of the blend
NEW_MAX = 200  # titles too new for the model that are looked at
_FIRST_WAIT_S = 2.0  # what the very first answer waits for the first look
_WORD = re.compile(r"[^\W_]{4,}")

_log = logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A bundle beside the catalogue of now."""

    bundle: Bundle
    ids: tuple[str, ...]  # by code
    codes: Mapping[str, int]
    common: Shared  # of the blend: what is watched now, a little off for what everybody knows, all of it for what nobody may watch now
    ground: Ground  # of folding in
    unknown: tuple[str, ...]  # titles that the model has never seen, the newest first
    predicted: Floats  # what their words say of the newest of them: titles by factors, or by nothing


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    titles: Mapping[str, Title] = field(default_factory=dict)
    newest: tuple[str, ...] = ()
    hot: tuple[str, ...] = ()  # by heat; what nobody watches is not among them
    heat: Mapping[str, float] = field(default_factory=dict)
    by_tag: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the hottest first, then the newest
    by_word: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)  # by variant: a, b
    trouble: str = "none"  # why there is no model a


def words_of(title: Title) -> frozenset[str]:
    """What a title is about: its tags, and the longer words of its name."""
    return frozenset({f"#{tag.casefold()}" for tag in title.tags} | {word.casefold() for word in _WORD.findall(title.title)})


def shelf_of(titles: Sequence[Title], trends: Sequence[store.Trend]) -> Shelf:
    """The shelf without models. Pure."""
    by_id = {title.asset_id: title for title in titles}
    heat = {trend.asset_id: trend.heat for trend in trends if trend.asset_id in by_id}
    order = sorted(by_id, key=lambda asset_id: (heat.get(asset_id, 0.0), by_id[asset_id].created_at, asset_id), reverse=True)
    by_tag: dict[str, list[str]] = {}
    by_word: dict[str, list[str]] = {}
    for asset_id in order:
        for tag in dict.fromkeys(by_id[asset_id].tags):
            by_tag.setdefault(tag, []).append(asset_id)
        for word in words_of(by_id[asset_id]):
            by_word.setdefault(word, []).append(asset_id)
    newest = sorted(by_id, key=lambda asset_id: (by_id[asset_id].created_at, asset_id), reverse=True)
    return Shelf(
        by_id, tuple(newest), tuple(asset_id for asset_id in order if asset_id in heat), heat,
        {tag: tuple(found) for tag, found in by_tag.items()}, {word: tuple(found) for word, found in by_word.items() if len(found) > 1},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Since:
    """What was watched since the history of a model ended: by title, decayed with that model's half-life to `now_s`."""

    watched: Mapping[str, float]
    now_s: float


def model_of(found: Bundle, shelf: Shelf, since: Since | None = None) -> Model:
    """The bundle beside this catalogue. Pure."""
    ids = tuple(bytes(one).decode() for one in found.item_ids)
    servable: npt.NDArray[np.bool_] = np.fromiter((one in shelf.titles for one in ids), np.bool_, len(ids))
    handicap = np.where(servable, np.float32(-POPULARITY_PENALTY) * found.popularity_prior, np.float32(-np.inf)).astype(np.float32)
    codes = {one: code for code, one in enumerate(ids)}
    unknown = tuple(asset_id for asset_id in shelf.newest if asset_id not in codes)
    common = ranking.shared(found, trending_prior=_trending_now(found, ids, since) if since else None, added=handicap)
    return Model(found, ids, codes, common, ground_of(found), unknown, _predicted(found, [shelf.titles[one] for one in unknown[:NEW_MAX]]))


def _trending_now(found: Bundle, ids: Sequence[str], since: Since) -> Floats:
    """What training would count as trending now: its weight in the blend was chosen for that, and for no other half-life."""
    kept = 0.5 ** (max(0.0, since.now_s - found.history_ends_at_s) / found.trending_half_life_s)
    added = np.fromiter((since.watched.get(one, 0.0) for one in ids), np.float32, len(ids))
    return ranking.prior(found.trending * np.float32(kept) + added)


def _predicted(found: Bundle, titles: Sequence[Title]) -> Floats:
    """Factors by the words of titles (`recommend.content`), which is imported only where a model knows words."""
    if not titles or not found.content_map.size:
        return np.zeros((len(titles), 0), np.float32)
    from recommend import content

    return content.predict(found.content_map, [content.text_of(one.title, one.description, one.tags) for one in titles])


class Shelves:
    """Keeps the shelf of this process. Any thread may ask."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder: Path = world.settings.scratch_dir / "models"
        self._lock = threading.Lock()
        self._shelf = Shelf()
        self._bundles: dict[str, Bundle] = {}
        self._stamp: tuple[object, ...] = ()
        self._titles: list[Title] = []
        self._refused = ""
        self._trends_at_s = self._looked_at_s = -1e9
        self._looking = False
        self._first = threading.Event()

    def now(self) -> Shelf:
        """The shelf, a few seconds old at most. Only the first one is waited for, and not for long."""
        now_s = self._world.clock.monotonic_s()
        with self._lock:
            due = not self._looking and now_s - self._looked_at_s >= LOOK_S
            self._looking = self._looking or due
        if due:
            threading.Thread(target=self._look, name="shelf", daemon=True).start()
        if not self._first.is_set():
            self._first.wait(_FIRST_WAIT_S)
        return self._shelf

    def _look(self) -> None:
        try:
            self.refresh()
        except HeadwaterError as error:
            _log.warning("suggestions are not renewed", code=error.code, detail=error.detail)
        except Exception as error:  # noqa: BLE001 - the main of a thread: the next look may succeed
            if is_away(error):
                _log.warning("suggestions are not renewed", code="database_unavailable")
            else:
                _log.bug("renewing suggestions broke", error)
        finally:
            self._first.set()
            with self._lock:
                self._looked_at_s, self._looking = self._world.clock.monotonic_s(), False

    def refresh(self) -> Shelf:
        """Look now, in this thread. Raises what the database and the store raise."""
        now_s = self._world.clock.monotonic_s()
        trouble = self._renew_bundles()
        with self._world.db.connect() as conn:
            stamp = store.catalogue_stamp(conn)
            loaded = tuple(one.version for one in self._bundles.values())
            if (stamp, loaded, trouble) == self._stamp and now_s - self._trends_at_s < TRENDS_S:
                return self._shelf
            if not self._stamp or stamp != self._stamp[0]:
                self._titles = store.titles(conn)
            wall_s = self._world.clock.now().timestamp()
            trends = store.trending(conn, wall_s, half_life_s=HALF_LIFE_S, window_s=WINDOW_S)
            since = {
                name: Since(store.watched_since(conn, one.history_ends_at_s, wall_s, half_life_s=one.trending_half_life_s), wall_s)
                for name, one in self._bundles.items()
            }
        shelf = shelf_of(self._titles, trends)
        shelf = replace(shelf, models={name: model_of(found, shelf, since[name]) for name, found in self._bundles.items()}, trouble=trouble)
        self._shelf, self._stamp, self._trends_at_s = shelf, (stamp, loaded, trouble), now_s
        return shelf

    def _renew_bundles(self) -> str:
        """Loads what was published since. Why there is no model to answer from; empty when there is one."""
        storage, world = self._world.storage, self._world
        try:
            wanted = {"a": bundle.current_version(storage)}
        except HeadwaterError as error:  # titles and trends are renewed all the same
            _log.warning("models cannot be looked for", code=error.code, detail=error.detail)
            return self._age_of_current() or ("" if "a" in self._bundles else "broken")
        if world.settings.model_b and world.settings.model_b_share > 0:
            wanted["b"] = world.settings.model_b
        trouble = "none"
        for name, version in wanted.items():
            before = self._bundles.get(name)
            if version is None:
                self._bundles.pop(name, None)
            elif before is None or before.version != version:
                try:
                    self._bundles[name] = bundle.load(storage, self._folder, version)
                    _log.info("model taken up", version=version, variant=name)
                    self._drop_copies()
                except HeadwaterError as error:
                    trouble = "broken" if name == "a" else trouble
                    if version != self._refused:  # said once, tried again with every look
                        _log.warning("model refused", version=version, code=error.code, detail=error.detail)
                    self._refused = version
        return self._age_of_current() if "a" in self._bundles else trouble

    def _drop_copies(self) -> None:
        """A server that runs for a year must not keep a year of models."""
        kept = {found.version for found in self._bundles.values()}
        now_s = self._world.clock.now().timestamp()
        gone = bundle.drop_copies(self._folder, kept, older_than_s=COPY_KEPT_S, now_s=now_s)
        if gone:
            _log.info("old models removed from the disk", count=len(gone))

    def _age_of_current(self) -> str:
        """Tells the metric how old the model is. "stale" for one that is too old, else nothing."""
        current = self._bundles.get("a")
        age_s = 0.0 if current is None else (self._world.clock.now() - current.trained_at).total_seconds()
        measures.MODEL_AGE_S.set(age_s)
        return "stale" if age_s > STALE_S else ""
