"""The one place where a source object becomes work: every way in (tus, PUT, import, drop) ends here."""

from __future__ import annotations

from sqlalchemy import Connection

import catalog.store
from catalog import priority
from catalog.asset import Asset, AssetStatus
from catalog.early import Early
from catalog.kinds import PROBE
from kit import job_store
from kit.jobs import NewJob
from media.ids import AssetId
from media.source_map import PROBE_BYTES


def received(conn: Connection, asset_id: AssetId, source_key: str, size_bytes: int) -> Asset:
    """Note that the whole source lies at `source_key`, and queue its probe, in the caller's transaction.

    Doing it twice is harmless. For an asset that was deleted meanwhile nothing is queued, and the deleted asset is returned:
    the caller then owns an object that nobody wants. Raises NotFound and catalog.asset.WrongStatus.
    """
    asset = catalog.store.mark_received(conn, asset_id, source_key=source_key, size_bytes=size_bytes)
    if asset.status is not AssetStatus.DELETED:
        job_store.enqueue(conn, NewJob(PROBE, asset_id, asset_id, priority=priority.PROBE))
        job_store.reached(conn, asset_id, size_bytes)
    return asset


def received_early(conn: Connection, state: Early, index_end: int) -> None:
    """Queue the probe of a source that is still arriving, for when its index and its first samples are there. Any number of times."""
    first = NewJob(
        PROBE, f"{state.asset_id}/early-{state.generation}", state.asset_id, args={"early": True}, priority=priority.PROBE, weight=0.0
    )
    job_store.enqueue(conn, job_store.held(first, min(index_end + PROBE_BYTES, state.size_bytes)))
    job_store.reached(conn, state.asset_id, state.arrived_bytes)
