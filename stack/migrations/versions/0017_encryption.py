"""Encrypted titles: what was chosen, and their keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("encryption", sa.Text(), server_default=sa.text("'none'"), nullable=False))
    op.create_table(
        "title_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("scheme", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_title_keys_asset_id_assets"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_title_keys")),
    )
    op.create_index("uq_title_keys_asset_id", "title_keys", ["asset_id"], unique=True)


def downgrade() -> None:
    op.drop_table("title_keys")
    op.drop_column("assets", "encryption")
