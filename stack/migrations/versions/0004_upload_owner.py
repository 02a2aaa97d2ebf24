"""Uploads know who created them, so that what one API key has unfinished can be counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = "state IN ('waiting', 'receiving')"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("owner", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_index(op.f("ix_uploads_owner_open"), "uploads", ["owner"], postgresql_where=sa.text(_OPEN))


def downgrade() -> None:
    op.drop_index(op.f("ix_uploads_owner_open"), "uploads", postgresql_where=sa.text(_OPEN))
    op.drop_column("uploads", "owner")
