"""Asking for a segment before its turn: somebody is waiting to see it.

`want_segment` puts one job into the queue, in front of all bulk work. However often it is asked, there is one job, and what it
makes is the object that bulk work would have made, under the same key. Whoever waits hears of it by `SEGMENTS_CHANNEL`.

A player that has got a segment asks for the next one, which it needs only some seconds later, and drops that wish when its viewer goes
elsewhere. So a segment whose predecessor is there comes behind one whose predecessor is not, where a viewer looks at a still picture.

It does not wait, and does not encode.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from catalog import lost, priority
from catalog.kinds import ENCODE, SEGMENT
from catalog.plan_store import is_recorded
from catalog.store import GIVEN_UP, load_plan
from catalog.tables import assets, renditions
from kit import job_store
from kit.errors import NotFound
from kit.jobs import NewJob
from media.plan import Chunk, EncodePlan

CHUNKS_AHEAD = 3


def require_planned(conn: Connection, asset_id: str, plan_digest: str, rendition: str, index: int) -> None:
    """Raises NotFound when this segment is not part of the asset's plan, or nothing more will be made of it."""
    # The row is kept from changing until the transaction ends, so nothing is asked for an asset that has just been given up.
    of_asset = select(assets.c.plan_digest, assets.c.status).where(assets.c.id == asset_id).with_for_update(read=True)
    row = conn.execute(of_asset).one_or_none()
    count = select(renditions.c.segment_count).where(renditions.c.asset_id == asset_id, renditions.c.name == rendition)
    segments = conn.execute(count.where(renditions.c.plan_digest == plan_digest)).scalar_one_or_none()
    given_up = row is None or row.status in GIVEN_UP or row.plan_digest != plan_digest
    given_up = given_up or rendition in lost.names(conn, asset_id, plan_digest)
    if given_up or segments is None or not 0 <= index < segments:
        raise NotFound("There is no such segment.", code="segment_not_found")


def want_segment(conn: Connection, asset_id: str, plan_digest: str, rendition: str, index: int) -> None:
    """See that this segment is made next. Raises NotFound as `require_planned` does."""
    require_planned(conn, asset_id, plan_digest, rendition, index)
    goes_on = index > 0 and is_recorded(conn, asset_id, plan_digest, rendition, index - 1)
    job_store.enqueue(conn, segment_job(asset_id, plan_digest, rendition, index, goes_on=goes_on))
    # Whoever has gone there goes on from there.
    for chunk in chunks_from(load_plan(conn, asset_id), index):
        job_store.prefer(conn, asset_id, ENCODE, {"chunk": chunk.index}, priority.AHEAD)


def chunks_from(plan: EncodePlan, index: int) -> Sequence[Chunk]:
    """The chunk of segment `index` and those behind it that its viewer will come to soon."""
    return [chunk for chunk in plan.chunks if chunk.end_segment > index][:CHUNKS_AHEAD]


def segment_job(asset_id: str, plan_digest: str, rendition: str, index: int, *, goes_on: bool = False) -> NewJob:
    """It weighs nothing: it takes nothing from the asset's progress and adds nothing to it. `goes_on`: its predecessor is there."""
    subject = f"{asset_id}/{plan_digest}/{rendition}/{index}"
    args = {"rendition": rendition, "index": index}
    return NewJob(SEGMENT, subject, asset_id, args=args, priority=priority.NEXT if goes_on else priority.DEMAND, weight=0.0)
