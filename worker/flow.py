"""Which step follows which, as a table.

    ingest.import_url ┐                                                ┌ packager.publish (planned)
    ingest.adopt      ├ (source is whole) ingest.probe → transcode.plan ┤
    tus, PUT          ┘                                                └ transcode.segment (the opening) ─┐
      ┌───────────────────────────────────────────────────────────────────────────────────────────────────┘
      │  transcode.encode × groups × chunks ┐
      └─ transcode.audio                    ┼ packager.publish (ready)
         transcode.poster                   ┘

Steps that make a source whole queue its probe themselves (`ingest.received`), as the uploads of the API do. Everything else is
here: `FOLLOWS` names for each kind of job the rule that yields its followers.

The opening is the first segment of the lowest rung and of the sound, each made alone and at once. With them and the playlists,
which the plan alone decides, a title is playable. All other work begins behind the opening, so that it has the machine to itself.

A source whose index comes first is probed and planned while it is still arriving; what needs more of it than is there is held back
(`worker.arrival`), and if the whole file is what it seemed to be, nothing is done again.

Fan-in counts nothing. The transaction that ends a job locks its asset's row first, so of two siblings that finish at once the
second sees the first, and asks which siblings are unfinished. Exactly one of them sees none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

import catalog.store
from catalog import early
from catalog.asset import AssetEvent, AssetStatus, Stage
from catalog.demand import ENCODE, SEGMENT, segment_job
from kit import job_store
from kit.errors import HeadwaterError, NotFound
from kit.jobs import Job, NewJob
from media.ids import AssetId
from media.plan import Chunk, EncodePlan
from media.rendition import VideoRendition
from worker import arrival, priority

PROBE, PLAN = "ingest.probe", "transcode.plan"
AUDIO, POSTER = "transcode.audio", "transcode.poster"
PUBLISH, PURGE = "packager.publish", catalog.store.PURGE
DROP = early.DROP
DIGEST = "ingest.digest"  # nice to have: no title is lost for want of it

# Expected CPU seconds, for weighing progress: only their ratios count. Measured on one core of a 2-core machine (Xeon with AVX-512),
# 480p to 1080p from a real clip of 1080p: what a frame costs is a straight line in the pixels that are encoded, within 5 %.
_ENCODE_S_PER_PIXEL = 16e-9  # x264 "veryfast", with scaling
_DECODE_S_PER_PIXEL = 4e-9  # of the source, and putting it on the grid
_AUDIO_CPU_S_PER_S = 0.02
_POSTER_CPU_S = 0.5
_START_CPU_S = 0.2  # of any run: the program, its encoders, verification


# -- pure: jobs as values


def plan_job(asset_id: str) -> NewJob:
    return NewJob(PLAN, asset_id, asset_id, priority=priority.PLAN)


def early_plan_job(job: Job) -> NewJob:
    """The plan of a source that is still arriving; of its own subject, because another file may come after all."""
    return NewJob(PLAN, job.subject, job.asset_id, args={"early": True}, priority=priority.PLAN)


def opening_jobs(asset_id: str, plan: EncodePlan) -> list[NewJob]:
    """The first segment of everything that has to be there before somebody can watch."""
    jobs = (segment_job(asset_id, plan.digest, name, 0) for name in _opening(plan))
    return [replace(job, args={**job.args, "opening": True}, priority=priority.OPENING) for job in jobs]


def _opening(plan: EncodePlan) -> list[str]:
    return [plan.video[0].name, *([] if plan.audio is None else [plan.audio.name])]


def encode_jobs(asset_id: str, plan: EncodePlan) -> list[NewJob]:
    """Everything that has to be encoded, in the order in which it should be. Subjects begin with the asset, because two assets
    with the same source have the same plan, but each its own objects."""
    subject = f"{asset_id}/{plan.digest}"
    jobs = [_encode_job(asset_id, plan, group, chunk) for group in range(len(plan.groups)) for chunk in plan.chunks]
    if plan.audio is not None:
        weight = _START_CPU_S + float(plan.grid.duration) * _AUDIO_CPU_S_PER_S
        jobs.append(NewJob(AUDIO, f"{subject}/audio", asset_id, priority=priority.AUDIO, weight=weight))
    jobs.append(NewJob(POSTER, f"{subject}/poster", asset_id, priority=priority.POSTER, weight=_POSTER_CPU_S))
    return jobs


def _encode_job(asset_id: str, plan: EncodePlan, group: int, chunk: Chunk) -> NewJob:
    names = plan.groups[group]
    return NewJob(
        ENCODE,
        f"{asset_id}/{plan.digest}/g{group}/c{chunk.index}",
        asset_id,
        args={"group": group, "chunk": chunk.index, "renditions": list(names)},
        priority=priority.CHUNK,
        weight=encode_cpu_s(plan, [plan.rendition(name) for name in names], chunk),
    )


def encode_cpu_s(plan: EncodePlan, rungs: Sequence[VideoRendition], chunk: Chunk) -> float:
    """About how long one core works on `chunk` for these rungs: one decode of the source, which is as large as the top rung, and all of
    their segments but the opening, which is there already.
    """
    frames = _frames(plan, chunk.first_segment, chunk.end_segment)
    encoded = sum(rung.width * rung.height * frames for rung in rungs)
    if chunk.first_segment == 0 and plan.video[0] in rungs:
        encoded -= plan.video[0].width * plan.video[0].height * _frames(plan, 0, 1)
    decoded = max(rung.width * rung.height for rung in plan.video) * frames if encoded else 0
    return _START_CPU_S + encoded * _ENCODE_S_PER_PIXEL + decoded * _DECODE_S_PER_PIXEL


def _frames(plan: EncodePlan, first_segment: int, end_segment: int) -> int:
    return plan.grid.segment_bounds(end_segment - 1)[1] - plan.grid.segment_bounds(first_segment)[0]


def publish_job(asset_id: str, plan_digest: str, stage: Stage) -> NewJob:
    return NewJob(PUBLISH, f"{asset_id}/{plan_digest}/{stage}", asset_id, priority=priority.PUBLISH, weight=0.0)


def plan_of(job: Job) -> str:
    """The digest in the subject of an encode, audio or poster job."""
    return job.subject.split("/")[1]


# -- thin SQL: what may follow now


def _after_probe(conn: Connection, job: Job) -> Sequence[NewJob]:
    """The plan, unless it was made while the source was still arriving and the source is what it seemed to be."""
    if job.args.get("early"):
        return [early_plan_job(job)]
    arrived = early.load(conn, job.asset_id)
    planned = arrived is not None and job_store.is_under_way(conn, PLAN, f"{job.asset_id}/early-{arrived.generation}")
    return [] if planned else [plan_job(job.asset_id)]


def _after_plan(conn: Connection, job: Job) -> Sequence[NewJob]:
    plan = _plan(conn, job)
    opening = arrival.gate(conn, job.asset_id, opening_jobs(job.asset_id, plan), plan)
    return [publish_job(job.asset_id, plan.digest, "planned"), *opening]


def _after_segment(conn: Connection, job: Job) -> Sequence[NewJob]:
    """Behind the opening comes everything else. Nothing follows a segment that a viewer asked for."""
    if not job.args.get("opening"):
        return []
    plan = _plan(conn, job)
    _open_if_whole(conn, job, plan)
    if job.args["rendition"] != plan.video[0].name:
        return []
    return arrival.gate(conn, job.asset_id, encode_jobs(job.asset_id, plan), plan)


def _after_publish(conn: Connection, job: Job) -> Sequence[NewJob]:
    if job.subject.endswith("/planned"):
        _open_if_whole(conn, job, _plan(conn, job))
    return []


def _open_if_whole(conn: Connection, job: Job, plan: EncodePlan) -> None:
    """The title is playable once its playlists and its opening are there, whichever comes last."""
    published = catalog.store.current_presentation(conn, job.asset_id) is not None
    if published and all(catalog.store.is_recorded(conn, job.asset_id, plan.digest, name, 0) for name in _opening(plan)):
        catalog.store.advance(conn, job.asset_id, AssetEvent.PLAYABLE)


def _after_encoding(conn: Connection, job: Job) -> Sequence[NewJob]:
    """Publishing, after the last of them."""
    left = job_store.unfinished(conn, job.asset_id, [ENCODE, AUDIO, POSTER])
    return [publish_job(job.asset_id, plan_of(job), "ready")] if left == 0 else []


def _plan(conn: Connection, job: Job) -> EncodePlan:
    return catalog.store.load_plan(conn, AssetId(job.asset_id))


FOLLOWS: Mapping[str, Callable[[Connection, Job], Sequence[NewJob]]] = {
    PROBE: _after_probe,
    PLAN: _after_plan,
    SEGMENT: _after_segment,
    PUBLISH: _after_publish,
    ENCODE: _after_encoding,
    AUDIO: _after_encoding,
    POSTER: _after_encoding,
}
"""The rule for each kind of job. Nothing follows a kind that is not here."""


class VideoFlow:
    """`kit.step.Flow` of this product."""

    def lock(self, conn: Connection, job: Job) -> None:
        with suppress(NotFound):  # then there is nothing that anybody could lock in another order
            catalog.store.lock_asset(conn, job.asset_id)

    def followers(self, conn: Connection, job: Job, result: Any) -> Sequence[NewJob]:
        del result  # what a step found is in the database by now
        rule = FOLLOWS.get(job.kind)
        return rule(conn, job) if rule is not None else ()

    def died(self, conn: Connection, job: Job, error: HeadwaterError) -> None:
        """One step given up is the whole title given up: what its siblings would make could not be published."""
        if _is_arriving(conn, job.asset_id):
            early.drop(conn, job.asset_id)  # nothing was promised yet: the whole file will say what it is
        elif job.kind not in (PURGE, DROP, DIGEST) and job.asset_id and not (job.kind == PROBE and job.args.get("early")):
            # A job that is about no asset leaves all others alone.
            with suppress(NotFound):
                catalog.store.mark_errored(conn, job.asset_id, error.code, error.detail)
            job_store.cancel_asset(conn, job.asset_id)


def _is_arriving(conn: Connection, asset_id: str) -> bool:
    """Whether the asset is worked on while its source is still arriving."""
    if early.load(conn, asset_id) is None:
        return False
    return catalog.store.get_asset(conn, asset_id).status is AssetStatus.UPLOADING
