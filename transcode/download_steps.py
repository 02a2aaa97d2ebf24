"""The step that makes a static rendition, of what is stored: the source is not touched, and an MP4 costs no encode.

The segments of the rung and of the main track of sound are joined into two files on the local disk, piece by piece, and
FFmpeg writes one file of both within the sandbox; where there are no pictures, of the sound alone. It may take its time:
nobody's title waits for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from catalog import downloads
from catalog.downloads import MadeFile
from kit import scratch, tools
from kit.errors import NotFound, StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media import keys
from transcode.ffmpeg.download import Parts, m4a_command, mp4_command, webm_command
from transcode.progress import Report
from transcode.running import run
from transcode.title import Title, open_title

_TYPES = {"mp4": "video/mp4", "webm": "video/webm", "m4a": "audio/mp4"}
_FETCHED, _WRITTEN = 0.3, 0.8  # shares of the progress
_PIECE_BYTES = 1 << 20


def download(world: World, job: Job, beat: Beat) -> MadeFile:
    """Raises NotFound when the file is not wanted any more, and StepFailed."""
    with world.db.connect() as conn:
        file = downloads.by_id(conn, str(job.args["id"]))
    slim = open_title(world, file.asset_id)
    sound = slim.plan.main_audio
    pictures = bool(slim.plan.video)
    title = open_title(world, file.asset_id, [file.rendition, *([sound.name] if sound is not None and pictures else [])])
    if title.plan.digest != file.plan_digest:
        raise NotFound("This file is of a plan that the video does not have any more.")
    with scratch.work_dir(world.settings.scratch_dir, job.id) as folder:
        (out_dir := folder / "out").mkdir()
        duration_s, program = float(title.plan.grid.duration), tools.ffmpeg(world.settings)
        target = out_dir / f"file.{file.suffix}"
        first = _joined(title, file.rendition, folder / "first.mp4")
        if pictures:
            audio = None if sound is None else _joined(title, sound.name, folder / "audio.mp4")
            channels = 0 if sound is None else sound.channels
            parts = Parts(title.plan.rendition(file.rendition), first, audio, channels, duration_s, out_dir, program)
            command = mp4_command(parts, target) if file.suffix == "mp4" else webm_command(parts, target)
        else:
            command = m4a_command(first, target, duration_s, program)
        beat.progress(_FETCHED)
        run(world, command, _progress(beat, duration_s))
        if not target.exists() or target.stat().st_size == 0:
            raise StepFailed("No file could be made of the stored segments.", code="encode_failed")
        beat.progress(_WRITTEN)
        made = MadeFile(file.id, _sha256(target), target.stat().st_size)
        world.storage.put(file.key, target, content_type=_TYPES[file.suffix])
    return made


def save_download(conn: Connection, _world: World, _job: Job, result: MadeFile) -> None:
    downloads.record(conn, result)


def _progress(beat: Beat, duration_s: float) -> Callable[[Report], None]:
    def on_report(report: Report) -> None:
        share = min(1.0, report.media_s / duration_s)
        beat.progress(_FETCHED + (_WRITTEN - _FETCHED) * share)

    return on_report


def _joined(title: Title, rendition: str, target: Path) -> Path:
    """The init segment of a rendition and all its media segments as one file. Raises StepFailed while one has not been made, or
    when one is damaged."""
    count = title.plan.grid.segment_count
    if len(title.recorded[rendition]) < count:
        raise StepFailed(f"Not every segment of {rendition} has been made.", code="not_made_yet")
    asset, plan, recorded = title.asset.id, title.plan.digest, title.recorded[rendition]
    with target.open("wb") as out:
        _copied(title, keys.init_segment(asset, plan, rendition), title.init_sha256[rendition], out)
        for index in range(count):
            _copied(title, keys.media_segment(asset, plan, rendition, index), recorded[index].sha256, out)
    return target


def _copied(title: Title, key: str, sha256: str, out: BinaryIO) -> None:
    """Raises StepFailed for other bytes than were recorded: FFmpeg would pass over damage without a word."""
    digest = hashlib.sha256()
    for piece in title.world.storage.stream(key):
        digest.update(piece)
        out.write(piece)
    if digest.hexdigest() != sha256:
        raise StepFailed(f"The stored bytes of {key} are not those that were recorded.")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
