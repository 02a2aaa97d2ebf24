"""The job machine: every state met by every event, and what the back-off promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Retry
from kit.jobs import (
    TRANSITIONS,
    UNFINISHED,
    Cancelled,
    Claimed,
    Event,
    Failed,
    Heartbeat,
    Job,
    LeaseExpired,
    Refused,
    Released,
    State,
    Succeeded,
    advance,
    backoff_s,
    diagram,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def a_job(state: State = State.RUNNING, **fields: object) -> Job:
    running = state is State.RUNNING
    job = Job(
        id="job_1", kind="test.step", subject="one", asset_id="ast_1", args={}, priority=0, weight=1.0, state=state, attempt=1,
        max_attempts=3, epoch=7, owner="worker-a" if running else None, lease_until=NOW - timedelta(seconds=1) if running else None,
        not_before=NOW, progress=0.25, stats={"fps": 20}, error_code=None, error_detail=None, created_at=NOW, finished_at=None,
    )  # fmt: skip
    return replace(job, **fields)  # type: ignore[arg-type]


def failed(retry: Retry = Retry.COUNTED, epoch: int = 7) -> Failed:
    return Failed(epoch, "ffmpeg_error", "FFmpeg ended with code 1.", retry, 0.5, {"cpu_s": 2.0})


EVENTS: tuple[Event, ...] = (
    Claimed("worker-b", 45), Heartbeat(7, 45, 0.5, {}), Succeeded(7, {}), failed(), Released(7), LeaseExpired(), Cancelled(),
)  # fmt: skip

EXPECTED = {
    (State.QUEUED, Claimed): State.RUNNING,
    (State.QUEUED, Cancelled): State.CANCELLED,
    (State.RUNNING, Heartbeat): State.RUNNING,
    (State.RUNNING, Succeeded): State.SUCCEEDED,
    (State.RUNNING, Failed): State.QUEUED,
    (State.RUNNING, Released): State.QUEUED,
    (State.RUNNING, LeaseExpired): State.QUEUED,
    (State.RUNNING, Cancelled): State.CANCELLED,
}


@pytest.mark.parametrize(("state", "event"), list(product(State, EVENTS)), ids=lambda value: getattr(value, "value", type(value).__name__))
def test_every_state_meets_every_event(state: State, event: Event) -> None:
    expected = EXPECTED.get((state, type(event)))
    assert (expected is None) == ((state, type(event)) not in TRANSITIONS)
    if expected is None:
        with pytest.raises(Refused):
            advance(a_job(state), event, NOW)
    else:
        after = advance(a_job(state), event, NOW)
        assert after.state is expected
        assert (after.owner is None) == (after.lease_until is None) == (after.state is not State.RUNNING)
        assert (after.finished_at is None) == (after.state in UNFINISHED)


def test_the_product_above_knows_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(Event.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("event", [Heartbeat(6, 45, 0.9, {}), Succeeded(6, {}), failed(epoch=6), Released(6)])
def test_the_word_of_an_earlier_owner_does_not_count(event: Event) -> None:
    with pytest.raises(Refused, match="no longer counts"):
        advance(a_job(), event, NOW)


def test_a_claim_is_a_new_epoch_and_uses_up_an_attempt() -> None:
    job = advance(a_job(State.QUEUED, error_code="stall", error_detail="…"), Claimed("worker-b", 45), NOW)
    assert (job.owner, job.epoch, job.attempt, job.lease_until) == ("worker-b", 8, 2, NOW + timedelta(seconds=45))
    assert (job.stats, job.error_code, job.error_detail, job.progress) == ({}, None, None, 0.25)


def test_a_job_is_not_claimed_before_it_is_due() -> None:
    with pytest.raises(Refused, match="not due"):
        advance(a_job(State.QUEUED, not_before=LATER), Claimed("worker-b", 45), NOW)


def test_progress_never_falls_and_stays_within_one() -> None:
    job = advance(a_job(progress=0.6), Heartbeat(7, 45, 0.4, {"speed": 2.0}), NOW)
    assert (job.progress, job.stats, job.lease_until) == (0.6, {"fps": 20, "speed": 2.0}, NOW + timedelta(seconds=45))
    assert advance(job, Heartbeat(7, 45, 1.7, {}), NOW).progress == 1.0


def test_success_is_complete() -> None:
    job = advance(a_job(), Succeeded(7, {"cpu_s": 3.0}), NOW)
    assert (job.progress, job.stats, job.finished_at) == (1.0, {"fps": 20, "cpu_s": 3.0}, NOW)


def test_a_counted_failure_waits_and_the_last_one_is_final() -> None:
    again = advance(a_job(attempt=2), failed(), NOW)
    assert (again.state, again.attempt, again.error_code) == (State.QUEUED, 2, "ffmpeg_error")
    assert again.not_before > NOW
    final = advance(a_job(attempt=3), failed(), NOW)
    assert (final.state, final.error_code, final.error_detail, final.stats["cpu_s"]) == (
        State.FAILED, "ffmpeg_error", "FFmpeg ended with code 1.", 2.0,
    )  # fmt: skip


def test_a_failure_of_the_input_is_final_at_once() -> None:
    assert advance(a_job(attempt=1), failed(Retry.NEVER), NOW).state is State.FAILED


def test_a_free_retry_uses_up_no_attempt_however_often() -> None:
    job = a_job(State.QUEUED, attempt=0)
    for _ in range(50):
        claimed = advance(job, Claimed("worker-a", 45), LATER)
        job = advance(claimed, failed(Retry.FREE, claimed.epoch), NOW)
        assert (job.state, job.attempt) == (State.QUEUED, 0)


def test_a_job_handed_back_is_due_at_once_and_uses_up_no_attempt() -> None:
    job = advance(a_job(attempt=3), Released(7), LATER)
    assert (job.state, job.attempt, job.not_before) == (State.QUEUED, 2, LATER)


def test_a_lost_worker_uses_up_an_attempt() -> None:
    again = advance(a_job(attempt=2), LeaseExpired(), NOW)
    assert (again.state, again.attempt, again.error_code, again.not_before) == (State.QUEUED, 2, "worker_lost", NOW)
    assert advance(a_job(attempt=3), LeaseExpired(), NOW).state is State.FAILED


def test_a_lease_that_still_runs_does_not_expire() -> None:
    with pytest.raises(Refused, match="is held until"):
        advance(a_job(lease_until=LATER), LeaseExpired(), NOW)


@given(st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_backoff_grows_to_a_limit_and_spreads_over_half_of_it(attempt: int, roll: float) -> None:
    wait = backoff_s(attempt, Retry.COUNTED, roll)
    assert 2.0 <= wait <= 300.0
    assert backoff_s(attempt, Retry.COUNTED, 0.0) <= wait <= 2 * backoff_s(attempt, Retry.COUNTED, 0.0)
    assert backoff_s(attempt + 1, Retry.COUNTED, 0.0) >= backoff_s(attempt, Retry.COUNTED, 0.0)
    assert 4.0 <= backoff_s(attempt, Retry.FREE, roll) <= 8.0


@given(st.lists(st.sampled_from(range(len(EVENTS))), max_size=40), st.floats(0, 1, exclude_max=True))
def test_whatever_happens_the_invariants_hold(choices: list[int], roll: float) -> None:
    """Any history: epochs and progress only rise, attempts stay within bounds, and what has ended stays ended."""
    job, now = a_job(State.QUEUED, attempt=0, epoch=0), NOW
    for choice in choices:
        now += timedelta(minutes=10)
        event = EVENTS[choice]
        if hasattr(event, "epoch"):
            event = replace(event, epoch=job.epoch)  # type: ignore[type-var]
        try:
            after = advance(job, event, now)
        except Refused:
            continue
        assert job.state in UNFINISHED
        assert after.epoch >= job.epoch
        assert after.progress >= job.progress
        assert 0 <= after.attempt <= after.max_attempts
        job = after


def test_the_diagram_shows_the_whole_table() -> None:
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2\n    [*] --> queued\n")
    arrows = {(before, event.__name__, after) for (before, event), afters in TRANSITIONS.items() for after in afters}
    assert all(f"    {before} --> {after}: {event}\n" in drawn for before, event, after in arrows)
    assert drawn.count(" --> ") == 1 + len(arrows) + 3


def test_the_architecture_page_shows_the_same_diagram() -> None:
    page = (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text()
    _, _, rest = page.partition("<!-- job-states: generated by kit.jobs.diagram, held equal by a test -->\n")
    drawn, end, _ = rest.partition("<!-- /job-states -->")
    assert end
    assert drawn == f"```mermaid\n{diagram()}```\n"
