"""An asset with everything that the API shows of it, read in a handful of queries however many assets are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from catalog import lost, pictures, quality, sounds, store, track_store
from catalog.asset import Asset, Playback
from catalog.lost import Lost
from catalog.plan_store import RenditionRow
from catalog.progress import AssetProgress, RenditionProgress, asset_progress, rendition_progress
from catalog.quality import Quality
from catalog.sounds import Sound
from catalog.tally_store import tallies
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


def load(conn: Connection, assets: Sequence[Asset], now: datetime) -> tuple[AssetView, ...]:
    """The views of `assets` at this moment, in their order."""
    asset_ids = [asset.id for asset in assets]
    rows, jobs = store.load_renditions(conn, asset_ids), tallies(conn, asset_ids, now)
    causes, heard, judged = lost.causes(conn, asset_ids), sounds.of_assets(conn, asset_ids), quality.of_assets(conn, asset_ids)
    playbacks, tracks = store.playbacks_of(conn, asset_ids), track_store.tracks_of(conn, asset_ids)
    shown = pictures.shown(conn, asset_ids)

    def rendition(asset: Asset, row: RenditionRow) -> RenditionView:
        name = (asset.id, row.plan_digest, row.name)
        cause = causes.get(name)
        progress = rendition_progress(row.name, row.kind, asset.status, jobs[asset.id], lost=cause is not None)
        return RenditionView(row, progress, cause, heard.get(name), judged.get(name))

    def view(asset: Asset) -> AssetView:
        progress = asset_progress(asset.status, jobs[asset.id])
        renditions = tuple(rendition(asset, row) for row in rows[asset.id])
        return AssetView(asset, progress, renditions, playbacks[asset.id], tracks[asset.id], shown[asset.id])

    return tuple(view(asset) for asset in assets)
