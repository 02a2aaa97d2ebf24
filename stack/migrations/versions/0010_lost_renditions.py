"""Renditions that were given up while their title goes on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "lost_renditions",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=False),
        sa.Column("error_detail", sa.Text(), nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id", "plan_digest", "rendition"],
            ["renditions.asset_id", "renditions.plan_digest", "renditions.name"],
            name=op.f("fk_lost_renditions_asset_id_plan_digest_rendition_renditions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("asset_id", "plan_digest", "rendition", name=op.f("pk_lost_renditions")),
    )


def downgrade() -> None:
    op.drop_table("lost_renditions")
