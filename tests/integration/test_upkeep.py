"""The daily work: finished jobs that nobody needs go, and a part of what is stored is read every night. On live servers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert, select, text, update

from catalog import inventory, old_jobs, quality, scrub, scrub_store, store
from catalog.asset import AssetStatus, NewAsset
from catalog.lost import Lost, lose
from catalog.scrub import Options
from catalog.steps import SCRUB, STEPS
from catalog.tables import assets
from kit import job_store, past_jobs
from kit.clock import SystemClock
from kit.jobs import NewJob, State
from kit.step import run_step
from kit.world import World
from media.ids import AssetId
from stack import doctor
from stack.findings import Outcome
from tests.api_client import open_api
from tests.published import Published, published
from worker import sweeper
from worker.flow import VideoFlow

OLD_DAYS = 40


class Night(SystemClock):
    """Today at four in the morning, or so many days later."""

    def __init__(self, days: int = 0) -> None:
        self._days = days

    def now(self) -> datetime:
        return super().now().replace(hour=4) + timedelta(days=self._days)


def a_job(world: World, asset: str, name: str, state: State, *, days: int = OLD_DAYS, kind: str = "test.step") -> str:
    """One that ended so many days ago, or goes on; with its bell."""
    with world.db.begin() as conn:
        job = job_store.enqueue(conn, NewJob(kind, f"{asset}/{name}", asset))
        ended = state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        facts = {"state": str(state), "attempt": 2, "stats": {"cpu_s": 1.5, "wall_s": 3.0}}
        conn.execute(update(job_store.jobs).where(job_store.jobs.c.id == job.id).values(facts))
        if ended:
            conn.execute(
                text("UPDATE jobs SET finished_at = now() - make_interval(days => :days) WHERE id = :id"), {"days": days, "id": job.id}
            )
    return job.id


def left(world: World) -> set[str]:
    with world.db.connect() as conn:
        return set(conn.scalars(select(job_store.jobs.c.id).where(job_store.jobs.c.kind == "test.step")))


def a_title(world: World, status: AssetStatus) -> AssetId:
    with world.db.begin() as conn:
        asset = store.create_asset(conn, NewAsset(title=str(status)))
        conn.execute(update(assets).where(assets.c.id == asset.id).values(status=str(status)))
    return asset.id


def of_today(world: World, night: int = 0) -> World:
    """The sweeper asks, twice, and a worker does all that is due."""
    later = replace(world, clock=Night(night))
    sweeper.ask_for_upkeep(later)
    sweeper.ask_for_upkeep(later)
    while run_step(later, {step.kind: step for step in STEPS}, VideoFlow(), "tester"):
        pass
    return later


def test_only_what_nobody_needs_is_removed(world: World) -> None:
    ready, deleted, busy = (a_title(world, status) for status in (AssetStatus.READY, AssetStatus.DELETED, AssetStatus.READY))
    gone = {
        a_job(world, ready, "done", State.SUCCEEDED), a_job(world, ready, "cancelled", State.CANCELLED),
        a_job(world, deleted, "done", State.SUCCEEDED), a_job(world, deleted, "failed", State.FAILED),
        a_job(world, "", "daily", State.SUCCEEDED),
    }  # fmt: skip
    kept = {
        a_job(world, ready, "failed", State.FAILED), a_job(world, ready, "young", State.SUCCEEDED, days=3),
        a_job(world, busy, "done", State.SUCCEEDED), a_job(world, busy, "running", State.RUNNING),
    }  # fmt: skip
    for status in (AssetStatus.PROCESSING, AssetStatus.ERRORED):
        title = a_title(world, status)
        kept |= {a_job(world, title, "done", State.SUCCEEDED), a_job(world, title, "failed", State.FAILED)}
    with world.db.connect() as conn:
        before = job_store.figures(conn)
    of_today(world)
    assert (left(world) & gone, kept - left(world)) == (set(), set())
    with world.db.connect() as conn:
        assert {item.kind for item in job_store.figures(conn)} >= {"test.step"}
        after = {(item.kind, item.state): item for item in job_store.figures(conn)}
        bells = set(conn.scalars(select(job_store.outbox.c.job_id)))
    for item in before:
        now = after[item.kind, item.state]
        assert (now.attempts, now.cpu_s, now.wall_s) == (item.attempts, item.cpu_s, item.wall_s), "no sum that Prometheus reads ever falls"
        assert now.jobs == item.jobs - {"succeeded": 3, "cancelled": 1, "failed": 1}.get(item.state, 0)
    assert not bells & gone, "a bell without a job is nobody's"


def test_a_title_that_lost_a_rendition_keeps_all_that_tells_of_it(world: World) -> None:
    made = published(world)
    job = a_job(world, made.asset, "g0/c0", State.SUCCEEDED)
    with world.db.begin() as conn:
        lose(conn, made.asset, made.title.plan.digest, ["720p"], Lost("ffmpeg_failed", "It broke."))
    of_today(world)
    assert job in left(world)


def test_however_many_there_are_they_go_in_small_transactions(world: World) -> None:
    ready = a_title(world, AssetStatus.READY)
    made = {a_job(world, ready, str(number), State.SUCCEEDED, days=OLD_DAYS + number % 3) for number in range(7)}
    made |= {a_job(world, "", str(number), State.SUCCEEDED) for number in range(4)}
    after, rounds = None, 0
    while rounds < 20:
        with world.db.begin() as conn:
            done = old_jobs.remove_some(conn, 30, after, limit=3)
        assert done.jobs <= 3
        after, rounds = done.until, rounds + 1
        if after is None:
            break
    assert left(world) & made == set()
    assert 4 <= rounds <= 6


def test_a_setting_keeps_them_all(world: World) -> None:
    job = a_job(world, a_title(world, AssetStatus.READY), "done", State.SUCCEEDED)
    of_today(replace(world, settings=replace(world.settings, job_history_days=0)))
    assert job in left(world)


def test_bells_that_nobody_sent_go_with_their_reason(world: World) -> None:
    ready = a_title(world, AssetStatus.READY)
    done, waiting = a_job(world, ready, "done", State.SUCCEEDED, days=0), a_job(world, ready, "waiting", State.QUEUED)
    with world.db.begin() as conn:
        assert past_jobs.forget_stale_bells(conn, 100) >= 1
        bells = set(conn.scalars(select(job_store.outbox.c.job_id)))
    assert (done in bells, waiting in bells) == (False, True)


def test_what_was_measured_is_not_measured_again_when_its_job_is_gone(world: World) -> None:
    made = published(world)
    plan = made.title.plan
    row = {"asset_id": made.asset, "plan_digest": plan.digest, "rendition": "480p", "index": 1, "model": quality.MODEL, "scores": [90.0]}
    with world.db.begin() as conn:
        conn.execute(insert(quality.quality_scores).values(row))
        assert quality.want(conn, made.asset, plan, "full") == plan.grid.segment_count
        assert quality.pending(conn, made.asset) == plan.grid.segment_count - 1


def flip(world: World, made: Published, number: int) -> str:
    with world.db.connect() as conn:
        key = inventory.parts_of(conn, made.asset)[number].key
    data = bytearray(world.storage.get(key))
    data[len(data) // 2] ^= 1
    world.storage.put(key, bytes(data))
    return key


def known(world: World) -> list[str]:
    with world.db.connect() as conn:
        return [item.key for item in scrub_store.known_damage(conn)]


def report_of(world: World, night: int) -> dict[str, object]:
    with world.db.connect() as conn:
        day = Night(night).now().date().isoformat()
        [stats] = conn.scalars(select(job_store.jobs.c.stats).where(job_store.jobs.c.kind == SCRUB, job_store.jobs.c.subject == day))
    return dict(stats)


def test_every_night_goes_on_where_the_last_one_stopped_and_damage_is_told(world: World) -> None:
    made = published(world)
    with world.db.connect() as conn:
        sizes = [part.size_bytes for part in inventory.parts_of(conn, made.asset)]
    first, last = flip(world, made, 0), flip(world, made, -1)
    little = replace(world, settings=replace(world.settings, nightly_scrub_bytes=sum(sizes) // 2))
    of_today(little)
    assert known(world) == [first], "half of it was read, and what was damaged there is on record"
    assert report_of(world, 0)["whole_pass"] is False
    of_today(little, night=1)
    assert known(world) == [first, last]
    assert (report_of(world, 0)["damaged"], report_of(world, 1)["whole_pass"]) == (1, True)
    body = open_api(world).get("/readyz", signed=False).json()
    assert (body["status"], body["checks"]["stored"]["ok"]) == ("degraded", False)
    assert "headwater_damaged_objects 2.0" in open_api(world).get("/metrics", signed=False).text
    finding = doctor._stored(world.settings)
    assert finding.outcome is Outcome.FAILED
    assert first in finding.said
    assert "headwater scrub --repair" in finding.remedy


def test_damage_that_is_gone_is_not_told_any_more(world: World) -> None:
    made, other = published(world, seed=1), published(world, seed=2)
    with world.db.connect() as conn:
        good = world.storage.get(inventory.parts_of(conn, made.asset)[0].key)
    key, lost = flip(world, made, 0), flip(world, other, 0)
    scrub.scrub(world, Options())
    assert set(known(world)) == {key, lost}, "whoever finds it, it is on record"
    world.storage.put(key, good)
    with world.db.begin() as conn:
        store.delete_asset(conn, other.asset)
    scrub.scrub(world, Options(made.asset))
    assert known(world) == []
    assert doctor._stored(world.settings).outcome is Outcome.OK


def test_no_night_reads_anything_where_the_setting_says_so(world: World) -> None:
    quiet = replace(world, settings=replace(world.settings, nightly_scrub_bytes=0))
    of_today(quiet)
    with world.db.connect() as conn:
        assert conn.scalars(select(job_store.jobs.c.id).where(job_store.jobs.c.kind == SCRUB)).all() == []
    assert doctor._stored(quiet.settings).outcome is Outcome.NOT_NOW
