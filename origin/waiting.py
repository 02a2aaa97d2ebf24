"""Waiting for segments that are planned but not made yet. One `Waiting` for each process, in its event loop.

However many ask for a segment, there is one future they all wait for, one job that makes it (`catalog.demand`), and one lookup
when the database says that segments of its rendition were recorded. One connection listens for all; it is opened for the first
who waits and closed some time after the last. A lookup every other second is the safety net for what was not heard.

A waiter costs no thread and no database connection. One that leaves, or has waited long enough, takes nothing from the others,
and the job goes on without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from catalog import demand, pictures
from catalog.store import SEGMENTS_CHANNEL
from kit.db import AsyncListener, is_away
from kit.errors import NotFound, Unavailable
from kit.log import logger
from kit.world import World
from origin import picture, store
from origin.store import Place, SegmentFacts

POLL_S = 2.0  # the longest that something recorded goes unnoticed when its notification is lost
RETRY_S = 1.0  # when the database is away
LINGER_S = 20.0  # the connection is kept so long after the last waiter: there will be another

_log = logger(__name__)


class _End(Enum):
    GONE = "gone"  # it will never be made
    CLOSED = "closed"  # this process is stopping


_Outcome = SegmentFacts | _End


@dataclass(slots=True)
class _Entry:
    """A segment that somebody waits for."""

    future: asyncio.Future[_Outcome]
    asking: asyncio.Task[None] | None = None
    waiters: int = 0


class Waiting:
    """Who waits for what."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._entries: dict[Place, _Entry] = {}
        self._ear: asyncio.Task[None] | None = None
        self._closed = False

    async def until(self, place: Place, limit_s: float) -> SegmentFacts | None:
        """The segment as soon as it is recorded, or None after `limit_s` seconds. It is asked for if it was not yet.

        Raises NotFound when it is not part of the plan, or when its asset is given up or deleted meanwhile.
        """
        if self._closed:
            return None
        entry = self._entries.get(place)
        if entry is None:
            loop = asyncio.get_running_loop()
            entry = self._entries[place] = _Entry(loop.create_future())
            entry.asking = loop.create_task(self._ask(place, entry), name="want-segment")
            self._listen()
        entry.waiters += 1
        try:
            async with asyncio.timeout(limit_s):
                outcome = await asyncio.shield(entry.future)
        except TimeoutError:
            return None
        finally:
            entry.waiters -= 1
            if entry.waiters == 0 and self._entries.get(place) is entry:
                del self._entries[place]
        if outcome is _End.GONE:
            raise NotFound("There is no such segment.", code="segment_not_found")
        return outcome if isinstance(outcome, SegmentFacts) else None

    def close(self) -> None:
        """Everybody is sent away: another process, or the next one, will answer them."""
        self._closed = True
        for place in tuple(self._entries):
            self._settle(place, _End.CLOSED)
        if self._ear is not None:
            self._ear.cancel()

    def _settle(self, place: Place, outcome: _Outcome) -> None:
        entry = self._entries.pop(place, None)
        if entry is not None and not entry.future.done():
            entry.future.set_result(outcome)

    # Asking

    async def _ask(self, place: Place, entry: _Entry) -> None:
        """Until the job is in the queue. What was recorded before anybody listened is found here."""
        while self._entries.get(place) is entry:
            try:
                outcome = await run_in_threadpool(self._want, place)
            except SQLAlchemyError as error:
                if not is_away(error):
                    raise
                await asyncio.sleep(RETRY_S)
                continue
            if outcome is not None:
                self._settle(place, outcome)
            return

    def _want(self, place: Place) -> _Outcome | None:
        with self._world.db.begin() as conn:
            try:
                if (width := picture.width_of(place.rendition)) is None:
                    demand.want_segment(conn, place.asset, place.plan, place.rendition, place.index)
                else:
                    pictures.want_thumbnail(conn, place.asset, place.plan, width, place.index)
            except NotFound:
                return _End.GONE
        with self._world.db.connect() as conn:
            return store.recorded(conn, [place]).get(place)

    # Hearing

    def _listen(self) -> None:
        if self._ear is None or self._ear.done():
            self._ear = asyncio.get_running_loop().create_task(self._hear(), name="segments-ear")

    async def _hear(self) -> None:
        away = False
        while not self._closed:
            try:
                async with AsyncListener(self._world.db, SEGMENTS_CHANNEL) as listener:
                    await self._look(())
                    away = False
                    await self._follow(listener)
                    return
            except (SQLAlchemyError, Unavailable) as error:
                if isinstance(error, SQLAlchemyError) and not is_away(error):
                    raise
                if not away:
                    _log.warning("cannot hear of new segments and will try again", error=type(error).__name__)
                away = True
                await asyncio.sleep(RETRY_S)

    async def _follow(self, listener: AsyncListener) -> None:
        """Until nobody has waited for a while."""
        loop = asyncio.get_running_loop()
        busy_s = loop.time()
        while loop.time() < busy_s + LINGER_S:
            heard = await listener.heard(POLL_S)
            if self._entries:
                busy_s = loop.time()
            await self._look(heard)
        self._ear = None  # whoever comes while the connection is being closed opens the next one

    async def _look(self, heard: Collection[str]) -> None:
        """Settles what was recorded or given up: of the renditions and assets that were named, or of all when none was."""
        places = [place for place in self._entries if not heard or place.of_rendition in heard or place.asset in heard]
        if not places:
            return
        found, gone = await run_in_threadpool(self._read, places)
        for place, facts in found.items():
            self._settle(place, facts)
        for place in gone:
            self._settle(place, _End.GONE)

    def _read(self, places: Collection[Place]) -> tuple[dict[Place, SegmentFacts], frozenset[Place]]:
        with self._world.db.connect() as conn:
            return store.recorded(conn, places), store.given_up(conn, places)
