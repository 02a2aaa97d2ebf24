"""Quality on record: measured by the real step on real encodes, kept, shown and flagged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import mean

import pytest

from catalog import quality, store
from catalog.asset import AssetStatus
from catalog.quality import Scored
from kit import job_store, tools
from kit.errors import StepFailed
from kit.world import World
from tests.api_client import Api, is_problem
from tests.clips import Clips
from tests.integration.test_pictures import Encoded, encoded
from tests.integration.test_transcode_steps import described, do, planned
from tests.presented import present, work
from tests.published import published
from transcode.ffmpeg.quality import report_path, score_command
from transcode.ffmpeg.run import Work
from transcode.quality import read_report
from transcode.quality_steps import film
from transcode.running import run
from transcode.title import open_title


def test_a_title_is_measured_on_demand_and_shows_its_figures(world: World, api: Api, clips: Clips) -> None:
    asset = present(world, clips("plain"))
    assert asset.status is AssetStatus.READY
    (before,) = [item for item in api.get(f"/v1/assets/{asset.id}").json()["renditions"] if item["kind"] == "video"]
    assert before["vmaf"] is None
    asked = api.post(f"/v1/assets/{asset.id}/quality?extent=full")
    assert asked.status_code == 202
    assert asked.json()["pending"] == 1
    work(world)
    (shown,) = [item["vmaf"] for item in api.get(f"/v1/assets/{asset.id}").json()["renditions"] if item["kind"] == "video"]
    assert shown["model"] == "vmaf_v0.6.1"
    assert 60 < shown["min"] <= shown["p5"] <= shown["mean"] < 100
    assert shown["below_floor"] == (shown["mean"] < shown["floor"])
    found = api.get(f"/v1/assets/{asset.id}/quality").json()
    (only,) = found["renditions"]
    assert only["vmaf"] == shown
    assert [point["index"] for point in only["points"]] == [0]
    assert sum(len(point["scores"]) for point in only["points"]) == shown["pictures"]
    assert (found["pending"], found["failed"], found["left_out"]) == (0, 0, [])
    assert api.post(f"/v1/assets/{asset.id}/quality").json()["pending"] == 0, "what has been measured is not measured again"


def test_by_a_setting_every_title_is_measured_when_it_is_ready(world: World, clips: Clips) -> None:
    asset = present(replace(world, settings=replace(world.settings, measure_quality="sampled")), clips("plain"))
    with world.db.connect() as conn:
        (found,) = quality.of_assets(conn, [asset.id]).values()
    assert (found.model, found.segments) == (quality.MODEL, 1)


def scored(title: Encoded, folder: Path, frames_late: int) -> float:
    """The mean score of the first segment beside a source that is so many frames late."""
    plan, world = title.plan, title.world
    rung = plan.video[-1]
    opened = open_title(world, title.asset.id, [rung.name])
    late = replace(plan, origin=plan.origin + frames_late / plan.grid.frame_rate)
    folder.mkdir()
    path = folder / "film.mp4"
    path.write_bytes(film(opened, rung.name, 0))
    source = folder / "source"
    world.storage.download(str(title.asset.source_key), source)
    out = folder / "out"
    out.mkdir()
    work = Work(late, opened.source, source, out, tools.ffmpeg(world.settings))
    run(world, score_command(work, {rung.name: path}, 0, rewind=None))
    first, end = plan.grid.segment_bounds(0)
    return mean(read_report(report_path(out, rung.name).read_text(), end - first))


def test_one_frame_beside_the_reference_is_seen(world: World, clips: Clips, tmp_path: Path) -> None:
    """Line 48 of the checklist: synchronised pictures are compared, or the score of a moving clip falls."""
    title = encoded(world, clips, tmp_path, "plain")
    assert scored(title, tmp_path / "right", 0) > scored(title, tmp_path / "late", 1) + 5


@pytest.mark.parametrize("profile", ["h264+av1", "h264+hevc"])
def test_every_codec_is_scored(world: World, clips: Clips, profile: str) -> None:
    asset = described(world, clips("plain"), profile)
    plan = planned(world, asset)
    for group, names in enumerate(plan.groups):
        do(world, asset, "transcode.encode", {"group": group, "chunk": 0, "renditions": list(names)})
    do(world, asset, quality.MEASURE, {"index": 0})
    with world.db.connect() as conn:
        found = {name: item.summary for (_, _, name), item in quality.of_assets(conn, [asset.id]).items()}
        assert quality.left_out(conn, asset.id, plan) == {}
    assert sorted(found) == sorted(rung.name for rung in plan.video)
    assert all(pooled.mean > 60 for pooled in found.values())


def test_nothing_is_scored_that_has_not_been_made(world: World, clips: Clips) -> None:
    asset = described(world, clips("plain"))
    planned(world, asset)
    with pytest.raises(StepFailed, match="has not been made yet"):
        do(world, asset, quality.MEASURE, {"index": 0})


def test_a_rendition_below_its_floor_is_flagged_and_goes_with_its_asset(world: World, api: Api) -> None:
    title = published(world)
    asset, digest = title.asset, title.title.plan.digest
    name = title.title.plan.video[0].name
    with world.db.begin() as conn:
        quality.record(conn, asset, digest, [Scored(name, 0, (90.0, 50.0), 80.0), Scored(name, 1, (70.0,), 80.0)])
        quality.record(conn, asset, digest, [Scored(name, 1, (72.0,), 80.0)])
    shown = next(item["vmaf"] for item in api.get(f"/v1/assets/{asset}").json()["renditions"] if item["name"] == name)
    assert (shown["segments"], shown["pictures"], shown["min"], shown["floor"], shown["below_floor"]) == (2, 3, 50.0, 80.0, True)
    with world.db.begin() as conn:
        store.delete_asset(conn, asset)
        store.purge_rows(conn, asset)
        assert quality.of_assets(conn, [asset]) == {}
    is_problem(api.get(f"/v1/assets/{asset}/quality"), 404, "asset_not_found")


def test_a_title_that_is_not_ready_has_nothing_to_measure(world: World, api: Api, clips: Clips) -> None:
    asset = described(world, clips("plain"))
    planned(world, asset)
    is_problem(api.post(f"/v1/assets/{asset.id}/quality"), 409, "wrong_status")
    with world.db.connect() as conn:
        assert job_store.unfinished(conn, asset.id, [quality.MEASURE]) == 0
