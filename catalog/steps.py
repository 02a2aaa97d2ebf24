"""The step "catalog.purge": removes what a deleted asset has in the object store, then what the database says of it.

Deleting an asset ends everything that can be seen at once (`catalog.store.delete_asset`); this follows in the background. An
encode that was under way when its asset was deleted learns of it with its next heartbeat and may store objects until then, so
two such jobs are made: one that is due at once, and one that is due when no lease from before can still hold.
"""

from __future__ import annotations

from sqlalchemy import Connection

from catalog import store
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


STEPS = (Step(store.PURGE, purge, save),)
