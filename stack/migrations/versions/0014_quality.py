"""How good renditions look: scores by segment, and what they come to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _of_rendition(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["asset_id", "plan_digest", "rendition"],
        ["renditions.asset_id", "renditions.plan_digest", "renditions.name"],
        name=op.f(f"fk_{table}_asset_id_plan_digest_rendition_renditions"),
        ondelete="CASCADE",
    )


def upgrade() -> None:
    op.create_table(
        "quality_scores",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("scores", postgresql.JSONB(), nullable=False),
        _of_rendition("quality_scores"),
        sa.PrimaryKeyConstraint("asset_id", "plan_digest", "rendition", "index", name=op.f("pk_quality_scores")),
    )
    op.create_table(
        "qualities",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("mean", sa.Float(), nullable=False),
        sa.Column("p5", sa.Float(), nullable=False),
        sa.Column("lowest", sa.Float(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("pictures", sa.Integer(), nullable=False),
        sa.Column("least", sa.Float(), nullable=True),
        _of_rendition("qualities"),
        sa.PrimaryKeyConstraint("asset_id", "plan_digest", "rendition", name=op.f("pk_qualities")),
    )


def downgrade() -> None:
    op.drop_table("qualities")
    op.drop_table("quality_scores")
