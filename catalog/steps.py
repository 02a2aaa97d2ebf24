"""The step "catalog.purge", and "catalog.drop" for what was made of a file that is not the one after all.

The first removes what a deleted asset has in the object store, then what the database says of it.

Deleting an asset ends everything that can be seen at once (`catalog.store.delete_asset`); this follows in the background. An
encode that was under way when its asset was deleted learns of it with its next heartbeat and may store objects until then, so
two such jobs are made: one that is due at once, and one that is due when no lease from before can still hold.
"""

from __future__ import annotations

from sqlalchemy import Connection

from catalog import early, store, track_store
from kit.jobs import Job
from kit.step import Beat, Step
from kit.world import World
from media import keys
from media.ids import AssetId


def purge(world: World, job: Job, beat: Beat) -> None:
    """Delete every object of the asset. What is gone already is fine."""
    asset_id = AssetId(job.asset_id)
    for prefix in (keys.asset_prefix(asset_id), keys.source_prefix(asset_id)):
        for found in world.storage.list(prefix):
            if beat.cancelled.is_set():
                return
            world.storage.delete(found.key)


def save(conn: Connection, _world: World, job: Job, _result: None) -> None:
    """Forget the rest."""
    store.purge_rows(conn, job.asset_id)


def drop(world: World, job: Job, beat: Beat) -> None:
    """Delete the objects of a plan that was dropped, unless the asset has that plan again."""
    digest, prefix = early.dropped_prefix(job.subject)
    for found in world.storage.list(prefix):
        with world.db.connect() as conn:
            wanted = not early.is_dropped(conn, job.asset_id, digest)
        if wanted or beat.cancelled.is_set():
            return
        world.storage.delete(found.key)


def drop_text(world: World, job: Job, _beat: Beat) -> None:
    """Delete the files of a text track that viewers were sent once, unless some track has the same text again."""
    asset_id, digest, _ = job.subject.split("/")
    with world.db.connect() as conn:
        wanted = track_store.is_wanted(conn, asset_id, digest)
    if not wanted:
        for key in (keys.text_pack(AssetId(asset_id), digest), keys.text_cues(AssetId(asset_id), digest)):
            world.storage.delete(key)


def save_dropped_text(conn: Connection, _world: World, job: Job, _result: None) -> None:
    asset_id, digest, _ = job.subject.split("/")
    if not track_store.is_wanted(conn, asset_id, digest):
        track_store.forget_pack(conn, asset_id, digest)


def save_nothing(_conn: Connection, _world: World, _job: Job, _result: None) -> None:
    """The database forgot it before."""


STEPS = (Step(store.PURGE, purge, save), Step(early.DROP, drop, save_nothing), Step(track_store.DROP_TEXT, drop_text, save_dropped_text))
