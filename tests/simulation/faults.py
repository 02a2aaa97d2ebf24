"""Faults of our own making: what the invariants have to find. Each is small, and has been somebody's bug somewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from catalog.lost import Lost
from kit.jobs import Event, Failed, Heartbeat, Job, NewJob, Released, State, Succeeded
from tests.simulation.memory import Transaction
from tests.simulation.memory_books import MemoryBooks
from tests.simulation.memory_jobs import MemoryJobs
from worker.books import Manifests
from worker.flow import VideoFlow

PLANTS = (
    "the claim is not compared",
    "recorded before it is stored",
    "replaces what somebody was sent",
    "an old list is published",
    "a promise is not taken back",
    "fan-in overlooks who is running",
    "fan-in counts itself",
    "a divided chunk is forgotten",
    "nobody looks after the lost",
    "nobody looks for work",
)
"""Some are in `tests.simulation.work`, beside what they break."""


class _NoFence(MemoryJobs):
    def _apply(self, conn: Transaction, job_id: str, event: Event) -> Job:
        if isinstance(event, Heartbeat | Succeeded | Failed | Released) and job_id in conn.db.jobs:
            event = replace(event, epoch=conn.db.jobs[job_id].epoch)
        return super()._apply(conn, job_id, event)


class _NoSweep(MemoryJobs):
    def expired(self, conn: Transaction) -> list[Job]:
        return []


class _NoSecondBell(MemoryJobs):
    def ring_again(self, conn: Transaction) -> int:
        return 0


class _Overlooks(MemoryBooks):
    def unfinished(self, asset_id: str, kinds: Collection[str]) -> int:
        jobs = self.jobs.jobs_of_asset(self.conn, asset_id)
        return sum(job.kind in kinds and job.state is State.QUEUED for job in jobs)


class _CountsItself(MemoryBooks):
    def unfinished(self, asset_id: str, kinds: Collection[str]) -> int:
        return super().unfinished(asset_id, kinds) + 1


class _Forgets(MemoryBooks):
    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        super().enqueue([job for job in jobs if job.subject.count("/") < 4 or job.kind != "transcode.encode"])


class _KeepsPromising(MemoryBooks):
    def lose(self, asset_id: str, plan_digest: str, renditions: Iterable[str], cause: Lost, instead: Manifests) -> None:
        found = self.conn.db.presentations.get(asset_id)
        kept = instead if found is None else replace(instead, playlist=found.multivariant["playlist"])
        super().lose(asset_id, plan_digest, renditions, cause, kept)


def jobs_with(plant: str) -> MemoryJobs:
    kinds = {"the claim is not compared": _NoFence, "nobody looks after the lost": _NoSweep, "nobody looks for work": _NoSecondBell}
    return kinds.get(plant, MemoryJobs)()


def flow_with(plant: str) -> VideoFlow:
    books = {
        "fan-in overlooks who is running": _Overlooks,
        "fan-in counts itself": _CountsItself,
        "a divided chunk is forgotten": _Forgets,
        "a promise is not taken back": _KeepsPromising,
    }.get(plant, MemoryBooks)
    jobs = jobs_with(plant)
    return VideoFlow(open_books=lambda conn: books(conn, jobs))
