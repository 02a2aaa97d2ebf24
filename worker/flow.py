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

A step that was given up takes with it only what cannot be without it: a rung or a minor track of sound that cannot be encoded is left out,
and the title becomes ready with the others (`cost_of`).

Fan-in counts nothing. The transaction that ends a job locks its asset's row first, so of two siblings that finish at once the
second sees the first, and asks which siblings are unfinished. Exactly one of them sees none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

import catalog.store
from catalog import downloads, early, embedded, pictures, priority, track_store
from catalog.asset import Asset, AssetStatus, Stage
from catalog.demand import segment_job
from catalog.kinds import AUDIO, DIGEST, ENCODE, PLAN, POSTER, PROBE, PUBLISH, SEGMENT
from catalog.lost import Lost
from kit.errors import HeadwaterError, Retry
from kit.jobs import Job, NewJob
from media.plan import Chunk, EncodePlan
from media.rendition import VideoRendition
from packager import dash, hls
from packager.presentation import planned
from packager.protection import has_manifest
from worker.books import Books, Manifests, SqlBooks

TEXT = embedded.EXTRACT
_EXTRAS = (catalog.store.PURGE, early.DROP, track_store.DROP_TEXT, DIGEST, embedded.HIDDEN, downloads.MAKE, *pictures.EXTRAS)
"""Whose failure costs the title nothing."""

# Expected CPU seconds, for weighing progress: only their ratios count. Measured on one core of a 2-core machine (Xeon with AVX-512),
# 480p to 1080p from a real clip of 1080p: what a frame costs is a straight line in the pixels that are encoded, within 5 %.
_ENCODE_S_PER_PIXEL = 16e-9  # x264 "veryfast", with scaling
_EFFORT = {"h264": 1, "hevc": 2, "av1": 1}  # beside that (`make bench-codecs`)
_DECODE_S_PER_PIXEL = 4e-9  # of the source, and putting it on the grid
_AUDIO_CPU_S_PER_S = 0.0085  # of stereo
_POSTER_CPU_S = 0.8
_START_CPU_S = 1.0  # of any run: the program, its encoders, verification
_NO_RUN_CPU_S = 0.1  # of a job that finds everything made already


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


def _opening(plan: EncodePlan, lost: Collection[str] = ()) -> list[str]:
    """The lowest rung that is left, and the sound; of sound without pictures its stereo forms, because players begin with the lowest."""
    main = plan.main_audio
    if plan.video or main is None:
        lowest = [rung.name for rung in plan.video if rung.name not in lost][:1]
        return [*lowest, *([] if main is None else [main.name])]
    forms = (track for track in plan.audio if (track.source_index, track.channels) == (main.source_index, main.channels))
    return [track.name for track in forms if track.name not in lost]


def encode_jobs(asset_id: str, plan: EncodePlan) -> list[NewJob]:
    """Everything that has to be encoded, in the order in which it should be. Subjects begin with the asset, because two assets
    with the same source have the same plan, but each its own objects."""
    subject = f"{asset_id}/{plan.digest}"
    jobs = [_encode_job(asset_id, plan, group, chunk) for group in range(len(plan.groups)) for chunk in plan.chunks]
    for track in plan.audio:
        weight = _START_CPU_S + float(plan.grid.duration) * _AUDIO_CPU_S_PER_S * track.channels / 2
        args = {"renditions": [track.name]}
        jobs.append(NewJob(AUDIO, f"{subject}/{track.name}", asset_id, args=args, priority=priority.AUDIO, weight=weight))
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
    encoded = sum(rung.width * rung.height * frames * _EFFORT[rung.codec] for rung in rungs)
    if chunk.first_segment == 0 and plan.video[0] in rungs:
        encoded -= plan.video[0].width * plan.video[0].height * _frames(plan, 0, 1)
    if not encoded:
        return _NO_RUN_CPU_S
    decoded = max(rung.width * rung.height for rung in plan.video) * frames
    return _START_CPU_S + encoded * _ENCODE_S_PER_PIXEL + decoded * _DECODE_S_PER_PIXEL


def _frames(plan: EncodePlan, first_segment: int, end_segment: int) -> int:
    return plan.grid.segment_bounds(end_segment - 1)[1] - plan.grid.segment_bounds(first_segment)[0]


def publish_job(asset_id: str, plan_digest: str, stage: Stage) -> NewJob:
    return NewJob(PUBLISH, f"{asset_id}/{plan_digest}/{stage}", asset_id, priority=priority.PUBLISH, weight=0.0)


def plan_of(job: Job) -> str:
    """The digest in the subject of an encode, segment, audio or poster job."""
    return job.subject.split("/")[1]


# -- what a step that was given up costs


@dataclass(frozen=True, slots=True)
class Cost:
    """What goes with it, and what is tried instead."""

    title: bool = False  # everything: nothing could be played without it
    lost: tuple[str, ...] = ()  # renditions
    instead: tuple[NewJob, ...] = ()


def cost_of(job: Job, plan: EncodePlan, gone: Collection[str], *, hopeless: bool) -> Cost:
    """As little as possible. `gone` are the renditions that were given up before; `hopeless` says that the source is the reason, which
    every rung has in common.

    A run that makes several rungs does not say which of them it broke on, so each gets a run of its own (docs/decisions/0014-poison.md).
    """
    if job.kind in (POSTER, TEXT):
        return Cost()
    if job.kind not in (ENCODE, SEGMENT, AUDIO):
        return Cost(title=True)
    if job.kind == SEGMENT and not job.args.get("opening") and not hopeless:
        return Cost()  # somebody could not wait for it; the chunk that it belongs to will tell
    names = _made_by(job, plan)
    if all(plan.sound(name) is not None for name in names):
        return _cost_of_sound(names, plan, gone)
    if hopeless:
        return Cost(title=True)
    left = tuple(name for name in names if name not in gone)
    if len(names) > 1:
        return Cost(instead=tuple(_alone(job, name) for name in left))
    living = {rung.name for rung in plan.video} - {*gone, *left}
    return Cost(lost=left) if living else Cost(title=True)


def _made_by(job: Job, plan: EncodePlan) -> list[str]:
    """The renditions that a job makes something of."""
    if job.kind == SEGMENT:
        return [job.args["rendition"]]
    every_track = [track.name for track in plan.audio]
    return list(job.args.get("renditions", every_track))  # sound of before there could be several tracks names none


def _cost_of_sound(named: Collection[str], plan: EncodePlan, gone: Collection[str]) -> Cost:
    """Of the track that is heard unless somebody chooses, the title; of another one, that track in all of its forms. Other forms of a track
    than the plain one are lost alone. That the source is the reason changes nothing: each track has its own part of it.
    """
    plain = {track.source_index: track.name for track in reversed(plan.audio) if track.group == plan.audio[0].group}
    lost = [
        track.name for track in plan.audio if track.name not in gone and (track.name in named or plain.get(track.source_index) in named)
    ]
    return Cost(title=True) if plan.audio[0].name in lost else Cost(lost=tuple(lost))


def _alone(job: Job, name: str) -> NewJob:
    """One rung of a chunk of several. It weighs nothing: its share of the asset's progress is the divided job's."""
    args = {**job.args, "renditions": [name]}
    return NewJob(ENCODE, f"{job.subject}/{name}", job.asset_id, args=args, priority=priority.CHUNK, weight=0.0)


# -- what may follow now, by what the books say


def _after_probe(books: Books, job: Job) -> Sequence[NewJob]:
    """The plan, unless it was made while the source was still arriving and the source is what it seemed to be."""
    if job.args.get("early"):
        return [early_plan_job(job)]
    generation = books.generation(job.asset_id)
    planned = generation is not None and books.is_under_way(PLAN, f"{job.asset_id}/early-{generation}")
    return [] if planned else [plan_job(job.asset_id)]


def _after_plan(books: Books, job: Job) -> Sequence[NewJob]:
    plan = books.plan(job.asset_id)
    opening = books.gated(job.asset_id, opening_jobs(job.asset_id, plan), plan)
    return [publish_job(job.asset_id, plan.digest, "planned"), *opening]


def _after_segment(books: Books, job: Job) -> Sequence[NewJob]:
    """Behind the opening comes everything else. Nothing follows a segment that a viewer asked for."""
    if not job.args.get("opening"):
        return []
    plan = books.plan(job.asset_id)
    _open_if_whole(books, job, plan)
    if job.args["rendition"] != _opening(plan)[0]:
        return []
    return books.gated(job.asset_id, encode_jobs(job.asset_id, plan), plan)


def _after_publish(books: Books, job: Job) -> Sequence[NewJob]:
    plan = books.plan(job.asset_id)
    if job.subject.endswith("/planned"):
        _open_if_whole(books, job, plan)
        return []
    return [] if not plan.video else pictures.extra_jobs(job.asset_id, plan_of(job), priority.PICTURES)


def _open_if_whole(books: Books, job: Job, plan: EncodePlan) -> None:
    """The title is playable once its playlists and its opening are there, whichever comes last."""
    lost = books.lost(job.asset_id, plan.digest)
    opening = [name for name in _opening(plan, lost) if not books.is_recorded(job.asset_id, plan.digest, name, 0)]
    if not opening and books.is_published(job.asset_id):
        books.playable(job.asset_id)


def _after_encoding(books: Books, job: Job) -> Sequence[NewJob]:
    """Publishing, after the last of them. Where the opening was lost, the title begins with the lowest rung that is left."""
    digest = plan_of(job)
    if books.lost(job.asset_id, digest):
        _open_if_whole(books, job, books.plan(job.asset_id))
    left = books.unfinished(job.asset_id, (ENCODE, AUDIO, POSTER, TEXT))
    return [publish_job(job.asset_id, digest, "ready")] if left == 0 else []


def _after_text(books: Books, job: Job) -> Sequence[NewJob]:
    """The text of a source may be out before the rest has begun, and then nothing is finished by it."""
    begun = encode_jobs(job.asset_id, books.plan(job.asset_id))
    return _after_encoding(books, job) if any(books.is_under_way(other.kind, other.subject) for other in begun) else []


FOLLOWS: Mapping[str, Callable[[Books, Job], Sequence[NewJob]]] = {
    PROBE: _after_probe,
    PLAN: _after_plan,
    SEGMENT: _after_segment,
    PUBLISH: _after_publish,
    ENCODE: _after_encoding,
    AUDIO: _after_encoding,
    POSTER: _after_encoding,
    TEXT: _after_text,
}
"""The rule for each kind of job. Nothing follows a kind that is not here."""


@dataclass(frozen=True, slots=True)
class VideoFlow:
    """`kit.step.Flow` of this product. `open_books` opens them on a transaction."""

    open_books: Callable[[Any], Books] = SqlBooks

    def lock(self, conn: Connection, job: Job) -> None:
        self.open_books(conn).lock(job.asset_id)  # when there is none, nobody could lock in another order

    def followers(self, conn: Connection, job: Job, result: Any) -> Sequence[NewJob]:
        del result  # what a step found is in the database by now
        return _followers(self.open_books(conn), job)

    def died(self, conn: Connection, job: Job, error: HeadwaterError) -> None:
        """A step was given up. What does not need it goes on, and what follows such a step follows it all the same."""
        books = self.open_books(conn)
        asset = books.lock(job.asset_id) if job.asset_id else None
        if asset is None:
            return  # a job that is about no asset leaves all others alone
        if asset.status is AssetStatus.UPLOADING and books.generation(asset.id) is not None:
            books.drop_early(asset.id)  # nothing was promised yet: the whole file will say what it is
        elif job.kind not in _EXTRAS and not (job.kind == PROBE and job.args.get("early")):
            _bear(books, asset, job, error)


def _followers(books: Books, job: Job) -> Sequence[NewJob]:
    rule = FOLLOWS.get(job.kind)
    return rule(books, job) if rule is not None else ()


def _bear(books: Books, asset: Asset, job: Job, error: HeadwaterError) -> None:
    """Writes down what the loss of a step costs. What is published whole stays as it is."""
    if asset.status not in (AssetStatus.PROCESSING, AssetStatus.WAITING, AssetStatus.UPLOADING):
        return
    cost = Cost(title=True)
    if job.kind in (ENCODE, SEGMENT, AUDIO, POSTER, TEXT):
        plan = books.plan(asset.id)
        if plan_of(job) != plan.digest:
            return  # of a plan that is not the asset's any more
        gone = books.lost(asset.id, plan.digest)
        cost = cost_of(job, plan, gone, hopeless=error.retry is Retry.NEVER)
        if cost.lost:
            left = planned(plan, {*gone, *cost.lost})
            manifest = dash.render(left, plan) if has_manifest(plan) else {}
            instead = Manifests(hls.render_multivariant(left, plan.digest), manifest)
            books.lose(asset.id, plan.digest, cost.lost, Lost(error.code, error.detail), instead)
    if cost.title:
        books.give_up(asset.id, error.code, error.detail)
        return
    books.enqueue(cost.instead)
    books.enqueue(_followers(books, job))
