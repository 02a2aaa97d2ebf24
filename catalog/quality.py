"""How good the renditions of titles look: VMAF scores by segment, and what they come to. The only SQL about them.

A title is measured segment by segment, each by a job of its own, which scores every rendition in it. So a measurement may be
interrupted, goes on with what is missing, and a whole one keeps what a sample has scored. A score means nothing without what is
written here beside it: the model (`MODEL`), the pooling (`summary`) and what was compared with what (`REFERENCE`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Literal

from sqlalchemy import Column, Connection, Float, Integer, Table, Text, select
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog import lost, priority
from catalog.tables import of_rendition, renditions
from kit import job_store
from kit.db import Json, metadata
from kit.errors import NotFound
from kit.jobs import NewJob
from media.plan import EncodePlan

Extent = Literal["sampled", "full"]

MEASURE = "transcode.quality"
MODEL = "vmaf_v0.6.1"
POOLING = "harmonic mean and 5th percentile of the pictures that were scored"
SHORT_SIDE = 1080  # pixels: the model is of a viewer three heights away from a picture of so many lines
EVERY = 5  # pictures: an odd step, because the quality of B-frames alternates
REFERENCE = (
    "the source, decoded and put on the title's frame grid and into BT.709 by the encoder's own filters; "
    f"both scaled (bicubic) to {SHORT_SIDE} on the short side, 8 bits, every {EVERY}th picture"
)
SAMPLES = 5  # segments of a sampled measurement


quality_scores = Table(
    "quality_scores",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("index", Integer, primary_key=True),  # of the segment
    Column("model", Text, nullable=False),
    Column("scores", Json, nullable=False),  # of every EVERYth picture of the segment
    of_rendition(),
)

qualities = Table(
    "qualities",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("mean", Float, nullable=False),
    Column("p5", Float, nullable=False),
    Column("lowest", Float, nullable=False),
    Column("segments", Integer, nullable=False),
    Column("pictures", Integer, nullable=False),
    Column("least", Float),  # the mean that its profile asks for
    of_rendition(),
)


@dataclass(frozen=True, slots=True)
class Summary:
    """VMAF of many pictures: harmonic mean, 5th percentile, and the worst."""

    mean: float
    p5: float
    lowest: float


@dataclass(frozen=True, slots=True)
class Quality:
    """One rendition's, as far as it was measured."""

    model: str
    summary: Summary
    segments: int
    pictures: int
    least: float | None  # the mean that its profile asks for

    @property
    def is_low(self) -> bool:
        return self.least is not None and self.summary.mean < self.least


@dataclass(frozen=True, slots=True)
class Scored:
    """One rendition in one segment."""

    rendition: str
    index: int
    scores: tuple[float, ...]
    least: float | None = None


def summary(scores: Sequence[float]) -> Summary:
    """What many scores come to. The harmonic mean is libvmaf's, of the scores plus one; the percentile lies on the line between
    neighbours. Raises ValueError for none.
    """
    if not scores:
        raise ValueError("nothing was scored")
    ordered = sorted(scores)
    place = 0.05 * (len(ordered) - 1)
    below = floor(place)
    above = min(below + 1, len(ordered) - 1)
    p5 = ordered[below] + (place - below) * (ordered[above] - ordered[below])
    mean = len(ordered) / sum(1 / (score + 1) for score in ordered) - 1
    return Summary(round(mean, 3), round(p5, 3), ordered[0])


def measurable(plan: EncodePlan) -> tuple[str, ...]:
    """The renditions that can be scored: the model knows nothing of HDR."""
    return tuple(rung.name for rung in plan.video if rung.video_range == "SDR")


def picked(segment_count: int, extent: Extent) -> tuple[int, ...]:
    """The segments that a measurement looks at: all, or the middles of as many equal parts as there are samples."""
    if extent == "full" or segment_count <= SAMPLES:
        return tuple(range(segment_count))
    return tuple((2 * number + 1) * segment_count // (2 * SAMPLES) for number in range(SAMPLES))


def jobs(asset_id: str, plan: EncodePlan, extent: Extent) -> list[NewJob]:
    """The work of a measurement. What has been done before is not done again."""
    if not measurable(plan):
        return []
    subject = f"{asset_id}/{plan.digest}/quality"
    return [
        NewJob(MEASURE, f"{subject}/{index}", asset_id, args={"index": index}, priority=priority.QUALITY, weight=0.0, max_attempts=2)
        for index in picked(plan.grid.segment_count, extent)
    ]


def pending(conn: Connection, asset_id: str) -> int:
    """How many segments are still to be scored."""
    return job_store.unfinished(conn, asset_id, [MEASURE])


def failed(conn: Connection, asset_id: str, plan_digest: str) -> int:
    """How many segments could not be scored."""
    return job_store.given_up(conn, asset_id, MEASURE, f"{asset_id}/{plan_digest}/")


def record(conn: Connection, asset_id: str, plan_digest: str, scored: Sequence[Scored]) -> None:
    """Note scores and what they come to now. The caller has locked the asset. Raises NotFound when nothing more is kept for the plan."""
    where = {"asset_id": asset_id, "plan_digest": plan_digest}
    for item in scored:
        known = select(renditions.c.name).filter_by(**where, name=item.rendition)
        if conn.execute(known).one_or_none() is None:
            raise NotFound("Nothing is kept for this plan any more.", code="plan_not_found")
        mine = {**where, "rendition": item.rendition}
        facts = {"model": MODEL, "scores": list(item.scores)}
        row = upsert(quality_scores).values(**mine, index=item.index, **facts)
        conn.execute(row.on_conflict_do_update(index_elements=list(quality_scores.primary_key.columns), set_=facts))
        found = [list(scores) for scores in conn.execute(select(quality_scores.c.scores).filter_by(**mine, model=MODEL)).scalars()]
        every = [score for scores in found for score in scores]
        pooled = summary(every)
        figures = {"mean": pooled.mean, "p5": pooled.p5, "lowest": pooled.lowest, "segments": len(found), "pictures": len(every)}
        totals = upsert(qualities).values(**mine, model=MODEL, least=item.least, **figures)
        changed = {"model": MODEL, "least": item.least, **figures}
        conn.execute(totals.on_conflict_do_update(index_elements=list(qualities.primary_key.columns), set_=changed))


def of_assets(conn: Connection, asset_ids: Sequence[str]) -> dict[tuple[str, str, str], Quality]:
    """By asset, plan and rendition."""
    rows = conn.execute(select(qualities).where(qualities.c.asset_id.in_(list(asset_ids)))).mappings()
    return {
        (row["asset_id"], row["plan_digest"], row["rendition"]): Quality(
            model=row["model"],
            summary=Summary(row["mean"], row["p5"], row["lowest"]),
            segments=row["segments"],
            pictures=row["pictures"],
            least=row["least"],
        )
        for row in rows
    }


def over_time(conn: Connection, asset_id: str, plan_digest: str) -> Mapping[str, Mapping[int, tuple[float, ...]]]:
    """The scores of each rendition, by segment, in order."""
    query = select(quality_scores.c.rendition, quality_scores.c["index"], quality_scores.c.scores)
    query = query.filter_by(asset_id=asset_id, plan_digest=plan_digest, model=MODEL).order_by(quality_scores.c["index"])
    found: dict[str, dict[int, tuple[float, ...]]] = {}
    for rendition, index, scores in conn.execute(query):
        found.setdefault(rendition, {})[index] = tuple(scores)
    return found


def want(conn: Connection, asset_id: str, plan: EncodePlan, extent: Extent) -> int:
    """Have a title measured, as far as it has not been; how many segments a measurement of this extent looks at."""
    wanted = jobs(asset_id, plan, extent)
    where = (quality_scores.c.asset_id == asset_id) & (quality_scores.c.plan_digest == plan.digest) & (quality_scores.c.model == MODEL)
    scored = set(conn.scalars(select(quality_scores.c["index"]).where(where).distinct()))  # their jobs may have been removed
    job_store.enqueue_all(conn, [job for job in wanted if job.args["index"] not in scored])
    return len(wanted)


def left_out(conn: Connection, asset_id: str, plan: EncodePlan) -> dict[str, str]:
    """The pictures that are not scored, each with the reason in a sentence."""
    gone = lost.names(conn, asset_id, plan.digest)
    known = measurable(plan)
    hdr = {
        rung.name: f"{MODEL} is a model of SDR pictures, and this one is {rung.video_range}."
        for rung in plan.video
        if rung.name not in known
    }
    return {**hdr, **dict.fromkeys(sorted(gone), "It could not be encoded.")}
