"""What must hold after every event. Whatever a commit or the store changed is looked at; what nobody touched cannot have broken.

- An attempt is heard only while its claim is the last one (fencing); the number of the claim only rises; what has ended stays so; no
  job disappears.
- No segment is recorded whose object is not in the store, whole; what is recorded, and its object, never become another one (here the
  store loses nothing).
- An asset is ready exactly when all of it is made: every rendition that was not given up is whole, at least one of them a picture.
  While it is processed somebody is still at work for it.
- Whatever a published playlist names is there, or is planned, not given up, and can be asked for.
- What was given up has a cause of its own, and nobody is cancelled but with the whole title.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from catalog.asset import TRANSITIONS, Asset, AssetStatus
from catalog.store import GIVEN_UP
from kit.jobs import UNFINISHED, WORKER_LOST, Job, State
from media import keys
from media.ids import AssetId, PlanDigest
from media.segments import MeasuredSegment
from tests.simulation.memory import Segment, Transaction, before
from tests.simulation.work import INIT, named, playlist_sizes, tracks_of

if TYPE_CHECKING:
    from tests.simulation.pipeline import Pipeline

_MOVES = {(status, after) for (status, _), after in TRANSITIONS.items()}


class Violation(AssertionError):
    """An invariant does not hold."""


@dataclass
class Watch:
    sim: Pipeline
    touched: set[str] = field(default_factory=set)  # assets
    checks: int = 0

    def committed(self, conn: Transaction) -> None:
        db = self.sim.db
        for change in conn.changes:
            table, key, _ = change
            if table is db.jobs:
                self._job(before(change), table.get(key), conn.speaker)
            elif table is db.segments:
                self._segment(key, before(change), table.get(key))
            elif table is db.assets:
                self._asset_moved(before(change), table[key])
            elif table is db.lost and key in table:
                self._lost(key)
            if table is db.presentations or table is db.plans:
                self.touched.add(key)
            elif table is db.segments or table is db.lost:
                self.touched.add(key[0])

    def object_changed(self, key: str) -> None:
        for place, segment in self.sim.db.segments.items():
            if keys.media_segment(AssetId(place[0]), PlanDigest(place[1]), place[2], place[3]) == key:
                content = self.sim.store.objects.get(key)
                if self.sim.db.assets[place[0]].status is not AssetStatus.DELETED:
                    self._hold(content == (segment.size_bytes, segment.sha256), f"the recorded object {key} became {content}")
                self.touched.add(place[0])

    def event(self) -> None:
        """After every event."""
        for asset_id in sorted(self.touched):
            self._asset(self.sim.db.assets[asset_id])
        self.touched.clear()

    def _hold(self, fact: bool, otherwise: str) -> None:
        self.checks += 1
        if not fact:
            raise Violation(otherwise)

    # -- jobs

    def _job(self, old: Job | None, new: Job | None, speaker: Job | None) -> None:
        if new is None:
            raise Violation(f"the job {old.id if old else ''} is lost")
        self.touched.add(new.asset_id)
        if old is None:
            self._hold(new.state is State.QUEUED, f"{new.id} began as {new.state}")
            return
        told = f"{new.kind} {new.subject}"
        claimed = (old.state, new.state) == (State.QUEUED, State.RUNNING)
        self._hold(old.state in UNFINISHED, f"{told} had ended as {old.state} and became {new.state}")
        self._hold(new.epoch == old.epoch + claimed, f"the claim of {told} went from {old.epoch} to {new.epoch}")
        self._hold(
            (new.state is State.RUNNING) == (new.owner is not None and new.lease_until is not None), f"{told} is {new.state} of {new.owner}"
        )
        self._hold(new.progress >= old.progress, f"the progress of {told} fell")
        if speaker is not None and speaker.id == new.id:
            self._hold(speaker.epoch == old.epoch, f"{told} listened to claim {speaker.epoch} while claim {old.epoch} held it")
        if new.state is State.CANCELLED:
            self._hold(self.sim.db.assets[new.asset_id].status in GIVEN_UP, f"{told} was cancelled of a title that goes on")

    # -- segments

    def _segment(self, place: Segment, old: MeasuredSegment | None, segment: MeasuredSegment | None) -> None:
        asset, digest, name, index = place
        if self.sim.db.assets[asset].status is AssetStatus.DELETED:
            return
        self._hold(old is None or old == segment, f"{name}/{index} of {asset} was recorded once, and became another one")
        if segment is None:
            return
        content = self.sim.store.objects.get(keys.media_segment(AssetId(asset), PlanDigest(digest), name, index))
        self._hold(content == (segment.size_bytes, segment.sha256), f"{name}/{index} of {asset} is recorded, and its object is {content}")

    # -- assets

    def _asset_moved(self, old: Asset | None, new: Asset) -> None:
        self.touched.add(new.id)
        if old is not None:
            self._hold((old.status, new.status) in _MOVES, f"{new.id} went from {old.status} to {new.status}")
        if new.status is AssetStatus.ERRORED:
            shape = self.sim.shapes[new.id]
            self._hold(new.error_code in self._causes(new.id, None) | ({"no_video_stream"} if shape.refused else set()),
                       f"{new.id} was given up because of {new.error_code}: {new.error_detail}")  # fmt: skip

    def _lost(self, key: tuple[str, str, str]) -> None:
        code = self.sim.db.lost[key].code
        self._hold(code in self._causes(key[0], key[2]), f"{key[2]} of {key[0]} was given up because of {code}")

    def _causes(self, asset_id: str, rendition: str | None) -> set[str]:
        """What may end a rendition, or the whole title."""
        poison = any(rendition in (None, name) for name, _ in self.sim.shapes[asset_id].poison)
        return {WORKER_LOST, *(["killed"] if self.sim.chance.rates.run_fails else []), *(["encode_failed"] if poison else [])}

    def _asset(self, asset: Asset) -> None:
        sim = self.sim
        if asset.status is AssetStatus.PROCESSING:
            busy = any(job.state in UNFINISHED for job in sim.db.jobs.values() if job.asset_id == asset.id)
            self._hold(busy, f"{asset.id} is being processed and nobody is at work for it")
        found = sim.db.presentations.get(asset.id)
        ready = asset.status is AssetStatus.READY
        self._hold(not ready or (found is not None and found.stage == "ready"), f"{asset.id} is ready and not published")
        self._hold(not ready or asset.playable, f"{asset.id} is ready and not playable")
        if found is None or (asset.status in GIVEN_UP and (found.stage != "ready" or asset.status is AssetStatus.DELETED)):
            return
        plan = sim.db.plans[asset.id]
        gone = sim.books().lost(asset.id, plan.digest)
        names = named(found.multivariant["playlist"])
        wanted = set(tracks_of(plan)) - gone
        self._hold(set(names) == wanted, f"the playlist of {asset.id} names {names}, and not {sorted(wanted)}")
        self._hold(any(rung.name in wanted for rung in plan.video), f"{asset.id} is published without a picture")
        for key, size_bytes in playlist_sizes(asset.id, plan, gone).items():
            content = sim.store.objects.get(key, (0, ""))
            self._hold(content[0] == size_bytes, f"the playlist {key} is named, and its object is {content}")
        for name in names:
            self._hold(sim.store.objects.get(keys.init_segment(asset.id, plan.digest, name)) == INIT, f"{name} has no header")
            for index in range(plan.grid.segment_count) if ready else ():
                whole = sim.lies_there(asset.id, plan.digest, name, index)
                self._hold(whole, f"{asset.id} is ready, and {name}/{index} is not there")

    def end(self) -> None:
        """When nothing is left to do."""
        for job in self.sim.db.jobs.values():
            self._hold(job.state not in UNFINISHED, f"{job.kind} {job.subject} never ended: {job.state}, attempt {job.attempt}")
        for asset_id, shape in self.sim.shapes.items():
            status = self.sim.db.assets[asset_id].status
            self._hold(status in (AssetStatus.READY, *GIVEN_UP), f"{asset_id} ended as {status}")
            self._hold(shape.deleted_at is None or status is AssetStatus.DELETED, f"{asset_id} was to be deleted and is {status}")
            self._hold(not (shape.refused and status is AssetStatus.READY), f"{asset_id} was refused and is ready")
