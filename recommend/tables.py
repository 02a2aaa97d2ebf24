"""The tables of viewing: what viewers did, where they are, what they think, what they were shown, and whom to forget.

`view_events` is the log: it knows which events have been seen (so that one that comes twice counts once) and holds what has not
reached the lake yet. `view_sessions` and `viewer_opinions` are its sums, kept at once, so that resuming, continue watching and
the next list of suggestions need no batch. No row refers to `assets`: history may name titles that are gone.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Identity, Index, Integer, Table, Text, text

from kit.db import Timestamp, metadata

_NOW = text("clock_timestamp()")

view_events = Table(
    "view_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("viewer_id", Text, nullable=False),
    Column("asset_id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("position_s", Float),
    Column("watched_s", Float, nullable=False),
    Column("value", Float),
    Column("duration_s", Float),  # of the asset, as it was then
    Column("at", Timestamp, nullable=False),
    Column("received_at", Timestamp, nullable=False, server_default=_NOW),
    Column("compacted_at", Timestamp),  # when it reached the lake
    Index("ix_view_events_pending", "at", postgresql_where=text("compacted_at IS NULL")),
    Index("ix_view_events_received_at", "received_at", postgresql_using="brin"),
    Index("ix_view_events_viewer_id", "viewer_id"),
)

view_sessions = Table(
    "view_sessions",
    metadata,
    Column("viewer_id", Text, primary_key=True),
    Column("asset_id", Text, primary_key=True),
    Column("session_id", Text, primary_key=True),
    Column("position_s", Float),  # where the viewer was at `last_at`
    Column("furthest_s", Float, nullable=False),
    Column("watched_s", Float, nullable=False),
    Column("duration_s", Float),
    Column("completed", Boolean, nullable=False),
    Column("abandoned", Boolean, nullable=False),
    Column("first_at", Timestamp, nullable=False),
    Column("last_at", Timestamp, nullable=False),
    Index("ix_view_sessions_last_at", "last_at"),
    Index("ix_view_sessions_viewer_id_last_at", "viewer_id", "last_at"),
)

viewer_opinions = Table(
    "viewer_opinions",
    metadata,
    Column("viewer_id", Text, primary_key=True),
    Column("asset_id", Text, primary_key=True),
    Column("rating", Float),  # -1 to 1
    Column("rated_at", Timestamp),
    Column("not_interested_at", Timestamp),
)

impressions = Table(
    "impressions",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("viewer_id", Text, nullable=False),
    Column("variant", Text, nullable=False),  # which of two models side by side
    Column("model_version", Text, nullable=False),  # empty: no model had a part in it
    Column("row", Text, nullable=False),
    Column("row_number", Integer, nullable=False),
    Column("position", Integer, nullable=False),  # in the row, from 0
    Column("asset_id", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("propensity", Float, nullable=False),  # how probable this title was at this place
    Column("at", Timestamp, nullable=False, server_default=_NOW),
    Index("ix_impressions_viewer_id", "viewer_id"),
    Index("ix_impressions_at", "at", postgresql_using="brin"),
)

forgotten_viewers = Table(
    "forgotten_viewers",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("viewer_id", Text, nullable=False),
    Column("at", Timestamp, nullable=False, server_default=_NOW),
    Index("ix_forgotten_viewers_viewer_id", "viewer_id"),
)
"""Who is still to be removed from the lake and the models. A row lives until that is done."""
