"""Renditions that were given up while their title goes on: which, and why. One row for each, and the only SQL about them.

A rendition is lost when a step that only it needs has failed for good (`worker.flow`). Playlists leave it out from then on, nobody can
ask for its segments, and whoever waits for one is told. What was made of it stays where it is until the title is deleted.

Whoever writes here has locked the asset, as whoever publishes has: a presentation never names what was lost before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.plan_store import SEGMENTS_CHANNEL
from catalog.tables import of_rendition, presentations
from kit.db import Json, Timestamp, metadata

lost_renditions = Table(
    "lost_renditions",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("error_code", Text, nullable=False),
    Column("error_detail", Text, nullable=False),
    Column("lost_at", Timestamp, nullable=False, server_default=text("now()")),
    of_rendition(),
)


@dataclass(frozen=True, slots=True)
class Lost:
    """Why a rendition was given up."""

    code: str
    detail: str


def lose(conn: Connection, asset_id: str, plan_digest: str, renditions: Iterable[str], cause: Lost) -> None:
    """Give these renditions up. The first reason stands. Whoever waits for a segment of them is told at commit."""
    for name in renditions:
        row = {"asset_id": asset_id, "plan_digest": plan_digest, "rendition": name}
        row |= {"error_code": cause.code, "error_detail": cause.detail}
        conn.execute(upsert(lost_renditions).values(row).on_conflict_do_nothing())
        conn.execute(select(func.pg_notify(SEGMENTS_CHANNEL, f"{asset_id}/{plan_digest}/{name}")))


def republish(conn: Connection, asset_id: str, plan_digest: str, facts: Mapping[str, Any]) -> None:
    """The presentation of this plan that promises what is not made yet promises this from now on."""
    mine = (presentations.c.asset_id == asset_id) & (presentations.c.plan_digest == plan_digest) & (presentations.c.stage == "planned")
    merged = presentations.c.multivariant.op("||")(literal(dict(facts), Json))
    conn.execute(update(presentations).where(mine).values(multivariant=merged, published_at=func.clock_timestamp()))


def names(conn: Connection, asset_id: str, plan_digest: str) -> frozenset[str]:
    """Those of a plan."""
    of_plan = (lost_renditions.c.asset_id == asset_id) & (lost_renditions.c.plan_digest == plan_digest)
    return frozenset(conn.scalars(select(lost_renditions.c.rendition).where(of_plan)))


def causes(conn: Connection, asset_ids: Sequence[str]) -> dict[tuple[str, str, str], Lost]:
    """Those of several assets, by asset, plan and name."""
    rows = conn.execute(select(lost_renditions).where(lost_renditions.c.asset_id.in_(list(asset_ids))))
    return {(row.asset_id, row.plan_digest, row.rendition): Lost(row.error_code, row.error_detail) for row in rows}
