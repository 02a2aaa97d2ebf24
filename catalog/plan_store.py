"""The SQL of encode plans and of what was measured when they were carried out. Callers import from `catalog.store`.

Rows belong to an asset and a plan digest. Saving again what is already there changes nothing, so every step may run twice. What
is recorded first stays: a segment that somebody has been sent is never another one later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import AssetStatus, InitSegment, StoredPlaylist
from catalog.bitrate import measure
from catalog.codec import plan_from_json, plan_to_json
from catalog.tables import assets, init_segments, pictures, plans, playlists, presentations, renditions, segments
from kit.errors import NotFound, StepFailed
from media.grid import AUDIO_RATE_HZ
from media.ids import PlanDigest
from media.plan import EncodePlan
from media.segments import Fragment, MeasuredSegment

SEGMENTS_CHANNEL = "headwater_segments"
"""Notified with "<asset>/<plan>/<rendition>" whenever segments of it have been recorded."""


@dataclass(frozen=True, slots=True)
class RenditionRow:
    """One rendition of an asset's plan, as the API shows it. Bit rates are None until every segment has been measured."""

    plan_digest: PlanDigest
    name: str
    kind: str  # video, audio
    codecs: str
    width: int | None
    height: int | None
    frame_rate: str | None
    bitrate_bps: int | None
    peak_bps: int | None


def _rendition_rows(asset_id: str, plan: EncodePlan) -> list[dict[str, Any]]:
    shared = {"asset_id": asset_id, "plan_digest": plan.digest, "segment_count": plan.grid.segment_count}
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
    for position, track in enumerate(plan.audio, len(rows)):
        sound = {"name": track.name, "position": position, "kind": "audio", "codecs": track.codecs, "timescale": AUDIO_RATE_HZ}
        rows.append({**shared, **sound, "width": None, "height": None, "frame_rate": None})
    return rows


def save_plan(conn: Connection, asset_id: str, plan: EncodePlan, inits: Mapping[str, bytes]) -> None:
    """Store `plan` with the init segment of each rendition, and make it the asset's plan.

    Raises NotFound, and StepFailed("init_mismatch") when the same digest is already known with other init bytes.
    """
    row_of_plan = upsert(plans).values(digest=plan.digest, plan=plan_to_json(plan))
    # Writing the digest over itself takes the row's lock, so nobody drops the plan before the asset names it.
    conn.execute(row_of_plan.on_conflict_do_update(index_elements=["digest"], set_={"digest": row_of_plan.excluded.digest}))
    conn.execute(upsert(renditions).values(_rendition_rows(asset_id, plan)).on_conflict_do_nothing())
    for rendition, data in inits.items():
        sha256 = hashlib.sha256(data).hexdigest()
        row = {"asset_id": asset_id, "plan_digest": plan.digest, "rendition": rendition, "sha256": sha256, "size_bytes": len(data)}
        conn.execute(upsert(init_segments).values(row).on_conflict_do_nothing())
        if load_init(conn, asset_id, plan.digest, rendition).sha256 != sha256:
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


def load_init(conn: Connection, asset_id: str, plan_digest: str, rendition: str) -> InitSegment:
    """Raises NotFound."""
    query = select(init_segments.c.sha256, init_segments.c.size_bytes)
    row = conn.execute(query.where(_of(init_segments, asset_id, plan_digest, rendition))).one_or_none()
    if row is None:
        raise NotFound(f"The plan has no init segment of {rendition}.", code="init_not_found")
    return InitSegment(row.sha256, row.size_bytes)


def save_playlists(conn: Connection, asset_id: str, plan_digest: str, stored: Sequence[StoredPlaylist]) -> None:
    """Note what these playlists are now. The ones of a later release may differ in their words."""
    for item in stored:
        found = {"sha256": item.sha256, "size_bytes": item.size_bytes}
        row = upsert(playlists).values(asset_id=asset_id, plan_digest=plan_digest, rendition=item.rendition, name=item.name, **found)
        conn.execute(row.on_conflict_do_update(index_elements=list(playlists.primary_key.columns), set_=found))


def save_segments(conn: Connection, asset_id: str, plan_digest: str, rendition: str, measured: Sequence[MeasuredSegment]) -> None:
    """Note stored segments; when that makes the rendition complete, its bit rates too. Whoever waits for them is told at commit
    (`SEGMENTS_CHANNEL`). What is noted already stays as it is. Raises NotFound for an unknown rendition."""
    # The lock lets exactly one of several chunks that end together see all segments.
    segment_count, timescale = _lock_rendition(conn, asset_id, plan_digest, rendition)
    rows = [_segment_row(asset_id, plan_digest, rendition, segment) for segment in measured]
    if rows:
        conn.execute(upsert(segments).values(rows).on_conflict_do_nothing())
        conn.execute(select(func.pg_notify(SEGMENTS_CHANNEL, f"{asset_id}/{plan_digest}/{rendition}")))
    mine = _of(segments, asset_id, plan_digest, rendition)
    if conn.execute(select(func.count()).select_from(segments).where(mine)).scalar_one() != segment_count:
        return
    stored = conn.execute(select(segments.c.size_bytes, segments.c.duration_ticks).where(mine).order_by(segments.c["index"])).all()
    durations = [Fraction(row.duration_ticks, timescale) for row in stored]
    rates = measure([row.size_bytes for row in stored], durations, max(1, round(max(durations))))
    conn.execute(
        update(renditions)
        .where(_rendition(asset_id, plan_digest, rendition))
        .values(bitrate_bps=rates.bitrate_bps, peak_bps=rates.peak_bps)
    )


def lock_segments(conn: Connection, asset_id: str, plan_digest: str, rendition: str, indexes: Sequence[int]) -> tuple[MeasuredSegment, ...]:
    """Those of these segments that are recorded. Until the transaction ends nobody else records any of this rendition."""
    _lock_rendition(conn, asset_id, plan_digest, rendition)
    wanted = set(indexes)
    return tuple(segment for segment in load_segments(conn, asset_id, plan_digest, rendition) if segment.index in wanted)


def forget_segments(conn: Connection, asset_id: str, plan_digest: str, rendition: str, indexes: Sequence[int]) -> None:
    """Their objects are lost: they have to be made again."""
    if indexes:
        conn.execute(delete(segments).where(_of(segments, asset_id, plan_digest, rendition), segments.c["index"].in_(list(indexes))))


def _lock_rendition(conn: Connection, asset_id: str, plan_digest: str, rendition: str) -> tuple[int, int]:
    """The number of its segments, and its ticks per second. Raises NotFound."""
    query = select(renditions.c.segment_count, renditions.c.timescale).where(_rendition(asset_id, plan_digest, rendition))
    found = conn.execute(query.with_for_update()).one_or_none()
    if found is None:
        raise NotFound(f"The plan has no rendition {rendition}.", code="rendition_not_found")
    return found.segment_count, found.timescale


def _rendition(asset_id: str, plan_digest: str, name: str) -> ColumnElement[bool]:
    return (renditions.c.asset_id == asset_id) & (renditions.c.plan_digest == plan_digest) & (renditions.c.name == name)


def _of(table: Table, asset_id: str, plan_digest: str, rendition: str) -> ColumnElement[bool]:
    """The rows of one rendition."""
    return (table.c.asset_id == asset_id) & (table.c.plan_digest == plan_digest) & (table.c.rendition == rendition)


def _segment_row(asset_id: str, plan_digest: str, rendition: str, segment: MeasuredSegment) -> dict[str, Any]:
    return {
        "asset_id": asset_id,
        "plan_digest": plan_digest,
        "rendition": rendition,
        "index": segment.index,
        "size_bytes": segment.size_bytes,
        "sha256": segment.sha256,
        "decode_time_ticks": segment.decode_time_ticks,
        "duration_ticks": segment.duration_ticks,
        "fragments": [[part.offset, part.size, part.keyframe_size, part.duration_ticks] for part in segment.fragments],
    }


def load_segments(conn: Connection, asset_id: str, plan_digest: str, rendition: str) -> tuple[MeasuredSegment, ...]:
    """What is stored so far, ascending by index. There may be gaps while chunks are still being encoded."""
    query = select(segments).where(_of(segments, asset_id, plan_digest, rendition))
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


def is_recorded(conn: Connection, asset_id: str, plan_digest: str, rendition: str, index: int) -> bool:
    """Whether this segment is made."""
    mine = _of(segments, asset_id, plan_digest, rendition) & (segments.c["index"] == index)
    return bool(conn.execute(select(exists().where(mine))).scalar_one())


def load_renditions(conn: Connection, asset_ids: Sequence[str]) -> dict[str, tuple[RenditionRow, ...]]:
    """The renditions of the plans that these assets have now, by asset, in the order of the plan."""
    columns = [renditions.c[name] for name in RenditionRow.__slots__]
    current = (renditions.c.asset_id == assets.c.id) & (renditions.c.plan_digest == assets.c.plan_digest)
    query = select(renditions.c.asset_id, *columns).join_from(renditions, assets, current)
    query = query.where(renditions.c.asset_id.in_(list(asset_ids))).order_by(renditions.c.position)
    found: dict[str, tuple[RenditionRow, ...]] = dict.fromkeys(asset_ids, ())
    for row in conn.execute(query).mappings():
        found[row["asset_id"]] += (RenditionRow(**{name: row[name] for name in RenditionRow.__slots__}),)
    return found


def drop_renditions(conn: Connection, asset_id: str) -> None:
    """Forget everything that was made and measured for an asset."""
    conn.execute(delete(renditions).where(renditions.c.asset_id == asset_id))
    conn.execute(delete(pictures).where(pictures.c.asset_id == asset_id))


def drop_unused_plans(conn: Connection, digests: Sequence[str]) -> None:
    """Forget those of the plans that no asset and no presentation names any more."""
    conn.execute(select(plans.c.digest).where(plans.c.digest.in_(list(digests))).order_by(plans.c.digest).with_for_update())
    wanted = exists().where(assets.c.plan_digest == plans.c.digest) | exists().where(presentations.c.plan_digest == plans.c.digest)
    conn.execute(delete(plans).where(plans.c.digest.in_(list(digests)), ~wanted))
