"""Whether the sound of one asset is made as loud as others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assets", sa.Column("normalize_audio", sa.Boolean(), nullable=True))


def downgrade() -> None:
    op.drop_column("assets", "normalize_audio")
