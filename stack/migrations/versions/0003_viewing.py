"""What viewers watched, what they think of it, what they were shown, and whom to forget."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _moment(name: str, *, needed: bool = True, now: bool = False) -> sa.Column[object]:
    default = sa.text("clock_timestamp()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), server_default=default, nullable=not needed)


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _view_events() -> None:
    op.create_table(
        "view_events",
        *_text("event_id", "viewer_id", "asset_id", "session_id", "kind"),
        sa.Column("position_s", sa.Float(), nullable=True),
        sa.Column("watched_s", sa.Float(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("duration_s", sa.Float(), nullable=True),
        _moment("at"),
        _moment("received_at", now=True),
        _moment("compacted_at", needed=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_view_events")),
    )
    op.create_index("ix_view_events_pending", "view_events", ["at"], postgresql_where=sa.text("compacted_at IS NULL"))
    op.create_index("ix_view_events_received_at", "view_events", ["received_at"], postgresql_using="brin")
    op.create_index("ix_view_events_viewer_id", "view_events", ["viewer_id"])


def _view_sessions() -> None:
    op.create_table(
        "view_sessions",
        *_text("viewer_id", "asset_id", "session_id"),
        sa.Column("position_s", sa.Float(), nullable=True),
        sa.Column("furthest_s", sa.Float(), nullable=False),
        sa.Column("watched_s", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("completed", sa.Boolean(), nullable=False),
        sa.Column("abandoned", sa.Boolean(), nullable=False),
        _moment("first_at"),
        _moment("last_at"),
        sa.PrimaryKeyConstraint("viewer_id", "asset_id", "session_id", name=op.f("pk_view_sessions")),
    )
    op.create_index("ix_view_sessions_last_at", "view_sessions", ["last_at"])
    op.create_index("ix_view_sessions_viewer_id_last_at", "view_sessions", ["viewer_id", "last_at"])


def _opinions() -> None:
    op.create_table(
        "viewer_opinions",
        *_text("viewer_id", "asset_id"),
        sa.Column("rating", sa.Float(), nullable=True),
        _moment("rated_at", needed=False),
        _moment("not_interested_at", needed=False),
        sa.PrimaryKeyConstraint("viewer_id", "asset_id", name=op.f("pk_viewer_opinions")),
    )


def _impressions() -> None:
    op.create_table(
        "impressions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *_text("request_id", "viewer_id", "variant", "model_version", "row"),
        sa.Column("row_number", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        *_text("asset_id"),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        _moment("at", now=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_impressions")),
    )
    op.create_index("ix_impressions_at", "impressions", ["at"], postgresql_using="brin")
    op.create_index("ix_impressions_viewer_id", "impressions", ["viewer_id"])


def _forgotten() -> None:
    op.create_table(
        "forgotten_viewers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *_text("viewer_id"),
        _moment("at", now=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forgotten_viewers")),
    )
    op.create_index("ix_forgotten_viewers_viewer_id", "forgotten_viewers", ["viewer_id"])


def upgrade() -> None:
    _view_events()
    _view_sessions()
    _opinions()
    _impressions()
    _forgotten()


def downgrade() -> None:
    for table in ("forgotten_viewers", "impressions", "viewer_opinions", "view_sessions", "view_events"):
        op.drop_table(table)
