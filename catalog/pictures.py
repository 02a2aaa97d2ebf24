"""Which pictures of a title are stored, which of them is its poster, and the jobs that make the ones that somebody asks for.

A picture lies under the plan's digest and never changes; `record` says that it is there. What the poster is, is a fact of the
presentation's row (`show_poster`), so choosing another one changes a row and no object.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog import priority
from catalog.asset import Asset
from catalog.plan_store import load_plan
from catalog.store import GIVEN_UP, SEGMENTS_CHANNEL
from catalog.tables import assets, pictures, presentations, renditions
from kit import job_store
from kit.db import Json
from kit.errors import BadRequest, NotFound
from kit.jobs import NewJob, State
from media import pictures as names
from media.ids import PlanDigest

STORYBOARD, PREVIEW = "transcode.storyboard", "transcode.preview"
THUMBNAIL, STILL = "transcode.thumbnail", "transcode.still"
EXTRAS = (STORYBOARD, PREVIEW, THUMBNAIL, STILL)
"""No title waits for these, and none is lost for want of them."""

MOST_WAITING = 24  # thumbnails of one asset that are asked for and not made yet


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture, by its name below the plan's folder."""

    name: str
    sha256: str  # hex
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """What a step made for a plan."""

    plan_digest: PlanDigest
    pictures: tuple[Picture, ...]


def record(conn: Connection, asset_id: str, made: Made) -> None:
    """The pictures are in the store. Whoever waits for one is told at commit. Raises NotFound when nothing more is kept for the plan."""
    current = select(exists().where(renditions.c.asset_id == asset_id, renditions.c.plan_digest == made.plan_digest))
    if not conn.execute(current).scalar_one():
        raise NotFound("Nothing is kept for this plan any more.", code="plan_not_found")
    mine = {"asset_id": asset_id, "plan_digest": made.plan_digest}
    for picture in made.pictures:
        facts = {"sha256": picture.sha256, "size_bytes": picture.size_bytes}
        statement = upsert(pictures).values({**mine, "name": picture.name, **facts})
        conn.execute(statement.on_conflict_do_update(index_elements=["asset_id", "plan_digest", "name"], set_=facts))
        conn.execute(select(func.pg_notify(SEGMENTS_CHANNEL, f"{asset_id}/{made.plan_digest}/{picture.name.rpartition('/')[0]}")))


def find(conn: Connection, asset_id: str, plan_digest: str, wanted: Collection[str]) -> dict[str, Picture]:
    """Those of the named pictures that are there."""
    mine = (pictures.c.asset_id == asset_id) & (pictures.c.plan_digest == plan_digest) & pictures.c.name.in_(list(wanted))
    query = select(pictures.c.name, pictures.c.sha256, pictures.c.size_bytes).where(mine)
    return {name: Picture(name, sha256, size_bytes) for name, sha256, size_bytes in conn.execute(query)}


def shown(conn: Connection, asset_ids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Whether there is a storyboard and a preview of what is published of these assets: their names, by asset."""
    of_plan = (pictures.c.asset_id == presentations.c.asset_id) & (pictures.c.plan_digest == presentations.c.plan_digest)
    query = select(pictures.c.asset_id, pictures.c.name).join_from(pictures, presentations, of_plan).order_by(pictures.c.name)
    query = query.where(pictures.c.asset_id.in_(list(asset_ids)), pictures.c.name.in_([names.STORYBOARD, names.PREVIEW]))
    found: dict[str, tuple[str, ...]] = dict.fromkeys(asset_ids, ())
    for asset_id, name in conn.execute(query):
        found[asset_id] += (name,)
    return found


def show_poster(conn: Connection, asset_id: str) -> None:
    """The presentation has as its poster what the asset's details ask for, as soon as that picture is there, and meanwhile the one that
    was chosen for its content. Nothing happens when neither is there, or nothing is published.
    """
    row = conn.execute(
        select(presentations.c.plan_digest, assets.c.poster_time_s)
        .join_from(presentations, assets, presentations.c.asset_id == assets.c.id)
        .where(assets.c.id == asset_id)
    ).one_or_none()
    if row is None:
        return
    preferred = [names.POSTER] if row.poster_time_s is None else [names.chosen_poster(row.poster_time_s), names.POSTER]
    found = find(conn, asset_id, row.plan_digest, preferred)
    picture = next((found[name] for name in preferred if name in found), None)
    if picture is None:
        return
    facts = literal({"poster": {"sha256": picture.sha256, "size_bytes": picture.size_bytes, "name": picture.name}}, Json)
    values = {"multivariant": presentations.c.multivariant.op("||")(facts), "has_poster": True}
    conn.execute(update(presentations).where(presentations.c.asset_id == asset_id).values(values))


def choose_poster(conn: Connection, asset: Asset) -> None:
    """After `poster_time_s` was changed: show that picture, or have it made. A title that is not planned yet has it made with its other
    poster. Raises BadRequest for a time past the end.
    """
    time_s = asset.poster_time_s
    if time_s is not None and asset.source is not None and asset.source.video is None:
        raise BadRequest("There are no pictures in it, so no moment can be shown.", code="bad_time")
    if time_s is not None and asset.source is not None and time_s > asset.source.duration:
        raise BadRequest(f"The video lasts {float(asset.source.duration):.3f} s, so nothing is shown at {time_s:g} s.", code="bad_time")
    if asset.plan_digest is None:
        return
    if time_s is not None and names.chosen_poster(time_s) not in find(conn, asset.id, asset.plan_digest, [names.chosen_poster(time_s)]):
        name = names.chosen_poster(time_s)
        subject = f"{asset.id}/{asset.plan_digest}/{name}"
        job_store.enqueue(conn, NewJob(STILL, subject, asset.id, args={"time_s": time_s}, priority=priority.THUMBNAIL, weight=0.0))
    show_poster(conn, asset.id)


def extra_jobs(asset_id: str, plan_digest: str, urgency: int) -> list[NewJob]:
    """What a whole title gets beyond what playing it needs."""
    subject = f"{asset_id}/{plan_digest}"
    return [NewJob(kind, f"{subject}/{kind}", asset_id, priority=urgency, weight=0.0) for kind in (STORYBOARD, PREVIEW)]


def thumbnail_job(asset_id: str, plan_digest: str, width: int, gop: int) -> NewJob:
    subject = f"{asset_id}/{plan_digest}/{names.thumbnail(width, gop)}"
    args = {"width": width, "gop": gop}
    return NewJob(THUMBNAIL, subject, asset_id, args=args, priority=priority.THUMBNAIL, weight=0.0, max_attempts=2)


def want_thumbnail(conn: Connection, asset_id: str, plan_digest: str, width: int, gop: int) -> None:
    """See that this thumbnail is made soon. Raises NotFound when it is not one of the plan's, or could not be made."""
    # The row is kept from changing until the transaction ends, so nothing is asked for an asset that has just been deleted.
    of_asset = select(assets.c.plan_digest, assets.c.status).where(assets.c.id == asset_id).with_for_update(read=True)
    row = conn.execute(of_asset).one_or_none()
    known = row is not None and row.plan_digest == plan_digest and row.status not in GIVEN_UP and width in names.THUMBNAIL_WIDTHS
    plan = load_plan(conn, asset_id) if known else None
    if plan is None or not plan.video or not 0 <= gop < plan.grid.gop_count:
        raise NotFound("There is no such picture.", code="picture_not_found")
    job = job_store.enqueue(conn, thumbnail_job(asset_id, plan_digest, width, gop))
    if job.state in (State.FAILED, State.CANCELLED):
        raise NotFound("This picture could not be made.", code="picture_not_found")


def waiting_thumbnails(conn: Connection, asset_id: str) -> int:
    """How many thumbnails of an asset are asked for and not made yet."""
    return job_store.unfinished(conn, asset_id, [THUMBNAIL])
