"""A published title on live servers, for tests of delivery: `tests.titles` plus the publishing step itself.

`published` makes a whole one, `planned` one of which nothing is encoded yet; `make_next` then plays the worker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from catalog import store
from catalog.kinds import SEGMENT
from kit import job_store
from kit.jobs import Job, State
from kit.step import Beat
from kit.world import World
from media import keys
from media.ids import AssetId, PlaybackId
from packager import steps
from tests.titles import Title, names_of, new_asset, plan_of, put_objects, save_tables, title_of

POSTER = b"\xff\xd8 a picture \xff\xd9"
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Published:
    """Addresses and bytes of a title that anyone may watch."""

    asset: AssetId
    playback: PlaybackId
    title: Title
    multivariant: str = field(repr=False)

    @property
    def base(self) -> str:
        return f"/v/{self.playback}/"

    def segment(self, index: int, rendition: str = "480p") -> str:
        return f"{self.base}{self.title.plan.digest}/{rendition}/{index:05d}.m4s"

    def iframe(self, gop: int, rendition: str = "480p") -> str:
        return f"{self.base}{self.title.plan.digest}/{rendition}/i/{gop:05d}.m4s"

    def of_plan(self, rest: str) -> str:
        return f"{self.base}{self.title.plan.digest}/{rest}"


def publish_job(asset: AssetId, title: Title, stage: str) -> Job:
    return Job(
        id="job_1", kind="packager.publish", subject=f"{title.plan.digest}/{stage}", asset_id=asset, args={}, priority=0, weight=1.0,
        state=State.RUNNING, attempt=1, max_attempts=3, epoch=1, owner="me", lease_until=_EPOCH, not_before=_EPOCH, progress=0.0, stats={},
        error_code=None, error_detail=None, created_at=_EPOCH, finished_at=None,
    )  # fmt: skip


def publish(world: World, asset: AssetId, title: Title, stage: str = "ready") -> str:
    """Runs and saves the step; the multivariant playlist."""
    job = publish_job(asset, title, stage)
    row = steps.publish(world, job, Beat())
    with world.db.begin() as conn:
        steps.save(conn, world, job, row)
    return str(row.multivariant["playlist"])


def published(
    world: World,
    *,
    seed: int = 11,
    rungs: tuple[str, ...] = ("480p", "720p"),
    least: int = 2_000,
    most: int = 60_000,
    segments: int = 3,
) -> Published:
    """A title ready to be watched, with segments of between `least` and `most` bytes. The last one is 3 s long."""
    plan = plan_of(frames=24 * (6 * segments - 3), rungs=rungs, source=f"source {seed}")
    title = title_of(plan, seed=seed, least=least, most=most)
    asset, playback = new_asset(world, title)
    put_objects(world, asset, title, names_of(title.plan), poster=POSTER)
    save_tables(world, asset, title, names_of(title.plan))
    return Published(asset, playback, title, publish(world, asset, title))


def planned(world: World, *, seed: int = 21, rungs: tuple[str, ...] = ("480p", "720p"), segments: int = 3) -> Published:
    """A title whose playlists and init segments are all that there is."""
    title = title_of(plan_of(frames=24 * (6 * segments - 3), rungs=rungs, source=f"planned {seed}"), seed=seed)
    asset, playback = new_asset(world, title)
    for name in names_of(title.plan):
        world.storage.put(keys.init_segment(asset, title.plan.digest, name), title.inits[name])
    return Published(asset, playback, title, publish(world, asset, title, "planned"))


def record(world: World, made: Published, rendition: str, index: int) -> None:
    """Stores one segment and notes it, as an encode does."""
    data = made.title.bodies[rendition][index]
    world.storage.put(keys.media_segment(made.asset, made.title.plan.digest, rendition, index), data)
    with world.db.begin() as conn:
        store.save_segments(conn, made.asset, made.title.plan.digest, rendition, [made.title.tables[rendition][index]])


def wanted(world: World, made: Published) -> list[tuple[str, int, State]]:
    """What has been asked for so far: rendition, index, and the state of its job."""
    with world.db.connect() as conn:
        jobs = [job for job in job_store.jobs_of_asset(conn, made.asset) if job.kind == SEGMENT]
    return [(job.args["rendition"], job.args["index"], job.state) for job in jobs]


def make_next(world: World, made: Published) -> tuple[str, int] | None:
    """Plays the worker: claims a wanted segment, if there is one, and makes it."""
    with world.db.begin() as conn:
        job = job_store.claim(conn, "worker", kinds=[SEGMENT])
    if job is None:
        return None
    rendition, index = str(job.args["rendition"]), int(job.args["index"])
    record(world, made, rendition, index)
    with world.db.begin() as conn:
        job_store.finish(conn, job, {})
    return rendition, index
