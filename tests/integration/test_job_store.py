"""Jobs on a live PostgreSQL: one owner at a time, nothing lost, nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, select, text

from kit import db, job_store
from kit.errors import Rejected, StepFailed, Unavailable
from kit.jobs import Job, NewJob, Refused, State


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = db.connect(database_url)
    yield engine
    engine.dispose()


def a_job(subject: str = "one", **fields: object) -> NewJob:
    return NewJob(**{"kind": "test.step", "subject": subject, "asset_id": "ast_1", **fields})  # type: ignore[arg-type]


def put(engine: Engine, *wanted: NewJob) -> tuple[Job, ...]:
    with engine.begin() as conn:
        return job_store.enqueue_all(conn, wanted)


def claimed(engine: Engine, owner: str = "worker-a", **more: object) -> Job:
    with engine.begin() as conn:
        job = job_store.claim(conn, owner, **more)  # type: ignore[arg-type]
    assert job is not None
    return job


def current(engine: Engine, job: Job) -> Job:
    with engine.begin() as conn:
        found = job_store.get(conn, job.id)
    assert found is not None
    return found


def bells(engine: Engine) -> list[str]:
    with engine.begin() as conn:
        return [bell.job_id for bell in job_store.take_bells(conn)]


def silence(engine: Engine) -> None:
    with engine.begin() as conn:
        job_store.forget_bells(conn, job_store.take_bells(conn))


def let_expire(engine: Engine, job: Job) -> None:
    with engine.begin() as conn:
        conn.execute(text("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 second' WHERE id = :id"), {"id": job.id})


def test_the_same_work_is_one_job_with_one_bell(engine: Engine) -> None:
    [first], [second] = put(engine, a_job(args={"n": 1})), put(engine, a_job(args={"n": 2}))
    assert first == second
    assert first.args == {"n": 1}
    assert bells(engine) == [first.id]


def test_one_that_another_has_put_off_meanwhile_is_passed_over(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of what is due that is older than the delay of what is on it."""
    put(engine, a_job(delay_s=60))
    monkeypatch.setattr(job_store, "_by_urgency", lambda *_: select(job_store.jobs.c.id))
    with engine.begin() as conn:
        assert job_store.claim(conn, "worker-a") is None


def test_one_call_may_ask_twice_and_gets_answers_in_order(engine: Engine) -> None:
    [known] = put(engine, a_job("known"))
    got = put(engine, a_job("b"), a_job("known"), a_job("a"), a_job("b"))
    assert [job.subject for job in got] == ["b", "known", "a", "b"]
    assert got[1] == known
    assert len(bells(engine)) == 3


def test_many_jobs_are_made_and_run_in_the_order_given(engine: Engine) -> None:
    names = [f"{number:04d}" for number in range(1203)]
    put(engine, *map(a_job, names))
    assert [claimed(engine).subject for _ in range(20)] == names[:20]
    with engine.begin() as conn:
        assert [job.subject for job in job_store.jobs_of_asset(conn, "ast_1")] == names


def test_a_transaction_that_fails_leaves_neither_job_nor_bell(engine: Engine) -> None:
    with pytest.raises(RuntimeError), engine.begin() as conn:
        job_store.enqueue(conn, a_job())
        raise RuntimeError
    with engine.begin() as conn:
        assert job_store.claim(conn, "worker-a") is None
    assert bells(engine) == []


def test_two_transactions_that_ask_for_the_same_work_make_one_job(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [job for [job] in threads.map(lambda _: put(engine, a_job()), range(32))]
    assert len({job.id for job in made}) == 1
    assert len(bells(engine)) == 1


def test_the_most_urgent_job_is_claimed_first(engine: Engine) -> None:
    put(engine, a_job("later"), a_job("urgent", priority=5), a_job("last", priority=-1), a_job("later too"))
    assert [claimed(engine).subject for _ in range(4)] == ["urgent", "later", "later too", "last"]


def test_only_asked_kinds_are_claimed(engine: Engine) -> None:
    put(engine, a_job("other", kind="test.other", priority=9), a_job("mine"))
    assert claimed(engine, kinds=["test.step"]).subject == "mine"
    with engine.begin() as conn:
        assert job_store.claim(conn, "worker-a", kinds=["test.step"]) is None


def test_of_two_claimers_one_wins_and_the_other_does_not_wait(engine: Engine) -> None:
    put(engine, a_job())
    with engine.begin() as first, engine.begin() as second:
        won, lost = job_store.claim(first, "worker-a"), job_store.claim(second, "worker-b")
    assert won is not None
    assert (won.state, won.owner, won.epoch, won.attempt) == (State.RUNNING, "worker-a", 1, 1)
    assert lost is None


def test_a_crowd_of_claimers_gets_every_job_once(engine: Engine) -> None:
    made = put(engine, *(a_job(str(number)) for number in range(60)))

    def claim_all(owner: int) -> list[str]:
        got = []
        while True:
            with engine.begin() as conn:
                job = job_store.claim(conn, f"worker-{owner}")
            if job is None:
                return got
            got.append(job.id)

    with ThreadPoolExecutor(8) as threads:
        got = [job_id for ids in threads.map(claim_all, range(8)) for job_id in ids]
    assert sorted(got) == sorted(job.id for job in made)


def test_a_heartbeat_renews_and_brings_news(engine: Engine) -> None:
    put(engine, a_job())
    job = claimed(engine)
    let_expire(engine, job)
    with engine.begin() as conn:
        assert job_store.heartbeat(conn, job, 0.5, {"fps": 51.2})
    after = current(engine, job)
    assert (after.progress, after.stats) == (0.5, {"fps": 51.2})
    assert after.lease_until is not None and job.lease_until is not None
    assert after.lease_until > job.lease_until
    with engine.begin() as conn:
        assert job_store.expired(conn) == []
        with pytest.raises(Refused):
            job_store.expire(conn, job.id)


def test_a_lost_worker_is_replaced_and_its_word_no_longer_counts(engine: Engine) -> None:
    put(engine, a_job())
    old = claimed(engine, "worker-a")
    silence(engine)
    let_expire(engine, old)
    with engine.begin() as conn:
        assert [job.id for job in job_store.expired(conn)] == [old.id]
        back = job_store.expire(conn, old.id)
    assert (back.state, back.error_code, back.attempt) == (State.QUEUED, "worker_lost", 1)
    assert bells(engine) == [old.id]
    new = claimed(engine, "worker-b")
    assert (new.id, new.epoch, new.attempt) == (old.id, 2, 2)
    with engine.begin() as conn:
        assert not job_store.heartbeat(conn, old, 0.9, {})
    for word in (
        lambda conn: job_store.finish(conn, old, {}),
        lambda conn: job_store.fail(conn, old, StepFailed("…"), 0.5, {}),
        lambda conn: job_store.release(conn, old),
    ):
        with pytest.raises(Refused), engine.begin() as conn:
            word(conn)
    with engine.begin() as conn:
        assert job_store.finish(conn, new, {"cpu_s": 1.5}).state is State.SUCCEEDED
    with pytest.raises(Refused), engine.begin() as conn:
        job_store.finish(conn, new, {})
    assert current(engine, new).owner is None


def test_a_job_that_loses_every_worker_fails(engine: Engine) -> None:
    put(engine, a_job(max_attempts=2))
    for expected in (State.QUEUED, State.FAILED):
        job = claimed(engine)
        let_expire(engine, job)
        with engine.begin() as conn:
            assert job_store.expire(conn, job.id).state is expected
    assert current(engine, job).error_code == "worker_lost"


def test_two_sweepers_expire_a_job_once(engine: Engine) -> None:
    put(engine, a_job())
    job = claimed(engine)
    let_expire(engine, job)

    def expire(_: int) -> bool:
        try:
            with engine.begin() as conn:
                job_store.expire(conn, job.id)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(expire, range(8))) == 1


def test_a_failed_job_waits_for_its_next_attempt(engine: Engine) -> None:
    put(engine, a_job())
    job = claimed(engine)
    with engine.begin() as conn:
        after = job_store.fail(conn, job, StepFailed("FFmpeg ended with code 1.", code="ffmpeg_error"), 0.5, {"cpu_s": 2.0})
        assert job_store.claim(conn, "worker-b") is None
    assert after == current(engine, job)
    assert (after.state, after.error_code, after.error_detail, after.stats) == (
        State.QUEUED, "ffmpeg_error", "FFmpeg ended with code 1.", {"cpu_s": 2.0},
    )  # fmt: skip


def test_what_the_input_is_guilty_of_is_final_and_what_nobody_is_guilty_of_is_free(engine: Engine) -> None:
    put(engine, a_job("bad"), a_job("unlucky"))
    bad, unlucky = claimed(engine), claimed(engine)
    with engine.begin() as conn:
        assert job_store.fail(conn, bad, Rejected("No video.", code="no_video_stream"), 0.5, {}).state is State.FAILED
        after = job_store.fail(conn, unlucky, Unavailable("The store is away."), 0.5, {})
    assert (after.state, after.attempt) == (State.QUEUED, 0)


def test_a_job_handed_back_is_ready_at_once(engine: Engine) -> None:
    put(engine, a_job())
    job = claimed(engine)
    silence(engine)
    with engine.begin() as conn:
        job_store.release(conn, job)
    assert bells(engine) == [job.id]
    again = claimed(engine, "worker-b")
    assert (again.id, again.attempt, again.epoch) == (job.id, 1, 2)


def test_cancelling_an_asset_ends_its_work_and_nobody_elses(engine: Engine) -> None:
    put(engine, a_job("running"), a_job("waiting"), a_job("other", asset_id="ast_2"))
    running = claimed(engine)
    with engine.begin() as conn:
        assert job_store.unfinished(conn, "ast_1") == 2
        assert job_store.unfinished(conn, "ast_1", ["test.other"]) == 0
        assert job_store.cancel_asset(conn, "ast_1") == 2
        assert job_store.cancel_asset(conn, "ast_1") == 0
        assert job_store.unfinished(conn, "ast_1") == 0
        assert not job_store.heartbeat(conn, running, 0.5, {})
        assert [job.state for job in job_store.jobs_of_asset(conn, "ast_1")] == [State.CANCELLED] * 2
        assert job_store.unfinished(conn, "ast_2") == 1
    assert claimed(engine).asset_id == "ast_2"


def test_what_nobody_came_for_is_rung_again(engine: Engine) -> None:
    forgotten, _fresh, _waiting, running = put(engine, *map(a_job, ("forgotten", "fresh", "waiting", "running")))
    silence(engine)
    with engine.begin() as conn:
        conn.execute(text("UPDATE jobs SET rung_at = rung_at - interval '1 minute' WHERE subject <> 'fresh'"))
        conn.execute(text("UPDATE jobs SET not_before = not_before + interval '1 hour' WHERE subject = 'waiting'"))
        conn.execute(text("UPDATE jobs SET priority = 1 WHERE subject = 'running'"))
    assert claimed(engine).id == running.id
    with engine.begin() as conn:
        assert job_store.ring_again(conn) == 1
        assert job_store.ring_again(conn) == 0
    assert bells(engine) == [forgotten.id]


def test_two_relays_never_hold_the_same_bell(engine: Engine) -> None:
    put(engine, *(a_job(str(number)) for number in range(10)))
    with engine.begin() as first, engine.begin() as second:
        mine, theirs = job_store.take_bells(first, limit=6), job_store.take_bells(second, limit=6)
        job_store.forget_bells(first, mine)
    assert (len(mine), len(theirs)) == (6, 4)
    assert bells(engine) == [bell.job_id for bell in theirs]


def test_a_listener_hears_new_jobs_and_nothing_else(engine: Engine) -> None:
    with db.Listener(engine, job_store.CHANNEL) as listener:
        assert not listener.wait(0.05)
        timer = threading.Timer(0.05, put, (engine, a_job()))
        timer.start()
        assert listener.wait(20)
        timer.join()
        put(engine, a_job())  # known already: no bell
        assert not listener.wait(0.05)


def test_the_figures_sum_up_what_was_done(engine: Engine) -> None:
    put(engine, a_job("a"), a_job("b"), a_job("c"), a_job("d", kind="test.other"))
    with engine.begin() as conn:
        for seconds in (1.5, 2.0):
            job = job_store.claim(conn, "worker-a", kinds=["test.step"])
            assert job is not None
            job_store.finish(conn, job, {"cpu_s": seconds, "wall_s": seconds * 2})
        found = {(item.kind, item.state): item for item in job_store.figures(conn)}
    assert found["test.step", "succeeded"].jobs == 2
    assert (found["test.step", "succeeded"].cpu_s, found["test.step", "succeeded"].wall_s) == (3.5, 7.0)
    assert found["test.step", "queued"].jobs == found["test.other", "queued"].jobs == 1


def test_timestamps_are_in_utc(engine: Engine) -> None:
    [job] = put(engine, a_job())
    assert job.created_at.utcoffset() is not None
    assert str(job.created_at.tzinfo) == "UTC"
