"""Looks after uploads that nobody looks after any more. Called by the sweeper every few seconds; any number may run at once.

An open upload that expired is given up and its asset errored (`upload_expired`); one whose asset was deleted is cancelled; one
whose bytes are all there but whose server died before it closed it is closed. What ended uploads left in the store (multipart
uploads, by the ids in our rows, and tails) is removed until it has worked once.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest import sessions, store
from ingest.upload import TakenOver, UploadGone, UploadState
from kit.world import World

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Swept:
    """What one call did."""

    expired: int
    cancelled: int
    completed: int
    freed: int


def expire(world: World) -> Swept:
    """Raises Unavailable when the database or the store is away; what was done until then stays done."""
    with sessions.transaction(world) as conn:
        idle = store.idle_uploads(conn, _AT_ONCE)
    ended = [_look_after(world, upload_id) for upload_id in idle]
    with sessions.transaction(world) as conn:
        unfreed = store.unfreed_uploads(conn, _AT_ONCE)
    for session in unfreed:
        sessions.free(world, session)
    counts = {state: ended.count(state) for state in UploadState}
    return Swept(counts[UploadState.EXPIRED], counts[UploadState.CANCELLED], counts[UploadState.COMPLETE], len(unfreed))


def _look_after(world: World, upload_id: str) -> UploadState:
    try:
        return sessions.expire(world, upload_id).state
    except (TakenOver, UploadGone):  # its parts are lost, or it went on or ended meanwhile; that is noted in its row
        return UploadState.ERRORED
