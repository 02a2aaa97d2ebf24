"""Changes of assets, as they happen, to any number of listeners in this process.

There is one poller, which runs only while somebody listens: twice a second it asks the database once for all watched assets
together and hands what changed to whoever wants it. A listener holds no database connection and no history: per asset only
the latest state waits for it, so a slow one misses steps in between and never the last.

A listener belongs to an API key, and ends within a poll of its key being revoked.

A state's digest is a hash of the asset's public JSON without `eta_s`, which changes with every look at the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from accounts.store import revoked_among
from catalog import store, views
from catalog.asset import Asset, AssetStatus
from kit.errors import Unavailable
from kit.log import logger
from kit.world import World
from web.resources import AssetResource, asset_resource

POLL_S = 0.5
MAX_LISTENERS = 1000
_OVERLAP_S = 15.0  # a change becomes visible when its transaction ends, which may be later than its timestamp
_LONGEST_ABSENCE_S = 24 * 3600.0

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class AssetState:
    """What an asset looks like at one moment."""

    asset_id: str
    digest: str
    body: str  # the public JSON
    final: bool  # deleted: nothing can follow


def state_of(resource: AssetResource) -> AssetState:
    content = resource.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps({**content, "eta_s": None}, sort_keys=True).encode()).hexdigest()[:20]
    body = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return AssetState(resource.id, digest, body, resource.status is AssetStatus.DELETED)


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """What `Last-Event-ID` says: the digest of the last state seen, and when it was sent."""

    digest: str
    sent_at: datetime

    def spelled(self) -> str:
        return f"{int(self.sent_at.timestamp() * 1000):x}-{self.digest}"


def resume_point(text: str | None) -> ResumePoint | None:
    """The reverse of `ResumePoint.spelled`; None for anything else, which then counts as a first visit."""
    sent_ms, dash, digest = (text or "").partition("-")
    try:
        return ResumePoint(digest, datetime.fromtimestamp(int(sent_ms, 16) / 1000, UTC)) if dash else None
    except (ValueError, OverflowError, OSError):
        return None


class Listener:
    """One client. Iterating waits for changes; leaving the `async with` block forgets it."""

    def __init__(self, feed: Feed, asset_id: str | None, seen: ResumePoint | None, key_id: str | None) -> None:
        """`key_id`: the API key that it dies with, if any."""
        self.asset_id, self.key_id = asset_id, key_id
        self.ended = False
        self.seen = seen
        self._feed = feed
        self._told: dict[str, str] = {}
        self._pending: dict[str, AssetState] = {}
        self._changed = asyncio.Event()

    def offer(self, states: Iterable[AssetState]) -> None:
        """Take what is wanted and new."""
        for state in states:
            if self.asset_id not in (None, state.asset_id) or self._told.get(state.asset_id) == state.digest:
                continue
            first = state.asset_id not in self._told
            self._told[state.asset_id] = state.digest
            if not (first and self.seen is not None and state.digest == self.seen.digest):
                self._pending[state.asset_id] = state
        if self._pending:
            self.wake()

    def wake(self) -> None:
        self._changed.set()

    def end(self) -> None:
        """Nothing more is for this one to hear."""
        self.ended = True
        self._pending = {}
        self.wake()

    async def changes(self, timeout_s: float) -> Sequence[AssetState]:
        """The latest states not told yet; empty after `timeout_s` without any, or when the feed closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)
        self._changed.clear()
        states, self._pending = tuple(self._pending.values()), {}
        return states

    async def __aenter__(self) -> Self:
        self._feed.join(self)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._feed.leave(self)


@dataclass(frozen=True, slots=True)
class Question:
    """What the poller asks the database in one go."""

    watched: frozenset[str]
    everything: bool  # somebody listens to all assets
    unseen: frozenset[str]
    look_back_s: float
    key_ids: frozenset[str] = frozenset()  # of those who listen

    def wants(self, asset: Asset) -> bool:
        """Whether the state of `asset` is to be told even if its row has not changed: its jobs may have, or somebody is new."""
        return asset.status is AssetStatus.PROCESSING or asset.id in self.unseen or self.look_back_s > 0


class Feed:
    """The poller and its listeners. Lives in one event loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._stamps: dict[str, datetime] = {}  # by asset, `updated_at` of the state told last
        self._unseen: set[str] = set()  # assets whose state somebody waits for, changed or not
        self._look_back_s = 0.0  # and how far back somebody to all assets wants to hear of changes
        self._hurry = asyncio.Event()
        self._away = False

    @property
    def closing(self) -> bool:
        return self._closing

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def listen(self, asset_id: str | None, seen: ResumePoint | None, key_id: str | None = None) -> Listener:
        """A listener to one asset, or to all. Raises Unavailable when there are too many."""
        if self._closing or len(self._listeners) >= MAX_LISTENERS:
            raise Unavailable("There are too many listeners at the moment.")
        return Listener(self, asset_id, seen, key_id)

    def join(self, listener: Listener) -> None:
        """From now on it hears everything, and before that what it has not seen yet."""
        self._listeners.add(listener)
        if listener.asset_id is None:
            self._look_back_s = max(self._look_back_s, self._absence_s(listener.seen))
        else:
            self._unseen.add(listener.asset_id)
        self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._poll(), name="asset-feed")

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def close(self) -> None:
        """Send everybody away; they come back to another process, or to the next one."""
        self._closing = True
        for listener in self._listeners:
            listener.wake()

    def _absence_s(self, seen: ResumePoint | None) -> float:
        if seen is None:
            return _OVERLAP_S
        away_s = (self._world.clock.now() - seen.sent_at).total_seconds()
        return min(max(away_s, 0.0), _LONGEST_ABSENCE_S) + _OVERLAP_S

    def _question(self) -> Question:
        """What to ask next. Whoever joined since the last one is served by it."""
        watched = frozenset(listener.asset_id for listener in self._listeners if listener.asset_id is not None)
        everything = any(listener.asset_id is None for listener in self._listeners)
        key_ids = frozenset(listener.key_id for listener in self._listeners if listener.key_id is not None)
        question = Question(watched, everything, frozenset(self._unseen), self._look_back_s, key_ids)
        self._unseen, self._look_back_s = set(), 0.0
        return question

    def _ask_again(self, question: Question) -> None:
        """It was not answered."""
        self._unseen |= question.unseen
        self._look_back_s = max(self._look_back_s, question.look_back_s)

    def _read(self, question: Question) -> tuple[tuple[AssetState, ...], frozenset[str]]:
        """The answer: states that may be news to somebody, and the keys that may hear nothing any more. Blocks."""
        with self._world.db.connect() as conn:
            revoked = revoked_among(conn, question.key_ids)
            asset_ids = set(question.watched)
            if question.everything:
                asset_ids.update(store.changed_assets(conn, max(question.look_back_s, _OVERLAP_S)))
            found = store.slim_assets(conn, sorted(asset_ids))
            moving = [asset for asset in found if question.wants(asset) or self._stamps.get(asset.id) != asset.updated_at]
            shown = views.load(conn, moving, self._world.clock.now()) if moving else ()
        self._stamps = {asset.id: asset.updated_at for asset in found}
        return tuple(state_of(asset_resource(view)) for view in shown), revoked

    async def _poll(self) -> None:
        while self._listeners and not self._closing:
            self._hurry.clear()
            question = self._question()
            try:
                states, revoked = await run_in_threadpool(self._read, question)
                self._away = False
            except (DBAPIError, PoolTimeout) as error:
                if not self._away:
                    _log.warning("the event feed cannot read the database and will try again", error=type(error).__name__)
                self._away, states, revoked = True, (), frozenset()
                self._ask_again(question)
            for listener in tuple(self._listeners):
                if listener.key_id in revoked:
                    listener.end()
                else:
                    listener.offer(states)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), POLL_S)


async def follow(feed: Feed, listener: Listener, heartbeat_s: float) -> AsyncIterator[AssetState | None]:
    """States for one client; None when a heartbeat is due. Ends with the asset or the process."""
    async with listener:
        while not (feed.closing or listener.ended):
            states = await listener.changes(heartbeat_s)
            for state in states:
                yield state
                if state.final and listener.asset_id is not None:
                    return
            if not states and not (feed.closing or listener.ended):
                yield None
