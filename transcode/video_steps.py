"""The pictures: a chunk of a group of rungs, or one segment of one rung."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from kit import log
from kit.errors import Rejected
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from transcode.cut import Segment, video_segment
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import frames_of, runs, video_needs
from transcode.progress import Strides, pieces, written
from transcode.running import run
from transcode.title import VIDEO_TYPE, Title, open_title
from transcode.verify import MissingFrames, check_video

# How far before a chunk decoding begins, attempt by attempt. The first is nearly always right. An index that lies, or a keyframe that
# is none, shows as missing frames; then less is asked of the source, and at last it is decoded from its start.
REWINDS: tuple[Fraction | None, ...] = (Fraction(0), Fraction(10), None)

# Before the first picture of a run and after its last, in the unit of a job's weight: fetching, starting, verifying, storing.
_AROUND = 0.5
_MOST_AROUND = 0.25  # of the job

_log = log.logger(__name__)

Measured = Mapping[str, Sequence[MeasuredSegment]]  # by rendition
Wanted = Mapping[str, Sequence[int]]  # indexes of segments by rendition, ascending


def encode(world: World, job: Job, beat: Beat) -> Measured:
    """One chunk of one group of rungs, without those that were given up."""
    title = open_title(world, job.asset_id, job.args["renditions"])
    names = [name for name in job.args["renditions"] if name not in title.lost]
    return encode_segments(title, title.plan.chunks[job.args["chunk"]].of(names), job, beat)


def encode_segments(title: Title, wanted: Wanted, job: Job, beat: Beat) -> Measured:
    beat.progress(0.0, crew=title.world.settings.worker_processes or len(os.sched_getaffinity(0)))  # who shares this machine
    made = {name: list(title.stored(name, indexes)) for name, indexes in wanted.items()}
    there = {name: {segment.index for segment in segments} for name, segments in made.items()}
    missing = {name: [index for index in indexes if index not in there[name]] for name, indexes in wanted.items()}
    missing = {name: indexes for name, indexes in missing.items() if indexes}
    parts = list(runs(title.plan, missing))
    for index, part in enumerate(parts):
        for name, segments in _encode_missing(title, part, job, beat, (index, len(parts))).items():
            made[name] += [title.store(name, item, VIDEO_TYPE) for item in segments]
    return made


def _encode_missing(title: Title, wanted: Wanted, job: Job, beat: Beat, part: tuple[int, int]) -> dict[str, list[Segment]]:
    """Encode until the output is what was planned; `part`: which one of how many this is. Raises Rejected when the source lacks frames."""
    first, end = frames_of(title.plan, wanted)
    for rewind in REWINDS:
        with (
            title.work(job, video_needs(title.plan, title.video, wanted, rewind)) as work,
            beat.looking(_look(title, work, wanted, beat, _share(job, part))),
        ):
            run(title.world, encode_command(work, wanted, rewind=rewind))
            try:
                return {name: [_verified(title, work, name, index) for index in indexes] for name, indexes in wanted.items()}
            except MissingFrames as error:
                _log.warning("frames are missing", said=error.detail)
    raise Rejected(
        f"The pictures between {_clock(title.plan, first)} and {_clock(title.plan, end)} cannot all be decoded.", code="decode_failed"
    )


def _share(job: Job, part: tuple[int, int]) -> Callable[[float], float]:
    """What a run that is so far (0 to 1) and makes one part of so many says of the job. As the job's weight is, it is about time: what
    is done before the first picture and after the last counts too."""
    index, parts = part
    around = min(_MOST_AROUND, _AROUND / job.weight) if job.weight > 0 else 0.0
    return lambda done: (index + around + (1 - 2 * around) * done) / parts


def _look(title: Title, work: Work, wanted: Wanted, beat: Beat, share: Callable[[float], float]) -> Callable[[], None]:
    """Tells how far a run is that writes these segments."""
    plan, began_s = title.plan, title.world.clock.monotonic_s()
    paths = {name: {index: segment_path(work.out_dir, name, index) for index in indexes} for name, indexes in wanted.items()}
    expected = pieces(plan.grid, paths)
    first, end = frames_of(plan, wanted)
    whole_s = float((end - first) / plan.grid.frame_rate)
    strides, told, turn = Strides(began_s), (0.0, False), threading.Lock()

    def look() -> None:
        nonlocal told
        with turn:  # the heart looks, and whoever runs the step when it is over
            now_s = title.world.clock.monotonic_s()
            done = strides.at(now_s, written(expected, plan.grid.gop_frames))
            reached = round(share(done), 2)
            if done > 0 and (reached, done == 1) > told:
                told = reached, done == 1
                speed = done * whole_s / max(0.001, now_s - began_s)
                fps = round(speed * float(plan.grid.frame_rate), 1)
                beat.progress(reached, reached=reached, fps=fps, speed=round(speed, 3), media_s=round(done * whole_s, 3))

    return look


def _verified(title: Title, work: Work, name: str, index: int) -> Segment:
    data = segment_path(work.out_dir, name, index).read_bytes()
    rung = title.plan.rendition(name)
    fragments = check_video(data, title.plan, rung, index, init_sha256=title.init_sha256[name], stored=title.stored_init(name))
    return video_segment(data, fragments, title.plan, rung, index)


def _clock(plan: EncodePlan, frame: int) -> str:
    minutes, seconds = divmod(int(frame / plan.grid.frame_rate), 60)
    return f"{minutes}:{seconds:02}"
