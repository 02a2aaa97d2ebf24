"""The poster of sound without pictures: the cover picture that came with it, or else a plain one of our own.

The plain one is drawn from the digest of the source: bars whose heights and colour are the same for the same recording and others for
another, so that recordings can be told apart in a library. It needs no font, and says nothing about what is heard.
"""

from __future__ import annotations

from catalog.pictures import Picture
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from kit.world import World
from media import pictures as names
from transcode.ffmpeg.cover import cover_command, plain_command
from transcode.ffmpeg.picture import poster_path
from transcode.ffmpeg.run import Work
from transcode.pictures_made import require_wanted, store
from transcode.running import run
from transcode.title import Title


def cover_poster(world: World, title: Title, job: Job) -> list[Picture]:
    """Raises what running FFmpeg raises when even the plain one cannot be drawn."""
    with title.work(job) as work:
        if not _from_cover(world, work):
            run(world, plain_command(work))
        return [store(title, names.POSTER, poster_path(work.out_dir, 0).read_bytes())]


def _from_cover(world: World, work: Work) -> bool:
    """Whether there is a cover that can be decoded."""
    cover = work.info.cover
    if cover is None:
        return False
    try:
        run(world, cover_command(work, cover))
    except (Rejected, StepFailed) as error:
        require_wanted(error)
    path = poster_path(work.out_dir, 0)
    return path.exists() and path.stat().st_size > 0
