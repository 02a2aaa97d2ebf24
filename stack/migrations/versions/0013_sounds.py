"""What the audio renditions of titles are, and how loud."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sounds",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("gain_db", sa.Float(), nullable=False),
        sa.Column("integrated_lufs", sa.Float(), nullable=True),
        sa.Column("range_lu", sa.Float(), nullable=True),
        sa.Column("true_peak_dbtp", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_id", "plan_digest", "rendition"],
            ["renditions.asset_id", "renditions.plan_digest", "renditions.name"],
            name=op.f("fk_sounds_asset_id_plan_digest_rendition_renditions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("asset_id", "plan_digest", "rendition", name=op.f("pk_sounds")),
    )


def downgrade() -> None:
    op.drop_table("sounds")
