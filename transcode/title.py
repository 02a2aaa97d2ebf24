"""A planned title as the steps need it: what the database knows of it, its source on the local disk, and where its segments go.

Of a protected title the segments are encrypted on their way into the store here, and decrypted on their way out, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

import catalog.store
from catalog import early, lost, title_keys
from catalog.asset import Asset
from catalog.early import Early
from kit import scratch, tools
from kit.errors import StepFailed, Unavailable
from kit.jobs import Job
from kit.storage import MissingObject
from kit.world import World
from media import accepted, ffmpeg_faults, keys
from media.info import MediaInfo, VideoStream
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from media.source_map import ByteRange, SourceMap, merged
from transcode.cut import Segment
from transcode.ffmpeg.run import Work, niceness
from transcode.plan import Needs
from transcode.protect import Lock

VIDEO_TYPE, AUDIO_TYPE = "video/mp4", "audio/mp4"


@dataclass(frozen=True, slots=True)
class Title:
    """What the database knows of a planned asset."""

    world: World
    asset: Asset
    source: MediaInfo
    source_map: SourceMap | None
    early: Early | None  # of a source that was worked on before it was whole
    plan: EncodePlan
    init_sha256: Mapping[str, str]
    recorded: Mapping[str, Mapping[int, MeasuredSegment]]  # by rendition and index
    lost: frozenset[str] = frozenset()  # renditions that were given up
    lock: Lock | None = None  # of a protected title

    @property
    def video(self) -> VideoStream:
        if self.source.video is None:
            raise ValueError("the source has no video")
        return self.source.video

    def stored(self, rendition: str, indexes: Iterable[int]) -> tuple[MeasuredSegment, ...]:
        """Those of these segments that are recorded, and lie in the store at their recorded size."""
        recorded = self.recorded[rendition]
        return tuple(recorded[index] for index in indexes if index in recorded and self._lies_there(rendition, recorded[index]))

    def _lies_there(self, rendition: str, segment: MeasuredSegment) -> bool:
        try:
            stat = self.world.storage.stat(self._key(rendition, segment))
        except MissingObject:
            return False
        return stat.size_bytes == segment.size_bytes

    def _key(self, rendition: str, segment: MeasuredSegment) -> str:
        return keys.media_segment(self.asset.id, self.plan.digest, rendition, segment.index)

    def store(self, rendition: str, segment: Segment, content_type: str) -> MeasuredSegment:
        """Put a segment into the store, to be recorded when the step is saved."""
        measured, data = segment if self.lock is None else self.lock.segment(rendition, segment)
        self.world.storage.put(self._key(rendition, measured), data, content_type=content_type)
        return measured

    def stored_init(self, rendition: str) -> Callable[[bytes], bytes]:
        """Turns an init segment into the form in which the store keeps it."""
        lock = self.lock
        return bytes if lock is None else lambda clear: lock.init(clear, rendition)

    def clear_init(self, rendition: str) -> bytes:
        """The init segment as it was made. Raises MissingObject."""
        data = self.world.storage.get(keys.init_segment(self.asset.id, self.plan.digest, rendition))
        return data if self.lock is None else self.lock.clear_init(data)

    def clear_segment(self, rendition: str, index: int) -> bytes:
        """A stored segment as it was made. Raises MissingObject, and StepFailed when it cannot be decrypted."""
        data = self.world.storage.get(keys.media_segment(self.asset.id, self.plan.digest, rendition, index))
        return data if self.lock is None else self.lock.clear_segment(rendition, index, data)

    def store_first(self, conn: Connection, rendition: str, segments: Sequence[Segment], content_type: str) -> None:
        """Put those of the segments into the store that nobody else has recorded, and record them, with everybody else kept out."""
        where = (self.asset.id, self.plan.digest, rendition)
        recorded = catalog.store.lock_segments(conn, *where, [measured.index for measured, _ in segments])
        there = {segment.index for segment in recorded if self._lies_there(rendition, segment)}
        catalog.store.forget_segments(conn, *where, [segment.index for segment in recorded if segment.index not in there])
        new = [self.store(rendition, segment, content_type) for segment in segments if segment[0].index not in there]
        catalog.store.save_segments(conn, *where, new)

    @contextmanager
    def work(self, job: Job, needs: Needs | None = None) -> Iterator[Work]:
        """The source on the local disk, as much of it as is needed (all of it where nobody knows better), and an empty folder to
        encode into."""
        settings, asset = self.world.settings, self.asset
        if asset.source_key is None or asset.source_size_bytes is None:
            raise StepFailed("The asset has no source.", code="no_source")
        program = decoder(self.world, self.source)
        source_of, name = early.reader(self.world.storage, asset, self.early)
        with (
            scratch.fetch(
                source_of,
                name,
                asset.source_size_bytes,
                settings.scratch_dir,
                self._ranges(needs),
                limit_bytes=settings.scratch_budget_bytes or None,
            ) as source,
            scratch.work_dir(settings.scratch_dir, job.id) as folder,
        ):
            yield Work(self.plan, self.source, source, folder, program, nice=niceness(job.priority), huge_pages=settings.huge_pages)

    def _ranges(self, needs: Needs | None) -> Sequence[ByteRange] | None:
        if needs is None or self.source_map is None:
            return None
        ranges = [item for start, end in needs.video for item in self.source_map.video_ranges(start, end)]
        if needs.audio is not None:
            ranges += self.source_map.audio_ranges(*needs.audio)
        return merged(ranges)


def decoder(world: World, source: MediaInfo) -> str:
    """The FFmpeg program. Raises Unavailable("ffmpeg_too_old") where it is not fit to decode the source, which was looked at elsewhere."""
    program = tools.ffmpeg(world.settings)
    parts = () if source.video is None else accepted.UNPROBED_CODECS.get(source.video.codec, ())
    if parts and not ffmpeg_faults.is_sound(said := tools.version(world.runner, program), parts):
        raise Unavailable(f"FFmpeg {said} may not decode {' or '.join(parts)}: it may have a hole there.", code="ffmpeg_too_old")
    return program


def lock_of(conn: Connection, world: World, asset_id: str, plan: EncodePlan) -> Lock | None:
    """Raises NotFound when the key is gone, and NotSealedHere."""
    if plan.protection is None:
        return None
    found = title_keys.find(conn, asset_id, plan.protection.key_id, world.settings.secret_key)
    return Lock(found.protection, plan, found.key)


def open_title(world: World, asset_id: str, renditions: Sequence[str] = ()) -> Title:
    """`renditions` are those that the work is about; by default none."""
    with world.db.connect() as conn:
        asset = catalog.store.get_asset(conn, asset_id)
        plan = catalog.store.load_plan(conn, asset.id)
        source_map = catalog.store.load_source_map(conn, asset.id)
        arriving = early.load(conn, asset.id)
        gone = lost.names(conn, asset.id, plan.digest)
        lock = lock_of(conn, world, asset.id, plan)
        inits = {name: catalog.store.load_init(conn, asset.id, plan.digest, name).sha256 for name in renditions}
        tables = {name: catalog.store.load_segments(conn, asset.id, plan.digest, name) for name in renditions}
    if asset.source is None:
        raise StepFailed("The asset has no source.", code="no_source")
    recorded = {name: {item.index: item for item in table} for name, table in tables.items()}
    return Title(world, asset, asset.source, source_map, arriving, plan, inits, recorded, gone, lock)
