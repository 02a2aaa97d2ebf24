"""Everybody who takes part: uploaders, viewers, the relay, the broker, workers with their hearts and lanes, the sweeper; and trouble.

Nothing here decides: what happens to jobs, titles and playlists is the product's code. Each process acts once between two events.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from catalog.asset import AssetStatus
from kit.errors import HeadwaterError, NotFound, Unavailable
from kit.job_store import LEASE_S
from kit.jobs import UNFINISHED, Job, Refused
from kit.step import BEAT_S, concede, conclude, take_back
from media import keys
from media.ids import AssetId, PlanDigest
from media.segments import MeasuredSegment
from tests.simulation.agenda import Agenda, Group, Life, Process
from tests.simulation.chance import FAULTY_S, Chance, Shape
from tests.simulation.faults import flow_with, jobs_with
from tests.simulation.invariants import Violation, Watch
from tests.simulation.memory import Away, Clock, Database, Transaction, Trouble
from tests.simulation.memory_books import MemoryBooks
from tests.simulation.object_store import ObjectStore
from tests.simulation.work import SOURCE, Claim, Save, run, tracks_of
from worker.sweeper import SWEEP_S
from worker.tasks import LANES, LOOK_S

LANE_LOOK_S, RELAY_S = 5.0, 5.0  # longer than the product's, so that more can happen between two looks
LONGEST_S = 7200.0
MOST_EVENTS = 20_000


@dataclass
class Pipeline:
    """One run of one seed. `plant` names a fault of our own that is put in (`tests.simulation.faults`)."""

    seed: int
    plant: str = ""
    log: list[str] | None = None
    events: int = 0
    idle: dict[Process, None] = field(default_factory=dict)  # workers that wait for a ring
    held: list[Claim] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance, clock = Chance(self.seed), Clock()
        self.agenda, self.watch = Agenda(clock), Watch(self)
        self.db = Database(clock, trouble=self._trouble, committed=self._committed)
        self.store = ObjectStore(self.chance, clock, self.faulty, changed=self._object_changed)
        self.jobs, self.flow = jobs_with(self.plant), flow_with(self.plant)
        self.shapes: dict[str, Shape] = {f"ast_{number}": shape for number, shape in enumerate(self.chance.titles)}
        self.site = Group("site")
        self.workers = [Group(f"worker-{number}") for number in range(self.chance.workers)]
        self._lives = 0
        self._own: dict[str, Process] = {}  # workers by name

    # -- what others ask

    def faulty(self) -> bool:
        return self.db.clock.seconds < FAULTY_S

    def planted(self, fault: str) -> bool:
        return self.plant == fault

    def books(self, conn: Transaction | None = None) -> MemoryBooks:
        """Without a transaction of one's own, for looking only."""
        return MemoryBooks(conn or Transaction(self.db), self.jobs)

    def recorded(self, asset: str, digest: str, name: str) -> list[MeasuredSegment]:
        found = [segment for place, segment in self.db.segments.items() if place[:3] == (asset, digest, name)]
        return sorted(found, key=lambda segment: segment.index)

    def lies_there(self, asset: AssetId, digest: PlanDigest, name: str, index: int) -> bool:
        segment = self.db.segments.get((asset, digest, name, index))
        content = self.store.objects.get(keys.media_segment(asset, digest, name, index))
        return segment is not None and content is not None and content[0] == segment.size_bytes

    def say(self, words: str) -> None:
        if self.log is not None:
            self.log.append(f"{self.db.clock.seconds:9.3f}  {words}")

    # -- what the parts of the world tell

    def _trouble(self) -> Trouble:
        if self.faulty() and self.chance.happens(self.chance.rates.database):
            return "before" if self.chance.roll.random() < 0.5 else "after"
        return None

    def _committed(self, conn: Transaction) -> None:
        if self.log is not None:
            for change in conn.changes:
                self._tell(*change)
        self.watch.committed(conn)
        if self.db.outbox:
            self.agenda.wake(self._relay_process, 0.05)

    def _tell(self, table: dict[Any, Any], key: Any, old: Any) -> None:
        if key not in table:
            return
        now = table[key]
        if table is self.db.jobs and (getattr(old, "state", None), getattr(old, "epoch", 0)) != (now.state, now.epoch):
            self.say(f"    {now.kind} {now.subject}: {now.state}, attempt {now.attempt}, claim {now.epoch} {now.error_code or ''}")
        elif table is self.db.assets:
            self.say(f"    {key} is {now.status}{', playable' if now.playable else ''} {now.error_code or ''}")
        elif table is self.db.lost or table is self.db.presentations:
            self.say(f"    {key}: {getattr(now, 'stage', now)}")

    def _object_changed(self, key: str) -> None:
        self.say(f"    object {key}: {self.store.objects.get(key)}")
        self.watch.object_changed(key)

    # -- the run

    def run(self) -> None:
        """Until nothing is left to do. Raises Violation."""
        start = self.agenda.start
        self._relay_process = start("relay", self._relay(), self.site)
        start("sweeper", self._sweeper(), self.site, 7.0)
        for asset_id, shape in self.shapes.items():
            start(f"uploader of {asset_id}", self._uploader(asset_id, shape), Group("client"), self.chance.roll.uniform(0, 10))
        start("viewer", self._viewer(), Group("client"), 3.0)
        for group in self.workers:
            self._open(group)
        for every_s, act in ((self.chance.rates.kill_every_s, self._kill), (self.chance.rates.stop_every_s, self._stop)):
            if every_s:
                start("trouble", self._harass(every_s, act), Group("trouble"), every_s / 3)
        while not self._is_over():
            process = self.agenda.step()
            self.events += 1
            self.watch.event()
            if process is None or self.events > MOST_EVENTS or self.db.clock.seconds > LONGEST_S:
                break
        self.watch.end()

    def _is_over(self) -> bool:
        assets, jobs = self.db.assets, self.db.jobs
        if len(assets) < len(self.shapes) or any(job.state in UNFINISHED for job in jobs.values()):
            return False
        moving = (AssetStatus.WAITING, AssetStatus.UPLOADING)
        return all(
            asset.status not in moving and (self.shapes[asset.id].deleted_at is None or asset.status is AssetStatus.DELETED)
            for asset in assets.values()
        )

    # -- clients

    def _insist(self, name: str, work: Any) -> Life:
        """Until the database has said yes; doing it twice must be harmless."""
        while True:
            try:
                with self.db.begin() as conn:
                    work(self.books(conn))
            except Away:
                self.say(f"{name}: the database is away")
                yield 2.0
            else:
                return

    def _uploader(self, asset_id: str, shape: Shape) -> Life:
        self.say(f"{asset_id} is created")
        yield from self._insist("create", lambda books: asset_id in self.db.assets or books.create(asset_id))
        while True:
            try:
                yield from self.store.put(keys.source(AssetId(asset_id)), SOURCE)
            except Unavailable:
                yield 3.0
            else:
                break
        self.say(f"{asset_id} is received")
        yield from self._insist("receive", lambda books: books.receive(asset_id))
        if shape.deleted_at is not None:
            yield max(0.0, shape.deleted_at - self.db.clock.seconds)
            self.say(f"{asset_id} is deleted")
            yield from self._insist("delete", lambda books: books.delete(asset_id))

    def _viewer(self) -> Life:
        """Somebody who seeks."""
        for _ in range(self.chance.roll.choice((0, 0, 2, 6))):
            yield self.chance.roll.uniform(2, 20)
            asset_id = self.chance.roll.choice(list(self.shapes))
            if asset_id in self.db.presentations and asset_id in self.db.plans:
                plan = self.db.plans[asset_id]
                name = self.chance.roll.choice(tracks_of(plan))
                index = self.chance.roll.randrange(plan.grid.segment_count)
                self.say(f"a viewer wants {name}/{index} of {asset_id}")
                try:
                    with self.db.begin() as conn:
                        self.books(conn).want(asset_id, name, index)
                except (Away, NotFound):
                    pass

    # -- bells

    def _relay(self) -> Life:
        while True:
            try:
                with self.db.begin() as conn:
                    bells = self.jobs.take_bells(conn)
                    for bell in bells:
                        self._ring(bell.job_id)
                    self.jobs.forget_bells(conn, bells)
            except Away:
                pass  # what was rung for is rung for again
            yield RELAY_S

    def _ring(self, job_id: str) -> None:
        """The broker: it drops, doubles, and takes its time, so that bells overtake one another."""
        rates = self.chance.rates
        if self.faulty() and self.chance.happens(rates.bell_dropped):
            self.say(f"the bell of {job_id} is dropped")
            return
        for _ in range(2 if self.faulty() and self.chance.happens(rates.bell_doubled) else 1):
            late = self.faulty() and self.chance.happens(rates.bell_late)
            if self.idle:
                process = self.chance.roll.choice(list(self.idle))
                del self.idle[process]
                self.agenda.wake(process, self.chance.roll.uniform(0, 8) if late else 0.01)

    # -- workers

    def _open(self, group: Group) -> None:
        self._lives += 1
        owner = f"{group.name}/{self._lives}"
        group.stopped_until = 0.0
        lanes: list[tuple[str, int | None]] = [(f"{owner} bulk", None)]
        lanes += [(f"{owner} lane from {least}", least) for least in sorted(set(LANES))]
        for name, least in lanes:
            life = self._worker(group, name, owner, least)
            self._own[name] = self.agenda.start(name, life, group, 0.5)

    def _worker(self, group: Group, name: str, owner: str, least: int | None) -> Life:
        while True:
            job = None
            try:
                with self.db.begin() as conn:
                    job = self.jobs.claim(conn, owner, LEASE_S, least_priority=least)
            except Away:
                yield 1.0
                continue
            if job is None:
                self.idle[self._own[name]] = None
                yield 1e6 if self.planted("nobody looks for work") else LANE_LOOK_S if least else LOOK_S
                self.idle.pop(self._own[name], None)
                continue
            self.say(f"{name} claims {job.kind} {job.subject}")
            yield 0.01
            claim = Claim(self, job, group)
            self.held.append(claim)
            self.agenda.start(f"heart of {name}", self._heart(claim), group, BEAT_S)
            yield from self._attempt(claim, name)
            claim.over = True
            self.held.remove(claim)

    def _attempt(self, claim: Claim, name: str) -> Life:
        error: HeadwaterError | None = None
        save: Save = lambda _: None  # noqa: E731 - nothing is saved of what failed
        try:
            save = yield from run(claim)
        except HeadwaterError as said:
            error = said
        except Away:
            error = Unavailable("The database does not answer.", code="database_unavailable")
        while not (claim.lost and error is not None):
            try:
                with self.db.begin() as conn:
                    conn.speaker = claim.job
                    self._end(conn, claim.job, save, error)
            except Refused:
                self.say(f"{name} is not heard")
            except Away:
                if not claim.lost:
                    yield 1.0
                    continue
            except HeadwaterError as said:  # saving is a part of the step
                if error is None:
                    error = said
                    continue
            return

    def _end(self, conn: Transaction, job: Job, save: Save, error: HeadwaterError | None) -> None:
        # The real transactions; the connection is ours.
        sql: Any = conn
        if error is None:
            conclude(sql, self.flow, job, stats={}, result=None, save=lambda _: save(self.books(conn)), jobs=self.jobs)
        else:
            concede(sql, self.flow, job, stats={}, error=error, roll=self.chance.roll.random(), jobs=self.jobs)

    def _heart(self, claim: Claim) -> Life:
        renewed_s = self.db.clock.seconds
        while not claim.over:
            try:
                with self.db.begin() as conn:
                    conn.speaker = claim.job
                    held = self.jobs.heartbeat(conn, claim.job, 0.5, {})
                renewed_s = self.db.clock.seconds
            except Away:
                held = self.db.clock.seconds - renewed_s < LEASE_S
            if not held:
                claim.lost = True
                return
            yield BEAT_S

    # -- who looks after lost workers, and who loses them

    def _sweeper(self) -> Life:
        while True:
            for job in self.jobs.expired(Transaction(self.db)):
                try:
                    with self.db.begin() as conn:
                        sql: Any = conn
                        after = take_back(sql, self.flow, job, self.jobs)
                    self.say(f"{job.kind} {job.subject} is taken from {job.owner}: {after.state}")
                except (Refused, Away):
                    pass
                yield 0.01
            try:
                with self.db.begin() as conn:
                    self.jobs.ring_again(conn)
            except Away:
                pass
            yield SWEEP_S

    def _harass(self, every_s: float, act: Any) -> Life:
        while self.faulty():
            act(self.chance.roll.choice(self.workers))
            yield self.chance.roll.expovariate(1 / every_s)

    def _stop(self, group: Group) -> None:
        group.stopped_until = self.db.clock.seconds + self.chance.roll.uniform(1, 180)
        self.say(f"{group.name} is stopped until {group.stopped_until:.1f}")

    def _kill(self, group: Group, *, asked: bool | None = None) -> None:
        """At times it is asked to go, and hands back what it holds."""
        asked = self.chance.happens(0.3) if asked is None else asked
        self.say(f"{group.name} is {'told to go' if asked else 'killed'}")
        for claim in [claim for claim in self.held if claim.group is group]:
            self.held.remove(claim)
            if asked:
                self._hand_back(claim.job)
        for process in group.processes:
            self.idle.pop(process, None)
        group.kill()
        self.agenda.start(f"start of {group.name}", self._again(group), Group("supervisor"), 3.0)

    def _hand_back(self, job: Job) -> None:
        try:
            with self.db.begin() as conn:
                conn.speaker = job
                self.jobs.release(conn, job)
        except (Refused, Away):
            pass

    def kill_soon(self, group: Group) -> None:
        """By what it is doing at this moment."""
        self.agenda.start("kernel", self._by_kernel(group), Group("kernel"))

    def _by_kernel(self, group: Group) -> Life:
        self._kill(group, asked=False)
        return
        yield 0.0

    def _again(self, group: Group) -> Life:
        if not group.processes:
            self._open(group)
        return
        yield 0.0


def play(seed: int, plant: str = "", log: list[str] | None = None) -> Violation | None:
    """What went wrong, if anything did. A bug in the product or here raises what it raises."""
    try:
        Pipeline(seed, plant, log).run()
    except Violation as violation:
        return violation
    return None
