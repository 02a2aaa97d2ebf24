"""The SQL of the lake: what is still to be written to it, whom to leave out, and the lock that lets one writer work at a time.

The object store is never a lock (`kit.storage`); PostgreSQL is. The lock belongs to a connection of its own and ends with it, so a
writer that dies holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, select, text, update

from catalog.tables import assets
from recommend.tables import forgotten_viewers, view_events

_LOCK = 0x4857_4C4B  # "HWLK", for pg_advisory_lock
COLUMNS = (
    "event_id", "viewer_id", "asset_id", "session_id", "kind", "position_s", "watched_s", "value", "duration_s", "at", "received_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Everything received of this viewer until then is to go."""

    note: int
    viewer_id: str
    at: datetime


@contextmanager
def only_writer(engine: Engine) -> Iterator[None]:
    """Waits until nobody else writes to the lake."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as guard:
        guard.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            yield
        finally:
            guard.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})


def pending_days(conn: Connection) -> list[tuple[date, int]]:
    """Days (UTC) of which events are not in the lake yet, and how many."""
    day = func.date_trunc("day", view_events.c.at, "UTC")
    query = select(day, func.count()).where(view_events.c.compacted_at.is_(None)).group_by(day).order_by(day)
    return [(moment.astimezone(UTC).date(), int(count)) for moment, count in conn.execute(query)]


def pending(conn: Connection, day: date, chunk_rows: int = 50_000) -> Iterator[Sequence[Row[Any]]]:
    """The events of a day that are not in the lake yet, in pieces."""
    begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    query = select(*(view_events.c[name] for name in COLUMNS)).where(
        view_events.c.compacted_at.is_(None), view_events.c.at >= begin, view_events.c.at < begin + timedelta(days=1)
    )
    yield from conn.execution_options(yield_per=chunk_rows).execute(query).partitions()


def mark_compacted(conn: Connection, event_ids: Sequence[str]) -> None:
    conn.execute(update(view_events).where(view_events.c.event_id == func.any(event_ids)).values(compacted_at=func.clock_timestamp()))


def forgotten(conn: Connection) -> list[Forgotten]:
    """Who is still to be removed."""
    query = select(forgotten_viewers.c.id, forgotten_viewers.c.viewer_id, forgotten_viewers.c.at).order_by(forgotten_viewers.c.id)
    return [Forgotten(*row) for row in conn.execute(query)]


def drop_notes(conn: Connection, notes: Sequence[int]) -> None:
    """They are carried out."""
    conn.execute(delete(forgotten_viewers).where(forgotten_viewers.c.id.in_(list(notes))))


def by_external_id(conn: Connection) -> dict[str, str]:
    """Asset ids by the ids that their owner gave them; of two with the same the newer one."""
    query = select(assets.c.external_id, assets.c.id).where(assets.c.external_id.is_not(None), assets.c.status != "deleted")
    return {row[0]: row[1] for row in conn.execute(query.order_by(assets.c.id))}
