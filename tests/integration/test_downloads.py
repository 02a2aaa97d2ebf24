"""Static renditions of a finished title: asked for, made of what is stored, sent in pieces, and deleted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

import catalog.store
from catalog import downloads, inventory
from catalog.asset import Asset
from kit import job_store
from kit.world import World
from media import keys
from tests.api_client import Api, is_problem, open_api
from tests.clips import Clips
from tests.presented import Presented, decoded_times, present, read_back, work
from tests.readback import clicks, ffprobe, flashes

TITLE = 'Été "à/la" mer\u202e'


@pytest.fixture
def asset(world: World, clips: Clips, api: Api) -> Asset:
    made = present(world, clips("sync"))
    assert api.patch(f"/v1/assets/{made.id}", json={"title": TITLE}).status_code == 200
    return made


@pytest.fixture
def api(world: World) -> Api:
    return open_api(replace(world, settings=replace(world.settings, delivery="stream")))


def asked(api: Api, asset: Asset, name: str) -> dict[str, Any]:
    reply = api.post(f"/v1/assets/{asset.id}/downloads", json={"name": name})
    assert reply.status_code == 202, reply.text
    return dict(reply.json())


def fetched(api: Api, made: dict[str, Any], target: Path) -> Path:
    reply = api.get(made["url"], signed=False)
    assert reply.status_code == 200, reply.text
    target.write_bytes(reply.content)
    return target


def same_as_published(file: Path, found: Presented, rung: str) -> None:
    """Every picture at its time, and as much sound, as viewers of the HLS ladder get."""
    assert decoded_times(file) == pytest.approx(decoded_times(found.tracks[rung].file), abs=0.001)
    assert float(ffprobe(file)["format"]["duration"]) == pytest.approx(float(found.plan.grid.duration), abs=0.03)


def test_an_mp4_is_copied_together_and_sent_in_pieces(world: World, api: Api, asset: Asset, tmp_path: Path) -> None:
    found = read_back(world, asset, tmp_path)
    rung = found.plan.video[0].name
    listed = api.get(f"/v1/assets/{asset.id}/downloads").json()
    assert (listed["data"], f"{rung}.mp4" in listed["available"]) == ([], True)

    first, again = asked(api, asset, f"{rung}.mp4"), asked(api, asset, f"{rung}.mp4")
    assert (first["status"], first["url"], again) == ("waiting", None, first)
    work(world)
    (made,) = api.get(f"/v1/assets/{asset.id}/downloads").json()["data"]
    assert (made["status"], made["progress"]) == ("ready", 1.0)

    file = fetched(api, made, tmp_path / "file.mp4")
    data = file.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it is loaded
    same_as_published(file, found, rung)
    flash, click = [number / found.plan.grid.frame_rate for number in flashes(file)], clicks(file)
    assert [float(time) for time in flash] == pytest.approx(click, abs=float(1 / found.plan.grid.frame_rate))
    assert made["size_bytes"] == len(data) < sum(map(len, (*found.tracks[rung].segments, *found.tracks["audio"].segments))) * 1.2

    head = api.send("HEAD", made["url"], signed=False)
    disposition = head.headers.get("content-disposition", "")
    assert unquote(disposition.rpartition("''")[2]) == f"Été -à-la- mer {rung}.mp4"
    part = api.get(made["url"], signed=False, headers={"Range": "bytes=1000-1999", "If-Range": head.headers["etag"]})
    assert (part.status_code, part.content) == (206, data[1000:2000])
    assert api.get(made["url"], signed=False, headers={"If-None-Match": head.headers["etag"]}).status_code == 304

    with world.db.connect() as conn:
        job = next(job for job in job_store.jobs_of_asset(conn, asset.id) if job.kind == downloads.MAKE)
        assert job.stats["cpu_s"] < 2  # of 20 s of pictures: no encoder has run
        (key,) = [part.key for part in inventory.parts_of(conn, asset.id) if part.what is inventory.What.DOWNLOAD]
    assert api.delete(f"/v1/assets/{asset.id}/downloads/{rung}.mp4").status_code == 204
    assert [item.key for item in world.storage.list(keys.asset_prefix(asset.id)) if "download" in item.key] == []
    assert key not in {item.key for item in world.storage.list(keys.asset_prefix(asset.id))}
    assert api.get(made["url"], signed=False).status_code == 404
    is_problem(api.get(f"/v1/assets/{asset.id}/downloads/{rung}.mp4"), 404, "download_not_found")
    assert asked(api, asset, f"{rung}.mp4")["status"] == "waiting"  # a wish of its own
    work(world)
    assert api.get(f"/v1/assets/{asset.id}/downloads/{rung}.mp4").json()["status"] == "ready"


def test_a_webm_has_vp9_and_opus_and_both_forms_may_be_wanted_at_once(world: World, api: Api, asset: Asset, tmp_path: Path) -> None:
    found = read_back(world, asset, tmp_path)
    rung = found.plan.video[0].name
    for name in (f"{rung}.webm", f"{rung}.mp4"):
        asked(api, asset, name)
    work(world)
    made = {item["name"]: item for item in api.get(f"/v1/assets/{asset.id}/downloads").json()["data"]}
    assert {name: item["status"] for name, item in made.items()} == {f"{rung}.webm": "ready", f"{rung}.mp4": "ready"}
    file = fetched(api, made[f"{rung}.webm"], tmp_path / "file.webm")
    assert [stream["codec_name"] for stream in ffprobe(file)["streams"]] == ["vp9", "opus"]
    same_as_published(file, found, rung)


def packet_sizes(file: Path) -> list[int]:
    return [int(packet["size"]) for packet in ffprobe(file, "-select_streams", "v:0", "-show_packets")["packets"]]


def test_a_webm_of_an_av1_rung_has_its_very_pictures(world: World, api: Api, clips: Clips, tmp_path: Path) -> None:
    """Copied and not encoded once more, beside the sound as Opus."""
    asset = present(world, clips("plain"), profile="h264+av1")
    found = read_back(world, asset, tmp_path)
    (rung,) = [item.name for item in found.plan.video if item.codec == "av1"]
    asked(api, asset, f"{rung}.webm")
    work(world)
    (made,) = api.get(f"/v1/assets/{asset.id}/downloads").json()["data"]
    assert (made["name"], made["status"]) == (f"{rung}.webm", "ready")
    file = fetched(api, made, tmp_path / "file.webm")
    assert [stream["codec_name"] for stream in ffprobe(file)["streams"]] == ["av1", "opus"]
    assert packet_sizes(file) == packet_sizes(found.tracks[rung].file)
    same_as_published(file, found, rung)


def test_what_cannot_be_made_is_refused_and_what_fails_is_tried_again(world: World, api: Api, asset: Asset, tmp_path: Path) -> None:
    found = read_back(world, asset, tmp_path)
    rung, path = found.plan.video[0].name, f"/v1/assets/{asset.id}/downloads"
    is_problem(api.post(path, json={"name": "4320p.mp4"}), 400, "unknown_download")
    assert api.post(path, json={"name": "../x.mp4"}).status_code == 422
    asked(api, asset, f"{rung}.mp4")
    key = keys.media_segment(asset.id, found.plan.digest, rung, 0)
    kept = world.storage.get(key)
    world.storage.put(key, b"\0" * len(kept))
    with world.db.begin() as conn:
        conn.execute(job_store.jobs.update().where(job_store.jobs.c.kind == downloads.MAKE).values(max_attempts=1))
    work(world)
    failed = api.get(f"{path}/{rung}.mp4").json()
    assert (failed["status"], failed["url"]) == ("failed", None)
    with world.db.connect() as conn:
        assert catalog.store.get_asset(conn, asset.id).status == "ready"  # the title goes on
    world.storage.put(key, kept)
    asked(api, asset, f"{rung}.mp4")
    work(world)
    assert api.get(f"{path}/{rung}.mp4").json()["status"] == "ready"


def test_it_goes_with_the_title(world: World, api: Api, asset: Asset) -> None:
    with world.db.connect() as conn:
        name = catalog.store.load_plan(conn, asset.id).video[0].name
    asked(api, asset, f"{name}.mp4")
    work(world)
    assert api.delete(f"/v1/assets/{asset.id}").status_code in (202, 204)
    work(world)
    assert list(world.storage.list(keys.asset_prefix(asset.id))) == []
    with world.db.connect() as conn:
        assert downloads.stored(conn, asset.id) == []
