"""The background steps of this room: plan, encode a chunk, make one segment at once, encode the audio, make the poster.

Each `run` writes objects under the plan's digest and returns what it measured; each `save` writes that down. Nothing is put into
the store before it has been verified, and what is stored and recorded already is not made again, so a step may run any number of
times, and a segment that was made for somebody who could not wait is left out of the chunk it belongs to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

from sqlalchemy import Connection

import catalog.store
from kit import log, scratch, tools
from kit.errors import HeadwaterError, Rejected, StepFailed
from kit.jobs import Job
from kit.process import Command
from kit.step import Beat, Step
from kit.world import World
from media import keys
from media.ids import PlanDigest
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from transcode.cut import AudioCutter, Segment, header_size, video_segment, whole_fragments
from transcode.failures import explain, technical
from transcode.ffmpeg import (
    Work,
    audio_command,
    audio_run,
    audio_segment_command,
    encode_command,
    init_command,
    poster_command,
    segment_path,
)
from transcode.ladder import Profile
from transcode.plan import PlanOptions, audio_needs, frames_of, make_plan, picture_needs, video_needs
from transcode.poster import best, candidates
from transcode.progress import ProgressReader, Report, pieces, written
from transcode.title import AUDIO_TYPE, VIDEO_TYPE, Title, open_title
from transcode.verify import MissingFrames, check_audio_init, check_same_init, check_video, check_video_init

POSTER_TYPE = "image/jpeg"

# How far before a chunk decoding begins, attempt by attempt. The first is nearly always right. An index that lies, or a keyframe that
# is none, shows as missing frames; then less is asked of the source, and at last it is decoded from its start.
REWINDS: tuple[Fraction | None, ...] = (Fraction(0), Fraction(10), None)

ENCODED = 0.95  # the share of a step's progress that FFmpeg's own end stands for

_log = log.logger(__name__)

Measured = Mapping[str, Sequence[MeasuredSegment]]  # by rendition
Wanted = Mapping[str, Sequence[int]]  # indexes of segments by rendition, ascending


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the stored init segment of each of its renditions."""

    plan: EncodePlan
    inits: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class StoredPoster:
    plan_digest: PlanDigest
    sha256: str  # hex
    size_bytes: int


def _run(world: World, command: Command, on_report: Callable[[Report], None] | None = None) -> None:
    """Run FFmpeg to its end. Raises what `transcode.failures` makes of a bad one, and what `Runner.run` raises."""
    reader = ProgressReader()

    def on_line(line: str) -> None:
        report = reader.line(line)
        if report is not None and on_report is not None:
            on_report(report)

    completed = world.runner.run(command, on_line=on_line)
    if completed.exit_code != 0:
        error = explain(completed)
        _log.warning("FFmpeg failed", code=error.code, said=technical(completed), command=str(command))
        raise error


# -- transcode.plan


def plan(world: World, job: Job, beat: Beat) -> Planned:
    """Decide, and store the headers that every chunk will have."""
    with world.db.connect() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
    if asset.source is None or asset.source_digest is None:
        raise StepFailed("The source has not been looked at yet.", code="no_source")
    program = tools.ffmpeg(world.settings)
    options = PlanOptions(world.settings.chunk_s, cast(Profile, asset.profile), world.settings.lowest_rung_first)
    made = make_plan(asset.source, asset.source_digest, options, tools.encoder_version(world.runner, program))
    with scratch.work_dir(world.settings.scratch_dir, job.id) as folder:
        _run(world, init_command(made, folder, program))
        inits = {rung.name: check_video_init((folder / f"{rung.name}.mp4").read_bytes(), rung, made) for rung in made.video}
        if made.audio is not None:
            inits[made.audio.name] = check_audio_init((folder / f"{made.audio.name}.mp4").read_bytes())
    beat.progress(0.5)
    for name, init in inits.items():
        is_audio = made.audio is not None and name == made.audio.name
        key = keys.init_segment(asset.id, made.digest, name)
        world.storage.put(key, init, content_type=AUDIO_TYPE if is_audio else VIDEO_TYPE)
    return Planned(made, inits)


def save_plan(conn: Connection, _world: World, job: Job, result: Planned) -> None:
    catalog.store.save_plan(conn, job.asset_id, result.plan, result.inits)


# -- transcode.encode, and transcode.segment of a video rendition


def encode(world: World, job: Job, beat: Beat) -> Measured:
    """One chunk of one group of rungs."""
    title = open_title(world, job.asset_id, job.args["renditions"])
    return _encode(title, title.plan.chunks[job.args["chunk"]].of(job.args["renditions"]), job, beat)


def segment(world: World, job: Job, beat: Beat) -> Measured:
    """One segment of one rendition, now: the opening of a title, or the place that somebody has gone to."""
    name, index = str(job.args["rendition"]), int(job.args["index"])
    title = open_title(world, job.asset_id, [name])
    if title.plan.audio is not None and name == title.plan.audio.name:
        return _audio_segment(title, index, job, beat)
    return _encode(title, {name: (index,)}, job, beat)


def _encode(title: Title, wanted: Wanted, job: Job, beat: Beat) -> Measured:
    made = {name: list(title.stored(name, indexes)) for name, indexes in wanted.items()}
    there = {name: {segment.index for segment in segments} for name, segments in made.items()}
    missing = {name: [index for index in indexes if index not in there[name]] for name, indexes in wanted.items()}
    missing = {name: indexes for name, indexes in missing.items() if indexes}
    if missing:
        for name, segments in _encode_missing(title, missing, job, beat).items():
            made[name] += [title.store(name, item, VIDEO_TYPE) for item in segments]
    return made


def _encode_missing(title: Title, wanted: Wanted, job: Job, beat: Beat) -> dict[str, list[Segment]]:
    """Encode until the output is what was planned. Raises Rejected when the source lacks frames."""
    first, end = frames_of(title.plan, wanted)
    for rewind in REWINDS:
        with title.work(job, video_needs(title.plan, title.video, wanted, rewind)) as work, beat.looking(_look(title, work, wanted, beat)):
            _run(title.world, encode_command(work, wanted, rewind=rewind))
            try:
                return {name: [_verified(title, work, name, index) for index in indexes] for name, indexes in wanted.items()}
            except MissingFrames as error:
                _log.warning("frames are missing", said=error.detail)
    raise Rejected(
        f"The pictures between {_clock(title.plan, first)} and {_clock(title.plan, end)} cannot all be decoded.", code="decode_failed"
    )


def _look(title: Title, work: Work, wanted: Wanted, beat: Beat) -> Callable[[], None]:
    """Tells how far a run is that writes these segments."""
    plan, began_s = title.plan, title.world.clock.monotonic_s()
    paths = {name: {index: segment_path(work.out_dir, name, index) for index in indexes} for name, indexes in wanted.items()}
    expected = pieces(plan.grid, [plan.rendition(name) for name in wanted], paths)
    first, end = frames_of(plan, wanted)
    whole_s = float((end - first) / plan.grid.frame_rate)
    seen = 0.0

    def look() -> None:
        nonlocal seen
        done = written(expected, plan.grid.gop_frames)
        if done > seen:
            seen = done
            speed = done * whole_s / max(0.001, title.world.clock.monotonic_s() - began_s)
            fps = round(speed * float(plan.grid.frame_rate), 1)
            beat.progress(ENCODED * done, fps=fps, speed=round(speed, 3), media_s=round(done * whole_s, 3))

    return look


def _verified(title: Title, work: Work, name: str, index: int) -> Segment:
    data = segment_path(work.out_dir, name, index).read_bytes()
    fragments = check_video(data, title.plan, title.plan.rendition(name), index, init_sha256=title.init_sha256[name])
    return video_segment(data, fragments, title.plan, index)


def _output(work: Work, name: str) -> Path:
    return work.out_dir / f"{name}.mp4"


def _clock(plan: EncodePlan, frame: int) -> str:
    minutes, seconds = divmod(int(frame / plan.grid.frame_rate), 60)
    return f"{minutes}:{seconds:02}"


def save_segments(conn: Connection, _world: World, job: Job, result: Measured) -> None:
    plan_digest = catalog.store.load_plan(conn, job.asset_id).digest
    for name, segments in result.items():
        catalog.store.save_segments(conn, job.asset_id, plan_digest, name, segments)


# -- transcode.audio, and transcode.segment of the audio


def audio(world: World, job: Job, beat: Beat) -> Measured:
    """The whole track in one run; its segments are published while it goes on."""
    with world.db.connect() as conn:
        track = catalog.store.load_plan(conn, job.asset_id).audio
    if track is None:
        return {}
    title = open_title(world, job.asset_id, [track.name])
    duration_s = float(title.plan.grid.duration)
    if len(title.stored(track.name, range(title.plan.grid.segment_count))) == title.plan.grid.segment_count:
        return {}
    with title.work(job, audio_needs(title.plan, title.video, 0, title.plan.grid.audio_frames)) as work:
        published = _AudioFile(title, _output(work, track.name), AudioCutter(title.plan), beat)

        def tell(report: Report) -> None:
            beat.progress(ENCODED * report.media_s / duration_s, speed=report.speed)
            published.look()

        _run(world, audio_command(work), tell)
        published.finish()
    return {}


def _audio_segment(title: Title, index: int, job: Job, beat: Beat) -> Measured:
    name = title.audio.name
    if not title.stored(name, [index]):
        with title.work(job, audio_needs(title.plan, title.video, *audio_run(title.plan, title.source.container, index))) as work:
            command, skip = audio_segment_command(work, index)
            _run(title.world, command)
            _AudioFile(title, _output(work, name), AudioCutter(title.plan, index, skip, index + 1), beat).finish()
    return {}


class _AudioFile:
    """FFmpeg's output while it grows: whatever is whole is cut, stored and recorded.

    Audio made at once and audio of the whole run may differ in their last bits, because an encoder remembers what came before. So
    what is recorded first stays, and is stored under a lock: never is an object replaced that somebody may have been sent.
    """

    def __init__(self, title: Title, path: Path, cutter: AudioCutter, beat: Beat) -> None:
        self._title, self._path, self._cutter, self._beat = title, path, cutter, beat
        self._at = 0

    def look(self) -> None:
        if self._path.exists():
            self._publish(self._new())

    def finish(self) -> None:
        """Raises Rejected when the track is shorter than planned."""
        self.look()
        try:
            self._cutter.finish()
        except MissingFrames as error:
            raise Rejected("The sound cannot be decoded to its end.", code="decode_failed") from error

    def _new(self) -> bytes:
        """What is whole since the last look."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        if self._at == 0:
            if header_size(data) is None:
                return b""
            self._at = check_same_init(data, self._title.audio.name, self._title.init_sha256[self._title.audio.name])
            data = data[self._at :]
        whole = whole_fragments(data)
        self._at += whole
        return data[:whole]

    def _publish(self, data: bytes) -> None:
        made = list(self._cutter.take(data))
        if made:
            self._beat.commit(lambda conn: self._title.store_first(conn, self._title.audio.name, made, AUDIO_TYPE))


# -- transcode.poster


def poster(world: World, job: Job, _beat: Beat) -> StoredPoster | None:
    """Store a good picture. None when none could be made: a title without a poster is better than no title."""
    title = open_title(world, job.asset_id)
    times = candidates(title.video)
    with title.work(job, picture_needs(times)) as work:
        try:
            _run(world, poster_command(work, times))
        except (Rejected, StepFailed) as error:
            _require_wanted(error)
        paths = [work.out_dir / f"poster-{index}.jpg" for index in range(len(times))]
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        if not any(sizes):
            return None
        data = paths[best(sizes)].read_bytes()
    world.storage.put(keys.poster(title.asset.id, title.plan.digest), data, content_type=POSTER_TYPE)
    return StoredPoster(title.plan.digest, hashlib.sha256(data).hexdigest(), len(data))


def _require_wanted(error: HeadwaterError) -> None:
    """What FFmpeg cannot do to a picture is no reason to give up; that the step itself was ended is."""
    if error.code not in {"decode_failed", "encode_failed"}:
        raise error


def save_poster(conn: Connection, _world: World, job: Job, result: StoredPoster | None) -> None:
    """Shown at once, long before a long title is ready."""
    if result is not None:
        catalog.store.show_poster(conn, job.asset_id, result.plan_digest, result.sha256, result.size_bytes)


STEPS = (
    Step("transcode.plan", plan, save_plan),
    Step("transcode.encode", encode, save_segments),
    Step("transcode.segment", segment, save_segments),
    Step("transcode.audio", audio, save_segments),
    Step("transcode.poster", poster, save_poster),
)
