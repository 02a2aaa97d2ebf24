"""The step "captions.extract": the text and the chapters of a source become tracks.

It reads the whole source once, in the sandbox. Whatever goes wrong with a track is written on that track; a title is never lost for
want of its subtitles. `refresh` shows the result to viewers; it is `packager.text_refresh.refresh`, given by whoever puts the
rooms together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from sqlalchemy import Connection

from captions import extract
from captions.reading import MAX_BYTES, Unreadable, read
from catalog import early, store, track_store
from catalog.asset import Asset
from catalog.embedded import EXTRACT
from catalog.track import CHAPTERS, Content, Track
from kit import log, scratch, tools
from kit.errors import StepFailed
from kit.jobs import Job
from kit.process import Completed
from kit.step import Beat, Step
from kit.world import World
from media import cues, keys
from media.ids import AssetId

Refresh = Callable[[Connection, World, str], None]

_log = log.logger(__name__)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What became of one track: its content, or why there is none."""

    track_id: str
    content: Content | None
    detail: str = ""


def run(world: World, job: Job, beat: Beat) -> tuple[Extracted, ...]:
    """Raises StepFailed when the asset has no source, and what `Runner.run` raises when the machine is the reason."""
    with world.db.connect() as conn:
        asset = store.get_asset(conn, job.asset_id)
        arriving = early.load(conn, job.asset_id)
        waiting = [track for track in track_store.tracks_of(conn, [asset.id])[asset.id] if _is_wanted(track)]
        origin = store.load_plan(conn, asset.id).origin
    if not waiting:
        return ()
    if asset.source is None or asset.source_key is None or asset.source_size_bytes is None:
        raise StepFailed("The asset has no source.", code="no_source")
    settings = world.settings
    source_of, name = early.reader(world.storage, asset, arriving)
    limit = settings.scratch_budget_bytes or None
    with (
        scratch.fetch(source_of, name, asset.source_size_bytes, settings.scratch_dir, None, limit_bytes=limit) as source,
        scratch.work_dir(settings.scratch_dir, job.id) as folder,
    ):
        beat.progress(0.5)
        done = world.runner.run(extract.extract_command(_wanted(asset, waiting), tools.ffmpeg(settings), source, folder))
        return tuple(_extracted(world, track, folder, origin, done) for track in waiting)


def _is_wanted(track: Track) -> bool:
    return track.origin == "source" and track.status == "waiting" and track.stream_index is not None


def _wanted(asset: Asset, tracks: Sequence[Track]) -> extract.Extraction:
    assert asset.source is not None
    streams = [track.stream_index for track in tracks if track.stream_index is not None and track.stream_index >= 0]
    chapters = any(track.stream_index == CHAPTERS for track in tracks)
    return extract.Extraction(asset.source.container, asset.source.size_bytes, streams, chapters)


def _extracted(world: World, track: Track, folder: Path, origin: Fraction, done: Completed) -> Extracted:
    assert track.stream_index is not None
    path = extract.chapters_path(folder) if track.stream_index == CHAPTERS else extract.text_path(folder, track.stream_index)
    data = path.read_bytes()[: MAX_BYTES + 1] if path.exists() else b""
    if not data.strip():
        _log.info("a text stream gave nothing", asset=track.asset_id, stream=track.stream_index, exit_code=done.exit_code)
        said = "There is no text in this track." if done.exit_code == 0 else "The text of this track cannot be read."
        return Extracted(track.id, None, said)
    try:
        if track.stream_index == CHAPTERS:
            found, problems = extract.read_chapters(data.decode(errors="replace"), origin)
            if not found:
                return Extracted(track.id, None, "The file names chapters, but none of them lies in the title.")
        else:
            result = read(data, shift_ms=extract.shift_ms(origin))
            # Lines are those of a file that nobody has seen.
            found, problems = result.cues, tuple(cues.Problem(0, problem.detail) for problem in result.problems)
    except Unreadable as error:
        return Extracted(track.id, None, error.detail)
    return Extracted(track.id, stored(world, track.asset_id, track.format, found, problems))


def stored(world: World, asset_id: str, form: str, found: Sequence[cues.Cue], problems: Sequence[cues.Problem]) -> Content:
    """Put cues into the store."""
    data = cues.to_json(found)
    sha256 = hashlib.sha256(data).hexdigest()
    world.storage.put(keys.text_cues(AssetId(asset_id), sha256), data, content_type="application/json")
    return Content(form, sha256, len(found), tuple(problems))


def saver(refresh: Refresh) -> Callable[[Connection, World, Job, tuple[Extracted, ...]], None]:
    def save(conn: Connection, world: World, job: Job, result: tuple[Extracted, ...]) -> None:
        known = {track.id: track for track in track_store.tracks_of(conn, [job.asset_id])[job.asset_id]}
        for item in result:
            track = known.get(item.track_id)
            if track is None or not _is_wanted(track):
                continue  # it was deleted or replaced meanwhile
            if item.content is not None:
                track_store.set_content(conn, track, item.content)
            else:
                track_store.set_failed(conn, track, item.detail)
        refresh(conn, world, job.asset_id)

    return save


def steps(refresh: Refresh) -> tuple[Step, ...]:
    return (Step(EXTRACT, run, saver(refresh)),)
