"""The background steps of history: `recommend.compact`, then `recommend.train` every night, and `recommend.forget` when a viewer asks.

What they need is imported by them and not by this module: a worker that only encodes video carries no columns and no matrices.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from catalog import priority
from kit import job_store
from kit.errors import StepFailed
from kit.jobs import Job, NewJob, daily
from kit.step import Beat, Step
from kit.world import World
from recommend import lake_store
from recommend.forgetting import FORGET

COMPACT, TRAIN = "recommend.compact", "recommend.train"
_NIGHT_HOUR = 3  # UTC


def ask_for_compaction(conn: Connection, now: datetime) -> None:
    """One job for each day, from three in the morning on. Asking again does nothing."""
    if now.hour >= _NIGHT_HOUR:
        job_store.enqueue(conn, daily(COMPACT, now, priority.COMPACTION))


def compact(world: World, _job: Job, beat: Beat) -> int:
    """Yesterday, whatever came late, and what there is of today."""
    from recommend import lake

    done = lake.compact(world, beat.cancelled.is_set)
    beat.progress(1.0, events=done.events, days=done.days, pruned=done.pruned)
    return done.events


def _then_train(conn: Connection, _world: World, job: Job, events: int) -> None:
    """A new model where there is something new to learn from."""
    if events:
        job_store.enqueue(conn, NewJob(TRAIN, job.subject, "", priority=priority.DAILY, weight=0.0))


def train(world: World, _job: Job, beat: Beat) -> None:
    """What `headwater train` does, on one thread: the machine has videos to make as well."""
    from recommend.learn import Options, learn
    from recommend.training import NothingToLearn

    def told(_what: str, share: float) -> None:
        if beat.cancelled.is_set():
            raise StepFailed("Training was broken off.", code="broken_off")
        beat.progress(0.9 * share)

    try:
        outcome = learn(world, Options(threads=1), progress=told)
    except NothingToLearn:  # somebody came, and nobody watched
        return
    beat.progress(1.0, version=outcome["version"])


def forget(world: World, job: Job, beat: Beat) -> list[int]:
    """Carries out every note there is, up to this job's own. Returns the notes."""
    from recommend import bundle, lake

    with world.db.connect() as conn:
        gone = [item for item in lake_store.forgotten(conn) if item.note <= int(job.args["note"])]
    days = lake.forget(world, gone)
    models = bundle.forget_viewers(world.storage, [item.viewer_id for item in gone], world.settings.scratch_dir / "forgetting", world.clock)
    beat.progress(1.0, days=days, models=models)
    return [item.note for item in gone]


def _nothing(_conn: Connection, _world: World, _job: Job, _result: Any) -> None:
    """What the step did is in the object store."""


def _drop_notes(conn: Connection, _world: World, _job: Job, notes: list[int]) -> None:
    lake_store.drop_notes(conn, notes)


STEPS = (Step(COMPACT, compact, _then_train), Step(TRAIN, train, _nothing), Step(FORGET, forget, _drop_notes))
