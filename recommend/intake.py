"""Taking view events in: the only place with effects between `recommend.events`, which decides, and the database.

What an asset lasts and whether it may be watched is remembered for half a minute, so a batch of a thousand heartbeats of the same
ten titles costs three statements. A title that is deleted meanwhile gets a few events that nobody will count.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from kit.errors import HeadwaterError, Retry
from kit.world import World
from recommend import measures, store
from recommend.events import Dropped, Fault, Sender, ViewEvent, fit, read
from recommend.store import AssetFacts

_FACTS_KEPT_S = 30.0
_FACTS_MAX = 20_000
_BURST, _PER_S = 300.0, 10.0  # events of one browser address: a player sends about one in ten seconds
_ADDRESSES_MAX = 50_000


class TooManyEvents(HeadwaterError):
    """One address sends more events than people who watch do."""

    status, code, retry = 429, "too_many_events", Retry.FREE


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a batch. `dropped` has the place of each event in it."""

    accepted: int
    duplicates: int
    dropped: tuple[tuple[int, Fault], ...]
    adjusted: int  # accepted with something put right


class Pace:
    """A token bucket for each address: `_BURST` at once, `_PER_S` in the long run. Forgets the longest unheard first."""

    def __init__(self, burst: float = _BURST, per_s: float = _PER_S) -> None:
        self._burst, self._per_s = burst, per_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allow(self, who: str, count: int, now_s: float) -> bool:
        """Whether `count` more events of `who` fit. `now_s` only ever grows."""
        with self._lock:
            left, at_s = self._left.pop(who, (self._burst, now_s))
            left = min(self._burst, left + (now_s - at_s) * self._per_s)
            allowed = count <= left
            self._left[who] = (left - count if allowed else left, now_s)
            if len(self._left) > _ADDRESSES_MAX:
                self._left.popitem(last=False)
            return allowed


class _Remembered:
    """Facts by id for `_FACTS_KEPT_S`. What is not there is remembered too."""

    def __init__(self, look_up: Callable[[Connection, Sequence[str]], dict[str, AssetFacts]]) -> None:
        self._look_up = look_up
        self._known: dict[str, tuple[AssetFacts | None, float]] = {}

    def get(self, conn: Connection, wanted: set[str], now_s: float) -> dict[str, AssetFacts | None]:
        missing = [one for one in wanted if one not in self._known or self._known[one][1] < now_s]
        if missing:
            found = self._look_up(conn, missing)
            if len(self._known) + len(missing) > _FACTS_MAX:
                self._known = {}
            self._known |= {one: (found.get(one), now_s + _FACTS_KEPT_S) for one in missing}
        return {one: self._known[one][0] if one in self._known else None for one in wanted}


class Intake:
    """One for a process. Any thread may call it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._assets = _Remembered(store.facts_of_assets)
        self._playbacks = _Remembered(store.facts_of_playbacks)
        self._pace = Pace()

    def check_pace(self, address: str, count: int) -> None:
        """Raises TooManyEvents."""
        if not self._pace.allow(address, count, self._world.clock.monotonic_s()):
            raise TooManyEvents("Events come faster from this address than anybody watches.")

    def take(self, raws: Sequence[Any], sender: Sender) -> Taken:
        """Takes in one batch, in one transaction."""
        now_s = self._world.clock.now().timestamp()
        results = [read(raw, sender, now_s) for raw in raws]
        with self._world.db.begin() as conn:
            known = self._facts(conn, [event for event in results if isinstance(event, ViewEvent)])
            results = [_placed(event, known) if isinstance(event, ViewEvent) else event for event in results]
            good = [event for event in results if isinstance(event, ViewEvent)]
            durations = {item.asset_id: item.duration_s for item in known.values() if item is not None}
            accepted = store.add_events(conn, [(event, durations.get(event.asset_id)) for event in good])
        dropped = tuple((place, event.fault) for place, event in enumerate(results) if isinstance(event, Dropped))
        taken = Taken(accepted, len(good) - accepted, dropped, sum(1 for event in good if event.faults))
        _count(taken, good)
        return taken

    def _facts(self, conn: Connection, events: Sequence[ViewEvent]) -> dict[str, AssetFacts | None]:
        """By asset id, or by playback id where the event names that. The two never look alike."""
        now_s = self._world.clock.monotonic_s()
        by_asset = self._assets.get(conn, {event.asset_id for event in events if event.asset_id}, now_s)
        by_playback = self._playbacks.get(conn, {event.playback_id for event in events if not event.asset_id}, now_s)
        return by_asset | by_playback


def _placed(event: ViewEvent, known: dict[str, AssetFacts | None]) -> ViewEvent | Dropped:
    """The event with its asset, put right by what is known of that."""
    found = known.get(event.asset_id or event.playback_id)
    if found is None:
        return Dropped(Fault.UNKNOWN_ASSET)
    return fit(replace(event, asset_id=found.asset_id), found.duration_s)


def _count(taken: Taken, good: Sequence[ViewEvent]) -> None:
    measures.EVENTS.labels("accepted").inc(taken.accepted)
    measures.EVENTS.labels("duplicate").inc(taken.duplicates)
    measures.EVENTS.labels("dropped").inc(len(taken.dropped))
    for fault in [fault for _, fault in taken.dropped] + [fault for event in good for fault in event.faults]:
        measures.FAULTS.labels(str(fault)).inc()
