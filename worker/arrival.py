"""What can be begun of a source that is still arriving: each piece of work waits for the last byte that it reads.

Pure but for `gate`, which asks the catalog how far the source is. Its caller has locked the asset, and so has whoever notes that
more has arrived (`catalog.early`), so no piece of work is held back for bytes that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from sqlalchemy import Connection

import catalog.store
from catalog import early
from catalog.kinds import ENCODE, SEGMENT
from kit import job_store
from kit.jobs import NewJob
from media.info import MediaInfo
from media.plan import EncodePlan
from media.source_map import ByteRange, SourceMap
from transcode.ffmpeg.audio import audio_run
from transcode.plan import Needs, audio_needs, video_needs

REWIND = Fraction(0)  # a file that needs more than this can wait until it is whole


def gate(conn: Connection, asset_id: str, jobs: Sequence[NewJob], plan: EncodePlan) -> list[NewJob]:
    """The jobs, those held back that need more than has arrived."""
    asset = catalog.store.get_asset(conn, asset_id)
    arriving = early.load(conn, asset_id)
    if arriving is None or asset.received_at is not None or asset.source is None:
        return list(jobs)
    places = catalog.store.load_source_map(conn, asset_id)
    levels = [reads_to(job, plan, asset.source, places) for job in jobs]
    return [job if level <= arriving.arrived_bytes else job_store.held(job, level) for job, level in zip(jobs, levels, strict=True)]


def reads_to(job: NewJob, plan: EncodePlan, info: MediaInfo, places: SourceMap | None) -> int:
    """The end of what the job reads of the source; the end of the source when it reads it all, or to the end."""
    needs = _needs(job, plan, info)
    if needs is None or places is None:
        return info.size_bytes
    ranges: list[ByteRange] = [piece for start, end in needs.video for piece in places.video_ranges(start, end)]
    if needs.audio is not None:
        ranges += places.audio_ranges(*needs.audio)
    return _end(ranges)


def _needs(job: NewJob, plan: EncodePlan, info: MediaInfo) -> Needs | None:
    if info.video is None:
        return None
    if job.kind == ENCODE:
        return video_needs(plan, info.video, plan.chunks[job.args["chunk"]].of(job.args["renditions"]), REWIND)
    if job.kind == SEGMENT:
        name, index = job.args["rendition"], job.args["index"]
        if (track := plan.sound(name)) is not None:
            return audio_needs(plan, track, info.video, *audio_run(plan, track, info.container, index))
        return video_needs(plan, info.video, {name: (index,)}, REWIND)
    return None


def _end(ranges: Iterable[ByteRange]) -> int:
    return max((piece.end for piece in ranges), default=0)
