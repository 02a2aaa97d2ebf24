"""Where everything lies in a source, and its SHA-256 beside what plans know it by (until now that was always its SHA-256)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("source_sha256", sa.Text(), nullable=True))
    op.execute("UPDATE assets SET source_sha256 = source_digest")
    op.create_table(
        "source_maps",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("map", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_source_maps_asset_id_assets"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_source_maps")),
    )


def downgrade() -> None:
    op.drop_table("source_maps")
    op.drop_column("assets", "source_sha256")
