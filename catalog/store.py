"""The SQL of assets: creating, listing, changing, publishing and deleting them. Plans and segments are in `catalog.plan_store`.

Every function takes the caller's transaction and returns frozen values. A function that changes an asset locks its row
first, so changes of one asset happen one after the other. `updated_at` is the wall clock of the change, not of the
transaction's start, so that whoever follows changes can ask for "everything since".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.asset import (
    Asset,
    AssetEvent,
    AssetStatus,
    NewAsset,
    NewPresentation,
    Playback,
    PlaybackTarget,
    PreconditionFailed,
    PublishedPresentation,
    changes,
    next_status,
    replaces,
)
from catalog.codec import info_from_json, info_to_json
from catalog.plan_store import (
    SEGMENTS_CHANNEL,
    drop_renditions,
    drop_unused_plans,
    forget_segments,
    is_recorded,
    load_init,
    load_plan,
    load_renditions,
    load_segments,
    lock_segments,
    save_plan,
    save_playlists,
    save_segments,
)
from catalog.source_store import load_source_map, save_source_map, set_source_sha256
from catalog.tables import assets, early_sources, playback_ids, presentations
from catalog.title_keys import forget as forget_keys
from catalog.track_store import forget_tracks
from kit import ids, job_store
from kit.db import Json
from kit.errors import Forbidden, NotFound
from kit.jobs import NewJob
from media.ids import AssetId, PlaybackId
from media.info import MediaInfo
from media.source_map import SourceMap

__all__ = [  # the catalog's door: callers import plan functions from here too
    "SEGMENTS_CHANNEL",
    "AssetFilter",
    "Page",
    "advance",
    "asset_of_playback",
    "changed_assets",
    "check_version",
    "create_asset",
    "current_presentation",
    "delete_asset",
    "forget_segments",
    "get_asset",
    "is_recorded",
    "list_assets",
    "live_asset",
    "load_init",
    "load_plan",
    "load_renditions",
    "load_segments",
    "load_source_map",
    "lock_asset",
    "lock_live_asset",
    "lock_segments",
    "mark_errored",
    "mark_received",
    "playbacks_of",
    "publish",
    "purge_rows",
    "resolve_playback",
    "save_plan",
    "save_segments",
    "set_source_info",
    "set_source_sha256",
    "slim_assets",
    "update_details",
]  # fmt: skip

PURGE = "catalog.purge"
GIVEN_UP = (AssetStatus.ERRORED, AssetStatus.DELETED)  # nothing more will be made for these
SETTLED_AFTER_S = job_store.LEASE_S + 15.0  # after this, no work that was claimed before can store anything
_NOW = func.clock_timestamp()

# A long source has a megabyte of key frame times, which only the planner needs.
_SLIM_SOURCE = literal_column("jsonb_set(assets.source, '{video,keyframes}', '[]', false)", Json).label("source")
_SLIM = tuple(_SLIM_SOURCE if column.name == "source" else column for column in assets.c)


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """What a list is narrowed to; everything given must hold. Deleted assets appear only when asked for by status."""

    statuses: tuple[AssetStatus, ...] = ()
    text: str | None = None  # anywhere in title, description, external id or tags, whatever the case
    tag: str | None = None  # exactly
    external_id: str | None = None  # exactly


@dataclass(frozen=True, slots=True)
class Page:
    """Assets, the newest first, and the id after which the next page begins (None on the last page)."""

    assets: tuple[Asset, ...]
    next_after: AssetId | None


def _asset(row: RowMapping) -> Asset:
    values: dict[str, Any] = dict(row)
    values["status"] = AssetStatus(values["status"])
    values["tags"] = tuple(values["tags"])
    values["source"] = None if values["source"] is None else info_from_json(values["source"])
    return Asset(**values)


def _missing(asset_id: str) -> NotFound:
    return NotFound(f"There is no asset {asset_id}.", code="asset_not_found")


def create_asset(conn: Connection, new: NewAsset) -> Asset:
    """A waiting asset with one playback id of its policy."""
    values = {
        "id": ids.sortable("ast"),
        "title": new.title,
        "description": new.description,
        "tags": list(new.tags),
        "external_id": new.external_id,
        "metadata": dict(new.metadata),
        "profile": new.profile,
        "playback_policy": new.playback_policy,
        "encryption": new.encryption,
        "normalize_audio": new.normalize_audio,
    }
    row = conn.execute(insert(assets).values(values).returning(*assets.c)).mappings().one()
    conn.execute(insert(playback_ids).values(id=ids.random_id(), asset_id=row["id"], policy=new.playback_policy))
    return _asset(row)


def get_asset(conn: Connection, asset_id: str) -> Asset:
    """The whole asset. A deleted one is still found: its status says so. Raises NotFound."""
    row = conn.execute(select(*assets.c).where(assets.c.id == asset_id)).mappings().one_or_none()
    if row is None:
        raise _missing(asset_id)
    return _asset(row)


def lock_asset(conn: Connection, asset_id: str) -> Asset:
    """`get_asset`, and nobody else changes it until the transaction ends. Raises NotFound."""
    row = conn.execute(select(*assets.c).where(assets.c.id == asset_id).with_for_update()).mappings().one_or_none()
    if row is None:
        raise _missing(asset_id)
    return _asset(row)


def live_asset(conn: Connection, asset_id: str) -> Asset:
    """The asset without key frame times. Raises NotFound, also for a deleted one."""
    found = slim_assets(conn, [asset_id])
    if not found or found[0].status is AssetStatus.DELETED:
        raise _missing(asset_id)
    return found[0]


def lock_live_asset(conn: Connection, asset_id: str) -> Asset:
    """`lock_asset`, which raises NotFound also for a deleted one."""
    asset = lock_asset(conn, asset_id)
    if asset.status is AssetStatus.DELETED:
        raise _missing(asset_id)
    return asset


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _conditions(wanted: AssetFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(assets.c.status.in_([str(status) for status in wanted.statuses]))
    else:
        conditions.append(assets.c.status != str(AssetStatus.DELETED))
    if wanted.text:
        words = (assets.c.title, assets.c.description, assets.c.external_id, func.array_to_string(assets.c.tags, " "))
        conditions.append(or_(*(column.ilike(_pattern(wanted.text)) for column in words)))
    if wanted.tag is not None:
        conditions.append(assets.c.tags.contains([wanted.tag]))
    if wanted.external_id is not None:
        conditions.append(assets.c.external_id == wanted.external_id)
    return conditions


def list_assets(conn: Connection, wanted: AssetFilter | None = None, *, limit: int = 25, after: AssetId | None = None) -> Page:
    """One page, the newest first, without key frame times. Ids sort by creation, so a page boundary is an id: assets
    that are created while somebody walks the list appear before the walk's beginning and shift nothing.
    """
    query = select(*_SLIM).where(*_conditions(wanted or AssetFilter())).order_by(assets.c.id.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(assets.c.id < after)
    found = [_asset(row) for row in conn.execute(query).mappings()]
    return Page(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)


def slim_assets(conn: Connection, asset_ids: Sequence[str]) -> tuple[Asset, ...]:
    """The assets of these ids that exist, without key frame times, in no particular order."""
    rows = conn.execute(select(*_SLIM).where(assets.c.id.in_(list(asset_ids)))).mappings()
    return tuple(_asset(row) for row in rows)


def changed_assets(conn: Connection, within_s: float) -> tuple[str, ...]:
    """Ids of the assets whose row changed in the last `within_s` seconds, or which are being processed."""
    recent = assets.c.updated_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, within_s)
    query = select(assets.c.id).where(or_(recent, assets.c.status == str(AssetStatus.PROCESSING)))
    return tuple(conn.execute(query).scalars())


def _write(conn: Connection, asset_id: str, values: Mapping[str, Any]) -> Asset:
    query = update(assets).where(assets.c.id == asset_id).values({**values, "updated_at": _NOW}).returning(*assets.c)
    return _asset(conn.execute(query).mappings().one())


def update_details(conn: Connection, asset_id: str, changes: Mapping[str, Any], *, expected_version: int | None = None) -> Asset:
    """Replace some of title, description, tags, external_id, metadata and poster_time_s.

    Raises NotFound (also for a deleted asset), and PreconditionFailed when the asset is not at `expected_version`.
    """
    unknown = set(changes) - {"title", "description", "tags", "external_id", "metadata", "poster_time_s"}
    if unknown:
        raise ValueError(f"not details of an asset: {', '.join(sorted(unknown))}")
    asset = lock_live_asset(conn, asset_id)
    check_version(asset, expected_version)
    return _write(conn, asset_id, {**changes, "version": asset.version + 1}) if changes else asset


def check_version(asset: Asset, expected_version: int | None) -> None:
    """Raises PreconditionFailed when somebody else changed the asset meanwhile."""
    if expected_version is not None and asset.version != expected_version:
        raise PreconditionFailed(f"The asset was changed meanwhile and is at version {asset.version} now: read it again, then decide.")


def advance(conn: Connection, asset_id: str, event: AssetEvent, **facts: Any) -> Asset:
    """The asset after `event`, with `facts` (column values) noted. A deleted asset stays as it is, without the facts.

    Raises NotFound, and WrongStatus when the lifecycle table has no such step.
    """
    asset = lock_asset(conn, asset_id)
    values = changes(asset, event, _NOW)
    if asset.status is AssetStatus.DELETED:
        return asset
    if AssetStatus(values["status"]) in GIVEN_UP:  # whoever waits for a segment of it is told at commit
        conn.execute(select(func.pg_notify(SEGMENTS_CHANNEL, asset_id)))
    return _write(conn, asset_id, {**facts, **values})


def mark_received(conn: Connection, asset_id: str, *, source_key: str, size_bytes: int) -> Asset:
    """The whole source is in the store. Raises NotFound and WrongStatus."""
    return advance(conn, asset_id, AssetEvent.RECEIVED, source_key=source_key, source_size_bytes=size_bytes)


def set_source_info(
    conn: Connection, asset_id: str, info: MediaInfo, digest: str, *, sha256: str | None = None, source_map: SourceMap | None = None
) -> Asset:
    """What the source turned out to be, what plans know it by, and what is known of its bytes. Raises NotFound."""
    asset = lock_asset(conn, asset_id)
    if asset.status is AssetStatus.DELETED:
        return asset
    save_source_map(conn, asset_id, source_map)
    facts = {"source_digest": digest, "source_sha256": sha256, "source_size_bytes": info.size_bytes}
    return _write(conn, asset_id, {"source": info_to_json(info), **facts})


def note_closed_captions(conn: Connection, asset_id: str) -> Asset:
    """The source carries captions inside its pictures, which only reading it to its end told. Raises NotFound."""
    asset = lock_asset(conn, asset_id)
    if asset.status is AssetStatus.DELETED or asset.source is None or asset.source.video is None:
        return asset
    return _write(conn, asset_id, {"source": info_to_json(replace(asset.source, closed_captions=True))})


def mark_errored(conn: Connection, asset_id: str, code: str, detail: str) -> Asset:
    """Give the asset up. The first reason stands; a ready or deleted asset is not touched. Raises NotFound."""
    asset = lock_asset(conn, asset_id)
    facts = {} if asset.status in (AssetStatus.ERRORED, AssetStatus.READY) else {"error_code": code, "error_detail": detail}
    return advance(conn, asset_id, AssetEvent.FAILED, **facts)


def playbacks_of(conn: Connection, asset_ids: Sequence[str]) -> dict[str, tuple[Playback, ...]]:
    """The playback ids of several assets, by asset id, the oldest first."""
    query = select(playback_ids).where(playback_ids.c.asset_id.in_(list(asset_ids))).order_by(playback_ids.c.created_at, playback_ids.c.id)
    found: dict[str, tuple[Playback, ...]] = dict.fromkeys(asset_ids, ())
    for row in conn.execute(query).mappings():
        found[row["asset_id"]] += (Playback(row["id"], row["policy"]),)
    return found


def publish(conn: Connection, asset_id: str, new: NewPresentation) -> Asset:
    """Viewers get `new` from now on. A "planned" presentation never replaces the "ready" one of the same plan.

    Raises NotFound and WrongStatus. A deleted asset publishes nothing.
    """
    asset = lock_asset(conn, asset_id)
    if new.stage == "ready":
        next_status(asset.status, AssetEvent.COMPLETED)  # refused before anything is written
    if asset.status is AssetStatus.DELETED:
        return asset
    save_playlists(conn, asset_id, new.plan_digest, new.playlists)
    values = {
        "plan_digest": new.plan_digest,
        "stage": new.stage,
        "multivariant": dict(new.multivariant),
        "has_poster": new.has_poster,
        "published_at": _NOW,
    }
    if replaces(new, current_presentation(conn, asset_id)):
        statement = upsert(presentations).values(asset_id=asset_id, **values)
        conn.execute(statement.on_conflict_do_update(index_elements=["asset_id"], set_=values))
    return advance(conn, asset_id, AssetEvent.COMPLETED) if new.stage == "ready" else _write(conn, asset_id, {})


def current_presentation(conn: Connection, asset_id: str) -> PublishedPresentation | None:
    row = conn.execute(select(presentations).where(presentations.c.asset_id == asset_id)).mappings().one_or_none()
    return None if row is None else PublishedPresentation(**row)


def _playback(conn: Connection, playback_id: str) -> tuple[Playback, Asset]:
    query: Select[Any] = select(playback_ids.c.policy.label("policy_of_id"), *_SLIM).join_from(playback_ids, assets)
    row = conn.execute(query.where(playback_ids.c.id == playback_id, assets.c.status != str(AssetStatus.DELETED))).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no video at this address.", code="playback_not_found")
    policy = row["policy_of_id"]
    return Playback(PlaybackId(playback_id), policy), _asset({name: row[name] for name in row if name != "policy_of_id"})  # type: ignore[arg-type]


def asset_of_playback(conn: Connection, playback_id: str) -> Asset:
    """The asset behind a playback id, whether or not it can be watched yet. Raises NotFound; a deleted one is not found."""
    return _playback(conn, playback_id)[1]


def resolve_playback(conn: Connection, playback_id: str) -> PlaybackTarget:
    """What viewers of this address get now.

    Raises NotFound when there is no such address or nothing is published yet, and Forbidden for the policy "signed", which
    nothing can unlock in this version.
    """
    playback, asset = _playback(conn, playback_id)
    if playback.policy == "signed":
        raise Forbidden("This video needs a signed address.", code="signature_required")
    presentation = current_presentation(conn, asset.id)
    # What was planned and given up will never be whole; what was published whole stays.
    if presentation is None or (asset.status in GIVEN_UP and presentation.stage != "ready"):
        raise NotFound("This video cannot be watched yet.", code="not_playable")
    return PlaybackTarget(playback.id, asset, presentation.plan_digest, presentation)


def delete_asset(conn: Connection, asset_id: str, *, expected_version: int | None = None) -> Asset:
    """Gone at once: its addresses resolve to nothing, its jobs are cancelled, and a purge of its objects is queued.

    Its key is deleted with it. Deleting twice is harmless. Raises NotFound and PreconditionFailed.
    """
    asset = lock_asset(conn, asset_id)
    if asset.status is AssetStatus.DELETED:
        return asset
    check_version(asset, expected_version)
    deleted = advance(conn, asset_id, AssetEvent.DELETE, version=asset.version + 1)
    conn.execute(delete(playback_ids).where(playback_ids.c.asset_id == asset_id))
    job_store.cancel_asset(conn, asset_id)
    forget_keys(conn, asset_id)
    at_once = NewJob(kind=PURGE, subject=asset_id, asset_id=asset_id, weight=0.0, max_attempts=20)
    job_store.enqueue_all(conn, [at_once, replace(at_once, subject=f"{asset_id}/again", delay_s=SETTLED_AFTER_S)])
    return deleted


def purge_rows(conn: Connection, asset_id: str) -> None:
    """Forget what a deleted asset was: its words, its source, its presentation, and plans that no other asset uses.

    The row itself stays, empty, so that "deleted" can be told from "never was". Raises NotFound.
    """
    asset = lock_asset(conn, asset_id)
    if asset.status is not AssetStatus.DELETED:
        raise ValueError(f"{asset_id} is {asset.status}: only a deleted asset is purged")
    published = delete(presentations).where(presentations.c.asset_id == asset_id).returning(presentations.c.plan_digest)
    digests = {digest for digest in (*conn.execute(published).scalars(), asset.plan_digest) if digest is not None}
    empty: dict[str, Any] = {"title": "", "description": "", "tags": [], "external_id": None, "metadata": {}, "poster_time_s": None}
    gone = dict.fromkeys(("source", "source_key", "source_digest", "source_sha256", "plan_digest"))
    save_source_map(conn, asset_id, None)
    conn.execute(delete(early_sources).where(early_sources.c.asset_id == asset_id))
    conn.execute(update(assets).where(assets.c.id == asset_id).values({**empty, **gone}))
    drop_renditions(conn, asset_id)
    forget_tracks(conn, asset_id)
    drop_unused_plans(conn, sorted(digests))
