"""The SQL of encode plans and of what was measured when they were carried out. Callers import from `catalog.store`.

All rows belong to a plan digest. Saving again what is already there changes nothing, so every step may run twice; saving
something else under the same digest is an error, because equal plans must give equal bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import AssetStatus, InitSegment
from catalog.bitrate import measure
from catalog.codec import plan_from_json, plan_to_json
from catalog.tables import assets, init_segments, plans, presentations, renditions, segments
from kit.errors import NotFound, StepFailed
from media.grid import AUDIO_RATE_HZ
from media.ids import PlanDigest
from media.plan import EncodePlan
from media.segments import Fragment, MeasuredSegment


@dataclass(frozen=True, slots=True)
class RenditionRow:
    """One rendition of a plan, as the API shows it. Bit rates are None until every segment has been measured."""

    plan_digest: PlanDigest
    name: str
    kind: str  # video, audio
    codecs: str
    width: int | None
    height: int | None
    frame_rate: str | None
    bitrate_bps: int | None
    peak_bps: int | None


def _rendition_rows(plan: EncodePlan) -> list[dict[str, Any]]:
    shared = {"plan_digest": plan.digest, "segment_count": plan.grid.segment_count}
    rows: list[dict[str, Any]] = [
        {
            **shared,
            "name": rung.name,
            "position": position,
            "kind": "video",
            "codecs": rung.codecs,
            "width": rung.width,
            "height": rung.height,
            "frame_rate": f"{rung.frame_rate.numerator}/{rung.frame_rate.denominator}",
            "timescale": plan.grid.timescale,
        }
        for position, rung in enumerate(plan.video)
    ]
    if plan.audio is not None:
        sound = {"name": plan.audio.name, "position": len(rows), "kind": "audio", "codecs": plan.audio.codecs, "timescale": AUDIO_RATE_HZ}
        rows.append({**shared, **sound, "width": None, "height": None, "frame_rate": None})
    return rows


def save_plan(conn: Connection, asset_id: str, plan: EncodePlan, inits: Mapping[str, bytes]) -> None:
    """Store `plan` with the init segment of each rendition, and make it the asset's plan.

    Raises NotFound, and StepFailed("init_mismatch") when the same digest is already known with other init bytes.
    """
    row_of_plan = upsert(plans).values(digest=plan.digest, plan=plan_to_json(plan))
    # Writing the digest over itself takes the row's lock, so nobody drops the plan before the asset names it.
    conn.execute(row_of_plan.on_conflict_do_update(index_elements=["digest"], set_={"digest": row_of_plan.excluded.digest}))
    conn.execute(upsert(renditions).values(_rendition_rows(plan)).on_conflict_do_nothing())
    for rendition, data in inits.items():
        row = {"plan_digest": plan.digest, "rendition": rendition, "sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        conn.execute(upsert(init_segments).values(row).on_conflict_do_nothing())
        if load_init(conn, plan.digest, rendition).sha256 != row["sha256"]:
            raise StepFailed(f"The init segment of {rendition} differs from the one stored for the same plan.", code="init_mismatch")
    query = update(assets).where(assets.c.id == asset_id, assets.c.status != str(AssetStatus.DELETED))
    conn.execute(query.values(plan_digest=plan.digest, updated_at=func.clock_timestamp()))


def load_plan(conn: Connection, asset_id: str) -> EncodePlan:
    """The plan of an asset. Raises NotFound when it has none yet."""
    query = select(plans.c.plan).join_from(plans, assets, assets.c.plan_digest == plans.c.digest).where(assets.c.id == asset_id)
    stored = conn.execute(query).scalar_one_or_none()
    if stored is None:
        raise NotFound(f"The asset {asset_id} has no encode plan.", code="plan_not_found")
    return plan_from_json(stored)


def load_init(conn: Connection, plan_digest: str, rendition: str) -> InitSegment:
    """Raises NotFound."""
    query = select(init_segments.c.sha256, init_segments.c.size_bytes)
    row = conn.execute(query.where(init_segments.c.plan_digest == plan_digest, init_segments.c.rendition == rendition)).one_or_none()
    if row is None:
        raise NotFound(f"The plan has no init segment of {rendition}.", code="init_not_found")
    return InitSegment(row.sha256, row.size_bytes)


def save_segments(conn: Connection, plan_digest: str, rendition: str, measured: Sequence[MeasuredSegment]) -> None:
    """Note stored segments; when that makes the rendition complete, its bit rates too. Raises NotFound for an unknown rendition."""
    of_rendition = (renditions.c.plan_digest == plan_digest) & (renditions.c.name == rendition)
    # The lock lets exactly one of several chunks that end together see all segments.
    found = conn.execute(select(renditions.c.segment_count, renditions.c.timescale).where(of_rendition).with_for_update()).one_or_none()
    if found is None:
        raise NotFound(f"The plan has no rendition {rendition}.", code="rendition_not_found")
    rows = [_segment_row(plan_digest, rendition, segment) for segment in measured]
    if rows:
        statement = upsert(segments).values(rows)
        changed = {name: statement.excluded[name] for name in rows[0] if name not in ("plan_digest", "rendition", "index")}
        conn.execute(statement.on_conflict_do_update(index_elements=["plan_digest", "rendition", "index"], set_=changed))
    sizes = select(segments.c.size_bytes, segments.c.duration_ticks)
    sizes = sizes.where(segments.c.plan_digest == plan_digest, segments.c.rendition == rendition).order_by(segments.c["index"])
    stored = conn.execute(sizes).all()
    if len(stored) != found.segment_count:
        return
    durations = [Fraction(row.duration_ticks, found.timescale) for row in stored]
    rates = measure([row.size_bytes for row in stored], durations, max(1, round(max(durations))))
    conn.execute(update(renditions).where(of_rendition).values(bitrate_bps=rates.bitrate_bps, peak_bps=rates.peak_bps))


def _segment_row(plan_digest: str, rendition: str, segment: MeasuredSegment) -> dict[str, Any]:
    return {
        "plan_digest": plan_digest,
        "rendition": rendition,
        "index": segment.index,
        "size_bytes": segment.size_bytes,
        "sha256": segment.sha256,
        "decode_time_ticks": segment.decode_time_ticks,
        "duration_ticks": segment.duration_ticks,
        "fragments": [[part.offset, part.size, part.keyframe_size, part.duration_ticks] for part in segment.fragments],
    }


def load_segments(conn: Connection, plan_digest: str, rendition: str) -> tuple[MeasuredSegment, ...]:
    """What is stored so far, ascending by index. There may be gaps while chunks are still being encoded."""
    query = select(segments).where(segments.c.plan_digest == plan_digest, segments.c.rendition == rendition)
    return tuple(
        MeasuredSegment(
            index=row["index"],
            size_bytes=row["size_bytes"],
            sha256=row["sha256"],
            decode_time_ticks=row["decode_time_ticks"],
            duration_ticks=row["duration_ticks"],
            fragments=tuple(Fragment(*part) for part in row["fragments"]),
        )
        for row in conn.execute(query.order_by(segments.c["index"])).mappings()
    )


def load_renditions(conn: Connection, plan_digests: Sequence[str]) -> dict[str, tuple[RenditionRow, ...]]:
    """The renditions of several plans, by digest, in the order of the plan."""
    columns = [renditions.c[name] for name in RenditionRow.__slots__]
    query = select(*columns).where(renditions.c.plan_digest.in_(list(plan_digests))).order_by(renditions.c.position)
    found: dict[str, tuple[RenditionRow, ...]] = dict.fromkeys(plan_digests, ())
    for row in conn.execute(query).mappings():
        found[row["plan_digest"]] += (RenditionRow(**row),)
    return found


def drop_unused_plans(conn: Connection, digests: Sequence[str]) -> None:
    """Forget those of the plans that no asset and no presentation names any more, with everything measured for them."""
    conn.execute(select(plans.c.digest).where(plans.c.digest.in_(list(digests))).order_by(plans.c.digest).with_for_update())
    wanted = exists().where(assets.c.plan_digest == plans.c.digest) | exists().where(presentations.c.plan_digest == plans.c.digest)
    conn.execute(delete(plans).where(plans.c.digest.in_(list(digests)), ~wanted))
