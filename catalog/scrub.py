"""Reading what is stored, to find what the store lost or changed, and having it made again.

`scrub` walks over the assets by id and over the objects of each by key, reads every recorded object (or a sample that is drawn
evenly by key), and compares it with what was recorded when it was made. It notes in the database how far it is, so that the next run
of the same kind goes on there. What looks damaged is looked at twice, and asked for in the database again: it may have been deleted,
or made anew, while it was read.

A damaged object that follows from a source is made again through the job machine (`catalog.repair`), unless that source is damaged too.
A damaged source is only told of: what was made of it stays, and nothing is destroyed.

What is damaged is kept on record until a check sees it whole, or nothing is recorded of it any more. The check of every night
(`catalog.steps`) reads so many bytes and tells; it repairs nothing, because a worker that waits for workers may wait for itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from catalog import inventory, repair, scrub_store
from catalog.inventory import Part, What
from catalog.scrub_store import Known, Place
from kit import job_store
from kit.jobs import UNFINISHED, Job, State
from kit.storage.verify import Pace, Recorded, Verdict, verify
from kit.world import World
from media.segments import MeasuredSegment

_NOTE_EVERY = 100  # objects
_POLL_S = 0.5
_PATIENCE_S = 900.0  # for the jobs of one asset
_NOT_YET = "not yet"
_FROM_THE_SOURCE = (What.SEGMENT, What.POSTER)
_CUES_LOST = "The text of this track cannot be made again: upload it anew. Viewers see it as before while its pack is whole."


@dataclass(frozen=True, slots=True)
class Options:
    """What to read, and what to do about damage."""

    asset_id: str = ""  # only of this asset; otherwise everything
    percent: float = 100.0  # of the objects
    repair: bool = False
    bytes_per_s: float = 0.0  # 0: as fast as the store gives
    patience_s: float = _PATIENCE_S
    nightly: bool = False  # a check of its own, beside those that somebody asks for
    most_bytes: int = 0  # read in one run, the object that goes beyond it included; 0: any number

    @property
    def name(self) -> str:
        """Runs of one name go on where the last one stopped."""
        if self.nightly:
            return "every night"
        return f"{self.asset_id or 'everything'} {self.percent:g} %{', with repairs' if self.repair else ''}"


@dataclass(frozen=True, slots=True)
class Damage:
    """One object that is not what was stored, and what became of it."""

    key: str
    owner: str
    what: str
    condition: str
    recorded_bytes: int
    found_bytes: int
    repaired: bool = False
    said: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, with what its earlier runs had found before they stopped."""

    objects: int = 0
    size_bytes: int = 0
    by_size_only: int = 0  # objects of which no SHA-256 is known yet
    damaged: tuple[Damage, ...] = ()
    resumed: bool = False
    finished: bool = False

    @property
    def left(self) -> tuple[Damage, ...]:
        """What is still damaged."""
        return tuple(item for item in self.damaged if not item.repaired)


def report_from_json(seen: Mapping[str, Any]) -> Report:
    return Report(**{**seen, "damaged": tuple(Damage(**item) for item in seen.get("damaged", ()))})


def is_drawn(key: str, percent: float, salt: str) -> bool:
    """Whether a sample of this share takes the object. The same for the same salt; another salt takes others. Pure."""
    if percent >= 100.0:
        return True
    drawn = int.from_bytes(hashlib.sha256(f"{salt}\n{key}".encode()).digest()[:8], "big") / (1 << 64)
    return drawn < percent / 100.0


@dataclass(slots=True)
class _Run:
    """One run of a check."""

    world: World
    options: Options
    pace: Pace
    told: Callable[[Report], None]
    wait: Callable[[], None]
    stopped: Callable[[], bool]
    place: Place
    known: frozenset[str]  # keys on record as damaged
    report: Report = field(default_factory=Report)
    whole: list[str] = field(default_factory=list)  # of these, seen since
    read_bytes: int = 0

    def note(self, owner: str, key: str) -> None:
        self.place = replace(self.place, owner=owner, key=key, seen=asdict(self.report))
        with self.world.db.begin() as conn:
            scrub_store.save(conn, self.options.name, self.place)

    def read(self, item: Recorded) -> Verdict:
        verdict = verify(self.world.storage, item, self.pace)
        size_bytes = max(item.size_bytes, verdict.size_bytes, 0)
        self.read_bytes += size_bytes
        if verdict.intact and item.key in self.known:
            self.whole.append(item.key)
        self.report = replace(
            self.report,
            objects=self.report.objects + 1,
            size_bytes=self.report.size_bytes + size_bytes,
            by_size_only=self.report.by_size_only + (item.sha256 is None),
        )
        self.told(self.report)
        return verdict

    def owner(self, owner: str, recorded: Sequence[Recorded]) -> bool:
        """Everything of one owner. False when the run was stopped."""
        damaged: list[tuple[Recorded, Verdict]] = []
        last = ""
        for number, item in enumerate(recorded, start=1):
            if self.stopped():
                return False
            if self.options.most_bytes and self.read_bytes >= self.options.most_bytes:
                self.settle(owner, recorded, damaged)
                self.note(owner, max(last, self.place.key if owner == self.place.owner else ""))
                return False
            last = item.key
            if not (owner == self.place.owner and item.key <= self.place.key) and is_drawn(item.key, self.options.percent, self.place.salt):
                verdict = self.read(item)
                if not verdict.intact:
                    damaged.append((item, verdict))
            if number % _NOTE_EVERY == 0 and not damaged:  # what is damaged and not yet seen to is looked at again
                self.note(owner, item.key)
        self.settle(owner, recorded, damaged)
        self.note(owner, recorded[-1].key if recorded else "")
        return True

    def settle(self, owner: str, recorded: Sequence[Recorded], damaged: list[tuple[Recorded, Verdict]]) -> None:
        found = [pair for item, _ in damaged if (pair := self.confirm(item)) is not None]
        parts = {item: verdict for item, verdict in found if isinstance(item, Part)}
        told = [_damage(item, verdict, "") for item, verdict in found if not isinstance(item, Part)]
        if parts and self.options.repair:
            told += _Repair(self, owner, [item for item in recorded if isinstance(item, Part)], parts).run()
        else:
            told += [_damage(item, verdict, "") for item, verdict in parts.items()]
        self.report = replace(self.report, damaged=(*self.report.damaged, *told))
        self.keep(told, [item.key for item, _ in damaged if item.key not in {pair[0].key for pair in found}])

    def keep(self, told: Sequence[Damage], mistaken: Sequence[str]) -> None:
        """On record, what is damaged and what is not any more."""
        whole = {*self.whole, *mistaken, *(item.key for item in told if item.repaired)}
        left = [Known(item.key, item.owner, item.what, item.condition) for item in told if not item.repaired]
        if left or whole:
            with self.world.db.begin() as conn:
                scrub_store.note_damage(conn, left, whole)
        self.whole.clear()

    def confirm(self, item: Recorded) -> tuple[Recorded, Verdict] | None:
        """The same once more, of what is recorded now. None when nothing is wrong any more."""
        if isinstance(item, Part):
            with self.world.db.connect() as conn:
                now = inventory.part(conn, item.owner, item.key)
            if now is None:
                return None
            item = now
        verdict = verify(self.world.storage, item, self.pace)
        return None if verdict.intact else (item, verdict)


def _damage(item: Recorded, verdict: Verdict, said: str, *, repaired: bool = False) -> Damage:
    return Damage(item.key, item.owner, str(item.what), str(verdict.condition), item.size_bytes, verdict.size_bytes, repaired, said)


@dataclass(slots=True)
class _Repair:
    """The damaged parts of one asset, made again as far as that goes."""

    run_of: _Run
    asset_id: str
    recorded: Sequence[Part]
    damaged: Mapping[Part, Verdict]

    def run(self) -> list[Damage]:
        left = dict(self.damaged)
        told = self.give_up(left, (What.SOURCE,), "The source cannot be made again: upload it anew. What was made of it stays.")
        if not self.source_is_whole():
            told += self.give_up(left, _FROM_THE_SOURCE, "It cannot be made again, because the source is damaged too.")
        told += self.give_up(left, (What.CUES,), _CUES_LOST)
        if not self.cues_are_whole():
            told += self.give_up(left, (What.TEXT,), "It cannot be made again, because text of this title is damaged too: upload it anew.")
        others: dict[Part, str] = {}
        for attempt in range(repair.TRIES):
            if left:
                told += self.attempt(left, others, attempt)
        told += [_damage(item, left.pop(item), said, repaired=True) for item, said in others.items() if item in left]
        return told + self.give_up(left, tuple(What), "No job makes it again, because the title is not ready or has another plan.")

    def give_up(self, left: dict[Part, Verdict], kinds: tuple[What, ...], said: str) -> list[Damage]:
        return [_damage(item, left.pop(item), said) for item in list(left) if item.what in kinds]

    def source_is_whole(self) -> bool:
        if not any(item.what in _FROM_THE_SOURCE for item in self.damaged):
            return True
        sources = [item for item in self.recorded if item.what == What.SOURCE]
        return bool(sources) and all(verify(self.run_of.world.storage, item, self.run_of.pace).intact for item in sources)

    def cues_are_whole(self) -> bool:
        """A pack is made from cues. Those of the whole asset are looked at: they are small, and a check may have read a sample only."""
        if not any(item.what == What.TEXT for item in self.damaged):
            return True
        found = [item for item in self.recorded if item.what == What.CUES]
        return all(verify(self.run_of.world.storage, item, self.run_of.pace).intact for item in found)

    def attempt(self, left: dict[Part, Verdict], others: dict[Part, str], attempt: int) -> list[Damage]:
        """Takes from `left` what is settled. What was made with other bytes stays there, and is put into `others`."""
        world = self.run_of.world
        with world.db.begin() as conn:
            asked = repair.ask(conn, self.asset_id, list(left), attempt)
        ended = self.ended({job.id for job in asked.jobs.values()})
        told, failed = [], []
        for item in [item for item in left if item.key in asked.jobs]:
            code = ended[asked.jobs[item.key].id]
            if code == _NOT_YET:
                told.append(_damage(item, left.pop(item), "It is to be made again, but no worker has come to it yet."))
            elif code:
                failed.append(item)
                told.append(_damage(item, left.pop(item), f"It could not be made again ({code})."))
            elif (again := self.made_again(item)) is None or not again.intact:
                told.append(_damage(item, left.pop(item), "It was made again, and is damaged all the same."))
            elif item.has_digest(again.sha256 or ""):
                told.append(_damage(item, left.pop(item), "Made again, the same bytes.", repaired=True))
                others.pop(item, None)
            else:
                others[item] = "Made again, with other bytes than before."
        self.put_back(failed, asked.forgotten)
        return told

    def ended(self, job_ids: set[str]) -> dict[str, str]:
        """Waits for the jobs. Why each failed, by its id: nothing for those that succeeded."""
        world, began_s = self.run_of.world, self.run_of.world.clock.monotonic_s()
        while True:
            with world.db.connect() as conn:
                jobs = {name: job_store.get(conn, name) for name in job_ids}
            late = world.clock.monotonic_s() - began_s > self.run_of.options.patience_s or self.run_of.stopped()
            if late or not any(job is not None and job.state in UNFINISHED for job in jobs.values()):
                return {name: _why(job) for name, job in jobs.items()}
            self.run_of.wait()

    def made_again(self, item: Part) -> Verdict | None:
        with self.run_of.world.db.connect() as conn:
            now = inventory.part(conn, item.owner, item.key)
        return None if now is None else verify(self.run_of.world.storage, now, self.run_of.pace)

    def put_back(self, failed: Sequence[Part], forgotten: dict[str, MeasuredSegment]) -> None:
        with self.run_of.world.db.begin() as conn:
            repair.put_back(conn, failed, forgotten)


def _why(job: Job | None) -> str:
    if job is None:
        return "cancelled"
    if job.state in UNFINISHED:
        return _NOT_YET
    return "" if job.state is State.SUCCEEDED else job.error_code or str(job.state)


def scrub(
    world: World,
    options: Options,
    *,
    others: Sequence[Recorded] = (),
    told: Callable[[Report], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    wait: Callable[[], None] | None = None,
    restart: bool = False,
) -> Report:
    """Check what `options` say, and `others` that no asset owns. `told` hears of every object that was read; `stopped` may end the run.

    Raises Unavailable when the store or the database is away. The next run goes on where this one was.
    """
    with world.db.begin() as conn:
        before = None if restart else scrub_store.load(conn, options.name)
        known = _known(conn)
    place = before or Place(salt=world.clock.now().isoformat())
    pace = Pace(world.clock, options.bytes_per_s)
    run = _Run(world, options, pace, told, wait or (lambda: world.clock.sleep(_POLL_S)), stopped, place, known)
    if before is not None:
        run.report = replace(report_from_json(before.seen or {}), resumed=True)
    for owner, recorded in _walk(world, options, place, others):
        if not run.owner(owner, recorded):
            return run.report
    with world.db.begin() as conn:
        scrub_store.forget(conn, options.name)
    return replace(run.report, finished=True)


def _known(conn: Connection) -> frozenset[str]:
    """The keys on record as damaged, without those that nothing is recorded of any more."""
    listed = scrub_store.known_damage(conn)
    owners = {item.owner for item in listed if not item.owner.startswith("~")}
    recorded = {part.key for owner in owners for part in inventory.parts_of(conn, owner)}
    gone = [item.key for item in listed if item.owner in owners and item.key not in recorded]
    if gone:
        scrub_store.note_damage(conn, (), gone)
    return frozenset(item.key for item in listed if item.key not in gone)


def _walk(world: World, options: Options, place: Place, others: Sequence[Recorded]) -> Iterator[tuple[str, Sequence[Recorded]]]:
    """Owners with what is recorded of each, from where the last run stopped. Assets come first: their ids are below `~`."""
    if options.asset_id:
        yield options.asset_id, _parts(world, options.asset_id)
        return
    with world.db.connect() as conn:
        names = [place.owner] if place.owner and not place.owner.startswith("~") else []
        names += [name for name in inventory.asset_ids(conn, place.owner) if name != place.owner]
    for name in names:
        yield name, _parts(world, name)
    yield "~others", sorted(others, key=lambda item: item.key)


def _parts(world: World, asset_id: str) -> list[Part]:
    with world.db.connect() as conn:
        return inventory.parts_of(conn, asset_id)
