"""The flow on a live database: fan-in exactly once however many finish at once, and what happens to a title that fails or goes."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection, text

import catalog.store
from catalog import lost, pictures, priority, views
from catalog.asset import AssetStatus, NewAsset, NewPresentation
from catalog.demand import want_segment
from catalog.lost import Lost
from ingest.received import received
from kit import job_store
from kit.errors import NotFound, Rejected, StepFailed
from kit.jobs import Job, NewJob, State
from kit.step import Beat, Step, run_step
from kit.world import World
from media import keys
from media.ids import AssetId
from media.plan import EncodePlan
from media.protection import Protection, Scheme
from media.segments import Fragment, MeasuredSegment
from tests.assets import renamed
from tests.titles import plan_of
from transcode.ffmpeg.run import niceness
from worker import flow
from worker.flow import VideoFlow
from worker.sweeper import sweep_jobs

PLAN = plan_of(rungs=("480p", "720p", "1080p"))


@dataclass
class Factory:
    """Steps of the real kinds, whose work is only to take a moment, on real assets."""

    world: World
    plan: EncodePlan = PLAN
    ran: list[str] = field(default_factory=list)
    troubles: dict[str, Callable[[], None]] = field(default_factory=dict)  # by kind

    def steps(self) -> dict[str, Step]:
        saves: dict[str, Callable[[Connection, World, Job, Any], None]] = {
            flow.PLAN: self.save_plan,
            flow.SEGMENT: self.save_segment,
            flow.PUBLISH: self.publish,
        }
        kinds = (flow.PROBE, flow.PLAN, flow.SEGMENT, flow.ENCODE, flow.AUDIO, flow.POSTER, flow.PUBLISH)
        return {kind: Step(kind, self.run, saves.get(kind, lambda *_: None)) for kind in kinds}

    def run(self, world: World, job: Job, beat: Beat) -> None:
        self.ran.append(f"{job.kind} {job.subject}")
        time.sleep(random.uniform(0, 0.01))
        if job.kind in self.troubles:
            self.troubles[job.kind]()

    def save_plan(self, conn: Connection, world: World, job: Job, result: Any) -> None:
        inits = {rung.name: b"init" for rung in self.plan.video} | ({"audio": b"init"} if self.plan.audio else {})
        catalog.store.save_plan(conn, AssetId(job.asset_id), self.plan, inits)

    def save_segment(self, conn: Connection, world: World, job: Job, result: Any) -> None:
        made = MeasuredSegment(job.args["index"], 1, "0" * 64, 0, 6000, (Fragment(0, 1, 1, 6000),))
        catalog.store.save_segments(conn, job.asset_id, self.plan.digest, job.args["rendition"], [made])

    def publish(self, conn: Connection, world: World, job: Job, result: Any) -> None:
        stage = job.subject.rpartition("/")[2]
        catalog.store.publish(conn, job.asset_id, NewPresentation(self.plan.digest, stage, {}, has_poster=False))  # type: ignore[arg-type]

    def receive(self) -> AssetId:
        with self.world.db.begin() as conn:
            asset = catalog.store.create_asset(conn, NewAsset(title="A title"))
            received(conn, asset.id, keys.source(asset.id), 1000)
        return asset.id

    def work(self, workers: int = 6) -> None:
        """Until nothing is ready for anybody."""
        steps, empty = self.steps(), False

        def look() -> None:
            """All have seen an empty queue, but the last to finish may have filled it again, and a wait may be over."""
            nonlocal empty
            ready = "SELECT count(*) FROM jobs WHERE state = 'queued' AND not_before <= now() AND kind = ANY(:kinds)"
            with self.world.db.begin() as conn:
                empty = conn.scalar(text(ready), {"kinds": list(steps)}) == 0

        idle = threading.Barrier(workers, action=look)  # one looks for all: two might see different things

        def one(number: int) -> None:
            with contextlib.suppress(threading.BrokenBarrierError):  # somebody else has failed, and says how
                while not empty:
                    try:
                        while run_step(self.world, steps, VideoFlow(), f"worker-{number}"):
                            pass
                    except BaseException:
                        idle.abort()
                        raise
                    idle.wait(60)

        with ThreadPoolExecutor(workers) as threads:
            for done in [threads.submit(one, number) for number in range(workers)]:
                done.result()
        assert empty, "somebody did not come to look for a minute"

    def asset(self, asset_id: AssetId) -> Any:
        with self.world.db.begin() as conn:
            return catalog.store.get_asset(conn, asset_id)

    def jobs(self, asset_id: AssetId, *kinds: str) -> list[Job]:
        with self.world.db.begin() as conn:
            made = [job for job in job_store.jobs_of_asset(conn, asset_id) if job.kind not in pictures.EXTRAS]  # which nobody needs
        return [job for job in made if not kinds or job.kind in kinds]


@pytest.fixture
def factory(world: World) -> Factory:
    return Factory(world)


def with_chunks(plan: EncodePlan, chunks: int) -> EncodePlan:
    from media.grid import SegmentGrid
    from media.plan import Chunk

    grid = SegmentGrid(plan.grid.frame_rate, plan.grid.segment_frames * chunks)
    return dataclasses.replace(plan, grid=grid, chunks=tuple(Chunk(index, index, index + 1) for index in range(chunks)))


def test_a_title_becomes_playable_and_ready_once_whoever_finishes_last(factory: Factory) -> None:
    factory.plan = with_chunks(PLAN, 12)
    titles = [factory.receive() for _ in range(4)]
    factory.work()
    for title in titles:
        jobs = factory.jobs(title)
        assert {job.state for job in jobs} == {State.SUCCEEDED}
        assert sorted(job.subject.rpartition("/")[2] for job in jobs if job.kind == flow.PUBLISH) == ["planned", "ready"]
        assert [job.attempt for job in jobs] == [1] * len(jobs)
        asset = factory.asset(title)
        assert asset.status is AssetStatus.READY
        assert asset.playable_at <= asset.ready_at
    assert len(set(factory.ran)) == len(factory.ran) == 4 * (2 + 2 + 24 + 2 + 2)


def test_a_title_is_playable_with_its_opening_and_before_anything_else(factory: Factory) -> None:
    factory.plan = with_chunks(PLAN, 12)
    seen: list[bool] = []
    title = factory.receive()
    factory.troubles[flow.ENCODE] = lambda: seen.append(factory.asset(title).playable)
    factory.work(1)
    assert seen and all(seen)
    kinds = [word.split()[0] for word in factory.ran]
    assert kinds[:5] == [flow.PROBE, flow.PLAN, flow.PUBLISH, flow.SEGMENT, flow.SEGMENT]


def test_a_short_title_is_not_stuck_behind_a_long_one(factory: Factory) -> None:
    """Each asset gets its turn: one worker, a film of 40 chunks, and a clip that comes later."""
    factory.plan = with_chunks(PLAN, 40)
    film = factory.receive()
    clips: list[AssetId] = []

    def come() -> None:
        if not clips and sum(word.startswith(flow.ENCODE) for word in factory.ran) > 5:
            factory.plan = with_chunks(renamed(PLAN, "clip"), 3)
            clips.append(factory.receive())

    factory.troubles[flow.ENCODE] = come
    factory.work(1)
    order = [word for word in factory.ran if word.startswith(flow.ENCODE)]
    ends = max(at for at, word in enumerate(order) if clips[0] in word)
    before = sum(film in word for word in order[:ends])
    assert before <= 6 + 2 * 3 + 2  # what was done when it came, and at most one of the film's for each of its own


def test_what_a_viewer_asks_for_overtakes_everything(factory: Factory) -> None:
    factory.plan = with_chunks(PLAN, 20)
    title = factory.receive()
    asked: list[int] = []

    def ask() -> None:
        if not asked:
            asked.append(len(factory.ran))
            with factory.world.db.begin() as conn:
                for _ in range(3):
                    want_segment(conn, title, factory.plan.digest, "480p", 15)

    factory.troubles[flow.ENCODE] = ask
    factory.work(1)
    following = factory.ran[asked[0] :]
    assert following[0] == f"{flow.SEGMENT} {title}/{factory.plan.digest}/480p/15"
    assert [word.rpartition("/")[2] for word in following[1:4]] == ["c15", "c16", "c17"]  # and what its viewer will come to next
    assert sum(word.endswith("/480p/15") for word in factory.ran) == 1


def test_a_segment_behind_one_that_is_there_can_wait_a_little(factory: Factory) -> None:
    """Its player has that one to play. Behind a gap, somebody looks at a still picture."""
    factory.plan = with_chunks(PLAN, 20)
    title = factory.receive()
    asked: dict[int, int] = {}

    def ask() -> None:
        if not asked:
            with factory.world.db.begin() as conn:
                for index in (1, 15):
                    want_segment(conn, title, factory.plan.digest, "480p", index)
            asked.update((job.args["index"], job.priority) for job in factory.jobs(title, flow.SEGMENT) if job.args["rendition"] == "480p")

    factory.troubles[flow.ENCODE] = ask
    factory.work(1)
    assert asked == {0: priority.OPENING, 1: priority.NEXT, 15: priority.DEMAND}
    assert niceness(priority.DEMAND) < niceness(priority.NEXT) < niceness(priority.CHUNK)


def test_one_that_finishes_at_once_is_published_once(factory: Factory) -> None:
    """One chunk, one rung, no sound: what makes it playable makes it ready."""
    factory.plan = plan_of(rungs=("480p",), audio=None)
    title = factory.receive()
    factory.work(1)
    assert factory.asset(title).status is AssetStatus.READY
    stages = [job.subject.rpartition("/")[2] for job in factory.jobs(title, flow.PUBLISH)]
    assert stages[-1] == "ready"


def test_two_titles_with_one_source_have_their_own_work(factory: Factory) -> None:
    first, second = factory.receive(), factory.receive()
    factory.work()
    assert len(factory.jobs(first)) == len(factory.jobs(second)) == 2 + 2 + 2 + 2 + 2
    assert {factory.asset(title).status for title in (first, second)} == {AssetStatus.READY}


def test_a_refused_source_ends_in_its_reason(factory: Factory) -> None:
    def refuse() -> None:
        raise Rejected("The file has no video.", code="no_video_stream")

    factory.troubles[flow.PROBE] = refuse
    title = factory.receive()
    factory.work()
    asset = factory.asset(title)
    assert (asset.status, asset.error_code, asset.error_detail) == (AssetStatus.ERRORED, "no_video_stream", "The file has no video.")
    assert [job.kind for job in factory.jobs(title)] == [flow.PROBE]


def test_a_step_that_all_need_cancels_its_siblings(factory: Factory) -> None:
    factory.plan = with_chunks(PLAN, 12)

    def refuse() -> None:
        raise Rejected("The sound cannot be decoded.", code="decode_failed")

    factory.troubles[flow.AUDIO] = refuse
    broken = factory.receive()
    factory.work()
    asset = factory.asset(broken)
    assert (asset.status, asset.error_code) == (AssetStatus.ERRORED, "decode_failed")
    states = {job.state for job in factory.jobs(broken, flow.ENCODE, flow.POSTER)}
    assert State.CANCELLED in states
    assert states <= {State.CANCELLED, State.SUCCEEDED}
    assert [job.subject.rpartition("/")[2] for job in factory.jobs(broken, flow.PUBLISH)] == ["planned"]


def poisoned(factory: Factory, poison: Callable[[Job], bool]) -> AssetId:
    """A title that was worked on until nothing is left to do, where every run of such a job breaks."""
    plain = factory.run

    def run(world: World, job: Job, beat: Beat) -> None:
        plain(world, job, beat)
        if poison(job):
            raise StepFailed("The encoder crashed.", code="encode_failed")

    factory.run = run  # type: ignore[method-assign]
    title = factory.receive()
    for _ in range(9):
        factory.work(2)
        with factory.world.db.begin() as conn:  # whoever has to wait for another attempt need not
            conn.execute(text("UPDATE jobs SET not_before = clock_timestamp() WHERE state = 'queued'"))
    return title


def shown(factory: Factory, title: AssetId) -> dict[str, str]:
    with factory.world.db.begin() as conn:
        [view] = views.load(conn, [catalog.store.get_asset(conn, title)], factory.world.clock.now())
    return {item.row.name: item.progress.status for item in view.renditions}


TOGETHER = dataclasses.replace(renamed(PLAN, "together"), groups=(("480p", "720p", "1080p"),))


def test_a_rung_that_cannot_be_encoded_is_left_out_and_the_others_go_on(factory: Factory) -> None:
    factory.plan = with_chunks(TOGETHER, 3)
    title = poisoned(factory, lambda job: job.kind == flow.ENCODE and job.args["chunk"] == 1 and "720p" in job.args["renditions"])
    assert factory.asset(title).status is AssetStatus.READY
    assert shown(factory, title) == {"480p": "ready", "720p": "failed", "1080p": "ready", "audio": "ready"}
    broken = [job for job in factory.jobs(title) if job.state is State.FAILED]
    assert [(job.subject.rpartition("/")[2], job.attempt, job.error_code) for job in broken] == [
        ("c1", 3, "encode_failed"),
        ("720p", 3, "encode_failed"),
    ]
    assert {job.state for job in factory.jobs(title)} == {State.SUCCEEDED, State.FAILED}  # nobody was cancelled
    with factory.world.db.begin() as conn:
        assert lost.causes(conn, [title]) == {(title, factory.plan.digest, "720p"): Lost("encode_failed", "The encoder crashed.")}
        with pytest.raises(NotFound):
            want_segment(conn, title, factory.plan.digest, "720p", 2)
        want_segment(conn, title, factory.plan.digest, "1080p", 2)


@pytest.mark.parametrize("scheme", [None, "cbcs", "aes-128"])
def test_what_was_promised_does_not_name_what_was_lost(factory: Factory, scheme: Scheme | None) -> None:
    """The playlist and, but for segments that are encrypted whole, the DASH manifest."""
    factory.plan = with_chunks(renamed(PLAN, f"promised-{scheme}"), 2)
    if scheme is not None:
        factory.plan = dataclasses.replace(factory.plan, protection=Protection(scheme, "00112233445566778899aabbccddeeff"))
    broken = (f"{flow.SEGMENT} 480p", f"{flow.PUBLISH} ready")
    title = poisoned(factory, lambda job: f"{job.kind} {job.args.get('rendition', job.subject.rpartition('/')[2])}" in broken)
    with factory.world.db.begin() as conn:
        found = catalog.store.current_presentation(conn, title)
    assert found is not None
    assert (found.stage, "/720p/index.m3u8" in found.multivariant["playlist"]) == ("planned", True)
    assert found.multivariant["bare"] == found.multivariant["playlist"]  # it has no text tracks
    assert "480p" not in found.multivariant["playlist"]
    manifest = "".join(found.multivariant.get("dash", {}).values())
    assert re.findall('Representation id="([^"]+)"', manifest) == ([] if scheme == "aes-128" else ["720p", "1080p", "audio", "thumbnails"])
    keys_named = re.findall('cenc:default_KID="([^"]+)"', manifest)
    assert keys_named == (["00112233-4455-6677-8899-aabbccddeeff"] * 2 if scheme == "cbcs" else [])
    assert factory.asset(title).status is AssetStatus.ERRORED  # for want of a publication; every chunk was made all the same
    assert {job.state for job in factory.jobs(title, flow.ENCODE)} == {State.SUCCEEDED}


def test_without_its_opening_a_title_begins_with_the_next_rung(factory: Factory) -> None:
    factory.plan = with_chunks(TOGETHER, 2)
    title = poisoned(factory, lambda job: job.kind == flow.SEGMENT and job.args["rendition"] == "480p")
    assert factory.asset(title).status is AssetStatus.READY
    assert shown(factory, title) == {"480p": "failed", "720p": "ready", "1080p": "ready", "audio": "ready"}


def test_a_title_with_no_rung_left_is_given_up(factory: Factory) -> None:
    factory.plan = with_chunks(TOGETHER, 2)
    title = poisoned(factory, lambda job: job.kind == flow.ENCODE)
    asset = factory.asset(title)
    assert (asset.status, asset.error_code) == (AssetStatus.ERRORED, "encode_failed")
    assert set(shown(factory, title).values()) == {"failed", "ready"}  # the sound is whole


def test_a_title_does_without_a_poster(factory: Factory) -> None:
    title = poisoned(factory, lambda job: job.kind == flow.POSTER)
    assert factory.asset(title).status is AssetStatus.READY


def test_a_title_whose_worker_is_lost_too_often_is_given_up(factory: Factory) -> None:
    title = factory.receive()
    for _ in range(3):
        with factory.world.db.begin() as conn:
            assert job_store.claim(conn, "worker-doomed") is not None
            conn.execute(text("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 second'"))
        swept = sweep_jobs(factory.world, VideoFlow())
    assert (swept.requeued, swept.given_up) == (0, 1)
    asset = factory.asset(title)
    assert (asset.status, asset.error_code) == (AssetStatus.ERRORED, "worker_lost")


def test_two_sweepers_at_once_are_as_good_as_one(factory: Factory) -> None:
    titles = [factory.receive() for _ in range(10)]
    with factory.world.db.begin() as conn:
        while job_store.claim(conn, "worker-doomed") is not None:
            pass
        conn.execute(text("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 second'"))
    with ThreadPoolExecutor(3) as threads:
        swept = list(threads.map(lambda _: sweep_jobs(factory.world, VideoFlow()), range(3)))
    assert sum(one.requeued for one in swept) == len(titles)
    assert {job.attempt for title in titles for job in factory.jobs(title)} == {1}


def test_deleting_titles_in_the_middle_of_everything_harms_nobody(factory: Factory) -> None:
    """Deleting locks the asset and then its jobs, as finishing does, so nobody waits in a circle; and nothing is made for the dead."""
    factory.plan = with_chunks(PLAN, 10)
    doomed, kept = [factory.receive() for _ in range(5)], [factory.receive() for _ in range(3)]

    def delete_all() -> None:
        for title in doomed:
            time.sleep(0.05)
            with factory.world.db.begin() as conn:
                catalog.store.delete_asset(conn, title)

    with ThreadPoolExecutor(1) as threads:
        deleting = threads.submit(delete_all)
        factory.work()
        deleting.result()
    factory.work()
    for title in doomed:
        assert factory.asset(title).status is AssetStatus.DELETED
        unfinished = {job.kind for job in factory.jobs(title) if job.state in (State.QUEUED, State.RUNNING)}
        assert unfinished <= {catalog.store.PURGE}
    for title in kept:
        assert factory.asset(title).status is AssetStatus.READY


def test_a_job_of_an_asset_that_never_was_can_still_end(factory: Factory) -> None:
    with factory.world.db.begin() as conn:
        job = job_store.enqueue(conn, NewJob(flow.POSTER, "ast_none/d1/poster", "ast_none"))

    def refuse() -> None:
        raise Rejected("There is nothing to show.", code="no_video_stream")

    factory.troubles[flow.POSTER] = refuse
    factory.work(1)
    with factory.world.db.begin() as conn:
        after = job_store.get(conn, job.id)
    assert after is not None
    assert after.state is State.FAILED
