"""Writing a backup: the database of one moment, what lies in the object store at that moment, and, if wanted, the objects themselves.

    tables/<name>.copy.gz     rows, as PostgreSQL's COPY writes them
    inventory.jsonl.gz        a line for each object: key, size, SHA-256, whose it is
    objects/ab/<sha256>       bytes, under their own digest
    manifest.json             written last: a backup without it is none. Names every file but the objects, with size and SHA-256

Objects are copied after the snapshot, and checked on their way. One that is gone by then because its asset was deleted is left
out; one that is damaged is told of, and the backup goes on without it. A backup that was broken off goes on when it is run again.

Uploads under way are not a part of it: their parts cannot be read before they are whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import Connection

from catalog import inventory
from kit import dump, scratch
from kit.archive import Archive, as_file
from kit.errors import Conflict, HeadwaterError
from kit.storage import MissingObject
from kit.storage.verify import Pace, Recorded, sha256_of
from kit.world import World
from media import keys
from media.ids import AssetId
from recommend import recorded as recommended
from stack.release import our_version

FORMAT = 1
MANIFEST, INVENTORY = "manifest.json", "inventory.jsonl.gz"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the backup."""

    name: str
    size_bytes: int
    sha256: str  # hex


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table's rows."""

    table: dump.TableShape
    rows: int
    file: File


@dataclass(frozen=True, slots=True)
class Item:
    """One object of the inventory. `kept` is the name of its bytes in the backup; empty where they are not a part of it."""

    key: str
    size_bytes: int
    sha256: str | None
    owner: str
    what: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup consists of."""

    taken_at: str
    version: str
    revision: str  # of the tables
    tables: tuple[TableFile, ...]
    inventory: File
    objects: int
    object_bytes: int
    with_objects: bool
    lost: tuple[str, ...]  # keys of objects that were recorded, and missing or damaged when they were to be copied


class Lost(HeadwaterError):
    """An object is not what was recorded."""

    code = "object_lost"


def backup(world: World, archive: Archive, *, with_objects: bool, told: Callable[[int], None] = lambda _: None) -> Manifest:
    """Make a backup in `archive`. `told` hears how many bytes of objects are done. Raises Conflict when there is one already."""
    there = archive.sizes()
    if MANIFEST in there:
        raise Conflict("There is a backup already: choose another place, or remove that one.", code="backup_exists")
    with scratch.work_dir(world.settings.scratch_dir, "backup") as folder:
        with dump.snapshot(world.db) as conn:
            taken_at = world.clock.now().isoformat()
            revision = MigrationContext.configure(conn).get_current_revision() or ""
            tables = tuple(_write_table(conn, archive, table) for table in dump.tables(conn))
            listed = folder / "listed"
            _list_objects(world, conn, listed)
        final, lost = folder / "final", list[str]()
        copying = _Copying(world, archive, with_objects, there)
        count, size = _take(copying, listed, final, lost, told)
        inventory_file = _write(archive, INVENTORY, _pieces_of(final))
    made = Manifest(taken_at, our_version(), revision, tables, inventory_file, count, size, with_objects, tuple(lost))
    archive.write(MANIFEST, [manifest_bytes(made)])
    return made


def manifest_bytes(made: Manifest) -> bytes:
    """The manifest with its own SHA-256: nobody changes a letter of it unseen."""
    body = {"format": FORMAT, **asdict(made)}
    return json.dumps({"manifest": body, "sha256": _digest_of(body)}, indent=1).encode()


def _digest_of(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def manifest_of(data: bytes) -> Manifest:
    """Raises HeadwaterError when it is none, of another format, or not as it was written."""
    try:
        found = json.loads(data)
        body, sha256 = dict(found["manifest"]), found["sha256"]
        if _digest_of(body) != sha256:
            raise HeadwaterError("The manifest of this backup was changed after it was written.", code="backup_damaged")
        if body.pop("format") != FORMAT:
            raise HeadwaterError("This backup has a format that this Headwater does not know.", code="backup_unknown")
        shapes = [(item, dump.TableShape(item["table"]["name"], tuple(item["table"]["columns"]))) for item in body["tables"]]
        tables = tuple(TableFile(shape, item["rows"], File(**item["file"])) for item, shape in shapes)
        return Manifest(**{**body, "tables": tables, "inventory": File(**body["inventory"]), "lost": tuple(body["lost"])})
    except (ValueError, KeyError, TypeError) as error:
        raise HeadwaterError("The manifest of this backup cannot be read.", code="backup_damaged") from error


class Measured:
    """Pieces that are passed on once, and what they come to. `size_bytes` and `sha256` are those of the pieces passed on so far."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces, self._digest, self.size_bytes = pieces, hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        """Hex."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._digest.update(piece)
            self.size_bytes += len(piece)
            yield piece


def opened_late(read: Callable[[str], Iterable[bytes]], name: str) -> Iterator[bytes]:
    """The pieces that `read` yields, which is called for the first of them: whoever asks for none leaves nothing open."""
    yield from read(name)


def checked(measured: Measured, item: Item, said: str) -> Iterator[bytes]:
    """The pieces. Raises Lost, with what is `said`, after the last one if they are not the bytes of `item`."""
    yield from measured
    if measured.size_bytes != item.size_bytes or item.sha256 not in (None, measured.sha256):
        raise Lost(said)


def _write(archive: Archive, name: str, pieces: Iterable[bytes]) -> File:
    measured = Measured(pieces)
    archive.write(name, measured)
    return File(name, measured.size_bytes, measured.sha256)


def _write_table(conn: Connection, archive: Archive, table: dump.TableShape) -> TableFile:
    return TableFile(table, dump.rows(conn, table.name), _write(archive, f"tables/{table.name}.copy.gz", dump.read(conn, table)))


def _list_objects(world: World, conn: Connection, target: Path) -> None:
    """A line for each object that is recorded in this snapshot, and for what else lies with an asset. What the recommender has is as
    of now."""
    with gzip.open(target, "wt", encoding="utf-8") as lines:
        for asset_id in list(inventory.asset_ids(conn)):
            parts = [part for part in inventory.parts_of(conn, asset_id) if part.sha256 is None or part.is_exact]
            known = {part.key for part in parts}
            found = (item for item in world.storage.list(keys.asset_prefix(AssetId(asset_id))) if item.key not in known)
            for part in (*parts, *(Recorded(item.key, item.size_bytes, None, asset_id, "other") for item in found)):
                lines.write(_line(part))
        for item in _of_the_recommender(world):
            lines.write(_line(item))


def _of_the_recommender(world: World) -> Iterator[Recorded]:
    known = {item.key: item for item in recommended.recorded(world.storage)}
    for key in recommended.keys_of(world.storage):
        size = world.storage.stat(key).size_bytes
        yield known.get(key) or Recorded(key, size, sha256_of(world.storage, key, Pace(world.clock)), recommended.OWNER, "manifest")


def _line(item: Recorded) -> str:
    return json.dumps(asdict(Item(item.key, item.size_bytes, item.sha256, item.owner, str(item.what)))) + "\n"


def items(pieces: Iterable[bytes]) -> Iterator[Item]:
    """The inventory's lines."""
    with gzip.open(as_file(pieces), "rt", encoding="utf-8") as lines:
        for line in lines:
            yield Item(**json.loads(line))


@dataclass(frozen=True, slots=True)
class _Copying:
    """From where to where objects are copied, if they are. `there`: the files of the backup, with their sizes."""

    world: World
    archive: Archive
    wanted: bool
    there: dict[str, int]


def _take(copying: _Copying, listed: Path, final: Path, lost: list[str], told: Callable[[int], None]) -> tuple[int, int]:
    """The inventory as it came out, into `final`. Returns objects and bytes."""
    count = size = 0
    with gzip.GzipFile(final, "wb", mtime=0) as lines:
        for listed_item in items(_pieces_of(listed)):
            item = _copy(copying, listed_item) if copying.wanted else listed_item
            if item is None:
                if not _is_recorded(copying.world, listed_item):
                    continue  # its asset was deleted meanwhile
                item = listed_item
                lost.append(item.key)
            lines.write((json.dumps(asdict(item)) + "\n").encode())
            count, size = count + 1, size + item.size_bytes
            told(size)
    return count, size


def _copy(copying: _Copying, item: Item) -> Item | None:
    """The item with the name of its bytes; None when they are not what was recorded."""
    name = f"objects/{item.sha256[:2]}/{item.sha256}" if item.sha256 else f"objects/by-key/{hashlib.sha256(item.key.encode()).hexdigest()}"
    if item.sha256 is not None and copying.there.get(name) == item.size_bytes:
        return replace(item, kept=name)  # what an earlier run brought here is checked when it is restored
    try:
        measured = Measured(opened_late(copying.world.storage.stream, item.key))
        copying.archive.write(name, checked(measured, item, f"{item.key} is not what was recorded."))
    except (Lost, MissingObject):
        return None
    copying.there[name] = measured.size_bytes
    return replace(item, sha256=measured.sha256, kept=name)


def _is_recorded(world: World, item: Item) -> bool:
    """Whether the object ought to be there, now."""
    if item.owner == recommended.OWNER:
        return any(found.key == item.key for found in recommended.recorded(world.storage))
    with world.db.connect() as conn:
        return inventory.part(conn, item.owner, item.key) is not None


def _pieces_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
