"""The one place where what viewers are sent of text tracks is changed.

`refresh` brings a title's presentation in line with its tracks: it packs those that have no pack for the title's plan, and writes the
lines about them into the presentation's row. It runs within the transaction that changed a track, a plan or a presentation,
with the asset locked, so tracks and playlist never disagree. Twice is as good as once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from catalog import embedded, store, track_store
from catalog.track import Track
from kit.errors import NotFound
from kit.storage import MissingObject
from kit.world import World
from media import cues, keys
from media.ids import AssetId
from media.plan import EncodePlan
from packager import dash, text

TYPE = "text/vtt"


def refresh(conn: Connection, world: World, asset_id: str) -> None:
    """Raises Unavailable when the store is away, and NotFound for an unknown asset."""
    asset = store.lock_asset(conn, asset_id)
    if asset.status in store.GIVEN_UP and asset.deleted_at is not None:
        return
    try:
        plan = store.load_plan(conn, asset_id)
    except NotFound:
        return  # packed when there is one
    embedded.note(conn, asset, plan.digest)
    tracks = track_store.tracks_of(conn, [asset_id])[asset_id]
    for track in tracks:
        if track.cues_sha256 is not None and track.plan_digest != plan.digest:
            _pack(conn, world, track, plan)
    published = store.current_presentation(conn, asset_id)
    if published is None:
        return
    tracks = track_store.tracks_of(conn, [asset_id])[asset_id]
    # A row that was published before there were tracks is its own bare form.
    bare = str(published.multivariant.get("bare") or published.multivariant["playlist"])
    shown = text.renditions(tracks)
    facts: dict[str, Any] = {"bare": bare, "playlist": text.with_text(bare, tracks), "text": shown, "chapters": text.chapters(tracks)}
    if manifest := published.multivariant.get("dash"):  # titles of earlier releases have none
        facts["dash"] = {**manifest, "text": dash.text_piece(shown)}
    if any(published.multivariant.get(name) != value for name, value in facts.items()):
        track_store.show_text(conn, asset_id, facts)


def _pack(conn: Connection, world: World, track: Track, plan: EncodePlan) -> None:
    asset = AssetId(track.asset_id)
    try:
        found = cues.from_json(world.storage.get(keys.text_cues(asset, str(track.cues_sha256))))
    except MissingObject:
        track_store.set_failed(conn, track, "The text of this track was lost. Upload it again.")
        return
    try:
        pack, data = text.make_pack(found, plan)
    except text.TooDense as error:
        track_store.set_failed(conn, track, str(error))
        return
    world.storage.put(keys.text_pack(asset, pack.digest), data, content_type=TYPE)
    track_store.set_pack(conn, track, plan.digest, pack, _problems(track, found, plan))


def _problems(track: Track, found: Sequence[cues.Cue], plan: EncodePlan) -> list[cues.Problem]:
    """Those of the file, and what the end of the title cuts off, which another plan may say differently."""
    kept = [problem for problem in track.problems if problem.line > 0]
    return [*kept, *cues.past_the_end(found, plan.grid.duration)]
