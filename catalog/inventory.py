"""Every object that the catalog answers for, with the size and SHA-256 that its bytes must have, and why it is there.

A part that was planned and never made is not here: nothing is recorded of it. What belongs to uploads under way is not here
either (`ingest.store` knows it), nor what the recommender keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, select

from catalog import downloads
from catalog.asset import AssetStatus
from catalog.tables import assets, init_segments, pictures, playlists, presentations, renditions, segments
from catalog.track_tables import text_packs, tracks
from kit.storage.verify import UNKNOWN, Recorded
from media import keys
from media import pictures as names
from media.ids import AssetId, PlanDigest


class What(StrEnum):
    SOURCE = "source"
    INIT = "init segment"
    SEGMENT = "segment"
    PLAYLIST = "playlist"
    POSTER = "poster"
    PICTURE = "picture"
    DOWNLOAD = "download"
    CUES = "text as it was read"
    TEXT = "text as it is sent"


@dataclass(frozen=True, slots=True)
class Part(Recorded):
    """An object of an asset; the rest says from what it can be made again. Empty for a source."""

    plan_digest: str = ""
    rendition: str = ""
    index: int = -1  # of a segment


def asset_ids(conn: Connection, after: str = "") -> Iterator[str]:
    """The assets that have objects, ascending, behind `after`."""
    query = select(assets.c.id).where(assets.c.id > after, assets.c.status != str(AssetStatus.DELETED)).order_by(assets.c.id)
    yield from conn.execute(query).scalars()


def parts_of(conn: Connection, asset_id: str) -> list[Part]:
    """Everything recorded for one asset, ascending by key. A title of twelve hours has some 50,000. A deleted one has nothing: its
    objects go before its rows."""
    alive = select(assets.c.id).where(assets.c.id == asset_id, assets.c.status != str(AssetStatus.DELETED))
    if conn.execute(alive).one_or_none() is None:
        return []
    found = [*_source(conn, asset_id), *_inits(conn, asset_id), *_segments(conn, asset_id), *_playlists(conn, asset_id)]
    shown = {item.key: item for item in (*_poster(conn, asset_id), *_pictures(conn, asset_id), *_texts(conn, asset_id))}
    found += _downloads(conn, asset_id)
    return sorted([*found, *shown.values()], key=lambda part: part.key)


def part(conn: Connection, asset_id: str, key: str) -> Part | None:
    """What is recorded of one object now."""
    return next((item for item in parts_of(conn, asset_id) if item.key == key), None)


def keys_of(conn: Connection, asset_id: str) -> frozenset[str]:
    """Every key that an object of this asset may rightly have. More than `parts_of`: titles of earlier releases have playlists and
    posters that nothing is recorded of."""
    query = select(renditions.c.plan_digest, renditions.c.name).where(renditions.c.asset_id == asset_id)
    asset, allowed = AssetId(asset_id), {item.key for item in parts_of(conn, asset_id)}
    for digest, name in conn.execute(query):
        plan = PlanDigest(digest)
        allowed |= {keys.media_playlist(asset, plan, name), keys.iframe_playlist(asset, plan, name), keys.poster(asset, plan)}
    return frozenset(allowed)


def _source(conn: Connection, asset_id: str) -> Iterator[Part]:
    columns = (assets.c.source_key, assets.c.source_size_bytes, assets.c.source_sha256)
    # While a source arrives its place is known already, and nothing lies there.
    row = conn.execute(select(*columns).where(assets.c.id == asset_id, assets.c.received_at.is_not(None))).one_or_none()
    if row is not None and row.source_key is not None and row.source_size_bytes is not None:
        yield Part(row.source_key, row.source_size_bytes, row.source_sha256, asset_id, What.SOURCE)


def _inits(conn: Connection, asset_id: str) -> Iterator[Part]:
    for row in conn.execute(select(init_segments).where(init_segments.c.asset_id == asset_id)):
        key = keys.init_segment(AssetId(asset_id), PlanDigest(row.plan_digest), row.rendition)
        yield Part(key, row.size_bytes, row.sha256, asset_id, What.INIT, row.plan_digest, row.rendition)


def _segments(conn: Connection, asset_id: str) -> Iterator[Part]:
    wanted = (segments.c.plan_digest, segments.c.rendition, segments.c["index"].label("number"), segments.c.size_bytes, segments.c.sha256)
    for row in conn.execute(select(*wanted).where(segments.c.asset_id == asset_id)):
        key = keys.media_segment(AssetId(asset_id), PlanDigest(row.plan_digest), row.rendition, row.number)
        yield Part(key, row.size_bytes, row.sha256, asset_id, What.SEGMENT, row.plan_digest, row.rendition, row.number)


def _playlists(conn: Connection, asset_id: str) -> Iterator[Part]:
    for row in conn.execute(select(playlists).where(playlists.c.asset_id == asset_id)):
        key = f"{keys.plan_prefix(AssetId(asset_id), PlanDigest(row.plan_digest))}{row.rendition}/{row.name}"
        yield Part(key, row.size_bytes, row.sha256, asset_id, What.PLAYLIST, row.plan_digest, row.rendition)


def _poster(conn: Connection, asset_id: str) -> Iterator[Part]:
    query = select(presentations.c.plan_digest, presentations.c.multivariant["poster"].label("poster"))
    row = conn.execute(query.where(presentations.c.asset_id == asset_id, presentations.c.has_poster)).one_or_none()
    if row is not None and row.poster:  # titles of earlier releases have no row of `pictures`
        key = keys.picture(AssetId(asset_id), PlanDigest(row.plan_digest), row.poster.get("name", names.POSTER))
        yield Part(key, int(row.poster["size_bytes"]), str(row.poster["sha256"]), asset_id, What.POSTER, row.plan_digest)


def _pictures(conn: Connection, asset_id: str) -> Iterator[Part]:
    for row in conn.execute(select(pictures).where(pictures.c.asset_id == asset_id)):
        key = keys.picture(AssetId(asset_id), PlanDigest(row.plan_digest), row.name)
        what = What.POSTER if row.name.startswith("poster") else What.PICTURE
        yield Part(key, row.size_bytes, row.sha256, asset_id, what, row.plan_digest)


def _downloads(conn: Connection, asset_id: str) -> Iterator[Part]:
    for file in downloads.stored(conn, asset_id):
        yield Part(file.key, file.size_bytes or 0, file.sha256, asset_id, What.DOWNLOAD, file.plan_digest, file.rendition)


def _texts(conn: Connection, asset_id: str) -> Iterator[Part]:
    """Cues and packs, several tracks with the same text once for each. They are named by their digests: the first 40 digits of a pack's.
    Of a pack that no track has any more, and that is kept for those who are watching, no plan is known."""
    asset = AssetId(asset_id)
    for sha256 in conn.scalars(select(tracks.c.cues_sha256).where(tracks.c.asset_id == asset_id, tracks.c.cues_sha256.is_not(None))):
        yield Part(keys.text_cues(asset, sha256), UNKNOWN, sha256, asset_id, What.CUES)
    of_track = (tracks.c.asset_id == text_packs.c.asset_id) & (tracks.c.pack_digest == text_packs.c.digest)
    query = select(text_packs.c.digest, text_packs.c.size_bytes, tracks.c.plan_digest).outerjoin(tracks, of_track)
    for row in conn.execute(query.where(text_packs.c.asset_id == asset_id)):
        yield Part(keys.text_pack(asset, row.digest), row.size_bytes, row.digest, asset_id, What.TEXT, row.plan_digest or "")
