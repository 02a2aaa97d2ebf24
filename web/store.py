"""The SQL of idempotency keys: which POST was made under which key, and what it was answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Column, Connection, Index, Integer, LargeBinary, Table, Text, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from kit.db import Json, Timestamp, metadata

KEPT_FOR = timedelta(hours=24)
_MADE = "made"
ABANDONED_AFTER = timedelta(seconds=60)  # the process that began it is gone: nothing of ours takes this long

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),  # SHA-256 of the request
    Column("begun_at", Timestamp, nullable=False, server_default=text("now()")),
    Column("status", Integer),  # of the reply; null while it is running
    Column("headers", Json),  # [[name, value], …]; while it is running, [["made", id]] once something was made
    Column("body", LargeBinary),
    Index("ix_idempotency_keys_begun_at", "begun_at"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as it is repeated."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a key: `fresh` when this call reserved it, else the request it stands for and its reply, if any."""

    fresh: bool
    fingerprint: str
    reply: Reply | None


def begin(conn: Connection, principal: str, key: str, fingerprint: str) -> Begun:
    """Reserve `key` for a request, or say what it already stands for."""
    now, table = func.now(), idempotency_keys.c
    conn.execute(delete(idempotency_keys).where(table.begun_at < now - KEPT_FOR))
    values = {"principal": principal, "key": key, "fingerprint": fingerprint}
    again = {"fingerprint": fingerprint, "begun_at": now}
    abandoned = table.status.is_(None) & (table.begun_at < now - ABANDONED_AFTER)
    abandoned &= table.headers.is_(None) | (table.fingerprint == fingerprint)  # what it made belongs to that request
    statement = upsert(idempotency_keys).values(values)
    statement = statement.on_conflict_do_update(index_elements=["principal", "key"], set_=again, where=abandoned)
    if conn.execute(statement.returning(table.key)).one_or_none() is not None:
        return Begun(True, fingerprint, None)
    found = conn.execute(select(idempotency_keys).where(table.principal == principal, table.key == key)).mappings().one()
    if found["status"] is None:
        return Begun(False, found["fingerprint"], None)
    headers = tuple((str(name), str(value)) for name, value in found["headers"])
    return Begun(False, found["fingerprint"], Reply(found["status"], headers, bytes(found["body"])))


def finish(conn: Connection, principal: str, key: str, reply: Reply) -> None:
    """Keep the reply for whoever asks again."""
    headers: Sequence[Sequence[str]] = [list(pair) for pair in reply.headers]
    query = update(idempotency_keys).where(idempotency_keys.c.principal == principal, idempotency_keys.c.key == key)
    conn.execute(query.values(status=reply.status, headers=headers, body=reply.body))


def made(conn: Connection, principal: str, key: str) -> str | None:
    """The id of what was made under this key by a request whose reply was not kept. Whoever else makes something under it waits."""
    columns = idempotency_keys.c
    query = select(columns.headers).where(columns.principal == principal, columns.key == key, columns.status.is_(None))
    noted = conn.execute(query.with_for_update()).scalar_one_or_none()
    return str(noted[0][1]) if noted and noted[0][0] == _MADE else None


def note_made(conn: Connection, principal: str, key: str, made_id: str) -> None:
    """The caller's transaction makes something: whoever asks again is to get that."""
    columns = idempotency_keys.c
    mine = update(idempotency_keys).where(columns.principal == principal, columns.key == key, columns.status.is_(None))
    conn.execute(mine.values(headers=[[_MADE, made_id]]))


def release(conn: Connection, principal: str, key: str) -> None:
    """The request came to nothing, or to no reply: it may be made again at once."""
    columns = idempotency_keys.c
    mine = (columns.principal == principal) & (columns.key == key) & columns.status.is_(None)
    conn.execute(delete(idempotency_keys).where(mine, columns.headers.is_(None)))
    conn.execute(update(idempotency_keys).where(mine).values(begun_at=func.now() - 2 * ABANDONED_AFTER))
