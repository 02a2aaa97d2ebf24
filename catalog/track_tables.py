"""The tables of text tracks: what a title has in words, and the packed segments that its viewers are sent.

A pack outlives the track that it was made for by two hours: who is watching may finish.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint, text

from kit.db import Json, Timestamp, metadata

_NOW = text("clock_timestamp()")

tracks = Table(
    "tracks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("forced", Boolean, nullable=False),
    Column("origin", Text, nullable=False),
    Column("stream_index", Integer),  # of the source; -1: its chapters; null: uploaded
    Column("format", Text, nullable=False),  # "srt", or the codec of the source's stream
    Column("status", Text, nullable=False),
    Column("detail", Text),
    Column("cue_count", Integer, nullable=False, server_default=text("0")),
    Column("problems", Json, nullable=False, server_default=text("'[]'")),  # [[line, detail], …]
    Column("cues_sha256", Text),
    Column("plan_digest", Text),  # what the pack was made for
    Column("pack_digest", Text),
    Column("created_at", Timestamp, nullable=False, server_default=_NOW),
    Column("updated_at", Timestamp, nullable=False, server_default=_NOW),
    CheckConstraint("kind IN ('subtitles', 'captions', 'chapters')", name="kind_known"),
    CheckConstraint("status IN ('waiting', 'ready', 'unsupported', 'errored')", name="status_known"),
    UniqueConstraint("asset_id", "stream_index"),
    Index("ix_tracks_asset_id", "asset_id"),
)

text_packs = Table(
    "text_packs",
    metadata,
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("offsets", Json, nullable=False),  # where each part begins, and where the last ends
)
