"""The step "transcode.quality": what one segment of a title looks like in every rendition, beside the source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import Connection

import catalog.store
from catalog import lost, quality
from catalog.quality import Scored
from kit import log
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media.ids import PlanDigest
from transcode.ffmpeg.quality import report_path, score_command
from transcode.ffmpeg.run import Work
from transcode.plan import video_needs
from transcode.quality import least, read_report
from transcode.running import run
from transcode.title import Title, open_title
from transcode.verify import MissingFrames

REWINDS: tuple[Fraction | None, ...] = (Fraction(0), Fraction(10), None)  # as far as an index may lie; then from the file's start

_log = log.logger(__name__)


@dataclass(frozen=True, slots=True)
class Measured:
    plan_digest: PlanDigest
    scored: tuple[Scored, ...]


def measure(world: World, job: Job, _beat: Beat) -> Measured:
    """Score one segment. Raises StepFailed while one of its renditions has not been made, Rejected when the source lacks frames."""
    index = int(job.args["index"])
    with world.db.connect() as conn:
        plan = catalog.store.load_plan(conn, job.asset_id)
        gone = lost.names(conn, job.asset_id, plan.digest)
    names = [name for name in quality.measurable(plan) if name not in gone]
    if not 0 <= index < plan.grid.segment_count or not names:
        return Measured(plan.digest, ())
    title = open_title(world, job.asset_id, names)
    for rewind in REWINDS:
        needs = video_needs(plan, title.video, dict.fromkeys(names, (index,)), rewind)
        with title.work(job, needs) as work:
            try:
                return Measured(plan.digest, _scored(title, work, names, index, rewind))
            except MissingFrames as error:
                _log.warning("frames are missing", said=error.detail)
    raise Rejected("The pictures of this segment cannot all be decoded from the source.", code="decode_failed")


def _scored(title: Title, work: Work, names: list[str], index: int, rewind: Fraction | None) -> tuple[Scored, ...]:
    films = {name: work.out_dir / f"{name}.mp4" for name in names}
    for name, path in films.items():
        path.write_bytes(film(title, name, index))
    run(title.world, score_command(work, films, index, rewind=rewind))
    first, end = title.plan.grid.segment_bounds(index)
    found: list[Scored] = []
    for name in names:
        path = report_path(work.out_dir, name)
        scores = read_report(path.read_text() if path.exists() else "", end - first)
        found.append(Scored(name, index, scores, least(title.plan, title.plan.rendition(name))))
    return tuple(found)


def film(title: Title, name: str, index: int) -> bytes:
    """A rendition's init segment and one segment of it."""
    if index not in title.recorded[name]:
        raise StepFailed(f"Segment {index} of {name} has not been made yet.", code="not_made_yet")
    return title.clear_init(name) + title.clear_segment(name, index)


def save_measured(conn: Connection, _world: World, job: Job, result: Measured) -> None:
    quality.record(conn, job.asset_id, result.plan_digest, result.scored)
