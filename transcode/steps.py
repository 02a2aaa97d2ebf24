"""The background steps of this room: plan, encode a chunk, encode the audio, make the poster.

Each `run` writes objects under the plan's digest and returns what it measured; each `save` writes that down. Nothing is put into
the store before it has been verified, and what is stored and recorded already is not made again, so a step may run any number of
times.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

from sqlalchemy import Connection

import catalog.store
from catalog.asset import Asset
from kit import log, scratch, tools
from kit.errors import HeadwaterError, Rejected, StepFailed
from kit.jobs import Job
from kit.process import Command
from kit.step import Beat, Step
from kit.storage import MissingObject
from kit.world import World
from media import keys
from media.isobmff import FragmentBoxes
from media.plan import Chunk, EncodePlan
from media.segments import MeasuredSegment
from transcode.cut import Segment, audio_segments, video_segments
from transcode.failures import explain, technical
from transcode.ffmpeg import Work, audio_command, encode_command, init_command, poster_command
from transcode.ladder import Profile
from transcode.plan import PlanOptions, chunk_frames, make_plan
from transcode.poster import best, candidates
from transcode.progress import ProgressReader, Report
from transcode.verify import MissingFrames, check_audio_init, check_same_init, check_video, check_video_init

VIDEO_TYPE, AUDIO_TYPE, POSTER_TYPE = "video/mp4", "audio/mp4", "image/jpeg"

# How far before a chunk decoding begins, attempt by attempt. The first is nearly always right. An index that lies, or a keyframe that
# is none, shows as missing frames; then less is asked of the source, and at last it is decoded from its start.
REWINDS: tuple[Fraction | None, ...] = (Fraction(0), Fraction(10), None)

ENCODED = 0.95  # the share of a step's progress that FFmpeg's own end stands for

_log = log.logger(__name__)

Measured = Mapping[str, Sequence[MeasuredSegment]]  # by rendition


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan and the stored init segment of each of its renditions."""

    plan: EncodePlan
    inits: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class _Title:
    """What the database knows of a planned asset."""

    world: World
    asset: Asset
    plan: EncodePlan
    init_sha256: Mapping[str, str]
    recorded: Mapping[str, Mapping[int, MeasuredSegment]]  # by rendition and index

    def stored(self, rendition: str, indexes: range) -> tuple[MeasuredSegment, ...] | None:
        """These segments, if every one of them is recorded and lies in the store at its recorded size."""
        found = tuple(self.recorded[rendition][index] for index in indexes if index in self.recorded[rendition])
        return found if len(found) == len(indexes) and all(self._lies_there(rendition, segment) for segment in found) else None

    def _lies_there(self, rendition: str, segment: MeasuredSegment) -> bool:
        try:
            stat = self.world.storage.stat(keys.media_segment(self.asset.id, self.plan.digest, rendition, segment.index))
        except MissingObject:
            return False
        return stat.size_bytes == segment.size_bytes

    def store(self, rendition: str, segments: Iterable[Segment], content_type: str) -> tuple[MeasuredSegment, ...]:
        """Put the segments into the store, one after another as they are cut."""
        measured = []
        for segment, data in segments:
            key = keys.media_segment(self.asset.id, self.plan.digest, rendition, segment.index)
            self.world.storage.put(key, data, content_type=content_type)
            measured.append(segment)
        return tuple(measured)

    @contextmanager
    def work(self, job: Job) -> Iterator[Work]:
        """The source on the local disk, and an empty folder to encode into."""
        settings, asset = self.world.settings, self.asset
        if asset.source is None or asset.source_key is None or asset.source_size_bytes is None:
            raise StepFailed("The asset has no source.", code="no_source")
        with (
            scratch.fetch(self.world.storage, asset.source_key, asset.source_size_bytes, settings.scratch_dir) as source,
            scratch.work_dir(settings.scratch_dir, job.id) as folder,
        ):
            yield Work(self.plan, asset.source, source, folder, tools.ffmpeg(settings))


def _title(world: World, job: Job, renditions: Sequence[str] | None = None) -> _Title:
    """`renditions` are those that the job is about; by default none."""
    with world.db.connect() as conn:
        asset = catalog.store.get_asset(conn, job.asset_id)
        plan = catalog.store.load_plan(conn, asset.id)
        names = renditions or ()
        inits = {name: catalog.store.load_init(conn, asset.id, plan.digest, name).sha256 for name in names}
        recorded = {name: {item.index: item for item in catalog.store.load_segments(conn, asset.id, plan.digest, name)} for name in names}
    return _Title(world, asset, plan, inits, recorded)


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
    options = PlanOptions(world.settings.chunk_s, cast(Profile, asset.profile))
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


# -- transcode.encode


def encode(world: World, job: Job, beat: Beat) -> Measured:
    """One chunk of one group of rungs."""
    title = _title(world, job, job.args["renditions"])
    chunk = title.plan.chunks[job.args["chunk"]]
    indexes = range(chunk.first_segment, chunk.end_segment)
    found = {name: title.stored(name, indexes) for name in title.recorded}
    made: dict[str, Sequence[MeasuredSegment]] = {name: segments for name, segments in found.items() if segments is not None}
    missing = [name for name, segments in found.items() if segments is None]
    if missing:
        with title.work(job) as work:
            fragments = _encode_chunk(title, work, chunk, missing, beat)
            for name in missing:
                data = _output(work, name).read_bytes()
                made[name] = title.store(name, video_segments(data, fragments[name], title.plan, chunk), VIDEO_TYPE)
    return made


def _encode_chunk(title: _Title, work: Work, chunk: Chunk, names: Sequence[str], beat: Beat) -> dict[str, tuple[FragmentBoxes, ...]]:
    """Encode until the output is what was planned; the verified fragments of each rung. Raises Rejected when the source lacks frames."""
    first, end = chunk_frames(work.plan, chunk)

    def tell(report: Report) -> None:
        media_s = report.frames / float(work.plan.grid.frame_rate)
        beat.progress(ENCODED * report.frames / (end - first), fps=report.fps, speed=report.speed, media_s=round(media_s, 3))

    commands = {command.argv: command for command in (encode_command(work, chunk, names, rewind=rewind) for rewind in REWINDS)}
    for command in commands.values():
        _run(title.world, command, tell)
        try:
            return {name: _verified(title, work, chunk, name) for name in names}
        except MissingFrames as error:
            _log.warning("frames are missing", chunk=chunk.index, said=error.detail)
    raise Rejected(f"The pictures between {_clock(work, first)} and {_clock(work, end)} cannot all be decoded.", code="decode_failed")


def _verified(title: _Title, work: Work, chunk: Chunk, name: str) -> tuple[FragmentBoxes, ...]:
    data = _output(work, name).read_bytes()
    return check_video(data, work.plan, work.plan.rendition(name), chunk, init_sha256=title.init_sha256[name])


def _output(work: Work, name: str) -> Path:
    return work.out_dir / f"{name}.mp4"


def _clock(work: Work, frame: int) -> str:
    minutes, seconds = divmod(int(frame / work.plan.grid.frame_rate), 60)
    return f"{minutes}:{seconds:02}"


def save_segments(conn: Connection, _world: World, job: Job, result: Measured) -> None:
    plan_digest = catalog.store.load_plan(conn, job.asset_id).digest
    for name, segments in result.items():
        catalog.store.save_segments(conn, job.asset_id, plan_digest, name, segments)


# -- transcode.audio


def audio(world: World, job: Job, beat: Beat) -> Measured:
    """The whole track, and its segments."""
    with world.db.connect() as conn:
        track = catalog.store.load_plan(conn, job.asset_id).audio
    if track is None:
        return {}
    title = _title(world, job, [track.name])
    found = title.stored(track.name, range(title.plan.grid.segment_count))
    if found is not None:
        return {track.name: found}
    duration_s = float(title.plan.grid.duration)
    with title.work(job) as work:
        _run(world, audio_command(work), lambda report: beat.progress(ENCODED * report.media_s / duration_s, speed=report.speed))
        try:
            return {track.name: _store_audio(title, _output(work, track.name), track.name)}
        except MissingFrames as error:
            raise Rejected("The sound cannot be decoded to its end.", code="decode_failed") from error


def _store_audio(title: _Title, path: Path, name: str) -> tuple[MeasuredSegment, ...]:
    """A long track is hundreds of megabytes, so it is mapped, not read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as data:
        media = check_same_init(data, name, title.init_sha256[name])
        return title.store(name, audio_segments(data, media, title.plan), AUDIO_TYPE)


# -- transcode.poster


def poster(world: World, job: Job, _beat: Beat) -> bool:
    """Store a good picture. False when none could be made: a title without a poster is better than no title."""
    title = _title(world, job)
    with title.work(job) as work:
        times = candidates(work.video)
        try:
            _run(world, poster_command(work, times))
        except (Rejected, StepFailed) as error:
            _require_wanted(error)
        paths = [work.out_dir / f"poster-{index}.jpg" for index in range(len(times))]
        sizes = [path.stat().st_size if path.exists() else 0 for path in paths]
        if not any(sizes):
            return False
        world.storage.put(keys.poster(title.asset.id, title.plan.digest), paths[best(sizes)], content_type=POSTER_TYPE)
    return True


def _require_wanted(error: HeadwaterError) -> None:
    """What FFmpeg cannot do to a picture is no reason to give up; that the step itself was ended is."""
    if error.code not in {"decode_failed", "encode_failed"}:
        raise error


def save_nothing(_conn: Connection, _world: World, _job: Job, _result: bool) -> None:
    """The poster's object says everything."""


STEPS = (
    Step("transcode.plan", plan, save_plan),
    Step("transcode.encode", encode, save_segments),
    Step("transcode.audio", audio, save_segments),
    Step("transcode.poster", poster, save_nothing),
)
