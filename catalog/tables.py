"""The tables of the catalog. `stack/migrations` creates them; a test there proves that both say the same.

Two assets with the same source and options share the row of their plan. What was made from it belongs to each asset alone, as
its objects do: nothing that happens to one title can touch what was measured for another.
`renditions.bitrate_bps` and `peak_bps` are filled in when the last segment has been measured.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from kit.db import Json, Timestamp, metadata

_NOW = text("now()")

assets = Table(
    "assets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False, server_default=text("''")),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("tags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("external_id", Text),
    Column("metadata", Json, nullable=False, server_default=text("'{}'")),
    Column("status", Text, nullable=False, server_default=text("'waiting'")),
    Column("playable", Boolean, nullable=False, server_default=text("false")),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("source", Json),
    Column("source_key", Text),
    Column("source_size_bytes", BigInteger),
    Column("source_digest", Text),  # what plans know the source by: SHA-256 of its bytes, or "index:" and that of its index
    Column("source_sha256", Text),
    Column("profile", Text, nullable=False, server_default=text("'default'")),
    Column("playback_policy", Text, nullable=False, server_default=text("'public'")),
    Column("plan_digest", Text, ForeignKey("plans.digest")),
    Column("created_at", Timestamp, nullable=False, server_default=_NOW),
    Column("updated_at", Timestamp, nullable=False, server_default=_NOW),
    Column("received_at", Timestamp),
    Column("playable_at", Timestamp),
    Column("ready_at", Timestamp),
    Column("deleted_at", Timestamp),
    Column("version", Integer, nullable=False, server_default=text("1")),
    Column("encryption", Text, nullable=False, server_default=text("'none'")),  # "default" until the title is planned
    Column("poster_time_s", Double),  # what a client wants the poster to show; null: chosen for its content
    Column("normalize_audio", Boolean),  # null: as the operator chose
    CheckConstraint("status IN ('waiting', 'uploading', 'processing', 'ready', 'errored', 'deleted')", name="status_known"),
    Index("ix_assets_status_id", "status", "id"),
    Index("ix_assets_external_id", "external_id"),
    Index("ix_assets_tags", "tags", postgresql_using="gin"),
    Index("ix_assets_updated_at", "updated_at"),
    Index("ix_assets_plan_digest", "plan_digest"),
)

source_maps = Table(
    "source_maps",
    metadata,
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("map", Json, nullable=False),
)

early_sources = Table(
    "early_sources",
    metadata,
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("upload_id", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("part_bytes", Integer, nullable=False),
    Column("arrived_bytes", BigInteger, nullable=False),
)

playback_ids = Table(
    "playback_ids",
    metadata,
    Column("id", Text, primary_key=True),
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("policy", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, server_default=_NOW),
    Index("ix_playback_ids_asset_id", "asset_id"),
)

plans = Table(
    "plans",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("plan", Json, nullable=False),
    Column("created_at", Timestamp, nullable=False, server_default=_NOW),
)

renditions = Table(
    "renditions",
    metadata,
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("plan_digest", Text, ForeignKey("plans.digest", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),  # order of the plan: video ascending by size, then audio
    Column("kind", Text, nullable=False),  # video, audio
    Column("codecs", Text, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("frame_rate", Text),  # "24/1"
    Column("timescale", Integer, nullable=False),  # ticks per second of its segments
    Column("segment_count", Integer, nullable=False),
    Column("bitrate_bps", BigInteger),
    Column("peak_bps", BigInteger),
    Index("ix_renditions_plan_digest", "plan_digest"),
)


def of_rendition() -> ForeignKeyConstraint:
    """For a table of what belongs to one rendition: columns `asset_id`, `plan_digest` and `rendition`, and rows that go with it."""
    names = ["renditions.asset_id", "renditions.plan_digest", "renditions.name"]
    return ForeignKeyConstraint(["asset_id", "plan_digest", "rendition"], names, ondelete="CASCADE")


init_segments = Table(
    "init_segments",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    of_rendition(),
)

segments = Table(
    "segments",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("decode_time_ticks", BigInteger, nullable=False),
    Column("duration_ticks", BigInteger, nullable=False),
    Column("fragments", Json, nullable=False),  # [[offset, size, keyframe_size, duration_ticks], …]
    of_rendition(),
)

presentations = Table(
    "presentations",
    metadata,
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("plan_digest", Text, ForeignKey("plans.digest"), nullable=False),
    Column("stage", Text, nullable=False),  # planned, ready
    Column("multivariant", Json, nullable=False),
    Column("has_poster", Boolean, nullable=False),
    Column("published_at", Timestamp, nullable=False, server_default=_NOW),
    Index("ix_presentations_plan_digest", "plan_digest"),
)

pictures = Table(
    "pictures",
    metadata,
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("plan_digest", Text, ForeignKey("plans.digest", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # below the plan's folder: poster.jpg, storyboard.vtt, t/320/00012.jpg
    Column("sha256", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Index("ix_pictures_plan_digest", "plan_digest"),
)

playlists = Table(
    "playlists",
    metadata,
    Column("asset_id", Text, primary_key=True),
    Column("plan_digest", Text, primary_key=True),
    Column("rendition", Text, primary_key=True),
    Column("name", Text, primary_key=True),  # of the object below its rendition: index.m3u8, iframes.m3u8
    Column("sha256", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    of_rendition(),
)

scrubs = Table(
    "scrubs",  # how far a check of the stored objects is that has not come to its end
    metadata,
    Column("name", Text, primary_key=True),
    Column("salt", Text, nullable=False),  # which objects a sample takes
    Column("owner", Text, nullable=False),
    Column("key", Text, nullable=False),  # the last object that was looked at, of this owner
    Column("seen", Json, nullable=False),
    Column("updated_at", Timestamp, nullable=False, server_default=_NOW),
)

damaged_objects = Table(
    "damaged_objects",  # what a check found and no later one has seen whole
    metadata,
    Column("key", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("found_at", Timestamp, nullable=False, server_default=_NOW),
)
