"""The SQL of API keys. A secret enters as an argument or leaves as a return value, and is never stored or logged."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Column, Connection, Index, RowMapping, Table, Text, func, insert, select, text, update

from accounts.keys import ApiKey, CreatedKey, digest, hint, new_secret
from kit import ids
from kit.db import Timestamp, metadata
from kit.errors import NotFound

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, server_default=text("now()")),
    Column("last_used_at", Timestamp),
    Column("revoked_at", Timestamp),
    Index("ix_api_keys_secret_sha256", "secret_sha256", unique=True),
)

_VISIBLE = (api_keys.c.id, api_keys.c.name, api_keys.c.hint, api_keys.c.created_at, api_keys.c.last_used_at, api_keys.c.revoked_at)


def _key(row: RowMapping | dict[str, Any]) -> ApiKey:
    return ApiKey(**row)


def create_key(conn: Connection, name: str) -> CreatedKey:
    """A new key. Show `secret` once; it cannot be read again."""
    secret = new_secret()
    values = {"id": ids.sortable("key"), "name": name, "secret_sha256": digest(secret), "hint": hint(secret)}
    row = conn.execute(insert(api_keys).values(values).returning(*_VISIBLE)).mappings().one()
    return CreatedKey(_key(row), secret)


def find_key(conn: Connection, secret: str) -> ApiKey | None:
    """The key that `secret` opens, if it is known and not revoked. Notes the use, at most once a minute."""
    noted = func.coalesce(api_keys.c.last_used_at > func.now() - text("interval '1 minute'"), False).label("noted")
    query = select(*_VISIBLE, noted).where(api_keys.c.secret_sha256 == digest(secret), api_keys.c.revoked_at.is_(None))
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        return None
    values = dict(row)
    if not values.pop("noted"):
        conn.execute(update(api_keys).where(api_keys.c.id == values["id"]).values(last_used_at=func.now()))
    return _key(values)


def get_key(conn: Connection, key_id: str) -> ApiKey:
    """Raises NotFound. A revoked key is still found: its `revoked_at` says so."""
    row = conn.execute(select(*_VISIBLE).where(api_keys.c.id == key_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such API key.")
    return _key(row)


def list_keys(conn: Connection) -> tuple[ApiKey, ...]:
    """All keys, the newest first, revoked ones included."""
    return tuple(_key(row) for row in conn.execute(select(*_VISIBLE).order_by(api_keys.c.id.desc())).mappings())


def revoke_key(conn: Connection, key_id: str) -> ApiKey:
    """The key opens nothing from now on. Revoking twice is harmless. Raises NotFound."""
    query = update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=func.now())
    conn.execute(query)
    return get_key(conn, key_id)


def revoked_among(conn: Connection, key_ids: Collection[str]) -> frozenset[str]:
    """Those of `key_ids` that open nothing any more: revoked, or gone."""
    if not key_ids:
        return frozenset()
    query = select(api_keys.c.id).where(api_keys.c.id.in_(key_ids), api_keys.c.revoked_at.is_(None))
    return frozenset(key_ids) - frozenset(conn.execute(query).scalars())
