"""What each kind of step does, without an encoder: it takes time, breaks, and leaves objects whose sizes and digests are known before.

A step is a generator that returns how its result is saved. What it finds out and decides is the real code's; only pictures and sound
are missing. The sound of one run and of single segments differ in their bytes, as they really do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from catalog import kinds
from catalog.asset import InitSegment, NewPresentation
from catalog.store import PURGE
from kit.errors import Rejected, StepFailed
from kit.jobs import Job
from media import keys
from media.ids import AssetId
from media.plan import EncodePlan
from media.segments import MeasuredSegment
from packager.hls import render_multivariant
from packager.presentation import Presentation, planned
from packager.steps import playlists, require_current, whole
from tests.simulation.memory_books import MemoryBooks
from tests.simulation.object_store import Content

if TYPE_CHECKING:
    from tests.simulation.pipeline import Pipeline

SOURCE: Content = (1000, "source")
INIT: Content = (700, "init")
POSTER: Content = (300, "poster")

Save = Callable[[MemoryBooks], None]
Run = Generator[float, None, Save]


@dataclass(eq=False)
class Claim:
    """One attempt at a job. `lost`: the heart found that the job is not this worker's any more."""

    sim: Pipeline
    job: Job
    group: Any
    lost: bool = False
    over: bool = False

    @property
    def asset(self) -> AssetId:
        return AssetId(self.job.asset_id)

    def work(self, seconds: float) -> Generator[float, None, None]:
        """An FFmpeg run: killed when the claim is lost, and breaking for once."""
        while seconds > 0:
            yield min(seconds, 4.0)
            seconds -= 4.0
            if self.lost:
                raise StepFailed("The run was broken off.", code="cancelled")
        if self.sim.faulty() and self.sim.chance.happens(self.sim.chance.rates.run_fails):
            raise StepFailed("The encoder was killed.", code="killed")

    def break_on(self, places: Iterable[tuple[str, int]]) -> Generator[float, None, None]:
        shape = self.sim.shapes[self.asset]
        if shape.poison.isdisjoint(places):
            return
        if shape.deadly:
            self.sim.kill_soon(self.group)
            yield 3600.0
        raise StepFailed("The encoder crashed.", code="encode_failed")


def run(claim: Claim) -> Run:
    """The work of a job. Raises HeadwaterError, and Away when the database is."""
    return RUNS.get(claim.job.kind, _nothing)(claim)


def _nothing(claim: Claim) -> Run:
    yield 0.1
    return lambda _: None


def _probe(claim: Claim) -> Run:
    yield from claim.sim.store.read()
    yield from claim.work(0.3)
    if claim.sim.shapes[claim.asset].refused:
        raise Rejected("The file has no video.", code="no_video_stream")
    return lambda _: None


def _plan(claim: Claim) -> Run:
    plan = claim.sim.shapes[claim.asset].plan()
    yield from claim.work(0.3)
    for track in _planned(plan, frozenset()).tracks:
        yield from claim.sim.store.put(keys.init_segment(claim.asset, plan.digest, track.spec.name), INIT)
    return lambda books: books.save_plan(claim.asset, plan)


def _encode(claim: Claim) -> Run:
    plan, gone = _known(claim)
    names = [name for name in claim.job.args["renditions"] if name not in gone]
    return (yield from _video(claim, plan, plan.chunks[claim.job.args["chunk"]].of(names)))


def _segment(claim: Claim) -> Run:
    plan, _ = _known(claim)
    name, index = str(claim.job.args["rendition"]), int(claim.job.args["index"])
    if any(rung.name == name for rung in plan.video):
        return (yield from _video(claim, plan, {name: (index,)}))
    return (yield from _sound(claim, plan, name, [index], claim.sim.shapes[claim.asset].table(name)))


def _audio(claim: Claim) -> Run:
    plan, _ = _known(claim)
    name = claim.job.args["renditions"][0]
    other = [replace(one, size_bytes=one.size_bytes + 1, sha256=f"run-{one.index}") for one in claim.sim.shapes[claim.asset].table(name)]
    return (yield from _sound(claim, plan, name, range(plan.grid.segment_count), other))


def _known(claim: Claim) -> tuple[EncodePlan, frozenset[str]]:
    books = claim.sim.books()
    plan = books.plan(claim.asset)
    return plan, books.lost(claim.asset, plan.digest)


def _video(claim: Claim, plan: EncodePlan, wanted: Mapping[str, Sequence[int]]) -> Run:
    sim, table = claim.sim, claim.sim.shapes[claim.asset].table
    missing = [(name, i) for name, indexes in wanted.items() for i in indexes if not sim.lies_there(claim.asset, plan.digest, name, i)]
    if missing:
        yield from claim.work(0.5 + len(missing))
        yield from claim.break_on(missing)
    for name, index in missing if not sim.planted("recorded before it is stored") else ():
        yield from sim.store.put(keys.media_segment(claim.asset, plan.digest, name, index), _content(table(name)[index]))

    def save(books: MemoryBooks) -> None:
        for name, indexes in wanted.items():
            books.save_segments(claim.asset, name, [table(name)[index] for index in indexes])

    return save


def _content(segment: MeasuredSegment) -> Content:
    return segment.size_bytes, segment.sha256


def _sound(claim: Claim, plan: EncodePlan, name: str, indexes: Iterable[int], table: Sequence[MeasuredSegment]) -> Run:
    sim = claim.sim
    for index in indexes:
        yield from claim.work(0.5)
        yield from claim.break_on([(name, index)])
        with sim.db.begin() as conn:
            conn.speaker = claim.job
            sim.jobs.hold(conn, claim.job)
            if sim.lies_there(claim.asset, plan.digest, name, index) and not sim.planted("replaces what somebody was sent"):
                continue
            books = sim.books(conn)
            books.forget_segment(claim.asset, name, index)
            sim.store.put_now(keys.media_segment(claim.asset, plan.digest, name, index), _content(table[index]))
            books.save_segments(claim.asset, name, [table[index]])
    return lambda _: None


def _poster(claim: Claim) -> Run:
    plan, _ = _known(claim)
    yield from claim.work(0.3)
    if claim.sim.shapes[claim.asset].no_poster:
        raise StepFailed("The encoder crashed.", code="encode_failed")
    yield from claim.sim.store.put(keys.poster(claim.asset, plan.digest), POSTER)
    return lambda _: None


def _publish(claim: Claim) -> Run:
    sim, asset = claim.sim, claim.asset
    plan, gone = _known(claim)
    stage: Any = claim.job.subject.rpartition("/")[2]
    yield from sim.store.read()
    stored = sim.store.sizes(keys.plan_prefix(asset, plan.digest))
    presentation = _planned(plan, gone)
    names = [track.spec.name for track in presentation.tracks]
    if stage == "ready":
        tables = {name: sim.recorded(asset, plan.digest, name) for name in names}
        presentation = whole(asset, plan, tables, dict.fromkeys(names, InitSegment("init", INIT[0])), stored, without=gone)
    for key, size_bytes in playlist_sizes(asset, plan, gone).items():
        if stored.get(key) != size_bytes:
            yield from sim.store.put(key, (size_bytes, "playlist"))
    new = NewPresentation(plan.digest, stage, {"playlist": _text(presentation, plan)}, has_poster=False, without=gone)

    def save(books: MemoryBooks) -> None:
        if not sim.planted("an old list is published"):
            require_current(new, books.lost(asset, plan.digest))
        books.publish(asset, new)

    return save


_PLANNED: dict[tuple[str, frozenset[str]], Presentation] = {}
_SIZES: dict[tuple[str, str, frozenset[str]], dict[str, int]] = {}
_TEXTS: dict[tuple[Any, ...], str] = {}


def tracks_of(plan: EncodePlan) -> list[str]:
    """The names of its renditions."""
    return [*(rung.name for rung in plan.video), *(track.name for track in plan.audio)]


def _planned(plan: EncodePlan, gone: frozenset[str]) -> Presentation:
    """Worked out once for all schedules, as the texts below: equal plans are the same plan."""
    known = (plan.digest, gone)
    if known not in _PLANNED:
        _PLANNED[known] = planned(plan, gone)
    return _PLANNED[known]


def playlist_sizes(asset: AssetId, plan: EncodePlan, gone: frozenset[str]) -> dict[str, int]:
    """Of the media and I-frame playlists, by key."""
    known = (asset, plan.digest, gone)
    if known not in _SIZES:
        _SIZES[known] = {key: len(text) for key, text in playlists(asset, plan, planned(plan, gone)).items()}
    return _SIZES[known]


def _text(presentation: Presentation, plan: EncodePlan) -> str:
    known = (plan.digest, *((track.spec.name, *(segment.sha256 for segment in track.segments)) for track in presentation.tracks))
    if known not in _TEXTS:
        _TEXTS[known] = render_multivariant(presentation, plan.digest)
    return _TEXTS[known]


@cache
def named(playlist: str) -> tuple[str, ...]:
    """The renditions that a multivariant playlist names."""
    return tuple(dict.fromkeys(re.findall(r"/(\w+)/index\.m3u8", playlist)))


def _purge(claim: Claim) -> Run:
    for prefix in (keys.asset_prefix(claim.asset), keys.source_prefix(claim.asset)):
        for key in claim.sim.store.below(prefix):
            yield from claim.sim.store.read()
            if claim.lost:
                return lambda _: None
            claim.sim.store.delete(key)
    return lambda books: books.purge(claim.asset)


RUNS: Mapping[str, Callable[[Claim], Run]] = {
    kinds.PROBE: _probe, kinds.PLAN: _plan, kinds.ENCODE: _encode, kinds.SEGMENT: _segment, kinds.AUDIO: _audio,
    kinds.POSTER: _poster, kinds.PUBLISH: _publish, PURGE: _purge,
}  # fmt: skip
