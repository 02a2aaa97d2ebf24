"""The catalog in memory: what the flow sees of it (`worker.books.Books`), and what steps and callers write.

The life of an asset is `catalog.asset`'s: which status follows, which fields change, which presentation stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from catalog import priority, store
from catalog.asset import Asset, AssetEvent, AssetStatus, NewPresentation, PublishedPresentation, changes, next_status, replaces
from catalog.demand import chunks_from, segment_job
from catalog.kinds import ENCODE, PROBE
from catalog.lost import Lost
from kit.errors import NotFound
from kit.jobs import NewJob
from media import keys
from media.ids import AssetId
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from tests.simulation.memory import Transaction
from tests.simulation.memory_jobs import MemoryJobs
from worker.books import Manifests


@dataclass(frozen=True, slots=True)
class MemoryBooks:
    """One transaction's view."""

    conn: Transaction
    jobs: MemoryJobs

    # -- worker.books.Books

    def lock(self, asset_id: str) -> Asset | None:
        return self.conn.db.assets.get(asset_id)

    def plan(self, asset_id: str) -> EncodePlan:
        if asset_id not in self.conn.db.plans:
            raise NotFound(f"The asset {asset_id} has no encode plan.", code="plan_not_found")
        return self.conn.db.plans[asset_id]

    def generation(self, asset_id: str) -> int | None:
        return None  # whole files only

    def is_published(self, asset_id: str) -> bool:
        return asset_id in self.conn.db.presentations

    def is_recorded(self, asset_id: str, plan_digest: str, rendition: str, index: int) -> bool:
        return (asset_id, plan_digest, rendition, index) in self.conn.db.segments

    def lost(self, asset_id: str, plan_digest: str) -> frozenset[str]:
        return frozenset(name for of, digest, name in self.conn.db.lost if (of, digest) == (asset_id, plan_digest))

    def is_under_way(self, kind: str, subject: str) -> bool:
        return self.jobs.is_under_way(self.conn, kind, subject)

    def unfinished(self, asset_id: str, kinds: Collection[str]) -> int:
        return self.jobs.unfinished(self.conn, asset_id, kinds)

    def gated(self, asset_id: str, jobs: Sequence[NewJob], plan: EncodePlan) -> list[NewJob]:
        return list(jobs)

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        self.jobs.enqueue_all(self.conn, jobs)

    def playable(self, asset_id: str) -> None:
        self.advance(asset_id, AssetEvent.PLAYABLE)

    def lose(self, asset_id: str, plan_digest: str, renditions: Iterable[str], cause: Lost, instead: Manifests) -> None:
        for name in renditions:
            if (asset_id, plan_digest, name) not in self.conn.db.lost:
                self.conn.write(self.conn.db.lost, (asset_id, plan_digest, name), cause)
        found = self.conn.db.presentations.get(asset_id)
        if found is not None and (found.plan_digest, found.stage) == (plan_digest, "planned"):
            facts = {**found.multivariant, "playlist": instead.playlist, "dash": instead.dash}
            self.conn.write(self.conn.db.presentations, asset_id, replace(found, multivariant=facts))

    def give_up(self, asset_id: str, code: str, detail: str) -> None:
        asset = self.lock(asset_id)
        if asset is not None:
            facts = {} if asset.status in (AssetStatus.ERRORED, AssetStatus.READY) else {"error_code": code, "error_detail": detail}
            self.advance(asset_id, AssetEvent.FAILED, **facts)
        self.jobs.cancel_asset(self.conn, asset_id)

    def drop_early(self, asset_id: str) -> None:
        raise AssertionError("no source is worked on before it is whole")

    # -- catalog.store

    def require(self, asset_id: str) -> Asset:
        asset = self.lock(asset_id)
        if asset is None:
            raise NotFound(f"There is no asset {asset_id}.", code="asset_not_found")
        return asset

    def advance(self, asset_id: str, event: AssetEvent, **facts: object) -> Asset:
        asset = self.require(asset_id)
        values = changes(asset, event, self.conn.db.clock.now())
        if asset.status is AssetStatus.DELETED:
            return asset
        after: Asset = replace(asset, **{**facts, **values, "status": AssetStatus(values["status"])})
        self.conn.write(self.conn.db.assets, asset_id, after)
        return after

    def create(self, asset_id: str) -> None:
        now = self.conn.db.clock.now()
        waiting = Asset(
            id=AssetId(asset_id), title="", description="", tags=(), external_id=None, metadata={}, status=AssetStatus.WAITING,
            playable=False, error_code=None, error_detail=None, source=None, source_key=None, source_size_bytes=None, source_digest=None,
            profile="default", playback_policy="public", plan_digest=None, created_at=now, updated_at=now, received_at=None,
            playable_at=None, ready_at=None, deleted_at=None, version=1,
        )  # fmt: skip
        self.conn.write(self.conn.db.assets, asset_id, waiting)

    def receive(self, asset_id: str) -> None:
        """As `ingest.received`. Whoever repeats it finds the upload ended, which its own row says."""
        if self.require(asset_id).received_at is not None:
            return
        asset = self.advance(asset_id, AssetEvent.RECEIVED, source_key=keys.source(AssetId(asset_id)))
        if asset.status is not AssetStatus.DELETED:
            self.jobs.enqueue(self.conn, NewJob(PROBE, asset_id, asset_id, priority=priority.PROBE))

    def save_plan(self, asset_id: str, plan: EncodePlan) -> None:
        if self.require(asset_id).status is not AssetStatus.DELETED:
            self.conn.write(self.conn.db.plans, asset_id, plan)

    def save_segments(self, asset_id: str, rendition: str, measured: Iterable[MeasuredSegment]) -> None:
        """What is noted already stays as it is."""
        digest = self.plan(asset_id).digest
        for segment in measured:
            place = (asset_id, digest, rendition, segment.index)
            if place not in self.conn.db.segments:
                self.conn.write(self.conn.db.segments, place, segment)

    def forget_segment(self, asset_id: str, rendition: str, index: int) -> None:
        self.conn.drop(self.conn.db.segments, (asset_id, self.plan(asset_id).digest, rendition, index))

    def publish(self, asset_id: str, new: NewPresentation) -> None:
        asset = self.require(asset_id)
        if new.stage == "ready":
            next_status(asset.status, AssetEvent.COMPLETED)
        if asset.status is AssetStatus.DELETED:
            return
        if replaces(new, self.conn.db.presentations.get(asset_id)):
            now = self.conn.db.clock.now()
            row = PublishedPresentation(asset.id, new.plan_digest, new.stage, new.multivariant, new.has_poster, now)
            self.conn.write(self.conn.db.presentations, asset_id, row)
        if new.stage == "ready":
            self.advance(asset_id, AssetEvent.COMPLETED)

    def delete(self, asset_id: str) -> None:
        if self.require(asset_id).status is AssetStatus.DELETED:
            return
        self.advance(asset_id, AssetEvent.DELETE)
        self.jobs.cancel_asset(self.conn, asset_id)
        at_once = NewJob(kind=store.PURGE, subject=asset_id, asset_id=asset_id, weight=0.0, max_attempts=20)
        self.enqueue([at_once, replace(at_once, subject=f"{asset_id}/again", delay_s=store.SETTLED_AFTER_S)])

    def purge(self, asset_id: str) -> None:
        db = self.conn.db
        assert db.assets[asset_id].status is AssetStatus.DELETED
        self.conn.drop(db.presentations, asset_id)
        self.conn.drop(db.plans, asset_id)
        for table in (db.segments, db.lost):
            for place in [place for place in table if place[0] == asset_id]:
                self.conn.drop(table, place)

    # -- catalog.demand

    def want(self, asset_id: str, rendition: str, index: int) -> None:
        """As `catalog.demand.want_segment`. Raises NotFound."""
        asset = self.require(asset_id)
        plan = self.plan(asset_id)
        if asset.status in store.GIVEN_UP or rendition in self.lost(asset_id, plan.digest) or not 0 <= index < plan.grid.segment_count:
            raise NotFound("There is no such segment.", code="segment_not_found")
        goes_on = index > 0 and self.is_recorded(asset_id, plan.digest, rendition, index - 1)
        self.jobs.enqueue(self.conn, segment_job(asset_id, plan.digest, rendition, index, goes_on=goes_on))
        for chunk in chunks_from(plan, index):
            self.jobs.prefer(self.conn, asset_id, ENCODE, {"chunk": chunk.index}, priority.AHEAD)
