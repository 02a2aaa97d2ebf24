"""The step "captions.extract": the text and the chapters of a source become tracks. Captions inside its pictures: `captions.hidden_steps`.

It reads the whole source once, in the sandbox. Whatever goes wrong with a track is written on that track; a title is never lost for
want of its subtitles. `refresh` shows the result to viewers; it is `packager.text_refresh.refresh`, given by whoever puts the
rooms together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from captions import cc_data, extract, hidden_steps, line21
from captions.fetching import fetched
from captions.reading import MAX_BYTES, Unreadable, read
from captions.storing import Refresh, stored
from catalog import early, store, track_store
from catalog.asset import Asset
from catalog.embedded import EXTRACT
from catalog.track import CHAPTERS, Content, Track
from kit import log, tools
from kit.jobs import Job
from kit.process import Completed
from kit.step import Beat, Step
from kit.world import World
from media import cues
from media.plan import EncodePlan

NO_TEXT = "There is no text in this track."

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
        plan = store.load_plan(conn, asset.id)
    if not waiting:
        return ()
    with fetched(world, asset, arriving, job) as (source, folder):
        beat.progress(0.5)
        done = world.runner.run(extract.extract_command(_wanted(asset, waiting), tools.ffmpeg(world.settings), source, folder))
        return tuple(_extracted(world, track, folder, plan, done) for track in waiting)


def _is_wanted(track: Track) -> bool:
    return track.origin == "source" and track.status == "waiting" and track.stream_index is not None


def _wanted(asset: Asset, tracks: Sequence[Track]) -> extract.Extraction:
    assert asset.source is not None
    streams = {track.stream_index: track.format for track in tracks if track.stream_index is not None and track.stream_index >= 0}
    line_21 = [stream for stream, form in streams.items() if form == extract.LINE_21]
    others = [stream for stream in streams if stream not in line_21]
    chapters = any(track.stream_index == CHAPTERS for track in tracks)
    return extract.Extraction(asset.source.container, asset.source.size_bytes, others, chapters, line_21)


def _extracted(world: World, track: Track, folder: Path, plan: EncodePlan, done: Completed) -> Extracted:
    assert track.stream_index is not None
    if track.format == extract.LINE_21:
        return _line_21(world, track, folder, plan)
    path = extract.chapters_path(folder) if track.stream_index == CHAPTERS else extract.text_path(folder, track.stream_index)
    data = path.read_bytes()[: MAX_BYTES + 1] if path.exists() else b""
    if not data.strip():
        _log.info("a text stream gave nothing", asset=track.asset_id, stream=track.stream_index, exit_code=done.exit_code)
        said = NO_TEXT if done.exit_code == 0 else "The text of this track cannot be read."
        return Extracted(track.id, None, said)
    try:
        if track.stream_index == CHAPTERS:
            found, problems = extract.read_chapters(data.decode(errors="replace"), plan.origin)
            if not found:
                return Extracted(track.id, None, "The file names chapters, but none of them lies in the title.")
        else:
            result = read(data, shift_ms=extract.shift_ms(plan.origin))
            # Lines are those of a file that nobody has seen.
            found, problems = result.cues, tuple(cues.Problem(0, problem.detail) for problem in result.problems)
    except Unreadable as error:
        return Extracted(track.id, None, error.detail)
    return Extracted(track.id, stored(world, track.asset_id, track.format, found, problems))


def _line_21(world: World, track: Track, folder: Path, plan: EncodePlan) -> Extracted:
    assert track.stream_index is not None
    paths = extract.copied_paths(folder, track.stream_index)
    found = line21.read(paths, cc_data.of_track, plan.origin, plan.grid.duration)
    if not found.channels:
        return Extracted(track.id, None, found.detail or NO_TEXT)
    return Extracted(track.id, stored(world, track.asset_id, track.format, *line21.as_one(found)))


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
    return Step(EXTRACT, run, saver(refresh)), hidden_steps.step(refresh)
