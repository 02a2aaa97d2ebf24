"""The flow's decisions, as values."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import pytest

import captions.steps
import catalog.steps
import ingest.steps
import packager.steps
import packager.text_refresh
import transcode.steps
from catalog import priority, store
from catalog.demand import segment_job
from kit.jobs import URGENT, Job, NewJob, State
from media.grid import SegmentGrid
from media.ids import PlanDigest
from media.plan import Chunk, EncodePlan
from media.rendition import AudioRendition, VideoRendition
from worker import flow
from worker.main import all_duties

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RATE = Fraction(24)
AUDIO = AudioRendition("audio", 1, 2, 48_000, 128_000, "mp4a.40.2", "und", "Audio")
SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}


def a_plan(*, seconds: int = 60, audio: AudioRendition | None = AUDIO, groups: tuple[tuple[str, ...], ...]) -> EncodePlan:
    grid = SegmentGrid(RATE, seconds * 24)
    video = tuple(VideoRendition(name, *SIZES[name], RATE, 23, 4_000_000, 8_000_000, 40, "veryfast", 1, "avc1.640028") for name in SIZES)
    bounds = [0, *range(1, grid.segment_count, 4), grid.segment_count]
    chunks = tuple(Chunk(index, first, end) for index, (first, end) in enumerate(pairwise(bounds)))
    return EncodePlan(PlanDigest("d1"), "s1", "encoder", grid, Fraction(0), video, () if audio is None else (audio,), chunks, groups)


PLAN = a_plan(groups=(("480p",), ("720p", "1080p")))


def by_urgency(jobs: list[NewJob]) -> list[NewJob]:
    """The order in which one worker would claim them: urgent first, then as they were made."""
    return sorted(jobs, key=lambda job: -job.priority)


def test_every_chunk_of_every_group_is_encoded_once() -> None:
    encodes = [job for job in flow.encode_jobs("ast_1", PLAN) if job.kind == flow.ENCODE]
    assert [(job.args["group"], job.args["chunk"]) for job in encodes] == [(g, c) for g in range(2) for c in range(len(PLAN.chunks))]
    assert {tuple(job.args["renditions"]) for job in encodes} == set(PLAN.groups)
    assert encodes[0].subject == "ast_1/d1/g0/c0"


def test_audio_only_where_there_is_some() -> None:
    assert [job.kind for job in flow.encode_jobs("ast_1", PLAN)].count(flow.AUDIO) == 1
    silent = a_plan(audio=None, groups=PLAN.groups)
    assert flow.AUDIO not in [job.kind for job in flow.encode_jobs("ast_1", silent)]


def test_every_job_is_its_own_and_of_its_asset() -> None:
    """Two assets with the same source have the same plan; their jobs must not be taken for each other."""
    jobs = [*flow.encode_jobs("ast_1", PLAN), *flow.encode_jobs("ast_2", PLAN)]
    jobs += [flow.publish_job(asset, "d1", stage) for asset in ("ast_1", "ast_2") for stage in ("planned", "ready")]
    assert len({(job.kind, job.subject) for job in jobs}) == len(jobs)
    assert all(job.subject.split("/")[0] == job.asset_id for job in jobs)


def test_the_lowest_rung_goes_first_where_it_has_a_group_of_its_own() -> None:
    jobs = flow.encode_jobs("ast_1", PLAN)
    order = [(job.kind, job.args.get("group")) for job in by_urgency(jobs)]
    first_group = [(flow.ENCODE, 0)] * len(PLAN.chunks)
    assert order == [(flow.AUDIO, None), (flow.POSTER, None), *first_group, *[(flow.ENCODE, 1)] * len(PLAN.chunks)]
    assert [job.args["chunk"] for job in by_urgency(jobs) if job.args.get("group") == 0] == list(range(len(PLAN.chunks)))


def test_the_opening_is_the_first_segment_of_the_lowest_rung_and_of_the_sound() -> None:
    opening = flow.opening_jobs("ast_1", PLAN)
    assert [(job.kind, job.args["rendition"], job.args["index"]) for job in opening] == [
        (flow.SEGMENT, "480p", 0),
        (flow.SEGMENT, "audio", 0),
    ]
    assert [job.args["rendition"] for job in flow.opening_jobs("ast_1", a_plan(audio=None, groups=PLAN.groups))] == ["480p"]
    asked = segment_job("ast_1", "d1", "480p", 0)  # by a viewer, at the same time
    assert (asked.kind, asked.subject) == (opening[0].kind, opening[0].subject)


def test_priorities_are_one_order() -> None:
    """From what a player waits for now, to what nobody waits for."""
    table = {name: value for name, value in vars(priority).items() if name.isupper() and name != "URGENT"}
    assert list(table.values()) == sorted(set(table.values()), reverse=True)
    assert priority.PROBE >= URGENT > priority.IMPORT  # somebody waits for these at this moment, and for nothing below


def test_publishing_and_a_new_upload_wait_for_no_encode() -> None:
    probe = NewJob(flow.PROBE, "ast_2", "ast_2", priority=priority.PROBE)
    jobs = [*flow.encode_jobs("ast_1", PLAN), *flow.opening_jobs("ast_3", PLAN), probe, flow.plan_job("ast_2")]
    jobs.append(flow.publish_job("ast_1", "d1", "planned"))
    assert [job.kind for job in by_urgency(jobs)[:5]] == [flow.PUBLISH, flow.SEGMENT, flow.SEGMENT, flow.PLAN, flow.PROBE]


def test_weights_follow_the_work() -> None:
    jobs = flow.encode_jobs("ast_1", PLAN)
    weights = {(job.args.get("group"), job.args.get("chunk")): job.weight for job in jobs}
    assert all(job.weight > 0 for job in jobs)
    assert weights[1, 1] > 3 * weights[0, 1]  # 720p and 1080p against 480p
    frames = [
        PLAN.grid.segment_bounds(chunk.end_segment - 1)[1] - PLAN.grid.segment_bounds(chunk.first_segment)[0] for chunk in PLAN.chunks
    ]
    assert sum(frames) == PLAN.grid.frames
    assert weights[0, 0] < weights[0, 1] / 50  # the opening has been made before, and that is all of it
    start = 1.0  # of any run
    assert (weights[1, 1] - start) / frames[1] == pytest.approx((weights[1, 0] - start) / frames[0])


def test_the_opening_is_not_counted_twice() -> None:
    together = a_plan(groups=(("480p", "720p", "1080p"),))
    first, second = (job for job in flow.encode_jobs("ast_1", together)[:2])
    assert together.chunks[0].segments == range(1)
    opening = 854 * 480 * 144 * 16e-9
    like_the_second = (second.weight - 1.0) / len(together.chunks[1].segments) + 1.0
    assert like_the_second - first.weight == pytest.approx(opening)


def dead(new: NewJob) -> Job:
    return Job(
        id="job_1", kind=new.kind, subject=new.subject, asset_id=new.asset_id, args=new.args, priority=new.priority, weight=new.weight,
        state=State.FAILED, attempt=3, max_attempts=3, epoch=3, owner=None, lease_until=None, not_before=NOW, progress=0.0, stats={},
        error_code="encode_failed", error_detail="…", created_at=NOW, finished_at=NOW,
    )  # fmt: skip


TOGETHER = a_plan(groups=(("480p", "720p", "1080p"),))


def test_a_chunk_of_several_rungs_that_fails_is_divided() -> None:
    job = dead(flow.encode_jobs("ast_1", TOGETHER)[1])
    cost = flow.cost_of(job, TOGETHER, {"720p"}, hopeless=False)
    assert (cost.title, cost.lost) == (False, ())
    assert [(new.subject, new.args["renditions"], new.args["chunk"], new.weight) for new in cost.instead] == [
        ("ast_1/d1/g0/c1/480p", ["480p"], 1, 0.0),
        ("ast_1/d1/g0/c1/1080p", ["1080p"], 1, 0.0),
    ]


@pytest.mark.parametrize(
    ("gone", "cost"), [((), flow.Cost(lost=("480p",))), (("720p",), flow.Cost(lost=("480p",))), (("720p", "1080p"), flow.Cost(title=True))]
)  # fmt: skip
def test_a_rung_is_lost_alone_while_another_is_left(gone: tuple[str, ...], cost: flow.Cost) -> None:
    for new in (flow.encode_jobs("ast_1", PLAN)[0], flow.opening_jobs("ast_1", PLAN)[0]):
        assert flow.cost_of(dead(new), PLAN, gone, hopeless=False) == cost


def test_what_all_need_costs_the_title_and_what_nobody_needs_nothing() -> None:
    for new in (flow.opening_jobs("ast_1", PLAN)[1], flow.encode_jobs("ast_1", PLAN)[-2], flow.plan_job("ast_1")):
        assert flow.cost_of(dead(new), PLAN, (), hopeless=False).title, new
    assert flow.cost_of(dead(flow.encode_jobs("ast_1", TOGETHER)[0]), TOGETHER, (), hopeless=True).title  # a damaged source
    for new in (flow.encode_jobs("ast_1", PLAN)[-1], segment_job("ast_1", "d1", "720p", 3)):
        assert flow.cost_of(dead(new), PLAN, (), hopeless=False) == flow.Cost()


def test_every_kind_the_flow_makes_has_exactly_one_step() -> None:
    steps = [*ingest.steps.STEPS, *transcode.steps.STEPS, *packager.steps.STEPS, *catalog.steps.STEPS]
    steps += captions.steps.steps(packager.text_refresh.refresh)
    kinds = [step.kind for step in steps]
    assert len(set(kinds)) == len(kinds)
    assert {flow.PROBE, flow.PLAN, flow.SEGMENT, flow.ENCODE, flow.AUDIO, flow.POSTER, flow.PUBLISH, store.PURGE} <= set(kinds)
    assert set(flow.FOLLOWS) <= set(kinds)
    assert set(kinds) <= set(all_duties().steps)
