"""The sweeper: looks after what nobody else would notice.

Every five seconds it takes back the jobs of workers that are not heard of any more, rings again for jobs that are due and
that nobody came for, gives up uploads that have expired, and asks for the daily and nightly work. Beside it run the relay of the outbox and
the watch over `incoming/`. Each of these may run any number of times at once: they decide under row locks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import catalog.steps
import ingest.expiry
import ingest.strays
import ingest.watch
import recommend.lake_steps
from kit import job_store, log
from kit.endurance import Endurance
from kit.jobs import Job, Refused, State
from kit.step import Flow, take_back
from kit.world import World
from worker import outbox

SWEEP_S = 5.0  # a few short queries; a killed worker's job runs again after its lease and at most one of these

_log = log.logger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did to jobs."""

    requeued: int
    given_up: int


def sweep_jobs(world: World, flow: Flow) -> Swept:
    """Raises what `kit.db.is_away` knows; what was done until then stays done."""
    with world.db.begin() as conn:
        late = job_store.expired(conn)
    states = [_expire(world, flow, job) for job in late]
    with world.db.begin() as conn:
        job_store.ring_again(conn)
    return Swept(states.count(State.QUEUED), states.count(State.FAILED))


def _expire(world: World, flow: Flow, job: Job) -> State | None:
    try:
        with world.db.begin() as conn:
            after = take_back(conn, flow, job)
    except Refused:  # it was heard of again, or another sweeper was faster
        return None
    _log.warning("worker lost", kind=job.kind, subject=job.subject, attempt=job.attempt, owner=job.owner, now=after.state)
    return after.state


def ask_for_compaction(world: World) -> None:
    """Every night the history of viewers goes into the lake."""
    with world.db.begin() as conn:
        recommend.lake_steps.ask_for_compaction(conn, world.clock.now())


def ask_for_strays(world: World) -> None:
    """Every day, what the dead left half uploaded is looked for."""
    with world.db.begin() as conn:
        ingest.strays.ask(conn, world.clock.now())


def ask_for_upkeep(world: World) -> None:
    """Every day finished jobs that nobody needs are removed; every night a part of what is stored is read."""
    with world.db.begin() as conn:
        catalog.steps.ask_for_upkeep(conn, world)


def sweep(world: World, flow: Flow) -> None:
    """One round of everything. Whatever becomes of one duty, the next is done."""
    duties: tuple[tuple[str, Callable[[], object]], ...] = (
        ("jobs", lambda: sweep_jobs(world, flow)),
        ("uploads", lambda: ingest.expiry.expire(world)),
        ("history", lambda: ask_for_compaction(world)),
        ("strays", lambda: ask_for_strays(world)),
        ("upkeep", lambda: ask_for_upkeep(world)),
    )
    for what, do in duties:
        Endurance(_log, away="sweep cut short", broke="sweep broke", what=what).through(do)


def run(world: World, flow: Flow, ring: Callable[[str], None], stop: threading.Event, *, sweep_s: float = SWEEP_S) -> None:
    """Until `stop` is set."""
    threads = [
        threading.Thread(target=outbox.relay, args=(world, ring, stop), name="relay", daemon=True),
        threading.Thread(target=ingest.watch.watch, args=(world, stop), name="watch", daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not stop.is_set():
        sweep(world, flow)
        stop.wait(sweep_s)
    for thread in threads:
        thread.join(timeout=2.0)
