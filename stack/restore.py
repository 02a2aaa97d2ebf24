"""Bringing a backup back, into a system that has nothing.

First the whole of the backup's database is read and compared with the manifest, so that half a backup changes nothing. Then come the
objects, each checked on its way, and then all tables in one transaction: whoever works on the new system sees nothing, or everything
with what it names. At last every object of the inventory is looked for, and those that are not there are listed.

A restoring that was broken off may be run again: what lies in the bucket by then is what the backup names. What an empty system makes by
itself stays (its API key) or goes (its own nightly jobs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from kit import dump
from kit.archive import Archive, as_file
from kit.errors import Conflict, HeadwaterError
from kit.storage import MissingObject
from kit.world import World
from media import keys
from stack import migrate
from stack.backup import INVENTORY, MANIFEST, File, Item, Lost, Manifest, Measured, checked, items, manifest_of, opened_late

_OURS = (keys.SOURCES, keys.PRESENTATIONS, keys.UPLOADS, "lake/", "models/")
_KEPT, _CLEARED = frozenset({"api_keys"}), ("outbox", "jobs", "scrubs")


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it."""

    manifest: Manifest
    rows: int
    objects: int  # found in the store at their size
    missing: tuple[str, ...] = ()  # keys that the database names
    damaged: tuple[str, ...] = ()  # keys whose bytes in the backup are not what they were


def examine(archive: Archive) -> Manifest:
    """The manifest, once everything but the objects was read and found as it was written. Raises HeadwaterError."""
    try:
        made = manifest_of(b"".join(archive.read(MANIFEST)))
    except MissingObject as error:
        raise HeadwaterError(
            "There is no whole backup here: it has no manifest, which is written last.", code="backup_incomplete"
        ) from error
    for file in (made.inventory, *(table.file for table in made.tables)):
        _require(archive, file)
    return made


def _require(archive: Archive, file: File) -> None:
    try:
        measured = Measured(archive.read(file.name))
        for _ in measured:
            pass
    except MissingObject as error:
        raise HeadwaterError(f"The backup is not whole: {file.name} is missing.", code="backup_incomplete") from error
    if (measured.size_bytes, measured.sha256) != (file.size_bytes, file.sha256):
        raise HeadwaterError(f"The backup is damaged: {file.name} is not what was written.", code="backup_damaged")


def restore(world: World, archive: Archive, *, told: Callable[[int], None] = lambda _: None) -> Restored:
    """Raises Conflict when the system is not empty, and HeadwaterError when the backup cannot be used; then nothing was changed."""
    made = examine(archive)
    url = world.settings.database_url
    _require_known(made.revision)
    if migrate.current(url) is None:
        migrate.upgrade(url, made.revision)
    _require_empty_tables(world)
    named = {item.key: item for item in items(archive.read(INVENTORY))}
    if made.with_objects:
        _require_empty_bucket(world, named)
    damaged = list(_bring_objects(world, archive, named, told)) if made.with_objects else []
    if migrate.current(url) != made.revision:  # the tables are empty: going back loses nothing
        migrate.downgrade(url, made.revision)
    with world.db.begin() as conn:
        rows = _load(conn, archive, made)
    migrate.upgrade(url)
    there = _sizes(world)
    missing = tuple(key for key, item in named.items() if there.get(key) != item.size_bytes)
    return Restored(made, rows, len(named) - len(missing), missing, tuple(damaged))


def _require_known(revision: str) -> None:
    versions = Path(migrate.__file__).with_name("migrations") / "versions"
    if not revision.isalnum() or not any(versions.glob(f"{revision}_*.py")):
        raise HeadwaterError("This backup was made by a newer Headwater: restore it with that one.", code="backup_unknown")


def _require_empty_tables(world: World) -> None:
    with world.db.connect() as conn:
        full = [name for table in dump.tables(conn) if (name := table.name) not in (*_KEPT, *_CLEARED) and dump.rows(conn, name)]
    if full:
        raise Conflict(f"This Headwater is not empty ({', '.join(full[:5])}): a backup is restored into a new one only.", code="not_empty")


def _sizes(world: World) -> dict[str, int]:
    return {item.key: item.size_bytes for prefix in _OURS for item in world.storage.list(prefix)}


def _require_empty_bucket(world: World, named: dict[str, Item]) -> None:
    strange = [key for key in _sizes(world) if key not in named]
    if strange:
        raise Conflict(
            f"The bucket {world.settings.s3_bucket} is not empty ({strange[0]}): a backup is restored into a new one only.",
            code="not_empty",
        )


def _bring_objects(world: World, archive: Archive, named: dict[str, Item], told: Callable[[int], None]) -> Iterator[str]:
    """Yields the keys of those whose bytes are not what they were, or are missing."""
    there, done = _sizes(world), 0
    for item in named.values():
        if item.kept and there.get(item.key) != item.size_bytes:
            try:
                measured = Measured(opened_late(archive.read, item.kept))
                kept = checked(measured, item, f"The bytes of {item.key} in the backup are not what they were.")
                world.storage.put(item.key, as_file(kept))
            except (Lost, MissingObject):
                yield item.key
        done += item.size_bytes
        told(done)


def _load(conn: Connection, archive: Archive, made: Manifest) -> int:
    dump.empty(conn, _CLEARED)
    before = {table.table.name: dump.rows(conn, table.table.name) for table in made.tables}
    for table in made.tables:
        dump.write(conn, table.table, archive.read(table.file.name))
    for table in made.tables:
        found = dump.rows(conn, table.table.name) - before[table.table.name]
        if found != table.rows:
            raise HeadwaterError(
                f"Of {table.table.name}, {found} of {table.rows} rows came back: nothing was changed.", code="backup_damaged"
            )
    return sum(table.rows for table in made.tables)
