"""Progress: what jobs add up to, and that it never falls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.asset import AssetStatus
from catalog.progress import PROGRESS_AGE_S, JobTally, RenditionProgress, asset_progress, rendition_progress
from kit.jobs import Job, State
from tests.tallies import tally

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGUN = NOW - timedelta(seconds=20)
PROCESSING = AssetStatus.PROCESSING


def job(kind: str, state: State = State.QUEUED, progress: float = 0.0, **fields: object) -> Job:
    made = Job(
        id="job_1", kind=kind, subject="s", asset_id="ast_1", args={}, priority=0, weight=1.0, state=state, attempt=1, max_attempts=3,
        epoch=1, owner=None, lease_until=None, not_before=BEGUN, progress=progress, stats={}, error_code=None, error_detail=None,
        created_at=BEGUN, finished_at=None,
    )  # fmt: skip
    return replace(made, **fields)  # type: ignore[arg-type]


def encode(chunk: int, *renditions: str, **fields: object) -> Job:
    made = job("transcode.encode", args={"group": 0, "chunk": chunk, "renditions": list(renditions)})
    return replace(made, **fields)  # type: ignore[arg-type]


DONE = [job("ingest.probe", State.SUCCEEDED, 1.0), job("transcode.plan", State.SUCCEEDED, 1.0)]


def test_nothing_is_done_before_the_source_is_here() -> None:
    assert asset_progress(AssetStatus.UPLOADING, tally([job("ingest.import_url", State.RUNNING, 0.9)], NOW)).progress == 0.0


def test_a_ready_asset_is_at_one_whatever_its_jobs_say() -> None:
    assert asset_progress(AssetStatus.READY, ()).progress == 1.0


def test_only_a_ready_asset_is_at_one() -> None:
    jobs = [*DONE, encode(0, "360p", state=State.SUCCEEDED, progress=1.0)]
    assert asset_progress(PROCESSING, tally(jobs, NOW)).progress == 0.99


def test_encoding_counts_by_weight() -> None:
    jobs = [*DONE, encode(0, "240p", state=State.SUCCEEDED, weight=1.0), encode(0, "360p", progress=0.5, state=State.RUNNING, weight=3.0)]
    assert asset_progress(PROCESSING, tally(jobs, NOW)).progress == pytest.approx(0.03 + 0.96 * 2.5 / 4)


def running(chunk: int, seconds: float, progress: float, **fields: object) -> Job:
    """Begun so long ago that its progress, which is a second old, took `seconds`."""
    began = NOW - timedelta(seconds=seconds + PROGRESS_AGE_S)
    return encode(chunk, "360p", id=f"job_{chunk}", state=State.RUNNING, progress=progress, started_at=began, **fields)


def ended(chunk: int, began: float, ended: float, **fields: object) -> Job:
    """`began` and `ended`: seconds ago."""
    times = {"started_at": NOW - timedelta(seconds=began), "finished_at": NOW - timedelta(seconds=ended)}
    return encode(chunk, "360p", state=State.SUCCEEDED, progress=1.0, **times, **fields)


def eta_s(*jobs: Job) -> float | None:
    return asset_progress(PROCESSING, tally([*DONE, *jobs], NOW)).eta_s


def test_the_forecast_is_what_is_left_by_the_pace_of_those_at_work() -> None:
    assert eta_s(running(0, 20.0, 0.25)) == pytest.approx(60.0)
    assert eta_s(*(running(chunk, 20.0, 0.25) for chunk in range(2)), encode(2, "360p"), encode(3, "360p")) == pytest.approx(60 + 80)


def test_the_forecast_counts_the_workers_of_the_last_minute() -> None:
    """Two workers did 10 chunks of 20 s in 100 s; then one was taken away. Ten chunks are left."""
    before = [ended(chunk, 160.0 - 20 * (chunk // 2), 140.0 - 20 * (chunk // 2)) for chunk in range(10)]
    since = [ended(10 + chunk, 60.0 - 20 * chunk, 40.0 - 20 * chunk) for chunk in range(3)]
    assert eta_s(*before, *since, *(encode(20 + chunk, "360p") for chunk in range(10))) == pytest.approx(200.0)


def test_the_forecast_forgets_how_fast_it_once_was() -> None:
    once = [ended(chunk, 1000.0 - chunk, 999.0 - chunk) for chunk in range(100)]
    lately = [ended(100 + chunk, 100.0 - 20 * chunk, 80.0 - 20 * chunk) for chunk in range(5)]
    assert eta_s(*once, *lately, *(encode(200 + chunk, "360p") for chunk in range(5))) == pytest.approx(100.0)


def test_no_more_workers_help_than_there_are_jobs() -> None:
    """Eight workers had 20 s for each chunk; one chunk is left, and its worker is alone with the machine, or has always been."""
    before = [ended(chunk, 20.0, 0.0) for chunk in range(8)]
    assert eta_s(*before, encode(8, "360p")) == pytest.approx(20.0 / 1.8, abs=0.1)
    last = running(8, 10.0, 0.5)
    assert eta_s(*before, last) == pytest.approx(10.0 / 1.8, abs=0.1)
    assert eta_s(*before, replace(last, stats={"crew": 8})) == pytest.approx(10.0 / 1.8, abs=0.1)
    assert eta_s(*before, replace(last, stats={"crew": 1})) == pytest.approx(10.0, abs=0.1)


def test_what_an_attempt_before_did_has_to_be_done_again() -> None:
    """But it still counts as progress. What is known of the present attempt decides, and a first one may say nothing of itself."""
    other = ended(0, 40.0, 0.0)
    again = running(1, 20.0, 0.75, epoch=2)
    assert asset_progress(PROCESSING, tally([*DONE, other, again], NOW)).progress == pytest.approx(0.03 + 0.96 * 1.75 / 2)
    workers, pace_s = (40 + 20 + PROGRESS_AGE_S) / 40, (20 + 19.4) / (0.5 + 0.1 * 19.4 / 20)
    assert eta_s(other, again) == pytest.approx(20.0 / workers, abs=0.1)
    assert eta_s(other, replace(again, stats={"reached": 0.5})) == pytest.approx(20.0 / workers, abs=0.1)
    assert eta_s(other, replace(again, stats={"reached": 0.1})) == pytest.approx(0.9 * (20 + 0.9 * pace_s) / workers, abs=0.1)


def test_a_job_that_shows_nothing_yet_has_used_up_its_time_so_far() -> None:
    for age_s, left_s in ((5, 15.0), (9, 11.0), (15, 10.0), (50, 10.0)):  # a fragment shows before its middle
        before = [ended(chunk, 80.0 - 20 * chunk + age_s, 60.0 - 20 * chunk + age_s) for chunk in range(4)]
        assert eta_s(*before, running(4, age_s - PROGRESS_AGE_S, 0.0)) == pytest.approx(left_s, abs=0.1)


def test_each_kind_of_work_is_judged_by_its_own_pace() -> None:
    """Sound took four times what was expected of it; that says nothing of the pictures."""
    sound = {"started_at": NOW - timedelta(seconds=40), "finished_at": NOW}
    sounds = job("transcode.audio", State.SUCCEEDED, 1.0, weight=10.0, **sound)
    assert eta_s(sounds, encode(0, "360p", weight=20.0)) is None
    assert eta_s(sounds, encode(0, "360p", weight=9.0), job("transcode.audio", weight=10.0)) == pytest.approx(4 * 19, abs=0.5)
    one = running(0, 20.0, 0.5, weight=20.0)
    assert eta_s(sounds, one, encode(1, "360p", weight=20.0)) == pytest.approx((20 + 40) / ((40 + 20.6) / 40), abs=0.1)


def test_the_last_chunks_that_wait_are_known_by_their_weights() -> None:
    """Two workers. A long chunk that comes first is over when the short ones are; one that comes last is not."""
    before = [ended(chunk, 20.0, 0.0) for chunk in range(2)]
    waiting = [encode(2 + at, "360p", weight=weight) for at, weight in enumerate([3.0, 1.0, 1.0, 1.0])]
    assert eta_s(*before, *waiting) == pytest.approx(60.0)
    assert eta_s(*before, *reversed(waiting)) == pytest.approx(20 + 20 + 40 / 1.8, abs=0.1)


def test_no_forecast_while_nobody_works_for_it() -> None:
    assert eta_s(ended(0, 200.0, 100.0), encode(1, "360p")) is None
    assert eta_s(encode(0, "360p", progress=0.5)) is None


def test_what_viewers_ask_for_counts_nothing() -> None:
    asked = job("transcode.segment", State.SUCCEEDED, 1.0, weight=0.0, started_at=BEGUN, finished_at=NOW)
    assert eta_s(running(0, 20.0, 0.25), *[asked] * 20) == pytest.approx(60.0)


def test_what_was_begun_of_another_file_counts_nothing() -> None:
    jobs = [encode(0, "360p", state=State.CANCELLED, progress=0.5), encode(0, "360p", state=State.SUCCEEDED, progress=1.0)]
    assert asset_progress(PROCESSING, tally([*DONE, *jobs], NOW)).progress == 0.99
    assert rendition_progress("360p", "video", PROCESSING, tally(jobs, NOW)).status == "ready"


def test_no_forecast_without_anything_to_go_by() -> None:
    assert asset_progress(PROCESSING, tally([*DONE, encode(0, "360p", progress=0.01, state=State.RUNNING)], NOW)).eta_s is None


def test_no_forecast_for_what_was_given_up() -> None:
    assert asset_progress(AssetStatus.ERRORED, tally([*DONE, encode(0, "360p", progress=0.5)], NOW)).eta_s is None


@pytest.mark.parametrize(
    ("jobs", "wanted"),
    [
        ([], RenditionProgress("waiting", 0.0, None)),
        ([encode(0, "360p")], RenditionProgress("waiting", 0.0, None)),
        ([encode(0, "240p", state=State.RUNNING, progress=0.5)], RenditionProgress("waiting", 0.0, None)),
        ([encode(0, "360p", state=State.RUNNING, stats={"fps": 40})], RenditionProgress("encoding", 0.0, 40.0)),
        (
            [encode(c, "360p", "720p", state=State.RUNNING, progress=0.5, stats={"fps": 20.0}) for c in (0, 1)],
            RenditionProgress("encoding", 0.5, 40.0),
        ),
        ([encode(0, "360p", state=State.SUCCEEDED, stats={"fps": 99}), encode(1, "360p")], RenditionProgress("encoding", 0.5, None)),
        ([encode(0, "360p", state=State.SUCCEEDED)], RenditionProgress("ready", 1.0, None)),
        (
            [encode(0, "360p", state=State.SUCCEEDED), encode(1, "360p", state=State.FAILED, progress=0.5)],
            RenditionProgress("failed", 0.75, None),
        ),
    ],
)  # fmt: skip
def test_a_rendition(jobs: list[Job], wanted: RenditionProgress) -> None:
    assert rendition_progress("360p", "video", PROCESSING, tally(jobs, NOW)) == wanted


def test_a_chunk_that_was_divided_goes_on_in_its_parts() -> None:
    divided = encode(1, "360p", "720p", state=State.FAILED, progress=0.5)
    done = encode(0, "360p", "720p", state=State.SUCCEEDED)
    waiting = tally([done, divided, encode(1, "360p", weight=0.0), encode(1, "720p", weight=0.0, state=State.FAILED)], NOW)
    assert rendition_progress("360p", "video", PROCESSING, waiting) == RenditionProgress("encoding", 0.75, None)
    assert rendition_progress("720p", "video", PROCESSING, waiting, lost=True) == RenditionProgress("failed", 0.75, None)
    over = tally([done, divided, encode(1, "360p", weight=0.0, state=State.SUCCEEDED)], NOW)
    assert rendition_progress("360p", "video", PROCESSING, over) == RenditionProgress("ready", 1.0, None)
    assert asset_progress(PROCESSING, over).progress >= asset_progress(PROCESSING, tally([done, divided], NOW)).progress
    assert rendition_progress("720p", "video", AssetStatus.READY, over, lost=True).status == "failed"


def test_audio_has_a_job_of_its_own() -> None:
    jobs = [encode(0, "360p", state=State.SUCCEEDED), job("transcode.audio", State.RUNNING, 0.5)]
    assert rendition_progress("audio", "audio", PROCESSING, tally(jobs, NOW)).progress == 0.5


def test_what_was_not_finished_of_a_failed_asset_has_failed() -> None:
    cancelled = tally([encode(0, "360p", state=State.CANCELLED)], NOW)
    assert rendition_progress("360p", "video", AssetStatus.ERRORED, cancelled).status == "failed"
    finished = tally([encode(0, "240p", state=State.SUCCEEDED)], NOW)
    assert rendition_progress("240p", "video", AssetStatus.ERRORED, finished).status == "ready"


def stages(seeds: list[float]) -> list[list[Job]]:
    """An asset's jobs at successive moments: probing, planning, then encoding, each job's progress rising."""
    moments: list[list[Job]] = [[job("ingest.probe", State.RUNNING, 0.4)]]
    moments.append([DONE[0], job("transcode.plan", State.RUNNING)])
    fractions = [0.0] * 4
    for seed in seeds:
        fractions[int(seed * 4) % 4] = max(fractions[int(seed * 4) % 4], (seed * 7) % 1.0)
        work = [encode(c, "360p", progress=p, state=State.RUNNING, weight=c + 1.0) for c, p in enumerate(fractions)]
        moments.append([*DONE, *work, job("transcode.audio", State.SUCCEEDED, weight=0.5)])
    return moments


@given(st.lists(st.floats(0, 1), max_size=20))
def test_progress_never_falls(seeds: list[float]) -> None:
    shown = [asset_progress(PROCESSING, tally(moment, NOW)).progress for moment in stages(seeds)]
    assert shown == sorted(shown)
    assert all(0 <= value < 1 for value in shown)


def test_jobs_that_are_alike_are_summed_up_and_those_that_run_stand_by_themselves() -> None:
    queued = [encode(c, "360p", weight=2.0) for c in range(1000)]
    at_work = [running(c, 9.0, 0.5, weight=2.0, stats={"fps": 10, "crew": 2}) for c in range(2)]
    waiting, *others = tally([*queued, *at_work], NOW)
    nothing = {"done_weight": 0.0, "own_weight": 0.0, "fps": 0.0, "pace_weight": 0.0, "pace_s": 0.0, "lately_s": 0.0, "age_s": 0.0}
    assert waiting == JobTally("transcode.encode", ("360p",), State.QUEUED, 1000, 2000.0, **nothing, crew=0.0, last=(2.0,) * 32)
    age_s = 9.0 + PROGRESS_AGE_S
    figures = {"done_weight": 1.0, "own_weight": 1.0, "fps": 10.0, "pace_weight": 1.0, "pace_s": 9.0, "lately_s": age_s, "age_s": age_s}
    assert others == [JobTally("transcode.encode", ("360p",), State.RUNNING, 1, 2.0, **figures, crew=2.0, last=())] * 2
