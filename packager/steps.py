"""The step that makes a title watchable: "packager.publish".

It runs twice. At stage "planned", right after the plan, it writes every media and I-frame playlist, complete, and hands over a row
whose multivariant playlist says expected bit rates: from then on a viewer may ask for anything, and the origin waits for what is
not made yet. At stage "ready", when everything is, it makes sure that every object of every rendition lies in the store at its
recorded size, and hands over the row with the measured rates. Rungs that were given up (`catalog.lost`) are left out.
Saving the row is the publication: a viewer sees the presentation before it or the one after it, never half of one.

Media and I-frame playlists follow from the plan, so they are written once; "ready" only replaces what was lost. A repair
(`catalog.repair`) asks for all of them to be written again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection

from catalog import lost, pictures, quality, store
from catalog.asset import InitSegment, NewPresentation, Stage, StoredPlaylist
from catalog.kinds import PUBLISH
from kit.errors import StepFailed, Unavailable
from kit.jobs import Job
from kit.step import Beat, Step
from kit.world import World
from media import keys
from media.ids import AssetId
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from packager import dash, hls
from packager.presentation import Presentation, VideoTrack, build, missing, planned
from packager.protection import has_manifest, key_tag
from packager.text_refresh import refresh

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"


class NotWhole(StepFailed):
    """A rendition is not complete, in the database or in the store."""

    code = "rendition_incomplete"


class Overtaken(Unavailable):
    """A rendition was given up while its title was being published."""

    code = "overtaken"


def expected_objects(
    asset: AssetId, plan: EncodePlan, rendition: str, init: InitSegment, segments: Sequence[MeasuredSegment]
) -> dict[str, int]:
    """The objects that a rendition consists of: size in bytes by key."""
    objects = {keys.media_segment(asset, plan.digest, rendition, segment.index): segment.size_bytes for segment in segments}
    return {keys.init_segment(asset, plan.digest, rendition): init.size_bytes, **objects}


def playlists(asset: AssetId, plan: EncodePlan, presentation: Presentation) -> dict[str, str]:
    """The media and I-frame playlists of every rendition, by object key."""
    texts: dict[str, str] = {}
    for track in presentation.tracks:
        name, target_s = track.spec.name, presentation.target_duration_s
        texts[keys.media_playlist(asset, plan.digest, name)] = hls.render_media(track, target_s, key_tag(plan, name))
        if isinstance(track, VideoTrack):
            iframes = hls.render_iframes(track, target_s, key_tag(plan, name, iframes=True))
            texts[keys.iframe_playlist(asset, plan.digest, name)] = iframes
    return texts


def require_stored(expected: Mapping[str, Mapping[str, int]], stored: Mapping[str, int]) -> None:
    """Raises NotWhole when an object that a rendition is `expected` to have is not in the store at its size."""
    for name, objects in expected.items():
        wrong = [key for key, size_bytes in objects.items() if stored.get(key) != size_bytes]
        if wrong:
            raise NotWhole(f"{len(wrong)} objects of {name} are missing or have another size than was measured, the first is {wrong[0]}.")


def whole(
    asset: AssetId,
    plan: EncodePlan,
    tables: Mapping[str, Sequence[MeasuredSegment]],
    inits: Mapping[str, InitSegment],
    stored: Mapping[str, int],
    *,
    without: Collection[str] = (),
) -> Presentation:
    """The presentation of what was made. `stored` are the sizes of the objects that are there. Raises NotWhole and WrongSegments."""
    if lacking := missing(plan, tables, without):
        raise NotWhole(f"Not every segment of {', '.join(lacking)} has been measured yet.")
    names = [track.spec.name for track in planned(plan, without).tracks]
    require_stored({name: expected_objects(asset, plan, name, inits[name], tables[name]) for name in names}, stored)
    return build(plan, tables, without)


def _measured(world: World, asset: AssetId, plan: EncodePlan, stored: Mapping[str, int], without: Collection[str]) -> Presentation:
    """Raises NotWhole and WrongSegments."""
    names = [track.spec.name for track in planned(plan, without).tracks]
    with world.db.connect() as conn:
        tables = {name: store.load_segments(conn, asset, plan.digest, name) for name in names}
        inits = {name: store.load_init(conn, asset, plan.digest, name) for name in names}
    return whole(asset, plan, tables, inits, stored, without=without)


def publish(world: World, job: Job, beat: Beat) -> NewPresentation:
    """Store the playlists and return the row. Raises NotWhole and WrongSegments."""
    asset, stage = AssetId(job.asset_id), cast(Stage, job.subject.rpartition("/")[2])
    with world.db.connect() as conn:
        plan = store.load_plan(conn, asset)
        without = lost.names(conn, asset, plan.digest)
    stored = {found.key: found.size_bytes for found in world.storage.list(keys.plan_prefix(asset, plan.digest))}
    presentation = planned(plan, without) if stage == "planned" else _measured(world, asset, plan, stored, without)
    beat.progress(0.5)
    written = []
    for key, text in playlists(asset, plan, presentation).items():
        body = text.encode()
        if stored.get(key) != len(body) or job.args.get("rewrite"):
            world.storage.put(key, body, content_type=PLAYLIST_TYPE)
        written.append(_as_stored(key, body))
    poster = keys.poster(asset, plan.digest)
    row: dict[str, Any] = {"playlist": hls.render_multivariant(presentation, plan.digest)}
    if has_manifest(plan):
        row["dash"] = dash.render(presentation, plan)
    if poster in stored:
        row["poster"] = {"sha256": hashlib.sha256(world.storage.get(poster)).hexdigest(), "size_bytes": stored[poster]}
    return NewPresentation(plan.digest, stage, row, has_poster=poster in stored, playlists=tuple(written), without=without)


def _as_stored(key: str, body: bytes) -> StoredPlaylist:
    rendition, name = key.split("/")[-2:]
    return StoredPlaylist(rendition, name, hashlib.sha256(body).hexdigest(), len(body))


def save(conn: Connection, world: World, job: Job, result: NewPresentation) -> None:
    """The publication itself: one row. Raises Overtaken when it names what has been given up since."""
    store.lock_asset(conn, job.asset_id)
    require_current(result, lost.names(conn, job.asset_id, result.plan_digest))
    store.publish(conn, job.asset_id, result)
    pictures.show_poster(conn, job.asset_id)
    refresh(conn, world, job.asset_id)
    extent = world.settings.measure_quality
    if result.stage == "ready" and extent != "off":
        quality.want(conn, job.asset_id, store.load_plan(conn, job.asset_id), extent)


def require_current(new: NewPresentation, gone: frozenset[str]) -> None:
    """Raises Overtaken when other renditions are gone than when it was made."""
    if new.without != gone:
        raise Overtaken("A rendition was given up while its title was being published.")


STEPS = (Step(PUBLISH, publish, save),)
