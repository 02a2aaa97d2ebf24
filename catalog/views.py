"""An asset with everything that the API shows of it, read in a handful of queries however many assets are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from catalog import lost, pictures, quality, sounds, store, track_store
from catalog.asset import Asset, Playback
from catalog.lost import Lost
from catalog.plan_store import RenditionRow
from catalog.progress import AssetProgress, JobTally, RenditionProgress, asset_progress, rendition_progress
from catalog.quality import Quality
from catalog.sounds import Sound
from catalog.track import Track


@dataclass(frozen=True, slots=True)
class RenditionView:
    row: RenditionRow
    progress: RenditionProgress
    lost: Lost | None = None  # why it was given up
    sound: Sound | None = None  # of audio
    quality: Quality | None = None  # of video, once it was measured


@dataclass(frozen=True, slots=True)
class AssetView:
    """`asset` may lack the key frame times of its source."""

    asset: Asset
    progress: AssetProgress
    renditions: tuple[RenditionView, ...]
    playbacks: tuple[Playback, ...]
    tracks: tuple[Track, ...] = ()
    pictures: tuple[str, ...] = ()  # storyboard.vtt and preview.mp4, as far as these are there


def compose(
    asset: Asset,
    rows: Sequence[RenditionRow],
    playbacks: tuple[Playback, ...],
    tallies: Sequence[JobTally],
    lost: Mapping[tuple[str, str, str], Lost] | None = None,
) -> AssetView:
    """The view of one asset from what was read. Pure."""
    causes = [(lost or {}).get((asset.id, row.plan_digest, row.name)) for row in rows]
    renditions = tuple(
        RenditionView(row, rendition_progress(row.name, row.kind, asset.status, tallies, lost=cause is not None), cause)
        for row, cause in zip(rows, causes, strict=True)
    )
    return AssetView(asset, asset_progress(asset.status, tallies), renditions, playbacks)


def _heard(view: AssetView, heard: Mapping[tuple[str, str, str], Sound]) -> AssetView:
    """With what is known of its audio renditions."""
    known = (heard.get((view.asset.id, item.row.plan_digest, item.row.name)) for item in view.renditions)
    return replace(view, renditions=tuple(replace(item, sound=sound) for item, sound in zip(view.renditions, known, strict=True)))


def _judged(view: AssetView, judged: Mapping[tuple[str, str, str], Quality]) -> AssetView:
    """With how good its renditions were found to look."""
    known = (judged.get((view.asset.id, item.row.plan_digest, item.row.name)) for item in view.renditions)
    return replace(view, renditions=tuple(replace(item, quality=found) for item, found in zip(view.renditions, known, strict=True)))


def load(conn: Connection, assets: Sequence[Asset], now: datetime) -> tuple[AssetView, ...]:
    """The views of `assets` at this moment, in their order."""
    asset_ids = [asset.id for asset in assets]
    rows = store.load_renditions(conn, asset_ids)
    playbacks = store.playbacks_of(conn, asset_ids)
    tallies = store.tallies(conn, asset_ids, now)
    causes = lost.causes(conn, asset_ids)
    tracks = track_store.tracks_of(conn, asset_ids)
    views = (compose(asset, rows[asset.id], playbacks[asset.id], tallies[asset.id], causes) for asset in assets)
    heard = sounds.of_assets(conn, asset_ids)
    judged = quality.of_assets(conn, asset_ids)
    views = (_judged(_heard(view, heard), judged) for view in views)
    shown = pictures.shown(conn, asset_ids)
    return tuple(replace(view, tracks=tracks[view.asset.id], pictures=shown[view.asset.id]) for view in views)
