"""Multipart uploads that nobody will complete: their maker died before it could note their id, or before it could abort them.

The store gives an upload its id only when it exists, so between its creation and the note of the id there is a moment in which a
killed process leaves one behind that no row knows. Whoever is done with a key asks the store for what is left there (`abort`). Once a
day the step "ingest.strays" asks for all that are older than a day and that neither an open upload nor a job of the asset needs.

Under `incoming/` nothing is touched: there other programs write, in their own way and time. A store that does not list uploads, or not
to us, keeps what it has.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import Connection

from catalog import priority
from ingest import store
from kit import job_store
from kit.jobs import Job, daily
from kit.step import Beat, Step
from kit.storage import OpenMultipart, Storage, StorageRefused
from kit.world import World
from media import keys
from media.ids import AssetId

STRAYS = "ingest.strays"
OLD = timedelta(days=1)


def abort(storage: Storage, key: str) -> None:
    """Frees every multipart upload of this very key. Only for a key that nobody may write to any more, or at this moment."""
    with suppress(StorageRefused):
        for stray in list(storage.open_multiparts(key)):
            if stray.key == key:
                storage.abort_multipart(key, stray.upload_id)


def ask(conn: Connection, now: datetime) -> None:
    """One job for each day (UTC). Asking again does nothing."""
    job_store.enqueue(conn, daily(STRAYS, now, priority.DAILY))


def run(world: World, _job: Job, beat: Beat) -> int:
    """The step. Returns how many it freed. Raises Unavailable."""
    try:
        found = list(world.storage.open_multiparts(""))
    except StorageRefused:
        return 0
    old = [upload for upload in found if not upload.key.startswith(keys.INCOMING) and upload.started_at < world.clock.now() - OLD]
    freed = 0
    for stray in old:
        with world.db.connect() as conn:
            needed = _is_needed(conn, stray)
        if beat.cancelled.is_set():
            break
        if not needed:
            world.storage.abort_multipart(stray.key, stray.upload_id)
            _forget_note(world.storage, stray.key)
            freed += 1
    beat.progress(1.0, freed=freed)
    return freed


def _forget_note(storage: Storage, key: str) -> None:
    """Of an import that was killed so often that it was given up."""
    asset_id = keys.asset_of(key)
    if asset_id is not None:
        storage.delete(keys.import_note(AssetId(asset_id)))


def _is_needed(conn: Connection, stray: OpenMultipart) -> bool:
    asset_id = keys.asset_of(stray.key)
    return store.is_multipart_of_open(conn, stray.upload_id) or (asset_id is not None and job_store.unfinished(conn, asset_id) > 0)


def save(_conn: Connection, _world: World, _job: Job, _result: int) -> None:
    """The store is all that changed."""


STEPS = (Step(STRAYS, run, save),)
