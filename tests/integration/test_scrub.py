"""Objects that a store lost or changed: found by reading them, and made again from their source, byte for byte. On live servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from captions.steps import stored
from catalog import inventory, scrub, store, track_store
from catalog.asset import Asset, AssetStatus
from catalog.inventory import Part, What
from catalog.scrub import Options, Report, is_drawn
from catalog.track import NewTrack
from kit.errors import Unavailable
from kit.step import run_step
from kit.storage.verify import Condition, Recorded
from kit.world import World
from media.cues import Cue
from packager.text_refresh import refresh
from tests.clips import Clips
from tests.presented import STEPS, present, work
from tests.published import Published, published
from worker.flow import VideoFlow


def parts(world: World, asset_id: str) -> list[Part]:
    with world.db.connect() as conn:
        return inventory.parts_of(conn, asset_id)


def some(found: list[Part], what: What, rendition: str = "", index: int = -1) -> Part:
    return next(part for part in found if part.what == what and rendition in ("", part.rendition) and (index < 0 or part.index == index))


def flip(world: World, part: Part) -> None:
    data = bytearray(world.storage.get(part.key))
    data[len(data) // 2] ^= 1
    world.storage.put(part.key, bytes(data))


def cut(world: World, part: Part) -> None:
    world.storage.put(part.key, world.storage.get(part.key)[:-1])


def lose(world: World, part: Part) -> None:
    world.storage.delete(part.key)


def bodies(world: World, found: list[Part]) -> dict[str, str]:
    return {part.key: hashlib.sha256(world.storage.get(part.key)).hexdigest() for part in found}


def working(world: World) -> Callable[[], None]:
    """A worker, one job at a time, whenever the check waits for one."""

    def work() -> None:
        assert run_step(world, STEPS, VideoFlow(), "test"), "the check waits, and there is nothing to do"

    return work


def conditions(report: Report) -> dict[str, str]:
    return {item.key: item.condition for item in report.damaged}


@pytest.fixture
def made(world: World) -> Published:
    """A title of noise: nothing can be made again of it."""
    return published(world)


def test_everything_that_is_stored_is_recorded(world: World, made: Published) -> None:
    found = parts(world, made.asset)
    assert {part.key for part in found} == {item.key for item in world.storage.list(f"presentations/{made.asset}/")}
    assert bodies(world, found) == {part.key: part.sha256 for part in found}
    assert {part.what for part in found} == {What.INIT, What.SEGMENT, What.PLAYLIST, What.POSTER}
    report = scrub.scrub(world, Options(made.asset))
    assert (report.objects, report.damaged, report.finished) == (len(found), (), True)


@pytest.mark.parametrize("what", [What.INIT, What.SEGMENT, What.PLAYLIST, What.POSTER])
@pytest.mark.parametrize(
    ("damage", "condition"), [(flip, Condition.CHANGED), (cut, Condition.RESIZED), (lose, Condition.MISSING)], ids=["flip", "cut", "lose"]
)
def test_each_kind_of_damage_is_found(
    world: World, made: Published, what: What, damage: Callable[[World, Part], None], condition: Condition
) -> None:
    hurt = some(parts(world, made.asset), what)
    damage(world, hurt)
    report = scrub.scrub(world, Options(made.asset))
    assert conditions(report) == {hurt.key: str(condition)}
    assert [item.key for item in report.left] == [hurt.key]


@pytest.fixture
def title(world: World, clips: Clips) -> Asset:
    """A real one."""
    asset = present(world, clips("plain"))
    assert asset.status is AssetStatus.READY
    return asset


def test_what_was_damaged_is_made_again_byte_for_byte(world: World, title: Asset) -> None:
    found = parts(world, title.id)
    before = bodies(world, found)
    assert {part.what for part in found} == set(What) - {What.CUES, What.TEXT, What.DOWNLOAD}
    top = max(part.rendition for part in found if part.what == What.SEGMENT and part.rendition != "audio")
    last = max(part.index for part in found if part.rendition == top)
    hurt = {
        some(found, What.SEGMENT, top, last): flip, some(found, What.SEGMENT, "audio", last): cut, some(found, What.INIT, top): lose,
        some(found, What.SEGMENT, "audio", 0): flip, some(found, What.SEGMENT, top, 0): lose, some(found, What.INIT, "audio"): flip,
        some(found, What.PLAYLIST, top): flip, some(found, What.POSTER): cut, some(found, What.PICTURE): flip,
        [part for part in found if part.what == What.PICTURE][-1]: lose,
    }  # fmt: skip
    for part, damage in hurt.items():
        damage(world, part)
    report = scrub.scrub(world, Options(title.id, repair=True), wait=working(world))
    assert set(conditions(report)) == {part.key for part in hurt}
    assert report.left == ()
    assert {item.said for item in report.damaged} == {"Made again, the same bytes."}
    assert bodies(world, parts(world, title.id)) == before
    assert scrub.scrub(world, Options(title.id)).damaged == ()
    with world.db.connect() as conn:
        assert store.get_asset(conn, title.id).status is AssetStatus.READY


def test_a_damaged_source_is_told_of_and_nothing_else_happens(world: World, title: Asset) -> None:
    found = parts(world, title.id)
    before = bodies(world, found)
    source, segment = some(found, What.SOURCE), some(found, What.SEGMENT)
    flip(world, source)
    lose(world, segment)
    report = scrub.scrub(world, Options(title.id, repair=True), wait=working(world))
    said = {item.key: item.said for item in report.left}
    assert said[source.key].startswith("The source cannot be made again: upload it anew.")
    assert said[segment.key] == "It cannot be made again, because the source is damaged too."
    left = [part for part in found if part not in (source, segment)]
    assert bodies(world, left) == {part.key: before[part.key] for part in left}
    assert {part.key for part in parts(world, title.id)} == {part.key for part in found}, "what is lost stays on record"


@pytest.fixture
def told(world: World, title: Asset) -> Asset:
    """The same with captions."""
    with world.db.begin() as conn:
        track = track_store.add_track(conn, title.id, NewTrack("captions", "en", "English"))
        content = stored(world, title.id, "srt", [Cue(1000, 2000, "Good evening"), Cue(2500, 3000, "Good night")], [])
        track_store.set_content(conn, track_store.get_track(conn, title.id, track), content)
        refresh(conn, world, title.id)
    return title


@pytest.mark.parametrize(("damage", "condition"), [(flip, "changed"), (cut, "resized"), (lose, "missing")], ids=["flip", "cut", "lose"])
def test_a_damaged_pack_of_text_is_made_again(world: World, told: Asset, damage: Callable[[World, Part], None], condition: str) -> None:
    found = parts(world, told.id)
    before = bodies(world, found)
    hurt = some(found, What.TEXT)
    damage(world, hurt)
    report = scrub.scrub(world, Options(told.id, repair=True), wait=working(world))
    assert conditions(report) == {hurt.key: condition}
    assert [(item.said, item.repaired) for item in report.damaged] == [("Made again, the same bytes.", True)]
    assert bodies(world, parts(world, told.id)) == before
    assert scrub.scrub(world, Options(told.id)).damaged == ()


def test_of_damaged_cues_it_is_said_that_they_are_lost_and_viewers_keep_their_text(world: World, told: Asset) -> None:
    found = parts(world, told.id)
    cues, pack = some(found, What.CUES), some(found, What.TEXT)
    flip(world, cues)
    report = scrub.scrub(world, Options(told.id, repair=True), wait=working(world))
    assert conditions(report) == {cues.key: "changed"}
    assert [item.said.startswith("The text of this track cannot be made again: upload it anew.") for item in report.left] == [True]
    lose(world, pack)
    report = scrub.scrub(world, Options(told.id, repair=True), wait=working(world))
    assert {item.key: item.said.partition(",")[0] for item in report.left} == {
        cues.key: "The text of this track cannot be made again: upload it anew. Viewers see it as before while its pack is whole.",
        pack.key: "It cannot be made again",
    }
    with world.db.connect() as conn:
        (track,) = track_store.tracks_of(conn, [told.id])[told.id]
    assert (track.status, track.pack_digest) == ("ready", pack.key.rpartition("/")[2]), "what is lost stays on record"


def test_what_cannot_be_made_stays_on_record(world: World, title: Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    hurt = some(parts(world, title.id), What.SEGMENT)
    lose(world, hurt)
    broken = replace(world, settings=replace(world.settings, ffmpeg="/bin/false"))

    def work() -> None:
        with world.db.begin() as conn:  # the back-off of an attempt is not waited for
            conn.exec_driver_sql("UPDATE jobs SET not_before = now() WHERE state = 'queued'")
        assert run_step(broken, STEPS, VideoFlow(), "test")

    report = scrub.scrub(world, Options(title.id, repair=True), wait=work)
    (item,) = report.left
    assert item.said.startswith("It could not be made again (")
    assert some(parts(world, title.id), What.SEGMENT, hurt.rendition, hurt.index) == hurt
    assert conditions(scrub.scrub(world, Options(title.id))) == {hurt.key: "missing"}


def test_a_check_goes_on_where_it_stopped(world: World, made: Published) -> None:
    found = parts(world, made.asset)
    flip(world, found[0])
    read: list[int] = []
    options = Options(made.asset)
    other = Recorded("doctor/nothing", 1, "", "~others", "nothing")
    with world.db.connect() as conn:
        everything = list(inventory.asset_ids(conn))
    whole = scrub.scrub(world, Options(), others=[other])
    assert (len(everything), whole.finished, len(whole.damaged)) == (1, True, 2)

    def stopped() -> bool:
        return len(read) >= 1

    first = scrub.scrub(world, Options(), told=lambda report: read.append(report.objects), stopped=stopped)
    assert (first.finished, first.objects) == (False, 1)
    second = scrub.scrub(world, options)
    assert (second.resumed, second.objects) == (False, len(found)), "a check of something else begins by itself"


def test_what_was_found_before_a_stop_is_not_forgotten(world: World) -> None:
    first, second = published(world, seed=1), published(world, seed=2)
    hurt = parts(world, first.asset)[0]
    flip(world, hurt)
    enough = len(parts(world, first.asset)) + 1
    stopped = scrub.scrub(world, Options(), stopped=lambda: reads() >= enough, told=seen.append)
    assert (stopped.finished, stopped.resumed) == (False, False)
    seen.clear()
    resumed = scrub.scrub(world, Options())
    assert (resumed.finished, resumed.resumed) == (True, True)
    assert conditions(resumed) == {hurt.key: "changed"}
    assert resumed.objects == enough - 1 + len(parts(world, second.asset))
    assert scrub.scrub(world, Options()).resumed is False


seen: list[Report] = []


def reads() -> int:
    return seen[-1].objects if seen else 0


def test_a_store_that_is_away_is_no_damage(world: World, made: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("The object store does not answer.")

    monkeypatch.setattr(type(world.storage), "stream", away)
    with pytest.raises(Unavailable):
        scrub.scrub(world, Options(made.asset))


def test_what_is_deleted_while_it_is_checked_is_no_damage(world: World, made: Published) -> None:
    def delete_it(report: Report) -> None:
        if report.objects == 1:
            with world.db.begin() as conn:
                store.delete_asset(conn, made.asset)
            work(world)

    assert scrub.scrub(world, Options(made.asset), told=delete_it).damaged == ()


def test_a_sample_is_a_share_and_another_one_each_time() -> None:
    names = [f"presentations/{number}" for number in range(10_000)]
    drawn = {salt: {name for name in names if is_drawn(name, 5, salt)} for salt in ("monday", "tuesday")}
    assert all(400 < len(found) < 600 for found in drawn.values())
    assert drawn["monday"] != drawn["tuesday"]
    assert all(is_drawn(name, 100, "") for name in names)
    assert not any(is_drawn(name, 0, "") for name in names)
