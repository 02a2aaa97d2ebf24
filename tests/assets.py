"""Ready-made values of the catalog for tests: a source, a plan, measured segments, and an asset brought to a status."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from sqlalchemy import Connection

from catalog import store
from catalog.asset import Asset, AssetEvent, AssetStatus, NewAsset, NewPresentation
from media.grid import AUDIO_RATE_HZ, SegmentGrid
from media.ids import PlanDigest
from media.info import AudioStream, MediaInfo, VideoStream
from media.plan import Chunk, EncodePlan
from media.rendition import AudioRendition, VideoRendition
from media.segments import Fragment, MeasuredSegment

VIDEO = VideoStream(
    index=0, codec="h264", width=640, height=360, coded_width=640, coded_height=360, rotation=0, pixel_aspect=Fraction(1),
    pixel_format="yuv420p", bit_depth=8, interlaced=False, frame_rate=Fraction(25), constant_rate=True, start=Fraction(0),
    end=Fraction(13), packets=325, keyframes=(Fraction(0), Fraction(24, 5)), color_space="bt709", color_transfer="bt709",
    color_primaries="bt709", full_range=False, hdr="sdr",
)  # fmt: skip
AUDIO = AudioStream(1, "aac", 44100, 2, "stereo", Fraction(0), Fraction(13), "en", "", default=True)
INFO = MediaInfo("mov,mp4,m4a,3gp,3g2,mj2", 1_234_567, Fraction(13), VIDEO, (AUDIO,), 0, ())
SOURCE_DIGEST = "5" * 64


def rung(name: str, width: int, height: int) -> VideoRendition:
    return VideoRendition(name, width, height, Fraction(25), 21.0, 900_000, 1_800_000, 30, "veryfast", 1, "avc1.64001e")


def a_plan(digest: str = "plan-1", *, audio: bool = True) -> EncodePlan:
    """Thirteen seconds in three segments, two rungs in two groups."""
    sound = AudioRendition("audio", 1, 2, AUDIO_RATE_HZ, 128_000, "mp4a.40.2", "en", "English")
    return EncodePlan(
        digest=PlanDigest(digest),
        source_digest=SOURCE_DIGEST,
        encoder="test",
        grid=SegmentGrid(Fraction(25), 325),
        origin=Fraction(0),
        video=(rung("240p", 426, 240), rung("360p", 640, 360)),
        audio=(sound,) if audio else (),
        chunks=(Chunk(0, 0, 1), Chunk(1, 1, 3)),
        groups=(("240p",), ("360p",)),
    )


def segments_of(plan: EncodePlan, rendition: str = "360p", size_bytes: int = 75_000) -> tuple[MeasuredSegment, ...]:
    """One fragment each; the sizes fall with the index."""
    made = []
    for index in range(plan.grid.segment_count):
        first, end = plan.grid.segment_bounds(index)
        ticks = (end - first) * plan.grid.frame_ticks
        size = size_bytes - index
        fragment = Fragment(0, size, size // 3, ticks)
        made.append(MeasuredSegment(index, size, f"{index:064x}", first * plan.grid.frame_ticks, ticks, (fragment,)))
    return tuple(made)


def inits_of(plan: EncodePlan) -> dict[str, bytes]:
    names = [item.name for item in (*plan.video, *plan.audio)]
    return {name: f"init of {name}".encode() for name in names}


def an_asset(conn: Connection, status: AssetStatus = AssetStatus.WAITING, new: NewAsset | None = None, *, plan: str = "plan-1") -> Asset:
    """A new asset, taken to `status` by the way that real ones go."""
    asset = store.create_asset(conn, new or NewAsset(title="A film"))
    if status is AssetStatus.WAITING:
        return asset
    asset = store.advance(conn, asset.id, AssetEvent.RECEIVING)
    if status is AssetStatus.UPLOADING:
        return asset
    if status is AssetStatus.ERRORED:
        return store.mark_errored(conn, asset.id, "truncated", "The file ends early.")
    store.mark_received(conn, asset.id, source_key=f"sources/{asset.id}/source", size_bytes=INFO.size_bytes)
    store.set_source_info(conn, asset.id, INFO, SOURCE_DIGEST)
    made = a_plan(plan)
    store.save_plan(conn, asset.id, made, inits_of(made))
    if status is AssetStatus.READY:
        store.publish(conn, asset.id, NewPresentation(made.digest, "ready", {"playlist": "#EXTM3U\n"}, has_poster=False))
    if status is AssetStatus.DELETED:
        store.delete_asset(conn, asset.id)
    return store.get_asset(conn, asset.id)


def renamed(plan: EncodePlan, digest: str) -> EncodePlan:
    return replace(plan, digest=PlanDigest(digest))
