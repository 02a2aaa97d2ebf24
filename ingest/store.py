"""The SQL of uploads and of files dropped into the bucket. Decisions are in `ingest.upload` and `ingest.incoming`.

An upload's row is changed by `lock`, a pure decision, and `save` in one transaction, so what was decided on is what is changed.
Parts have rows of their own: an upload may have 10,000 of them, and each commit adds one or two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    Select,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.tables import assets
from ingest.quota import Reserved
from ingest.upload import OPEN, Tail, UploadSession, UploadState
from kit.db import Json, Timestamp, metadata
from kit.errors import NotFound
from kit.storage import ObjectInfo, StoredPart
from media.ids import AssetId, UploadId

_NOW = func.clock_timestamp()
_OPEN = tuple(str(state) for state in sorted(OPEN))

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("state", Text, nullable=False),
    Column("size_bytes", BigInteger),
    Column("offset_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("part_bytes", Integer, nullable=False),
    Column("multipart_id", Text),
    Column("tails", Json, nullable=False, server_default=text("'[]'")),  # [[start, end, epoch], …]
    Column("metadata", Text, nullable=False, server_default=text("''")),
    Column("owner", Text, nullable=False, server_default=text("''")),  # who created it: an API key's id, or the open studio
    Column("epoch", Integer, nullable=False, server_default=text("0")),
    Column("lease_until", Timestamp),
    Column("expires_at", Timestamp, nullable=False),
    Column("error_code", Text),
    Column("error_detail", Text),
    Column("created_at", Timestamp, nullable=False, server_default=text("now()")),
    Column("completed_at", Timestamp),
    Column("freed_at", Timestamp),  # set when an ended upload has nothing left in the store but its source object
    CheckConstraint("offset_bytes >= 0 AND (size_bytes IS NULL OR offset_bytes <= size_bytes)", name="offset_within_size"),
    CheckConstraint("state IN ('waiting', 'receiving', 'complete', 'errored', 'cancelled', 'expired')", name="state_known"),
    Index("ix_uploads_asset_id", "asset_id"),
    Index("ix_uploads_owner_open", "owner", postgresql_where=text("state IN ('waiting', 'receiving')")),
    Index("ix_uploads_unfreed", "expires_at", postgresql_where=text("freed_at IS NULL")),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", Text, ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("etag", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
)

incoming_objects = Table(
    "incoming_objects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("etag", Text, primary_key=True),
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("found_at", Timestamp, nullable=False, server_default=text("now()")),
    Column("adopted_at", Timestamp),  # set when the dropped object has become a source and is gone from incoming/
)


@dataclass(frozen=True, slots=True)
class NewUpload:
    """An upload to be created."""

    id: UploadId
    asset_id: AssetId
    size_bytes: int | None
    part_bytes: int
    expiry_s: int
    owner: str
    metadata: str = ""


def _session(row: RowMapping) -> UploadSession:
    values: dict[str, Any] = {name: row[name] for name in row if name not in ("freed_at", "owner", "offset_bytes", "db_now")}
    tails = tuple(Tail(start, end, epoch) for start, end, epoch in values.pop("tails"))
    return UploadSession(**{**values, "state": UploadState(values["state"])}, offset=row["offset_bytes"], tails=tails)


def _found(conn: Connection, query: Select[Any], upload_id: str) -> tuple[UploadSession, datetime]:
    row = conn.execute(query.where(uploads.c.id == upload_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such upload.", code="upload_not_found")
    return _session(row), row["db_now"]


def create(conn: Connection, new: NewUpload) -> UploadSession:
    """A waiting upload that expires `expiry_s` seconds from now, by the database's clock."""
    values = {
        "id": new.id,
        "asset_id": new.asset_id,
        "state": str(UploadState.WAITING),
        "size_bytes": new.size_bytes,
        "part_bytes": new.part_bytes,
        "metadata": new.metadata,
        "owner": new.owner,
        "expires_at": _NOW + func.make_interval(0, 0, 0, 0, 0, 0, new.expiry_s),
    }
    return _session(conn.execute(insert(uploads).values(values).returning(*uploads.c)).mappings().one())


def reserved(conn: Connection, owner: str, unsaid_bytes: int) -> Reserved:
    """What `owner` has unfinished; an upload of unknown length counts `unsaid_bytes`.

    Until the transaction ends nobody else is told about this owner, so whoever adds an upload in it adds to what was counted.
    """
    conn.execute(select(func.pg_advisory_xact_lock(func.hashtextextended("uploads of " + owner, 0))))
    promised = func.coalesce(func.sum(func.coalesce(uploads.c.size_bytes, unsaid_bytes)), 0)
    query = select(func.count(), promised).where(uploads.c.owner == owner, uploads.c.state.in_(_OPEN))
    count, size_bytes = conn.execute(query).one()
    return Reserved(count, int(size_bytes))


def get(conn: Connection, upload_id: str) -> tuple[UploadSession, datetime]:
    """The upload, and the database's clock. Raises NotFound."""
    return _found(conn, select(*uploads.c, _NOW.label("db_now")), upload_id)


def lock(conn: Connection, upload_id: str) -> tuple[UploadSession, datetime]:
    """The same, and nobody else changes the row until the transaction ends. Raises NotFound.

    The clock is read after the lock was granted: a caller that had to wait must not judge leases by an older moment.
    """
    conn.execute(select(uploads.c.id).where(uploads.c.id == upload_id).with_for_update())
    return get(conn, upload_id)


def save(conn: Connection, session: UploadSession) -> UploadSession:
    """Store every field of `session`. The caller holds the lock."""
    values = {
        "state": str(session.state),
        "size_bytes": session.size_bytes,
        "offset_bytes": session.offset,
        "multipart_id": session.multipart_id,
        "tails": [[tail.start, tail.end, tail.epoch] for tail in session.tails],
        "epoch": session.epoch,
        "lease_until": session.lease_until,
        "expires_at": session.expires_at,
        "error_code": session.error_code,
        "error_detail": session.error_detail,
        "completed_at": session.completed_at,
    }
    conn.execute(update(uploads).where(uploads.c.id == session.id).values(values))
    return session


def add_parts(conn: Connection, upload_id: str, parts: Sequence[StoredPart]) -> None:
    """Note parts that the store has acknowledged; a part of the same number is replaced."""
    for part in parts:
        values = {"etag": part.etag, "size_bytes": part.size_bytes}
        statement = upsert(upload_parts).values(upload_id=upload_id, number=part.number, **values)
        conn.execute(statement.on_conflict_do_update(index_elements=["upload_id", "number"], set_=values))


def parts_of(conn: Connection, upload_id: str) -> tuple[StoredPart, ...]:
    """All parts, ascending."""
    query = select(upload_parts).where(upload_parts.c.upload_id == upload_id).order_by(upload_parts.c.number)
    return tuple(StoredPart(row["number"], row["etag"], row["size_bytes"]) for row in conn.execute(query).mappings())


def forget_parts(conn: Connection, upload_id: str) -> None:
    conn.execute(delete(upload_parts).where(upload_parts.c.upload_id == upload_id))


def idle_uploads(conn: Connection, limit: int) -> tuple[UploadId, ...]:
    """Open uploads that somebody must look after: expired, or whole but not closed, or whose asset was deleted.

    One that is held by a live request is left out.
    """
    abandoned = or_(uploads.c.expires_at <= _NOW, uploads.c.size_bytes == uploads.c.offset_bytes, assets.c.status == "deleted")
    unheld = or_(uploads.c.lease_until.is_(None), uploads.c.lease_until <= _NOW)
    query = select(uploads.c.id).join(assets, assets.c.id == uploads.c.asset_id)
    query = query.where(uploads.c.state.in_(_OPEN), abandoned, unheld).order_by(uploads.c.expires_at).limit(limit)
    return tuple(conn.execute(query).scalars())


def unfreed_uploads(conn: Connection, limit: int) -> tuple[UploadSession, ...]:
    """Ended uploads whose leftovers in the store have not been removed yet."""
    query = select(*uploads.c).where(and_(uploads.c.freed_at.is_(None), uploads.c.state.not_in(_OPEN))).limit(limit)
    return tuple(_session(row) for row in conn.execute(query).mappings())


def is_multipart_of_open(conn: Connection, multipart_id: str) -> bool:
    """Whether an upload that may still be continued or closed is stored in this multipart upload."""
    query = select(uploads.c.id).where(uploads.c.multipart_id == multipart_id, uploads.c.state.in_(_OPEN))
    return conn.execute(query).first() is not None


def is_unfreed(conn: Connection, upload_id: str) -> bool:
    """Whether an upload has, or may have, something in the store that is looked after."""
    return conn.execute(select(uploads.c.id).where(uploads.c.id == upload_id, uploads.c.freed_at.is_(None))).first() is not None


def mark_freed(conn: Connection, upload_id: str) -> None:
    conn.execute(update(uploads).where(uploads.c.id == upload_id).values(freed_at=_NOW))
    forget_parts(conn, upload_id)


def database_clock(conn: Connection) -> datetime:
    now: datetime = conn.execute(select(_NOW)).scalar_one()
    return now


def known_incoming(conn: Connection) -> frozenset[tuple[str, str]]:
    """Key and etag of every dropped object that is being taken in."""
    query = select(incoming_objects.c.key, incoming_objects.c.etag).where(incoming_objects.c.adopted_at.is_(None))
    return frozenset((row.key, row.etag) for row in conn.execute(query))


def take_incoming(conn: Connection, asset_id: str, found: ObjectInfo, *, listed_at: datetime) -> bool:
    """Claim a dropped object for `asset_id`; False when somebody else has.

    The same bytes may be dropped again under the same key: that is a new file if the earlier one had been taken away before
    the listing that shows it began (`listed_at`, by the database's clock).
    """
    values = {"asset_id": asset_id, "size_bytes": found.size_bytes, "found_at": _NOW, "adopted_at": None}
    statement = upsert(incoming_objects).values(key=found.key, etag=found.etag, **values)
    claimed = statement.on_conflict_do_update(
        index_elements=["key", "etag"], set_=values, where=incoming_objects.c.adopted_at < listed_at
    ).returning(incoming_objects.c.key)
    return conn.execute(claimed).one_or_none() is not None


def mark_adopted(conn: Connection, *, key: str, etag: str) -> None:
    matches = and_(incoming_objects.c.key == key, incoming_objects.c.etag == etag)
    conn.execute(update(incoming_objects).where(matches).values(adopted_at=_NOW))
