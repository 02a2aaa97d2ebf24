"""The step that makes a title watchable: "packager.publish".

It runs twice for most titles: at stage "playable", when the first group of renditions and the audio are whole, and at stage
"ready", when all of them are. It reads the plan and the measured segments, makes sure that every object it is about to name
lies in the store at its recorded size, stores the media playlists beside the segments, and hands over one row. Saving that
row is the publication: a viewer sees the presentation before it or the one after it, never half of one.

Playlists of a rendition follow from its segments alone, so storing them again writes the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from sqlalchemy import Connection

from catalog import store
from catalog.asset import InitSegment, NewPresentation, Stage
from kit.errors import StepFailed
from kit.jobs import Job
from kit.step import Beat, Step
from kit.world import World
from media import keys
from media.ids import AssetId
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from packager import hls
from packager.presentation import Presentation, VideoTrack, build, missing

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"


class NotWhole(StepFailed):
    """A rendition that this stage needs is not complete, in the database or in the store."""

    code = "rendition_incomplete"


def wanted_renditions(plan: EncodePlan, stage: Stage) -> tuple[str, ...]:
    """The rungs without which this stage may not be published."""
    return plan.groups[0] if stage == "playable" else tuple(rung.name for rung in plan.video)


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
        texts[keys.media_playlist(asset, plan.digest, track.spec.name)] = hls.render_media(track, presentation.target_duration_s)
        if isinstance(track, VideoTrack):
            texts[keys.iframe_playlist(asset, plan.digest, track.spec.name)] = hls.render_iframes(track, presentation.target_duration_s)
    return texts


def _read(world: World, asset: AssetId) -> tuple[EncodePlan, dict[str, tuple[MeasuredSegment, ...]], dict[str, InitSegment]]:
    with world.db.connect() as conn:
        plan = store.load_plan(conn, asset)
        names = [rung.name for rung in plan.video] + ([] if plan.audio is None else [plan.audio.name])
        tables = {name: store.load_segments(conn, asset, plan.digest, name) for name in names}
        return plan, tables, {name: store.load_init(conn, asset, plan.digest, name) for name in names}


def stored_renditions(expected: Mapping[str, Mapping[str, int]], stored: Mapping[str, int], needed: Collection[str]) -> set[str]:
    """The renditions whose `expected` objects are all in the store. Raises NotWhole when a needed one is not among them.

    A complete segment table is not enough: measurements belong to the plan, and may have been made for another asset with the
    same source, while this asset's objects are still to come.
    """
    there = set()
    for name, objects in expected.items():
        wrong = [key for key, size_bytes in objects.items() if stored.get(key) != size_bytes]
        if not wrong:
            there.add(name)
        elif name in needed:
            raise NotWhole(f"{len(wrong)} objects of {name} are missing or have another size than was measured, the first is {wrong[0]}.")
    return there


def publish(world: World, job: Job, beat: Beat) -> NewPresentation:
    """Store the playlists and return the row. Raises NotWhole and WrongSegments."""
    asset, stage = AssetId(job.asset_id), cast(Stage, job.subject.rpartition("/")[2])
    plan, tables, inits = _read(world, asset)
    wanted = wanted_renditions(plan, stage)
    needed = {*wanted, *([] if plan.audio is None else [plan.audio.name])}
    stored = {found.key: found.size_bytes for found in world.storage.list(keys.plan_prefix(asset, plan.digest))}
    expected = {name: expected_objects(asset, plan, name, inits[name], table) for name, table in tables.items()}
    there = stored_renditions(expected, stored, needed)
    presentation = build(plan, {name: tables[name] for name in there})
    if lacking := missing(plan, presentation, wanted):
        raise NotWhole(f"Not every segment of {', '.join(lacking)} has been measured yet.")
    beat.progress(0.5)
    for key, text in playlists(asset, plan, presentation).items():
        world.storage.put(key, text.encode(), content_type=PLAYLIST_TYPE)
    poster = keys.poster(asset, plan.digest)
    row: dict[str, Any] = {"playlist": hls.render_multivariant(presentation, plan.digest)}
    if poster in stored:
        row["poster"] = {"sha256": hashlib.sha256(world.storage.get(poster)).hexdigest(), "size_bytes": stored[poster]}
    return NewPresentation(plan.digest, stage, row, has_poster=poster in stored)


def save(conn: Connection, _world: World, job: Job, result: NewPresentation) -> None:
    """The publication itself: one row."""
    store.publish(conn, job.asset_id, result)


STEPS = (Step("packager.publish", publish, save),)
