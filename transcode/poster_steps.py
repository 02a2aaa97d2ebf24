"""The poster."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection

import catalog.store
from kit.errors import HeadwaterError, Rejected, StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media import keys
from media.ids import PlanDigest
from transcode.ffmpeg.picture import poster_command
from transcode.plan import picture_needs
from transcode.poster import best, candidates
from transcode.running import run
from transcode.title import open_title

POSTER_TYPE = "image/jpeg"


@dataclass(frozen=True, slots=True)
class StoredPoster:
    plan_digest: PlanDigest
    sha256: str  # hex
    size_bytes: int


def poster(world: World, job: Job, _beat: Beat) -> StoredPoster | None:
    """Store a good picture. None when none could be made: a title without a poster is better than no title."""
    title = open_title(world, job.asset_id)
    times = candidates(title.video)
    with title.work(job, picture_needs(times)) as work:
        try:
            run(world, poster_command(work, times))
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
