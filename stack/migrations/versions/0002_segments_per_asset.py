"""What is made from a plan belongs to each asset alone, and no longer to all assets with that plan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = ("init_segments", "segments")
_KEYS = {
    "renditions": ("plan_digest", "name"),
    "init_segments": ("plan_digest", "rendition"),
    "segments": ("plan_digest", "rendition", "index"),
}


def _columns(table: str) -> str:
    names = [column["name"] for column in sa.inspect(op.get_bind()).get_columns(table) if column["name"] != "asset_id"]
    return ", ".join(f't."{name}"' for name in names)


def upgrade() -> None:
    for table in _TABLES:
        op.drop_constraint(op.f(f"fk_{table}_plan_digest_rendition_renditions"), table, type_="foreignkey")
    for table, key in _KEYS.items():
        columns = _columns(table)
        op.drop_constraint(op.f(f"pk_{table}"), table, type_="primary")
        op.add_column(table, sa.Column("asset_id", sa.Text(), nullable=True))
        names = columns.replace("t.", "")
        op.execute(
            f"INSERT INTO {table} (asset_id, {names}) SELECT a.id, {columns} FROM {table} t JOIN assets a ON a.plan_digest = t.plan_digest"  # noqa: S608
        )
        op.execute(f"DELETE FROM {table} WHERE asset_id IS NULL")  # noqa: S608
        op.alter_column(table, "asset_id", nullable=False)
        op.create_primary_key(op.f(f"pk_{table}"), table, ["asset_id", *key])
    op.create_foreign_key(op.f("fk_renditions_asset_id_assets"), "renditions", "assets", ["asset_id"], ["id"], ondelete="CASCADE")
    op.create_index(op.f("ix_renditions_plan_digest"), "renditions", ["plan_digest"])
    for table in _TABLES:
        op.create_foreign_key(
            op.f(f"fk_{table}_asset_id_plan_digest_rendition_renditions"),
            table, "renditions",
            ["asset_id", "plan_digest", "rendition"], ["asset_id", "plan_digest", "name"],
            ondelete="CASCADE",
        )  # fmt: skip


def downgrade() -> None:
    for table in _TABLES:
        op.drop_constraint(op.f(f"fk_{table}_asset_id_plan_digest_rendition_renditions"), table, type_="foreignkey")
    op.drop_index(op.f("ix_renditions_plan_digest"), "renditions")
    op.drop_constraint(op.f("fk_renditions_asset_id_assets"), "renditions", type_="foreignkey")
    for table, key in _KEYS.items():
        op.drop_constraint(op.f(f"pk_{table}"), table, type_="primary")
        op.execute(f"DELETE FROM {table} t WHERE asset_id <> (SELECT min(o.asset_id) FROM {table} o WHERE o.plan_digest = t.plan_digest)")  # noqa: S608
        op.drop_column(table, "asset_id")
        op.create_primary_key(op.f(f"pk_{table}"), table, list(key))
    for table in _TABLES:
        op.create_foreign_key(
            op.f(f"fk_{table}_plan_digest_rendition_renditions"),
            table, "renditions",
            ["plan_digest", "rendition"], ["plan_digest", "name"],
            ondelete="CASCADE",
        )  # fmt: skip
