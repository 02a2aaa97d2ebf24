"""What playlists are stored, and how far a check of the stored objects is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "playlists",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id", "plan_digest", "rendition"],
            ["renditions.asset_id", "renditions.plan_digest", "renditions.name"],
            name=op.f("fk_playlists_asset_id_plan_digest_rendition_renditions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("asset_id", "plan_digest", "rendition", "name", name=op.f("pk_playlists")),
    )
    op.create_table(
        "scrubs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("salt", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seen", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_scrubs")),
    )


def downgrade() -> None:
    op.drop_table("scrubs")
    op.drop_table("playlists")
