"""Static renditions of titles: whole files that somebody asked for, to be kept or edited. The only SQL about them.

A file is called by its rung and its form ("720p.mp4"), or, of sound without pictures, by its track ("audio.m4a"), and is made once, from
what is stored, by a job of low priority. It is no part of being ready: a title goes on without it. Each request makes a row with an id of
its own, under which the object lies, so a file that is asked for again after it was deleted never meets the work of the first time.

Whoever writes here has locked the asset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    Row,
    Select,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
    update,
)

from catalog import priority
from catalog.asset import Asset, AssetStatus
from catalog.plan_store import load_plan
from catalog.tables import assets, of_rendition
from kit import ids, job_store
from kit.db import Timestamp, metadata
from kit.errors import BadRequest, Conflict, NotFound
from kit.jobs import NewJob, State
from media import keys
from media.codecs import AAC_LC
from media.ids import AssetId, PlanDigest
from media.plan import EncodePlan

MAKE = "transcode.download"
SUFFIXES, SOUND_SUFFIX = ("mp4", "webm"), "m4a"
DownloadStatus = Literal["waiting", "making", "ready", "failed"]

downloads = Table(
    "downloads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("asset_id", Text, nullable=False),
    Column("plan_digest", Text, nullable=False),
    Column("rendition", Text, nullable=False),
    Column("suffix", Text, nullable=False),
    Column("sha256", Text),  # of what was made
    Column("size_bytes", BigInteger),
    Column("created_at", Timestamp, nullable=False, server_default=text("now()")),
    of_rendition(),
    Index("uq_downloads_file", "asset_id", "plan_digest", "rendition", "suffix", unique=True),
)


@dataclass(frozen=True, slots=True)
class File:
    """What was asked for, and what is there."""

    id: str
    asset_id: str
    plan_digest: PlanDigest
    rendition: str
    suffix: str
    sha256: str | None
    size_bytes: int | None
    created_at: datetime
    status: DownloadStatus
    progress: float
    error_code: str | None = None
    error_detail: str | None = None

    @property
    def name(self) -> str:
        return f"{self.rendition}.{self.suffix}"

    @property
    def key(self) -> str:
        return keys.download(AssetId(self.asset_id), self.plan_digest, self.id, self.suffix)


@dataclass(frozen=True, slots=True)
class MadeFile:
    """An object that lies in the store."""

    id: str
    sha256: str
    size_bytes: int


def names_of(plan: EncodePlan, lost: Sequence[str] | frozenset[str] = ()) -> tuple[str, ...]:
    """Every file that can be asked for. WebM has no HDR of ours, and a protected title no file, which would be its clear copy. Sound is a
    file of its own where there are no pictures, as AAC, which music players know."""
    if plan.protection is not None:
        return ()
    if not plan.video:
        return tuple(f"{track.name}.{SOUND_SUFFIX}" for track in plan.audio if track.name not in lost and track.codecs == AAC_LC)
    rungs = [rung for rung in plan.video if rung.name not in lost]
    return tuple(f"{rung.name}.{suffix}" for rung in rungs for suffix in SUFFIXES if suffix == "mp4" or rung.video_range == "SDR")


def files_of(conn: Connection, asset: Asset) -> list[File]:
    """Those of the asset's present plan, the oldest first."""
    rows = conn.execute(_of(asset).order_by(downloads.c.id))
    return [_file(conn, row) for row in rows]


def file_of(conn: Connection, asset_id: str, plan_digest: str, name: str) -> File:
    """Raises NotFound."""
    rendition, _, suffix = name.rpartition(".")
    mine = (downloads.c.asset_id == asset_id) & (downloads.c.plan_digest == plan_digest)
    row = conn.execute(select(downloads).where(mine, downloads.c.rendition == rendition, downloads.c.suffix == suffix)).one_or_none()
    if row is None:
        raise NotFound("Nobody has asked for this file.", code="download_not_found")
    return _file(conn, row)


def by_id(conn: Connection, download_id: str) -> File:
    """Raises NotFound."""
    row = conn.execute(select(downloads).where(downloads.c.id == download_id)).one_or_none()
    if row is None:
        raise NotFound("This file is not wanted any more.", code="download_not_found")
    return _file(conn, row)


def ask(conn: Connection, asset: Asset, name: str, lost: frozenset[str]) -> File:
    """Have a file made, unless it is there or being made; one that could not be made is tried again. Raises Conflict and BadRequest."""
    if asset.status is not AssetStatus.READY or asset.plan_digest is None:
        raise Conflict("A file can be made when the video is ready.", code="not_ready")
    plan = load_plan(conn, asset.id)
    if plan.protection is not None:
        raise Conflict("This video is encrypted, and a file would be a copy that everybody can read.", code="encrypted")
    if name not in (allowed := names_of(plan, lost)):
        raise BadRequest(f"These files can be made: {', '.join(allowed)}.", code="unknown_download")
    rendition, _, suffix = name.rpartition(".")
    try:
        there = file_of(conn, asset.id, plan.digest, name)
    except NotFound:
        there = None
    if there is not None and there.status != "failed":
        return there
    if there is not None:
        forget(conn, there)
    made = {"id": ids.sortable("dwn"), "asset_id": asset.id, "plan_digest": plan.digest, "rendition": rendition, "suffix": suffix}
    conn.execute(insert(downloads).values(made))
    job_store.enqueue(conn, job(asset.id, plan.digest, made["id"]))
    return by_id(conn, made["id"])


def job(asset_id: str, plan_digest: str, download_id: str) -> NewJob:
    """What makes a file."""
    return NewJob(
        MAKE, _subject(asset_id, plan_digest, download_id), asset_id, args={"id": download_id}, priority=priority.DOWNLOAD, weight=0.0
    )


def _subject(asset_id: str, plan_digest: str, download_id: str) -> str:
    return f"{asset_id}/{plan_digest}/{download_id}"


def forget(conn: Connection, file: File) -> None:
    """It is not offered any more. Whoever is making it learns when it wants to say so."""
    conn.execute(delete(downloads).where(downloads.c.id == file.id))


def record(conn: Connection, made: MadeFile) -> None:
    """The file lies in the store. Raises NotFound when it is not wanted any more."""
    facts = {"sha256": made.sha256, "size_bytes": made.size_bytes}
    if conn.execute(update(downloads).where(downloads.c.id == made.id).values(facts)).rowcount == 0:
        raise NotFound("This file is not wanted any more.", code="download_not_found")


def stored(conn: Connection, asset_id: str) -> list[File]:
    """Those that are there, of all plans."""
    rows = conn.execute(select(downloads).where(downloads.c.asset_id == asset_id, downloads.c.sha256.is_not(None)))
    return [_file(conn, row) for row in rows]


def _of(asset: Asset) -> Select[tuple[object, ...]]:
    current = select(assets.c.plan_digest).where(assets.c.id == asset.id).scalar_subquery()
    return select(downloads).where(downloads.c.asset_id == asset.id, downloads.c.plan_digest == current)


def _file(conn: Connection, row: Row[tuple[object, ...]]) -> File:
    status, progress, error = _state(conn, row)
    return File(
        id=row.id, asset_id=row.asset_id, plan_digest=PlanDigest(row.plan_digest), rendition=row.rendition, suffix=row.suffix,
        sha256=row.sha256, size_bytes=row.size_bytes, created_at=row.created_at, status=status, progress=progress,
        error_code=error[0], error_detail=error[1],
    )  # fmt: skip


def _state(conn: Connection, row: Row[tuple[object, ...]]) -> tuple[DownloadStatus, float, tuple[str | None, str | None]]:
    if row.sha256 is not None:
        return "ready", 1.0, (None, None)
    job = job_store.find(conn, MAKE, _subject(row.asset_id, row.plan_digest, row.id))
    if job is None or job.state in (State.FAILED, State.CANCELLED):
        return "failed", 0.0, (None, None) if job is None else (job.error_code, job.error_detail)
    return ("making" if job.state is State.RUNNING else "waiting"), job.progress, (None, None)
