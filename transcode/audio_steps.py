"""The sound: the whole track, published while it is encoded, or one segment of it."""

from __future__ import annotations

from pathlib import Path

import catalog.store
from kit.errors import Rejected
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from transcode.cut import AudioCutter, header_size, whole_fragments
from transcode.ffmpeg.audio import audio_command, audio_run, audio_segment_command
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

        run(world, audio_command(work), tell)
        published.finish()
    return {}


def audio_segment(title: Title, index: int, job: Job, beat: Beat) -> Measured:
    name = title.audio.name
    if not title.stored(name, [index]):
        with title.work(job, audio_needs(title.plan, title.video, *audio_run(title.plan, title.source.container, index))) as work:
            command, skip = audio_segment_command(work, index)
            run(title.world, command)
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
