"""What the audio renditions of titles are, beside what every rendition has: whose voice, in how many channels, and how loud.

One row for each, written with the plan; the loudness is added when the whole track has been made and measured. The only SQL about them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Boolean, Column, Connection, Float, Integer, Table, Text, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.tables import of_rendition
from kit.db import metadata
from media.plan import EncodePlan

sounds = Table(
    "sounds",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("language", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("gain_db", Float, nullable=False),
    Column("integrated_lufs", Float),
    Column("range_lu", Float),
    Column("true_peak_dbtp", Float),
    of_rendition(),
)


@dataclass(frozen=True, slots=True)
class Loudness:
    """EBU R 128 figures of a whole track. None where there is nothing but silence."""

    integrated_lufs: float | None  # ITU-R BS.1770-4
    range_lu: float | None  # EBU Tech 3342
    true_peak_dbtp: float | None


@dataclass(frozen=True, slots=True)
class Sound:
    """One audio rendition, as the API shows it."""

    language: str  # BCP 47 or "und"
    label: str
    channels: int
    is_default: bool
    gain_db: float  # what the loudness of the source was changed by
    loudness: Loudness | None  # None until it has been measured


def save(conn: Connection, asset_id: str, plan: EncodePlan) -> None:
    """Those of a plan that has been saved. What is there stays."""
    rows = [
        {
            "asset_id": asset_id,
            "plan_digest": plan.digest,
            "rendition": track.name,
            "language": track.language,
            "label": track.label,
            "channels": track.channels,
            "is_default": track.default,
            "gain_db": track.gain_db,
        }
        for track in plan.audio
    ]
    if rows:
        conn.execute(upsert(sounds).values(rows).on_conflict_do_nothing())


def set_loudness(conn: Connection, asset_id: str, plan_digest: str, rendition: str, loudness: Loudness) -> None:
    """Of a track of before there was this table there is no row, and nothing is noted."""
    mine = (sounds.c.asset_id == asset_id) & (sounds.c.plan_digest == plan_digest) & (sounds.c.rendition == rendition)
    found = {
        "integrated_lufs": loudness.integrated_lufs,
        "range_lu": loudness.range_lu if loudness.range_lu is not None else 0.0,
        "true_peak_dbtp": loudness.true_peak_dbtp,
    }
    conn.execute(update(sounds).where(mine).values(found))


def is_measured(conn: Connection, asset_id: str, plan_digest: str, rendition: str) -> bool:
    """Whether nothing is left to be measured of it."""
    mine = (sounds.c.asset_id == asset_id) & (sounds.c.plan_digest == plan_digest) & (sounds.c.rendition == rendition)
    return not conn.execute(select(sounds.c.rendition).where(mine, sounds.c.range_lu.is_(None))).all()


def of_assets(conn: Connection, asset_ids: Sequence[str]) -> dict[tuple[str, str, str], Sound]:
    """By asset, plan and rendition."""
    rows = conn.execute(select(sounds).where(sounds.c.asset_id.in_(list(asset_ids)))).mappings()
    return {
        (row["asset_id"], row["plan_digest"], row["rendition"]): Sound(
            language=row["language"],
            label=row["label"],
            channels=row["channels"],
            is_default=row["is_default"],
            gain_db=row["gain_db"],
            loudness=None if row["range_lu"] is None else Loudness(row["integrated_lufs"], row["range_lu"], row["true_peak_dbtp"]),
        )
        for row in rows
    }
