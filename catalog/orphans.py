"""Objects that nothing names: what a killed process, a restored database or somebody's hand left in the store.

Only what we would have written ourselves is judged: below `sources/`, `presentations/` and `uploads/`, in the shapes of `media.keys`.
Anything else may belong to somebody, and is left alone; so is everything of an asset that something is still being done for, and every
object that is not a day old. `remove` asks once more, with the asset's row locked, so that nobody can come to need an object between
the question and the deletion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from sqlalchemy import Connection, select

from catalog import inventory
from catalog.asset import AssetStatus
from catalog.tables import assets, renditions
from kit import job_store
from kit.storage import MissingObject, ObjectInfo
from kit.world import World
from media import keys

OLD = timedelta(days=1)

_PREFIXES = (keys.PRESENTATIONS, keys.SOURCES, keys.UPLOADS)
_SETTLED = (AssetStatus.READY, AssetStatus.ERRORED)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"[^/]+/(init\.mp4|\d{5}\.m4s|index\.m3u8|iframes\.m3u8)")

Keeps = Callable[[Connection, str], bool]
"""Whether an upload of this id still needs what lies below its prefix; `ingest` knows."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one asset, or one upload, may have in the store."""

    everything: bool = False
    nothing: bool = False
    keys: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()

    def names(self, key: str) -> bool:
        """Whether the object has to stay. Pure."""
        if self.everything or self.nothing:
            return self.everything
        if key in self.keys:
            return True
        if key.startswith(keys.SOURCES):
            return False
        plan, _, rest = key.removeprefix(keys.PRESENTATIONS).partition("/")[2].partition("/")
        if not _DIGEST.fullmatch(plan):
            return True  # not of a plan: another room's
        return plan in self.plans and not _OURS.fullmatch(rest)


def _owner(key: str) -> tuple[str, str]:
    prefix, _, rest = key.partition("/")
    return f"{prefix}/", rest.partition("/")[0]


def claims(conn: Connection, prefix: str, owner: str, keeps_upload: Keeps) -> Claims:
    """What `owner` below this prefix may have. An owner that is none claims nothing."""
    row = conn.execute(select(assets.c.status).where(assets.c.id == owner)).one_or_none()
    if row is None:
        return Claims(everything=True) if prefix == keys.UPLOADS and keeps_upload(conn, owner) else Claims(nothing=True)
    if job_store.unfinished(conn, owner):
        return Claims(everything=True)
    if row.status == str(AssetStatus.DELETED):
        return Claims(nothing=True)
    if row.status not in _SETTLED:
        return Claims(everything=True)
    if prefix == keys.UPLOADS:  # the note of an import that has ended
        return Claims(nothing=True)
    plans = conn.execute(select(renditions.c.plan_digest).where(renditions.c.asset_id == owner).distinct()).scalars()
    return Claims(keys=inventory.keys_of(conn, owner), plans=frozenset(plans))


def find(world: World, keeps_upload: Keeps) -> Iterator[ObjectInfo]:
    """The orphans, by prefix and key. Raises Unavailable."""
    before = world.clock.now() - OLD
    for prefix in _PREFIXES:
        for (_, owner), objects in groupby(world.storage.list(prefix), key=lambda item: _owner(item.key)):
            aged = [item for item in objects if item.modified_at < before]
            if aged:
                with world.db.connect() as conn:
                    allowed = claims(conn, prefix, owner, keeps_upload)
                yield from (item for item in aged if not allowed.names(item.key))


def remove(world: World, orphan: ObjectInfo, keeps_upload: Keeps) -> bool:
    """Deletes the object if it is an orphan still, and still the same. Raises Unavailable."""
    prefix, owner = _owner(orphan.key)
    with world.db.begin() as conn:
        conn.execute(select(assets.c.id).where(assets.c.id == owner).with_for_update())
        if claims(conn, prefix, owner, keeps_upload).names(orphan.key) or _changed_at(world, orphan.key) != orphan.modified_at:
            return False
        world.storage.delete(orphan.key)
    return True


def _changed_at(world: World, key: str) -> datetime | None:
    try:
        return world.storage.stat(key).modified_at
    except MissingObject:
        return None
