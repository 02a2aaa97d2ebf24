"""The catalog on a live PostgreSQL."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from catalog import pictures, store, tally_store, views
from catalog.asset import AssetEvent, AssetStatus, NewAsset, NewPresentation, PreconditionFailed, WrongStatus
from catalog.pictures import Made, Picture
from catalog.store import AssetFilter
from catalog.tables import plans, segments
from kit import job_store
from kit.errors import Forbidden, NotFound, StepFailed
from kit.jobs import NewJob, State
from kit.world import World
from media.ids import PlanDigest
from tests.assets import INFO, SOURCE_DIGEST, a_plan, an_asset, inits_of, segments_of
from tests.tallies import tally

S, E = AssetStatus, AssetEvent


@pytest.fixture
def conn(world: World) -> Iterator[Connection]:
    with world.db.connect() as connection:
        yield connection


def test_a_new_asset_waits_and_has_an_address(conn: Connection) -> None:
    new = NewAsset("Film", "About", ("a", "b"), "ext-1", {"k": "v"}, "mobile", "public")
    asset = store.create_asset(conn, new)
    assert asset.id.startswith("ast_")
    assert (asset.status, asset.playable, asset.version) == (S.WAITING, False, 1)
    assert (asset.title, asset.description, asset.tags, asset.external_id, asset.metadata) == (
        "Film",
        "About",
        ("a", "b"),
        "ext-1",
        {"k": "v"},
    )
    assert store.get_asset(conn, asset.id) == asset
    (playback,) = store.playbacks_of(conn, [asset.id])[asset.id]
    assert playback.policy == "public"
    assert asset.id not in playback.id


def test_facts_arrive_with_their_events(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    assert asset.source == INFO
    assert (asset.source_digest, asset.source_size_bytes) == (SOURCE_DIGEST, INFO.size_bytes)
    assert asset.received_at is not None
    assert asset.playable_at is None
    published = store.publish(conn, asset.id, NewPresentation(a_plan().digest, "planned", {}, has_poster=True))
    assert (published.status, published.playable, published.updated_at > asset.updated_at) == (S.PROCESSING, False, True)
    playable = store.advance(conn, asset.id, AssetEvent.PLAYABLE)
    assert (playable.status, playable.playable) == (S.PROCESSING, True)
    ready = store.publish(conn, asset.id, NewPresentation(a_plan().digest, "ready", {}, has_poster=True))
    assert ready.status is S.READY
    assert ready.playable_at == playable.playable_at
    assert ready.ready_at is not None
    assert ready.version == asset.version, "what the pipeline does is not an edit"


def test_an_event_out_of_order_is_refused_and_changes_nothing(conn: Connection) -> None:
    asset = an_asset(conn)
    with pytest.raises(WrongStatus):
        store.publish(conn, asset.id, NewPresentation(a_plan().digest, "ready", {}, has_poster=False))


def test_a_late_planned_presentation_does_not_replace_the_ready_one(conn: Connection) -> None:
    asset = an_asset(conn, S.READY)
    store.publish(conn, asset.id, NewPresentation(a_plan().digest, "planned", {"playlist": "less"}, has_poster=False))
    current = store.current_presentation(conn, asset.id)
    assert current is not None
    assert (current.stage, current.multivariant) == ("ready", {"playlist": "#EXTM3U\n"})


def test_a_presentation_of_another_plan_replaces_the_ready_one(conn: Connection) -> None:
    asset = an_asset(conn, S.READY)
    again = a_plan("plan-2")
    store.save_plan(conn, asset.id, again, inits_of(again))
    store.publish(conn, asset.id, NewPresentation(again.digest, "planned", {}, has_poster=False))
    current = store.current_presentation(conn, asset.id)
    assert current is not None
    assert (current.plan_digest, current.stage) == ("plan-2", "planned")


def test_the_first_reason_of_a_failure_stands(conn: Connection) -> None:
    asset = an_asset(conn, S.ERRORED)
    again = store.mark_errored(conn, asset.id, "other", "Something else.")
    assert (again.error_code, again.error_detail) == ("truncated", "The file ends early.")


def test_a_ready_asset_does_not_fail(conn: Connection) -> None:
    asset = store.mark_errored(conn, an_asset(conn, S.READY).id, "late", "A repeat failed.")
    assert (asset.status, asset.error_code) == (S.READY, None)


def test_details_change_with_a_version(conn: Connection) -> None:
    asset = an_asset(conn)
    changed = store.update_details(conn, asset.id, {"title": "New", "tags": ["x"]}, expected_version=1)
    assert (changed.title, changed.tags, changed.version) == ("New", ("x",), 2)
    with pytest.raises(PreconditionFailed):
        store.update_details(conn, asset.id, {"title": "Newer"}, expected_version=1)
    with pytest.raises(ValueError, match="status"):
        store.update_details(conn, asset.id, {"status": "ready"})


@pytest.mark.parametrize("missing", ["ast_nothing", ""])
def test_what_is_not_there_is_said(conn: Connection, missing: str) -> None:
    calls: list[Any] = [
        lambda: store.get_asset(conn, missing),
        lambda: store.lock_asset(conn, missing),
        lambda: store.advance(conn, missing, E.DELETE),
        lambda: store.load_plan(conn, missing),
        lambda: store.load_init(conn, missing, missing, "360p"),
        lambda: store.save_segments(conn, missing, missing, "360p", ()),
        lambda: store.resolve_playback(conn, missing),
        lambda: store.asset_of_playback(conn, missing),
        lambda: store.delete_asset(conn, missing),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()


# -- lists


def titles(conn: Connection, wanted: AssetFilter) -> set[str]:
    return {asset.title for asset in store.list_assets(conn, wanted).assets}


def test_filters_narrow_together(conn: Connection) -> None:
    store.create_asset(conn, NewAsset("Red river", "calm", ("water", "red"), "one"))
    store.create_asset(conn, NewAsset("Blue lake", "a RED boat", ("water",), "two"))
    an_asset(conn, S.PROCESSING, NewAsset("100% wool_hat", tags=("wool",)))
    an_asset(conn, S.DELETED, NewAsset("Gone", tags=("water",)))
    assert titles(conn, AssetFilter()) == {"Red river", "Blue lake", "100% wool_hat"}
    assert titles(conn, AssetFilter(text="red")) == {"Red river", "Blue lake"}
    assert titles(conn, AssetFilter(text="TWO")) == {"Blue lake"}
    assert titles(conn, AssetFilter(text="wat")) == {"Red river", "Blue lake"}
    assert titles(conn, AssetFilter(text="0% w")) == {"100% wool_hat"}
    assert titles(conn, AssetFilter(text="%")) == {"100% wool_hat"}
    assert titles(conn, AssetFilter(text="l_h")) == {"100% wool_hat"}
    assert titles(conn, AssetFilter(tag="water")) == {"Red river", "Blue lake"}
    assert titles(conn, AssetFilter(tag="wat")) == set()
    assert titles(conn, AssetFilter(external_id="one")) == {"Red river"}
    assert titles(conn, AssetFilter(text="red", tag="water", external_id="two")) == {"Blue lake"}
    assert titles(conn, AssetFilter((S.PROCESSING,))) == {"100% wool_hat"}
    assert titles(conn, AssetFilter((S.DELETED,))) == {"Gone"}
    assert titles(conn, AssetFilter((S.WAITING, S.PROCESSING), text="e")) == {"Red river", "Blue lake"}


def test_walking_a_list_while_it_grows_shows_each_old_asset_once(conn: Connection) -> None:
    old = [store.create_asset(conn, NewAsset(str(number))).id for number in range(7)]
    seen: list[str] = []
    after = None
    while True:
        page = store.list_assets(conn, limit=2, after=after)
        assert len(page.assets) <= 2
        seen += [asset.id for asset in page.assets]
        store.create_asset(conn, NewAsset("new"))
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == sorted(old, reverse=True)


def test_lists_leave_key_frame_times_out(conn: Connection) -> None:
    an_asset(conn, S.PROCESSING)
    an_asset(conn)
    with_source, without = sorted(store.list_assets(conn).assets, key=lambda asset: asset.source is None)
    assert with_source.source is not None
    assert with_source.source.video is not None
    assert with_source.source.video.keyframes == ()
    assert INFO.video is not None
    assert replace(with_source.source.video, keyframes=INFO.video.keyframes) == INFO.video
    assert without.source is None


def test_a_source_without_video_can_be_listed(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    store.set_source_info(conn, asset.id, replace(INFO, video=None), SOURCE_DIGEST)
    (listed,) = store.list_assets(conn).assets
    assert listed.source == replace(INFO, video=None)


# -- plans and segments


def test_a_plan_comes_back_with_its_inits(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    assert store.load_plan(conn, asset.id) == a_plan()
    assert store.load_init(conn, asset.id, a_plan().digest, "audio").size_bytes == len(b"init of audio")
    rows = store.load_renditions(conn, [asset.id])[asset.id]
    assert [(row.name, row.kind, row.width, row.frame_rate) for row in rows] == [
        ("240p", "video", 426, "25/1"),
        ("360p", "video", 640, "25/1"),
        ("audio", "audio", None, None),
    ]


def test_saving_a_plan_again_changes_nothing_but_other_init_bytes_are_an_error(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    store.save_plan(conn, asset.id, a_plan(), inits_of(a_plan()))
    with pytest.raises(StepFailed) as caught:
        store.save_plan(conn, asset.id, a_plan(), {"360p": b"other"})
    assert caught.value.code == "init_mismatch"


def test_segments_come_back_and_make_the_bit_rates_known_when_they_are_complete(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    plan = a_plan()
    first, *rest = segments_of(plan)
    store.save_segments(conn, asset.id, plan.digest, "360p", [first])
    assert store.load_renditions(conn, [asset.id])[asset.id][1].bitrate_bps is None
    store.save_segments(conn, asset.id, plan.digest, "360p", rest)
    store.save_segments(conn, asset.id, plan.digest, "360p", rest)
    assert store.load_segments(conn, asset.id, plan.digest, "360p") == segments_of(plan)
    row = store.load_renditions(conn, [asset.id])[asset.id][1]
    total_bits = 8 * sum(segment.size_bytes for segment in segments_of(plan))
    assert row.bitrate_bps == math.ceil(Fraction(total_bits, 13))
    assert row.peak_bps is not None
    assert row.peak_bps >= row.bitrate_bps


def test_chunks_that_end_at_the_same_time_still_make_the_bit_rates_known(world: World) -> None:
    """Neither sees the other's segments before it commits, so one has to wait for the other."""
    plan = a_plan()
    first, *rest = segments_of(plan)
    with world.db.begin() as conn:
        asset = an_asset(conn, S.PROCESSING)

    def save_rest() -> None:
        with world.db.begin() as conn:
            store.save_segments(conn, asset.id, plan.digest, "360p", rest)

    other = threading.Thread(target=save_rest)
    with world.db.begin() as conn:
        store.save_segments(conn, asset.id, plan.digest, "360p", [first])
        other.start()
        other.join(0.7)
    other.join()
    with world.db.begin() as conn:
        assert store.load_renditions(conn, [asset.id])[asset.id][1].bitrate_bps is not None


# -- playback


def test_an_address_resolves_only_to_what_is_published(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    address = store.playbacks_of(conn, [asset.id])[asset.id][0].id
    assert store.asset_of_playback(conn, address).id == asset.id
    with pytest.raises(NotFound) as caught:
        store.resolve_playback(conn, address)
    assert caught.value.code == "not_playable"
    store.publish(conn, asset.id, NewPresentation(a_plan().digest, "planned", {"x": 1}, has_poster=True))
    target = store.resolve_playback(conn, address)
    assert (target.playback_id, target.asset.id, target.plan_digest) == (address, asset.id, a_plan().digest)
    assert (target.presentation.multivariant, target.presentation.has_poster) == ({"x": 1}, True)


def test_what_was_only_planned_when_it_was_given_up_resolves_to_nothing(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    address = store.playbacks_of(conn, [asset.id])[asset.id][0].id
    store.publish(conn, asset.id, NewPresentation(a_plan().digest, "planned", {}, has_poster=False))
    store.advance(conn, asset.id, AssetEvent.PLAYABLE)
    store.mark_errored(conn, asset.id, "decode_failed", "It cannot be decoded.")
    with pytest.raises(NotFound):
        store.resolve_playback(conn, address)


def test_a_poster_is_shown_as_soon_as_there_is_one(conn: Connection) -> None:
    asset = an_asset(conn, S.PROCESSING)
    store.publish(conn, asset.id, NewPresentation(a_plan().digest, "planned", {"playlist": "#EXTM3U\n"}, has_poster=False))
    with pytest.raises(NotFound):
        pictures.record(conn, asset.id, Made(PlanDigest("another"), (Picture("poster.jpg", "0" * 64, 5),)))
    pictures.show_poster(conn, asset.id)
    assert store.current_presentation(conn, asset.id).has_poster is False  # type: ignore[union-attr]
    pictures.record(conn, asset.id, Made(a_plan().digest, (Picture("poster.jpg", "0" * 64, 5),)))
    pictures.show_poster(conn, asset.id)
    shown = store.current_presentation(conn, asset.id)
    assert shown is not None and shown.has_poster
    assert shown.multivariant == {"playlist": "#EXTM3U\n", "poster": {"sha256": "0" * 64, "size_bytes": 5, "name": "poster.jpg"}}


def test_a_signed_address_opens_for_nobody_yet(conn: Connection) -> None:
    asset = an_asset(conn, S.READY, NewAsset(playback_policy="signed"))
    with pytest.raises(Forbidden):
        store.resolve_playback(conn, store.playbacks_of(conn, [asset.id])[asset.id][0].id)


# -- deletion


def test_deleting_ends_everything_at_once(conn: Connection) -> None:
    asset = an_asset(conn, S.READY)
    address = store.playbacks_of(conn, [asset.id])[asset.id][0].id
    work = job_store.enqueue(conn, NewJob("transcode.encode", "x", asset.id))
    deleted = store.delete_asset(conn, asset.id)
    assert (deleted.status, deleted.playable) == (S.DELETED, False)
    with pytest.raises(NotFound):
        store.resolve_playback(conn, address)
    found = {job.kind: job for job in job_store.jobs_of_asset(conn, asset.id)}
    assert found["transcode.encode"].id == work.id
    assert found["transcode.encode"].state is State.CANCELLED
    assert found["catalog.purge"].state is State.QUEUED
    assert store.delete_asset(conn, asset.id) == deleted


def test_what_was_still_under_way_does_not_bring_a_deleted_asset_back(conn: Connection) -> None:
    asset = an_asset(conn, S.DELETED)
    store.mark_received(conn, asset.id, source_key="k", size_bytes=1)
    store.set_source_info(conn, asset.id, INFO, "other")
    store.save_plan(conn, asset.id, a_plan("plan-2"), inits_of(a_plan("plan-2")))
    store.publish(conn, asset.id, NewPresentation(a_plan().digest, "ready", {}, has_poster=False))
    store.mark_errored(conn, asset.id, "x", "X.")
    assert store.get_asset(conn, asset.id) == asset
    assert store.current_presentation(conn, asset.id) is None


def test_purging_forgets_the_words_and_the_plans_that_nobody_else_uses(conn: Connection) -> None:
    kept, gone = an_asset(conn, S.READY), an_asset(conn, S.READY)
    alone = an_asset(conn, S.READY, plan="plan-alone")
    store.save_segments(conn, alone.id, "plan-alone", "360p", segments_of(a_plan("plan-alone")))
    for asset in (gone, alone):
        store.delete_asset(conn, asset.id)
        store.purge_rows(conn, asset.id)
    left = store.get_asset(conn, gone.id)
    assert (left.status, left.title, left.source, left.plan_digest) == (S.DELETED, "", None, None)
    assert set(conn.execute(select(plans.c.digest)).scalars()) == {"plan-1"}
    assert conn.execute(select(func.count()).select_from(segments)).scalar_one() == 0
    assert store.load_plan(conn, kept.id) == a_plan()


def test_only_a_deleted_asset_is_purged(conn: Connection) -> None:
    with pytest.raises(ValueError, match="only a deleted asset"):
        store.purge_rows(conn, an_asset(conn, S.READY).id)


# -- progress


def test_the_database_sums_jobs_up_as_the_pure_function_does(conn: Connection) -> None:
    asset, other = an_asset(conn, S.PROCESSING), an_asset(conn, S.PROCESSING)
    job_store.enqueue(conn, NewJob("ingest.probe", "p", asset.id))
    for chunk in range(3):
        args = {"group": 1, "chunk": chunk, "renditions": ["360p", "240p"]}
        job_store.enqueue(conn, NewJob("transcode.encode", f"g1/c{chunk}", asset.id, args, weight=1.5 + chunk))
    for progress, stats in ((0.25, {"fps": 31.5, "crew": 2}), (0.5, {"reached": 0.375})):
        claimed = job_store.claim(conn, "me")
        assert claimed is not None
        assert job_store.heartbeat(conn, claimed, progress, stats)
    job_store.release(conn, claimed)
    again = job_store.claim(conn, "another")  # it tells nothing yet, and what the first one did is lost
    assert again is not None
    assert (again.id, again.progress) == (claimed.id, 0.5)
    for chunk in range(40):
        args = {"group": 2, "chunk": chunk, "renditions": ["1080p"]}
        job_store.enqueue(conn, NewJob("transcode.encode", f"g2/c{chunk}", asset.id, args, priority=-500, weight=1.5 + chunk))

    now = conn.execute(select(func.clock_timestamp())).scalar_one()
    for chunk, (began, ended) in enumerate([(500, 400), (290, 30), (50, 0.25)]):  # seconds ago
        job = job_store.enqueue(conn, NewJob("transcode.encode", f"g0/c{chunk}", asset.id, {"renditions": ["480p"]}, weight=2.0 + chunk))
        times = {"started_at": now - timedelta(seconds=began), "finished_at": now - timedelta(seconds=ended)}
        conn.execute(update(job_store.jobs).where(job_store.jobs.c.id == job.id).values(state="succeeded", progress=1.0, **times))

    def key(item: Any) -> Any:
        return (item.kind, item.renditions, item.state, item.fps)

    summed = tally_store.tallies(conn, [asset.id, other.id], now)
    assert summed[other.id] == ()
    pure = sorted(tally(job_store.jobs_of_asset(conn, asset.id), now), key=key)
    for ours, theirs in zip(sorted(summed[asset.id], key=key), pure, strict=True):
        assert key(ours) == key(theirs)
        assert astuple(replace(ours, last=()))[3:-1] == pytest.approx(astuple(replace(theirs, last=()))[3:-1], abs=1e-4)
        assert ours.last == theirs.last
    assert sum(item.lately_s for item in pure if item.renditions == ("480p",)) == pytest.approx(30.0 + 49.75)
    assert sum(item.pace_s for item in pure if item.renditions == ("480p",)) == pytest.approx(220.0 + 49.75)  # half of 500 s
    assert next(item.last for item in pure if item.renditions == ("1080p",)) == tuple(1.5 + chunk for chunk in range(8, 40))


def test_a_view_has_everything(world: World) -> None:
    with world.db.begin() as conn:
        asset = an_asset(conn, S.PROCESSING)
        waiting = an_asset(conn)
        shown, plain = views.load(conn, [asset, waiting], world.clock.now())
    assert [item.row.name for item in shown.renditions] == ["240p", "360p", "audio"]
    assert len(shown.playbacks) == 1
    assert plain.renditions == ()
    assert plain.progress.progress == 0.0
