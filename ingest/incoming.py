"""Files dropped under `incoming/` in the bucket become assets, each exactly once.

`look` lists the folder and claims what is new: one row for each key and etag, made in the transaction that creates the asset
and queues its adoption, so any number of processes may look at once. The step copies the file inside the store to the
asset's source key and then deletes the dropped object; killed in between, it finds its own copy. A file that is replaced
while it waits is a new file: the waiting one ends as `incoming_replaced`.

Folder markers and names that begin with a dot are left alone.
"""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import Connection

import catalog.store
from catalog.asset import NewAsset
from ingest import store, strays
from ingest.details import title_from_name
from ingest.importing import SourceObject
from ingest.received import received
from ingest.sessions import transaction
from kit import job_store
from kit.errors import Rejected, TooLarge, Unavailable
from kit.jobs import Job, NewJob
from kit.step import Beat
from kit.storage import MissingObject, ObjectInfo, Storage
from kit.world import World
from media import keys
from media.ids import AssetId

ADOPT = "ingest.adopt"


def is_dropped_file(key: str) -> bool:
    """Whether a key under `incoming/` is a file that somebody dropped."""
    name = key.rpartition("/")[2]
    return key.startswith(keys.INCOMING) and bool(name) and not name.startswith(".")


def look(world: World) -> int:
    """Claims every new file; returns how many. Raises Unavailable."""
    with transaction(world) as conn:
        listed_at = store.database_clock(conn)
        known = store.known_incoming(conn)
    new = [found for found in world.storage.list(keys.INCOMING) if is_dropped_file(found.key) and (found.key, found.etag) not in known]
    taken = 0
    for found in new:
        with transaction(world) as conn, conn.begin_nested() as claim:
            asset = catalog.store.create_asset(conn, NewAsset(title=title_from_name(found.key)))
            if store.take_incoming(conn, asset.id, found, listed_at=listed_at):
                facts = {"key": found.key, "etag": found.etag, "size_bytes": found.size_bytes}
                job_store.enqueue(conn, NewJob(ADOPT, asset.id, asset.id, facts))
                taken += 1
            else:
                claim.rollback()
    return taken


def run_adopt(world: World, job: Job, beat: Beat) -> SourceObject:  # noqa: ARG001 - the shape of a step
    """The step. Raises Rejected (`empty`, `incoming_gone`, `incoming_replaced`), TooLarge and Unavailable."""
    key, etag, size_bytes = str(job.args["key"]), str(job.args["etag"]), int(job.args["size_bytes"])
    source = SourceObject(keys.source(AssetId(job.asset_id)), size_bytes)
    if size_bytes == 0:
        raise Rejected("The dropped file is empty.", code="empty")
    if size_bytes > world.settings.max_upload_bytes:
        raise TooLarge(f"The dropped file has {size_bytes} bytes; at most {world.settings.max_upload_bytes} are accepted.")
    strays.abort(world.storage, source.key)  # of an attempt that was killed while it copied a large file
    if not _is_there(world.storage, source):
        _copy(world.storage, key, etag, source)
    if _etag(world.storage, key) == etag:
        world.storage.delete(key)
    return source


def save_adopt(conn: Connection, world: World, job: Job, source: SourceObject) -> None:  # noqa: ARG001 - the shape of a step
    received(conn, AssetId(job.asset_id), source.key, source.size_bytes)
    store.mark_adopted(conn, key=str(job.args["key"]), etag=str(job.args["etag"]))


def _copy(storage: Storage, key: str, etag: str, source: SourceObject) -> None:
    found = _etag(storage, key)
    if found is None:
        raise Rejected("The dropped file was taken away before it could be copied.", code="incoming_gone")
    if found == etag:
        with suppress(MissingObject):
            storage.copy(key, source.key)
        if _etag(storage, key) == etag and _is_there(storage, source):
            return
        storage.delete(source.key)  # perhaps the bytes of its successor
    raise Rejected("The dropped file was replaced before it could be copied; the new one is taken in by itself.", code="incoming_replaced")


def _is_there(storage: Storage, source: SourceObject) -> bool:
    try:
        size_bytes = storage.stat(source.key).size_bytes
    except MissingObject:
        return False
    if size_bytes != source.size_bytes:
        raise Unavailable(f"The copy of the dropped file has {size_bytes} bytes instead of {source.size_bytes}.", code="copy_damaged")
    return True


def _etag(storage: Storage, key: str) -> str | None:
    found: ObjectInfo
    try:
        found = storage.stat(key)
    except MissingObject:
        return None
    return found.etag
