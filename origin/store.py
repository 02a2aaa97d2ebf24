"""What the origin reads from the catalog's tables beyond `catalog.store`: one segment by its number. It writes nothing."""

from __future__ import annotations

from sqlalchemy import Connection, select

from catalog.tables import segments
from kit.errors import NotFound


def segment_facts(conn: Connection, asset_id: str, plan_digest: str, rendition: str, index: int) -> tuple[str, int]:
    """SHA-256 (hex) and size in bytes. Raises NotFound."""
    query = select(segments.c.sha256, segments.c.size_bytes)
    query = query.where(segments.c.asset_id == asset_id, segments.c.plan_digest == plan_digest)
    query = query.where(segments.c.rendition == rendition, segments.c["index"] == index)
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFound("There is no such segment.", code="segment_not_found")
    return row.sha256, row.size_bytes
