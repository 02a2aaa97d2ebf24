"""Making a damaged object again: which jobs do it, in which order they are tried, and how they are asked for.

Everything but a source follows from the source and the plan, so it is made by the job that made it the first time. A video segment
comes out byte for byte as it was. An audio encoder remembers what came before, so a segment of sound that was made in one run of the
whole track has to be made so again, and one that was made alone, alone: both are tried, and the recorded SHA-256 decides.

Asking forgets the segment's row, so whoever wants to see it meanwhile waits for it instead of being sent damaged bytes. If it cannot
be made, the row is put back: damage that is known is better than a part that was never there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from catalog import downloads, pictures, store, track_store
from catalog.asset import AssetStatus, Stage
from catalog.demand import segment_job
from catalog.inventory import Part, What
from catalog.kinds import AUDIO, INIT, POSTER, PUBLISH
from catalog.priority import REPAIR
from kit import job_store
from kit.jobs import Job, NewJob
from media import keys
from media import pictures as names
from media.ids import AssetId, PlanDigest
from media.plan import EncodePlan
from media.segments import MeasuredSegment

TRIES = 2  # ways in which one object may be made

_STAGE: Stage = "planned"  # it needs nothing but the plan, and never replaces what is ready


def job_for(part: Part, plan: EncodePlan, attempt: int) -> NewJob | None:
    """The job that makes `part` at this attempt (from 0); None when there is no such way. Pure."""
    if part.plan_digest != plan.digest:
        return None  # of a plan that the asset does not have any more
    subject = f"{part.owner}/{part.plan_digest}"
    if part.what == What.SEGMENT:
        return _segment_job(part, plan, attempt)
    if part.what == What.PICTURE:  # from stored segments, which the first attempt has seen to
        return _picture_job(part) if attempt == TRIES - 1 else None
    if part.what == What.DOWNLOAD:
        return downloads.job(part.owner, part.plan_digest, _download_id(part)) if attempt == TRIES - 1 else None
    if attempt > 0:
        return None
    if part.what == What.INIT:
        return NewJob(INIT, f"{subject}/{part.rendition}/init", part.owner, {"rendition": part.rendition}, REPAIR, 0.0)
    if part.what == What.TEXT:  # whoever publishes has every track packed that is not; that a playlist is there already costs nothing
        return NewJob(PUBLISH, f"{subject}/{_STAGE}", part.owner, {}, REPAIR, 0.0)
    if part.what == What.PLAYLIST:
        return NewJob(PUBLISH, f"{subject}/{_STAGE}", part.owner, {"rewrite": True}, REPAIR, 0.0)
    if part.what == What.POSTER and _name(part) == names.POSTER:
        return NewJob(POSTER, f"{subject}/poster", part.owner, {}, REPAIR, 0.0)
    if part.what == What.POSTER:
        time_s = int(_name(part).removeprefix("poster-").removesuffix(".jpg")) / 1000
        return NewJob(pictures.STILL, f"{subject}/{_name(part)}", part.owner, {"time_s": time_s}, REPAIR, 0.0)
    return None


def _name(part: Part) -> str:
    """Of a picture, below its plan."""
    return part.key.removeprefix(keys.plan_prefix(AssetId(part.owner), PlanDigest(part.plan_digest)))


def _download_id(part: Part) -> str:
    return part.key.rpartition("/")[2].partition(".")[0]


def _digest_of(part: Part) -> str:
    """Of a pack of text."""
    return part.key.rpartition("/")[2]


def _picture_job(part: Part) -> NewJob | None:
    name = _name(part)
    if name.startswith("t/"):
        _, width, number = name.split("/")
        job = pictures.thumbnail_job(part.owner, part.plan_digest, int(width), int(number.partition(".")[0]))
        return replace(job, priority=REPAIR)
    kind = pictures.PREVIEW if name == names.PREVIEW else pictures.STORYBOARD
    return next(job for job in pictures.extra_jobs(part.owner, part.plan_digest, REPAIR) if job.kind == kind)


def _segment_job(part: Part, plan: EncodePlan, attempt: int) -> NewJob | None:
    alone = replace(segment_job(part.owner, part.plan_digest, part.rendition, part.index), priority=REPAIR)
    if plan.sound(part.rendition) is None:
        return alone if attempt == 0 else None
    args = {"renditions": [part.rendition]}
    whole = NewJob(AUDIO, f"{part.owner}/{part.plan_digest}/{part.rendition}", part.owner, args, REPAIR, 0.0)
    ways = (alone, whole) if part.index == 0 else (whole, alone)  # the first is made alone, as a part of the opening
    return ways[attempt] if attempt < len(ways) else None


@dataclass(frozen=True, slots=True)
class Asked:
    """Jobs by the key of the object that each makes, and the rows that were forgotten for it."""

    jobs: dict[str, Job]
    forgotten: dict[str, MeasuredSegment]


def ask(conn: Connection, asset_id: str, damaged: Sequence[Part], attempt: int) -> Asked:
    """Queue what makes these parts of one asset again. What no job can make is left out."""
    asset = store.lock_asset(conn, asset_id)
    if asset.status is not AssetStatus.READY:  # what is still being made is judged when it is ready; a given-up title stays as it is
        return Asked({}, {})
    plan = store.load_plan(conn, asset_id)
    wanted = {part: job for part in damaged if (job := job_for(part, plan, attempt)) is not None}
    forgotten: dict[str, MeasuredSegment] = {}
    for part in wanted:
        if part.what == What.SEGMENT:
            forgotten.update(_forget(conn, part))
        elif part.what == What.TEXT:
            track_store.pack_again(conn, part.owner, _digest_of(part))
    made: dict[tuple[str, str], Job] = {}
    for new in wanted.values():
        if (new.kind, new.subject) not in made:
            made[new.kind, new.subject] = job_store.enqueue_again(conn, new)
    return Asked({part.key: made[new.kind, new.subject] for part, new in wanted.items()}, forgotten)


def _forget(conn: Connection, part: Part) -> Iterator[tuple[str, MeasuredSegment]]:
    where = (part.owner, part.plan_digest, part.rendition)
    for recorded in store.lock_segments(conn, *where, [part.index]):
        yield part.key, recorded
    store.forget_segments(conn, *where, [part.index])


def put_back(conn: Connection, parts: Iterable[Part], forgotten: dict[str, MeasuredSegment]) -> None:
    """Record again what could not be made; what has been made meanwhile stays."""
    for part in parts:
        if part.key in forgotten:
            store.save_segments(conn, part.owner, part.plan_digest, part.rendition, [forgotten[part.key]])
