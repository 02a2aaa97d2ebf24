"""The sound: a whole track, published while it is encoded and measured at the end, or one segment of it."""

from __future__ import annotations

from pathlib import Path

import catalog.store
from catalog import sounds
from catalog.asset import Asset
from kit import scratch, tools
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media.plan import EncodePlan
from media.rendition import AudioRendition
from media.source_map import merged
from transcode import loudness
from transcode.cut import AudioCutter, header_size, whole_fragments
from transcode.ffmpeg.audio import (
    audio_command,
    audio_run,
    audio_segment_command,
    loudness_command,
    source_loudness_command,
    whole_track,
)
from transcode.ffmpeg.run import Work
from transcode.plan import audio_needs
from transcode.progress import Report
from transcode.running import ENCODED, run
from transcode.title import AUDIO_TYPE, Title, open_title
from transcode.verify import MissingFrames, check_same_init
from transcode.video_steps import Measured


def _output(work: Work, name: str) -> Path:
    return work.out_dir / f"{name}.mp4"


def audio(world: World, job: Job, beat: Beat) -> Measured:
    """A whole track in one run; its segments are published while it goes on."""
    with world.db.connect() as conn:
        tracks = catalog.store.load_plan(conn, job.asset_id).audio
    for name in job.args.get("renditions", [track.name for track in tracks]):  # jobs of before there could be several name none
        _whole(open_title(world, job.asset_id, [name]), next(track for track in tracks if track.name == name), job, beat)
    return {}


def _whole(title: Title, track: AudioRendition, job: Job, beat: Beat) -> None:
    duration_s = float(title.plan.grid.duration)
    if len(title.stored(track.name, range(title.plan.grid.segment_count))) == title.plan.grid.segment_count:
        _measure_stored(title, track, job, beat)
        return
    with title.work(job, audio_needs(title.plan, track, title.source.video, *whole_track(title.plan, track))) as work:
        published = _AudioFile(title, track, _output(work, track.name), AudioCutter(title.plan, track), beat)

        def tell(report: Report) -> None:
            reached = round(ENCODED * min(1.0, report.media_s / duration_s), 4)
            beat.progress(reached, reached=reached, speed=report.speed)
            published.look()

        run(title.world, audio_command(work, track), tell)
        published.finish()
        _measure(title, track, work, beat)


def _measure_stored(title: Title, track: AudioRendition, job: Job, beat: Beat) -> None:
    """A track that was made whole by somebody who could not measure it any more."""
    plan, asset = title.plan, title.asset.id
    with title.world.db.connect() as conn:
        if sounds.is_measured(conn, asset, plan.digest, track.name):
            return
    with scratch.work_dir(title.world.settings.scratch_dir, job.id) as folder:
        work = Work(plan, title.source, folder, folder, tools.ffmpeg(title.world.settings))
        with _output(work, track.name).open("wb") as file:
            file.write(title.clear_init(track.name))
            for index in range(plan.grid.segment_count):
                file.write(title.clear_segment(track.name, index))
        _measure(title, track, work, beat)


def measured_gains(world: World, asset: Asset, plan: EncodePlan, job: Job) -> dict[str, float]:
    """The first of two passes, before anything is encoded: by how many decibels to change each rendition (`transcode.loudness`)."""
    if asset.source is None or asset.source_key is None or asset.source_size_bytes is None:
        raise StepFailed("The asset has no source.", code="no_source")
    with world.db.connect() as conn:
        places = catalog.store.load_source_map(conn, asset.id)
    needs = [audio_needs(plan, track, asset.source.video, *whole_track(plan, track)) for track in plan.audio]
    whole = [item.audio for item in needs if item is not None and item.audio is not None]
    known = places is not None and len(whole) == len(needs)
    ranges = merged([piece for item in whole for piece in places.audio_ranges(*item)]) if places is not None and known else None
    settings = world.settings
    limit = settings.scratch_budget_bytes or None
    with (
        scratch.fetch(world.storage, asset.source_key, asset.source_size_bytes, settings.scratch_dir, ranges, limit_bytes=limit) as source,
        scratch.work_dir(settings.scratch_dir, job.id) as folder,
    ):
        work = Work(plan, asset.source, source, folder, tools.ffmpeg(settings))
        said = {track.name: run(world, source_loudness_command(work, track)).stderr for track in plan.audio}
    return {name: loudness.gain_db(loudness.read(text.decode(errors="replace"))) for name, text in said.items()}


def _measure(title: Title, track: AudioRendition, work: Work, beat: Beat) -> None:
    found = loudness.read(run(title.world, loudness_command(work, track)).stderr.decode(errors="replace"))
    beat.commit(lambda conn: sounds.set_loudness(conn, title.asset.id, title.plan.digest, track.name, found))


def audio_segment(title: Title, track: AudioRendition, index: int, job: Job, beat: Beat) -> Measured:
    if not title.stored(track.name, [index]):
        run_of = audio_run(title.plan, track, title.source.container, index)
        with title.work(job, audio_needs(title.plan, track, title.source.video, *run_of)) as work:
            command, skip = audio_segment_command(work, track, index)
            run(title.world, command)
            _AudioFile(title, track, _output(work, track.name), AudioCutter(title.plan, track, index, skip, index + 1), beat).finish()
    return {}


class _AudioFile:
    """FFmpeg's output while it grows: whatever is whole is cut, stored and recorded.

    Audio made at once and audio of the whole run may differ in their last bits, because an encoder remembers what came before. So
    what is recorded first stays, and is stored under a lock: never is an object replaced that somebody may have been sent.
    """

    def __init__(self, title: Title, track: AudioRendition, path: Path, cutter: AudioCutter, beat: Beat) -> None:
        self._title, self._name, self._path, self._cutter, self._beat = title, track.name, path, cutter, beat
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
            self._at = check_same_init(data, self._name, self._title.init_sha256[self._name], stored=self._title.stored_init(self._name))
            data = data[self._at :]
        whole = whole_fragments(data)
        self._at += whole
        return data[:whole]

    def _publish(self, data: bytes) -> None:
        made = list(self._cutter.take(data))
        if made:
            self._beat.commit(lambda conn: self._title.store_first(conn, self._name, made, AUDIO_TYPE))
