"""Content keys: one for each title that is encrypted. The only SQL about them.

A key is 16 random bytes that are made once, when the title is planned for the first time, and stored sealed (`kit.ciphers`). It is
deleted in the transaction that deletes its title: whatever is left of the title somewhere can then be read by nobody who did not have the
key. Keys enter no log, no job and no object of the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Column, Connection, ForeignKey, Index, Table, Text, delete, insert, select, text, update

from catalog.asset import Asset, AssetStatus
from catalog.tables import assets
from kit import ciphers, ids
from kit.db import Timestamp, metadata
from kit.errors import NotFound
from media.protection import KEY_BYTES, Encryption, Protection, Scheme

title_keys = Table(
    "title_keys",
    metadata,
    Column("key_id", Text, primary_key=True),  # 32 hexadecimal digits
    Column("asset_id", Text, ForeignKey("assets.id", ondelete="CASCADE"), nullable=False),
    Column("scheme", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", Timestamp, nullable=False, server_default=text("now()")),
    Index("uq_title_keys_asset_id", "asset_id", unique=True),
)


@dataclass(frozen=True, slots=True)
class TitleKey:
    """An opened key. It does not show itself when it is printed."""

    protection: Protection
    key: bytes = field(repr=False)


def decide(conn: Connection, asset: Asset, default: Encryption, secret_key: str) -> Protection | None:
    """How this title is encrypted, decided once: an operator who changes the setting later changes no title that there is. None: it is
    not. Whoever calls has locked the asset. Raises NotFound for a deleted one."""
    if asset.status is AssetStatus.DELETED:
        raise NotFound(f"There is no asset {asset.id}.", code="asset_not_found")
    chosen = default if asset.encryption == "default" else asset.encryption
    if chosen != asset.encryption:
        conn.execute(update(assets).where(assets.c.id == asset.id).values(encryption=chosen))
    if chosen == "none":
        return None
    if (known := protection_of(conn, asset.id)) is not None:
        return known
    key_id = ids.secret_bytes(KEY_BYTES).hex()
    sealed = ciphers.seal(secret_key, ids.secret_bytes(KEY_BYTES), key_id)
    conn.execute(insert(title_keys).values(key_id=key_id, asset_id=asset.id, scheme=chosen, sealed=sealed))
    return Protection(chosen, key_id)


def protection_of(conn: Connection, asset_id: str) -> Protection | None:
    """None for a title that has no key."""
    row = conn.execute(select(title_keys.c.scheme, title_keys.c.key_id).where(title_keys.c.asset_id == asset_id)).one_or_none()
    return None if row is None else Protection(cast(Scheme, row.scheme), row.key_id)


def find(conn: Connection, asset_id: str, key_id: str, secret_key: str) -> TitleKey:
    """The key of this id, if it is this title's. Raises NotFound and NotSealedHere."""
    query = select(title_keys.c.scheme, title_keys.c.sealed).where(title_keys.c.asset_id == asset_id, title_keys.c.key_id == key_id)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFound("There is no such key.", code="key_not_found")
    return TitleKey(Protection(cast(Scheme, row.scheme), key_id), ciphers.unseal(secret_key, row.sealed, key_id))


def forget(conn: Connection, asset_id: str) -> None:
    """Nobody can read the title's segments any more who does not have the key already."""
    conn.execute(delete(title_keys).where(title_keys.c.asset_id == asset_id))
