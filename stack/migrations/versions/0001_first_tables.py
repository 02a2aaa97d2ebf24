"""First tables, room by room."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _jobs() -> None:
    """The job machine."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("args", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("stats", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rung_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_jobs_kind_subject")),
    )
    op.create_index("ix_jobs_asset_id", "jobs", ["asset_id"], unique=False)
    op.create_index("ix_jobs_leased", "jobs", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'running'"))
    op.create_index(
        "ix_jobs_ready",
        "jobs",
        [sa.literal_column("priority DESC"), "created_at"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )


def _api_keys() -> None:
    """Who may: API keys."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index("ix_api_keys_secret_sha256", "api_keys", ["secret_sha256"], unique=True)


def _plans() -> None:
    """What exists: assets and what was made from them."""
    op.create_table(
        "plans",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("plan", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_plans")),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'waiting'"), nullable=False),
        sa.Column("playable", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("source", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("source_key", sa.Text(), nullable=True),
        sa.Column("source_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("source_digest", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), server_default=sa.text("'default'"), nullable=False),
        sa.Column("playback_policy", sa.Text(), server_default=sa.text("'public'"), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("playable_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint(
            "status IN ('waiting', 'uploading', 'processing', 'ready', 'errored', 'deleted')", name=op.f("ck_assets_status_known")
        ),
        sa.ForeignKeyConstraint(["plan_digest"], ["plans.digest"], name=op.f("fk_assets_plan_digest_plans")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
    )
    op.create_index("ix_assets_external_id", "assets", ["external_id"], unique=False)
    op.create_index("ix_assets_plan_digest", "assets", ["plan_digest"], unique=False)
    op.create_index("ix_assets_status_id", "assets", ["status", "id"], unique=False)
    op.create_index("ix_assets_tags", "assets", ["tags"], unique=False, postgresql_using="gin")
    op.create_index("ix_assets_updated_at", "assets", ["updated_at"], unique=False)


def _renditions() -> None:
    op.create_table(
        "renditions",
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("codecs", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("frame_rate", sa.Text(), nullable=True),
        sa.Column("timescale", sa.Integer(), nullable=False),
        sa.Column("segment_count", sa.Integer(), nullable=False),
        sa.Column("bitrate_bps", sa.BigInteger(), nullable=True),
        sa.Column("peak_bps", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["plan_digest"], ["plans.digest"], name=op.f("fk_renditions_plan_digest_plans"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("plan_digest", "name", name=op.f("pk_renditions")),
    )
    op.create_table(
        "init_segments",
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_digest", "rendition"],
            ["renditions.plan_digest", "renditions.name"],
            name=op.f("fk_init_segments_plan_digest_rendition_renditions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("plan_digest", "rendition", name=op.f("pk_init_segments")),
    )
    op.create_table(
        "playback_ids",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_playback_ids_asset_id_assets"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playback_ids")),
    )
    op.create_index("ix_playback_ids_asset_id", "playback_ids", ["asset_id"], unique=False)


def _presentations() -> None:
    op.create_table(
        "presentations",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("multivariant", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("has_poster", sa.Boolean(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_presentations_asset_id_assets"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["plan_digest"], ["plans.digest"], name=op.f("fk_presentations_plan_digest_plans")),
        sa.PrimaryKeyConstraint("asset_id", name=op.f("pk_presentations")),
    )
    op.create_index("ix_presentations_plan_digest", "presentations", ["plan_digest"], unique=False)
    op.create_table(
        "segments",
        sa.Column("plan_digest", sa.Text(), nullable=False),
        sa.Column("rendition", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("decode_time_ticks", sa.BigInteger(), nullable=False),
        sa.Column("duration_ticks", sa.BigInteger(), nullable=False),
        sa.Column("fragments", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_digest", "rendition"],
            ["renditions.plan_digest", "renditions.name"],
            name=op.f("fk_segments_plan_digest_rendition_renditions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("plan_digest", "rendition", "index", name=op.f("pk_segments")),
    )


def _incoming_objects() -> None:
    """Bytes on their way in."""
    op.create_table(
        "incoming_objects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_incoming_objects_asset_id_assets"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", "etag", name=op.f("pk_incoming_objects")),
    )
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("offset_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("part_bytes", sa.Integer(), nullable=False),
        sa.Column("multipart_id", sa.Text(), nullable=True),
        sa.Column("tails", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("metadata", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("freed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'receiving', 'complete', 'errored', 'cancelled', 'expired')", name=op.f("ck_uploads_state_known")
        ),
        sa.CheckConstraint(
            "offset_bytes >= 0 AND (size_bytes IS NULL OR offset_bytes <= size_bytes)", name=op.f("ck_uploads_offset_within_size")
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_uploads_asset_id_assets"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_asset_id", "uploads", ["asset_id"], unique=False)
    op.create_index("ix_uploads_unfreed", "uploads", ["expires_at"], unique=False, postgresql_where=sa.text("freed_at IS NULL"))


def _upload_parts() -> None:
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id_uploads"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_parts")),
    )


def _idempotency_keys() -> None:
    """Answers to repeated requests."""
    op.create_table(
        "idempotency_keys",
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("principal", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_begun_at", "idempotency_keys", ["begun_at"], unique=False)


def upgrade() -> None:
    _jobs()
    _api_keys()
    _plans()
    _renditions()
    _presentations()
    _incoming_objects()
    _upload_parts()
    _idempotency_keys()


def downgrade() -> None:
    op.drop_table("upload_parts")
    op.drop_table("uploads")
    op.drop_table("segments")
    op.drop_table("presentations")
    op.drop_table("playback_ids")
    op.drop_table("init_segments")
    op.drop_table("incoming_objects")
    op.drop_table("renditions")
    op.drop_table("assets")
    op.drop_table("plans")
    op.drop_table("outbox")
    op.drop_table("jobs")
    op.drop_table("idempotency_keys")
    op.drop_table("api_keys")
