"""Titles for tests of packaging and delivery: plans and segment tables of any grid, and stored objects that need no encoder.

The segments are noise of a known size. They do not decode; what is tested with them is tables, playlists and bytes on the way.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from catalog import store
from catalog.asset import AssetEvent, NewAsset
from kit.world import World
from media import keys
from media.grid import SegmentGrid
from media.ids import AssetId, PlanDigest, PlaybackId
from media.plan import Chunk, EncodePlan
from media.rendition import AudioRendition, VideoRendition
from media.segments import Fragment, MeasuredSegment

SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
CODECS = {"480p": "avc1.64001f", "720p": "avc1.640020", "1080p": "avc1.640028"}
AUDIO = AudioRendition("audio", 1, 2, 48_000, 128_000, "mp4a.40.2", "en", "English")


def plan_of(
    *,
    frames: int = 24 * 15,
    rate: Fraction = Fraction(24),
    rungs: Sequence[str] = ("480p", "720p"),
    audio: AudioRendition | Sequence[AudioRendition] | None = AUDIO,
    source: str = "source",
) -> EncodePlan:
    """A plan that no planner made. Its digest follows from its fields, as a real one's does."""
    grid = SegmentGrid(rate, frames)
    video = tuple(VideoRendition(name, *SIZES[name], rate, 23.0, 4_000_000, 8_000_000, 40, "veryfast", 1, CODECS[name]) for name in rungs)
    heard = () if audio is None else (audio,) if isinstance(audio, AudioRendition) else tuple(audio)
    digest = hashlib.sha256(repr((frames, rate, tuple(rungs), [track.name for track in heard], source)).encode()).hexdigest()
    groups = ((rungs[0],), tuple(rungs[1:])) if len(rungs) > 1 else ((rungs[0],),)
    return EncodePlan(PlanDigest(digest), source, "encoder", grid, Fraction(0), video, heard, (Chunk(0, 0, grid.segment_count),), groups)


def names_of(plan: EncodePlan) -> list[str]:
    return [track.name for track in (*plan.video, *plan.audio)]


def _cut(duration: int, piece: int) -> list[int]:
    whole, rest = divmod(duration, piece)
    return [piece] * whole + ([rest] if rest else [])


def _segment(index: int, start: int, durations: Sequence[int], *, data: bytes) -> MeasuredSegment:
    share = len(data) // len(durations)
    sizes = [share] * (len(durations) - 1) + [len(data) - share * (len(durations) - 1)]
    offsets = [sum(sizes[:number]) for number in range(len(sizes))]
    parts = tuple(Fragment(offset, size, max(1, size // 3), ticks) for offset, size, ticks in zip(offsets, sizes, durations, strict=True))
    return MeasuredSegment(index, len(data), hashlib.sha256(data).hexdigest(), start, sum(durations), parts)


@dataclass(frozen=True, slots=True)
class Title:
    """A plan with everything that was made for it: bytes of init and media segments by rendition, and what they measured."""

    plan: EncodePlan
    inits: Mapping[str, bytes]
    bodies: Mapping[str, Sequence[bytes]]
    tables: Mapping[str, tuple[MeasuredSegment, ...]]


def title_of(plan: EncodePlan, *, seed: int = 1, least: int = 2_000, most: int = 60_000) -> Title:
    """Segments of between `least` and `most` bytes, the same for the same seed."""
    chance = random.Random(seed)
    inits, bodies, tables = {}, {}, {}
    for name in names_of(plan):
        inits[name] = chance.randbytes(700)
        bodies[name] = [chance.randbytes(chance.randint(least, most)) for _ in range(plan.grid.segment_count)]
        table = []
        for index, data in enumerate(bodies[name]):
            if (track := plan.sound(name)) is not None:
                first, end = plan.grid.audio_bounds(index, track.frame_samples)
                start, durations = first * track.frame_samples, [(end - first) * track.frame_samples]
            else:
                first, end = plan.grid.segment_bounds(index)
                start = first * plan.grid.frame_ticks
                durations = [frames * plan.grid.frame_ticks for frames in _cut(end - first, plan.grid.gop_frames)]
            table.append(_segment(index, start, durations, data=data))
        tables[name] = tuple(table)
    return Title(plan, inits, bodies, tables)


def put_objects(world: World, asset: AssetId, title: Title, renditions: Sequence[str], *, poster: bytes | None = None) -> None:
    """The objects of some renditions, as their encode jobs leave them."""
    digest = title.plan.digest
    for name in renditions:
        world.storage.put(keys.init_segment(asset, digest, name), title.inits[name])
        for index, data in enumerate(title.bodies[name]):
            world.storage.put(keys.media_segment(asset, digest, name, index), data)
    if poster is not None:
        world.storage.put(keys.poster(asset, digest), poster)


def new_asset(world: World, title: Title) -> tuple[AssetId, PlaybackId]:
    """An asset whose source has arrived and whose plan is saved; nothing is encoded yet."""
    with world.db.begin() as conn:
        asset = store.create_asset(conn, NewAsset(title="A title"))
        store.advance(conn, asset.id, AssetEvent.RECEIVED)
        store.save_plan(conn, asset.id, title.plan, title.inits)
        return asset.id, store.playbacks_of(conn, [asset.id])[asset.id][0].id


def save_tables(world: World, asset: AssetId, title: Title, renditions: Sequence[str]) -> None:
    with world.db.begin() as conn:
        for name in renditions:
            store.save_segments(conn, asset, title.plan.digest, name, title.tables[name])
