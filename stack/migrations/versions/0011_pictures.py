"""Pictures of a title: what is stored of each, and the moment that its poster is to show."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_pictures_asset_id_assets"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["plan_digest"], ["plans.digest"], name=op.f("fk_pictures_plan_digest_plans"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("asset_id", "plan_digest", "name", name=op.f("pk_pictures")),
    )
    op.create_index("ix_pictures_plan_digest", "pictures", ["plan_digest"])
    op.add_column("assets", sa.Column("poster_time_s", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("assets", "poster_time_s")
    op.drop_index("ix_pictures_plan_digest", table_name="pictures")
    op.drop_table("pictures")
