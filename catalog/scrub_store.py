"""The SQL of a check's progress, of what checks found damaged, and of what a whole check would read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import AssetStatus
from catalog.tables import assets, damaged_objects, scrubs, segments


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


@dataclass(frozen=True, slots=True)
class Known:
    """An object that a check found damaged, and that none has seen whole since."""

    key: str
    owner: str
    what: str
    condition: str


def known_damage(conn: Connection) -> tuple[Known, ...]:
    """What was found first comes first."""
    columns = (damaged_objects.c.key, damaged_objects.c.owner, damaged_objects.c.what, damaged_objects.c.condition)
    rows = conn.execute(select(*columns).order_by(damaged_objects.c.found_at, damaged_objects.c.key))
    return tuple(Known(*row) for row in rows)


def count_damage(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(damaged_objects)).scalar_one()


def note_damage(conn: Connection, found: Iterable[Known], whole: Collection[str]) -> None:
    """`found` is damaged; of the keys in `whole` nothing is wrong any more."""
    conn.execute(delete(damaged_objects).where(damaged_objects.c.key.in_(list(whole))))
    for item in found:
        values = {"key": item.key, "owner": item.owner, "what": item.what, "condition": item.condition}
        statement = upsert(damaged_objects).values(values)
        conn.execute(statement.on_conflict_do_update(index_elements=["key"], set_={"condition": item.condition}))


def bytes_recorded(conn: Connection, asset_id: str = "") -> int:
    """Of all assets, or of one: sources and segments, next to which everything else is nothing."""
    alive = assets.c.status != str(AssetStatus.DELETED)
    sources = select(func.coalesce(func.sum(assets.c.source_size_bytes), 0)).where(alive, assets.c.received_at.is_not(None))
    made = select(func.coalesce(func.sum(segments.c.size_bytes), 0))
    if asset_id:
        sources, made = sources.where(assets.c.id == asset_id), made.where(segments.c.asset_id == asset_id)
    return int(conn.execute(sources).scalar_one()) + int(conn.execute(made).scalar_one())
