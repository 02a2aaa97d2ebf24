"""The SQL about sources that only background work asks for: where everything lies in a source, and the digest of its bytes."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import AssetStatus
from catalog.codec import from_json, to_json
from catalog.tables import assets, source_maps
from media.source_map import SourceMap


def save_source_map(conn: Connection, asset_id: str, source_map: SourceMap | None) -> None:
    """Replaces what was known before; None forgets it."""
    conn.execute(delete(source_maps).where(source_maps.c.asset_id == asset_id))
    if source_map is not None:
        conn.execute(upsert(source_maps).values(asset_id=asset_id, map=to_json(source_map)))


def load_source_map(conn: Connection, asset_id: str) -> SourceMap | None:
    """Where everything lies in the asset's source; None when that is not known, and the whole source has to be fetched."""
    found = conn.execute(select(source_maps.c.map).where(source_maps.c.asset_id == asset_id)).scalar_one_or_none()
    return None if found is None else from_json(SourceMap, found)


def set_source_sha256(conn: Connection, asset_id: str, sha256: str) -> None:
    """Note the SHA-256 (hex) of the source's bytes. A deleted asset stays empty."""
    alive = assets.c.status != str(AssetStatus.DELETED)
    conn.execute(update(assets).where(assets.c.id == asset_id, alive).values(source_sha256=sha256))
