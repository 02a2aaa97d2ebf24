"""The SQL of a check's progress, and of what a whole check would read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import AssetStatus
from catalog.tables import assets, scrubs, segments


@dataclass(frozen=True, slots=True)
class Place:
    """Where a check is: everything up to and with `key` of `owner` has been looked at."""

    salt: str  # which objects a sample takes
    owner: str = ""
    key: str = ""
    seen: Mapping[str, Any] | None = None  # what was found so far, as JSON


def load(conn: Connection, name: str) -> Place | None:
    """Where the check of this name stopped; None when it came to its end, or never began."""
    row = conn.execute(select(scrubs).where(scrubs.c.name == name)).one_or_none()
    return None if row is None else Place(row.salt, row.owner, row.key, row.seen)


def save(conn: Connection, name: str, place: Place) -> None:
    values = {"salt": place.salt, "owner": place.owner, "key": place.key, "seen": dict(place.seen or {})}
    changed = {**values, "updated_at": func.clock_timestamp()}
    conn.execute(upsert(scrubs).values(name=name, **values).on_conflict_do_update(index_elements=["name"], set_=changed))


def forget(conn: Connection, name: str) -> None:
    conn.execute(delete(scrubs).where(scrubs.c.name == name))


def bytes_recorded(conn: Connection, asset_id: str = "") -> int:
    """Of all assets, or of one: sources and segments, next to which everything else is nothing."""
    alive = assets.c.status != str(AssetStatus.DELETED)
    sources = select(func.coalesce(func.sum(assets.c.source_size_bytes), 0)).where(alive, assets.c.received_at.is_not(None))
    made = select(func.coalesce(func.sum(segments.c.size_bytes), 0))
    if asset_id:
        sources, made = sources.where(assets.c.id == asset_id), made.where(segments.c.asset_id == asset_id)
    return int(conn.execute(sources).scalar_one()) + int(conn.execute(made).scalar_one())
