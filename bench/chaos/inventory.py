"""What there is: in the database, in the store, on the disk, among the processes. Reads, and judges nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from sqlalchemy import Connection, Engine, text

from kit.settings import Settings
from media import keys
from media.ids import AssetId, PlanDigest


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of the store."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Named:
    """An object that the database says there is; None where it does not say how large or which bytes."""

    key: str
    why: str
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Title:
    """An asset."""

    id: str
    external_id: str
    status: str
    error: str
    source_key: str
    source_sha256: str
    main: str  # digest of the published multivariant playlist


@dataclass(frozen=True, slots=True)
class Work:
    """A job."""

    id: str
    kind: str
    subject: str
    asset_id: str
    state: str
    attempt: int
    error: str
    due_s: float  # when it could first begin, or could begin again
    started_s: float | None


@dataclass(frozen=True, slots=True)
class Inventory:
    titles: tuple[Title, ...]
    named: tuple[Named, ...]  # a row each: one key twice is a fault
    stored: tuple[Stored, ...]
    open_multiparts: tuple[str, ...]
    open_uploads: tuple[str, ...]  # neither ended nor freed
    jobs: tuple[Work, ...]
    scratch: tuple[str, ...] = ()  # what steps left in their working space
    processes: tuple[str, ...] = ()  # after everything was stopped
    notes: Mapping[str, Any] = field(default_factory=dict)


def of_database(engine: Engine) -> Inventory:
    """All but the store, the disk and the processes, in one snapshot."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        return Inventory(_titles(conn), tuple(_named(conn)), (), (), _open_uploads(conn), _jobs(conn))


def unrest(engine: Engine) -> list[str]:
    """What is still going on, in words; empty when the system is quiet."""
    with engine.connect() as conn:
        going = conn.execute(
            text("SELECT kind, state, count(*) AS n FROM jobs WHERE state IN ('queued', 'running') GROUP BY 1, 2 ORDER BY 1, 2")
        )
        said = [f"{row.n} jobs {row.kind} {row.state}" for row in going]
        unsent = conn.execute(text("SELECT count(*) FROM outbox")).scalar_one()
        return said + [f"{unsent} messages to be sent"] * bool(unsent) + [f"upload {name}" for name in _open_uploads(conn)]


def _titles(conn: Connection) -> tuple[Title, ...]:
    rows = conn.execute(
        text(
            "SELECT a.id, a.external_id, a.status, coalesce(a.error_code || ': ' || a.error_detail, '') AS error, a.source_key, "
            "a.source_sha256, p.multivariant FROM assets a LEFT JOIN presentations p ON p.asset_id = a.id ORDER BY a.id"
        )
    )
    return tuple(
        Title(
            row.id, row.external_id or "", row.status, row.error, row.source_key or "", row.source_sha256 or "",
            "" if row.multivariant is None else hashlib.sha256(str(row.multivariant.get("playlist", "")).encode()).hexdigest(),
        )
        for row in rows
    )  # fmt: skip


def _named(conn: Connection) -> Iterable[Named]:
    """Every row that stands for an object, of titles that are not deleted."""
    alive = "JOIN assets a ON a.id = asset_id WHERE a.status <> 'deleted'"
    for row in conn.execute(
        text("SELECT id, source_key, source_size_bytes, source_sha256 FROM assets WHERE source_key IS NOT NULL AND status <> 'deleted'")
    ):
        yield Named(row.source_key, f"source of {row.id}", row.source_size_bytes, row.source_sha256)
    for row in conn.execute(text(f"SELECT t.* FROM segments t {alive}")):
        key = keys.media_segment(AssetId(row.asset_id), PlanDigest(row.plan_digest), row.rendition, row._mapping["index"])
        yield Named(key, f"segment of {row.asset_id}", row.size_bytes, row.sha256)
    for row in conn.execute(text(f"SELECT t.* FROM init_segments t {alive}")):
        key = keys.init_segment(AssetId(row.asset_id), PlanDigest(row.plan_digest), row.rendition)
        yield Named(key, f"init segment of {row.asset_id}", row.size_bytes, row.sha256)
    for row in conn.execute(text(f"SELECT t.* FROM playlists t {alive}")):
        key = f"{keys.plan_prefix(AssetId(row.asset_id), PlanDigest(row.plan_digest))}{row.rendition}/{row.name}"
        yield Named(key, f"playlist of {row.asset_id}", row.size_bytes, row.sha256)
    pictures = set()
    for row in conn.execute(text(f"SELECT t.* FROM pictures t {alive}")):
        key = keys.picture(AssetId(row.asset_id), PlanDigest(row.plan_digest), row.name)
        pictures.add(key)
        yield Named(key, f"picture of {row.asset_id}", row.size_bytes, row.sha256)
    for row in conn.execute(text(f"SELECT t.* FROM presentations t {alive} AND t.has_poster")):
        poster = (row.multivariant or {}).get("poster", {})
        key = keys.poster(AssetId(row.asset_id), PlanDigest(row.plan_digest))
        if key not in pictures:  # most are pictures as well
            yield Named(key, f"poster of {row.asset_id}", poster.get("size_bytes"), poster.get("sha256"))


def _open_uploads(conn: Connection) -> tuple[str, ...]:
    rows = conn.execute(
        text(
            "SELECT id, state FROM uploads WHERE (state IN ('waiting', 'receiving') AND offset_bytes > 0) "
            "OR (state NOT IN ('waiting', 'receiving') AND freed_at IS NULL)"
        )
    )
    return tuple(f"{row.id} ({row.state})" for row in rows)


def _jobs(conn: Connection) -> tuple[Work, ...]:
    return tuple(
        Work(
            row.id, row.kind, row.subject, row.asset_id, row.state, row.attempt, row.error_code or "",
            max(row.created_at, row.not_before).timestamp(),
            None if row.started_at is None else row.started_at.timestamp(),
        )
        for row in conn.execute(text("SELECT * FROM jobs ORDER BY created_at, id"))
    )  # fmt: skip


def client(settings: Settings) -> Any:
    """The store, asked directly."""
    return boto3.session.Session().client(
        "s3", endpoint_url=settings.s3_endpoint, region_name=settings.s3_region, aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key,
        config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required", response_checksum_validation="when_required",
        ),
    )  # fmt: skip


def of_store(store: Any, bucket: str) -> tuple[tuple[Stored, ...], tuple[str, ...]]:
    """Every object with the digest of what is really read, and every multipart upload that is neither completed nor aborted."""
    found = []
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            digest, size = hashlib.sha256(), 0
            for piece in store.get_object(Bucket=bucket, Key=item["Key"])["Body"].iter_chunks(1 << 20):
                digest.update(piece)
                size += len(piece)
            found.append(Stored(item["Key"], size, digest.hexdigest()))
    uploads = store.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return tuple(found), tuple(f"{item['Key']} {item['UploadId']}" for item in uploads)


def of_scratch(scratch: Path) -> tuple[str, ...]:
    """What lies in the steps' own folders. The cache of sources beside them is allowed to stay."""
    work = scratch / "work"
    return tuple(sorted(str(path.relative_to(scratch)) for path in work.rglob("*"))) if work.is_dir() else ()
