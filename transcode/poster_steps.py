"""The poster: the one that is chosen for its content, and one of a moment that somebody has chosen."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from sqlalchemy import Connection

from catalog import pictures
from catalog.pictures import Made, Picture
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media import pictures as names
from media.plan import EncodePlan
from transcode.cover_steps import cover_poster
from transcode.ffmpeg.picture import look_path, poster_command, poster_path, still_command
from transcode.ffmpeg.run import Work
from transcode.pictures_made import require_wanted, store
from transcode.plan import READ_ON_S, Needs, lead_in_keyframe, picture_needs
from transcode.poster import Look, best, candidates
from transcode.running import run
from transcode.title import Title, open_title

REWINDS: tuple[Fraction | None, ...] = (Fraction(0), Fraction(10), None)  # as far as an index may lie; then from the file's start


def poster(world: World, job: Job, _beat: Beat) -> Made | None:
    """Store a good picture. None when none could be made: a title without a poster is better than no title."""
    title = open_title(world, job.asset_id)
    if title.source.video is None:
        return Made(title.plan.digest, tuple(cover_poster(world, title, job)))
    times = candidates(title.video)
    with title.work(job, picture_needs(times)) as work:
        _try(world, work, times)
        looks = [_look(work.out_dir, index) for index in range(len(times))]
        index = best(looks)
        found = [] if index is None else [store(title, names.POSTER, poster_path(work.out_dir, index).read_bytes())]
    if title.asset.poster_time_s is not None:
        found += _still(title, job, title.asset.poster_time_s)
    return Made(title.plan.digest, tuple(found)) if found else None


def _try(world: World, work: Work, times: tuple[Fraction, ...]) -> None:
    try:
        run(world, poster_command(work, times))
    except (Rejected, StepFailed) as error:
        require_wanted(error)


def _look(folder: Path, index: int) -> Look | None:
    paths = poster_path(folder, index), look_path(folder, index)
    return Look.of(paths[1].read_bytes()) if all(path.exists() and path.stat().st_size > 0 for path in paths) else None


def still(world: World, job: Job, _beat: Beat) -> Made | None:
    """Store the picture of the moment that the job names. None when it cannot be decoded: then the poster stays what it is."""
    title = open_title(world, job.asset_id)
    found = [] if title.source.video is None else _still(title, job, float(job.args["time_s"]))
    return Made(title.plan.digest, tuple(found)) if found else None


def _still(title: Title, job: Job, time_s: float) -> list[Picture]:
    frame = frame_at(title.plan, time_s)
    for rewind in REWINDS:
        with title.work(job, _still_needs(title, frame, rewind)) as work:
            try:
                run(title.world, still_command(work, frame, rewind))
            except (Rejected, StepFailed) as error:
                require_wanted(error)
            path = poster_path(work.out_dir, 0)
            if path.exists() and path.stat().st_size > 0:
                return [store(title, names.chosen_poster(time_s), path.read_bytes())]
    return []


def frame_at(plan: EncodePlan, time_s: float) -> int:
    """The grid frame that is on show at this presentation time; the last one behind the end."""
    return min(int(Fraction(str(time_s)) * plan.grid.frame_rate), plan.grid.frames - 1)


def _still_needs(title: Title, frame: int, rewind: Fraction | None) -> Needs | None:
    if rewind is None:
        return None
    keyframe = lead_in_keyframe(title.plan, title.video, frame, rewind)
    until = title.plan.origin + (frame + 1) / title.plan.grid.frame_rate + READ_ON_S
    return Needs(video=((title.video.start if keyframe is None else keyframe, until),))


def save_poster(conn: Connection, _world: World, job: Job, result: Made | None) -> None:
    """Shown at once, long before a long title is ready."""
    if result is not None:
        pictures.record(conn, job.asset_id, result)
        pictures.show_poster(conn, job.asset_id)
