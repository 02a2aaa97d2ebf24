"""/v1/assets on a live database."""

from __future__ import annotations

import re
from typing import Any

import pytest

from catalog import store
from catalog.asset import AssetEvent, AssetStatus, NewAsset, NewPresentation
from kit.world import World
from tests.api_client import Api, is_problem
from tests.assets import a_plan, an_asset, segments_of


def make(world: World, status: AssetStatus = AssetStatus.WAITING, new: NewAsset | None = None) -> str:
    with world.db.begin() as conn:
        return an_asset(conn, status, new).id


def test_an_asset_reads_exactly_as_the_contract_says(api: Api, world: World) -> None:
    asset_id = make(world, AssetStatus.PROCESSING)
    with world.db.begin() as conn:
        store.save_segments(conn, asset_id, a_plan().digest, "240p", segments_of(a_plan()))
        store.advance(conn, asset_id, AssetEvent.PLAYABLE)
    reply = api.get(f"/v1/assets/{asset_id}")
    assert reply.status_code == 200
    asset: dict[str, Any] = reply.json()
    assert list(asset) == [
        "id", "title", "description", "tags", "external_id", "metadata", "status", "playable", "progress", "eta_s", "error", "source",
        "renditions", "encryption", "tracks", "pictures", "poster_time_s", "normalize_audio", "playback_ids", "created_at",
        "updated_at", "timings",
    ]  # fmt: skip
    assert (asset["status"], asset["playable"], asset["error"], asset["tracks"]) == ("processing", True, None, [])
    assert asset["source"] == {
        "container": "mov,mp4,m4a,3gp,3g2,mj2", "duration_s": 13.0, "width": 640, "height": 360, "frame_rate": "25/1",
        "video_codec": "h264", "audio_tracks": 1, "size_bytes": 1234567, "hdr": "sdr",
    }  # fmt: skip
    assert [item["name"] for item in asset["renditions"]] == ["240p", "360p", "audio"]
    measured, *_ = asset["renditions"]
    assert list(measured) == [
        "name", "kind", "codec", "width", "height", "frame_rate", "bitrate_bps", "peak_bps", "status", "progress", "fps", "error",
        "sound", "vmaf",
    ]  # fmt: skip
    assert measured["peak_bps"] >= measured["bitrate_bps"] > 0
    assert asset["renditions"][1]["bitrate_bps"] is None
    (address,) = asset["playback_ids"]
    assert address["policy"] == "public"
    assert set(asset["timings"]) == {"received_at", "playable_at", "ready_at"}
    for moment in (asset["created_at"], asset["updated_at"], asset["timings"]["playable_at"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", moment)
    assert asset["timings"]["ready_at"] is None


def test_an_errored_asset_says_why(api: Api, world: World) -> None:
    asset = api.get(f"/v1/assets/{make(world, AssetStatus.ERRORED)}").json()
    assert asset["error"] == {"code": "truncated", "detail": "The file ends early."}


def test_importing_creates_an_asset_with_a_job(api: Api, world: World) -> None:
    body = {"input_url": "https://example.com/films/My%20film.mp4", "tags": ["a", "a", "b"], "external_id": "x", "metadata": {"k": "v"}}
    reply = api.post("/v1/assets", json=body)
    assert reply.status_code == 201
    asset = reply.json()
    assert reply.headers["location"] == f"/v1/assets/{asset['id']}"
    assert (asset["title"], asset["tags"], asset["external_id"], asset["metadata"]) == ("My film.mp4", ["a", "b"], "x", {"k": "v"})
    assert asset["status"] in ("waiting", "uploading")
    assert api.get(reply.headers["location"]).json()["id"] == asset["id"]


def test_what_cannot_be_imported_leaves_no_asset(api: Api) -> None:
    assert api.post("/v1/assets", json={"input_url": "file:///etc/passwd"}).status_code in (400, 422)
    assert api.get("/v1/assets").json()["data"] == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/input_url"),
        ({"input_url": ""}, "#/input_url"),
        ({"input_url": "https://a/b", "titel": "x"}, "#/titel"),
        ({"input_url": "https://a/b", "title": "x" * 301}, "#/title"),
        ({"input_url": "https://a/b", "title": "a\x00b"}, "#/title"),
        ({"input_url": "https://a/b", "tags": ["a", ""]}, "#/tags/1"),
        ({"input_url": "https://a/b", "metadata": {"k": 1}}, "#/metadata/k"),
        ({"input_url": "https://a/b", "playback_policy": "secret"}, "#/playback_policy"),
        ({"input_url": "https://a/b", "profile": "huge"}, "#/profile"),
    ],
)
def test_input_that_does_not_fit_is_pointed_at(api: Api, body: dict[str, Any], pointer: str) -> None:
    problem = is_problem(api.post("/v1/assets", json=body), 422, "validation_failed")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert {error["in"] for error in problem["errors"]} == {"body"}


# -- lists


def titles(api: Api, query: str) -> list[str]:
    reply = api.get(f"/v1/assets?{query}")
    assert reply.status_code == 200, reply.text
    return [asset["title"] for asset in reply.json()["data"]]


def test_filters_work_together(api: Api, world: World) -> None:
    make(world, new=NewAsset("Red river", tags=("water",), external_id="one"))
    make(world, AssetStatus.PROCESSING, NewAsset("Blue lake", tags=("water", "red")))
    make(world, AssetStatus.DELETED, NewAsset("Gone"))
    assert titles(api, "") == ["Blue lake", "Red river"]
    assert titles(api, "q=RED") == ["Blue lake", "Red river"]
    assert titles(api, "tag=red") == ["Blue lake"]
    assert titles(api, "external_id=one&status=waiting") == ["Red river"]
    assert titles(api, "external_id=one&status=processing") == []
    assert titles(api, "status=processing&status=waiting") == ["Blue lake", "Red river"]
    assert titles(api, "status=deleted") == ["Gone"]


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ("statsu=ready", "unknown_parameter", "#/statsu"),
        ("limit=0", "greater_than_equal", "#/limit"),
        ("limit=101", "less_than_equal", "#/limit"),
        ("limit=ten", "int_parsing", "#/limit"),
        ("status=done", "enum", "#/status/0"),
    ],
)
def test_parameters_that_do_not_fit_are_named(api: Api, query: str, code: str, pointer: str) -> None:
    problem = is_problem(api.get(f"/v1/assets?{query}"), 422, "validation_failed")
    assert [(error["in"], error["code"], error["pointer"]) for error in problem["errors"]] == [("query", code, pointer)]


@pytest.mark.parametrize("cursor", ["nonsense", "MQ", "%00", "MWFzdF8nIE9SIDE9MQ", "é"])
def test_only_a_cursor_of_ours_is_a_cursor(api: Api, cursor: str) -> None:
    is_problem(api.get(f"/v1/assets?cursor={cursor}"), 400, "bad_cursor")


def test_walking_by_link_while_assets_are_added_shows_each_old_one_once(api: Api, world: World) -> None:
    old = {make(world, new=NewAsset("fish")) for _ in range(7)}
    seen: list[str] = []
    address: str | None = "/v1/assets?limit=3&q=fish"
    while address:
        reply = api.get(address)
        seen += [asset["id"] for asset in reply.json()["data"]]
        make(world, new=NewAsset("fish"))
        link = reply.headers.get("link")
        assert (link is None) == (reply.json()["next_cursor"] is None)
        found = re.fullmatch(r'<(.+)>; rel="next"', link) if link else None
        address = found[1] if found else None
        assert address is None or ("q=fish" in address and "limit=3" in address)
    assert len(seen) == 7
    assert set(seen) == old


# -- changing


def test_changing_words(api: Api, world: World) -> None:
    asset_id = make(world, AssetStatus.READY, NewAsset("Old", "About", ("a",), "ext", {"k": "v"}))
    before = api.get(f"/v1/assets/{asset_id}")
    reply = api.patch(f"/v1/assets/{asset_id}", json={"title": "New", "external_id": None}, headers={"If-Match": before.headers["etag"]})
    assert reply.status_code == 200
    assert reply.headers["etag"] != before.headers["etag"]
    after = reply.json()
    assert (after["title"], after["description"], after["tags"], after["external_id"], after["metadata"]) == (
        "New",
        "About",
        ["a"],
        None,
        {"k": "v"},
    )


def test_nothing_changed_is_no_change(api: Api, world: World) -> None:
    asset_id = make(world)
    assert api.patch(f"/v1/assets/{asset_id}", json={}).headers["etag"] == api.get(f"/v1/assets/{asset_id}").headers["etag"]


@pytest.mark.parametrize("body", [{"title": None}, {"tags": None}, {"status": "ready"}, {"playable": True}, [], "x", {"tags": ["x"] * 51}])
def test_what_cannot_be_changed(api: Api, world: World, body: Any) -> None:
    is_problem(api.patch(f"/v1/assets/{make(world)}", json=body), 422, "validation_failed")


def test_a_stale_edit_is_refused(api: Api, world: World) -> None:
    asset_id = make(world)
    stale = api.get(f"/v1/assets/{asset_id}").headers["etag"]
    assert api.patch(f"/v1/assets/{asset_id}", json={"title": "First"}, headers={"If-Match": stale}).status_code == 200
    is_problem(api.patch(f"/v1/assets/{asset_id}", json={"title": "Second"}, headers={"If-Match": stale}), 412, "precondition_failed")
    is_problem(api.delete(f"/v1/assets/{asset_id}", headers={"If-Match": stale}), 412, "precondition_failed")
    assert api.get(f"/v1/assets/{asset_id}").json()["title"] == "First"
    is_problem(api.patch(f"/v1/assets/{asset_id}", json={}, headers={"If-Match": "3"}), 400, "bad_if_match")
    assert api.patch(f"/v1/assets/{asset_id}", json={"title": "Third"}, headers={"If-Match": "*"}).status_code == 200


def test_work_on_an_asset_does_not_make_an_edit_stale(api: Api, world: World) -> None:
    asset_id = make(world, AssetStatus.PROCESSING)
    tag = api.get(f"/v1/assets/{asset_id}").headers["etag"]
    with world.db.begin() as conn:
        store.publish(conn, asset_id, NewPresentation(a_plan().digest, "ready", {}, has_poster=False))
    assert api.patch(f"/v1/assets/{asset_id}", json={"title": "x"}, headers={"If-Match": tag}).status_code == 200


# -- deleting


def test_deleting(api: Api, world: World) -> None:
    asset_id = make(world, AssetStatus.READY)
    address = api.get(f"/v1/assets/{asset_id}").json()["playback_ids"][0]["id"]
    reply = api.delete(f"/v1/assets/{asset_id}", headers={"If-Match": api.get(f"/v1/assets/{asset_id}").headers["etag"]})
    assert (reply.status_code, reply.content) == (204, b"")
    for gone in (
        api.get(f"/v1/assets/{asset_id}"),
        api.patch(f"/v1/assets/{asset_id}", json={"title": "x"}),
        api.delete(f"/v1/assets/{asset_id}"),
    ):
        is_problem(gone, 404, "asset_not_found")
    assert api.get(f"/v/{address}/main.m3u8", signed=False).status_code == 404


@pytest.mark.parametrize("asset_id", ["ast_nothing", "x", "%00", "%2e%2e", "ü" * 20])
def test_an_unknown_asset(api: Api, asset_id: str) -> None:
    for method in ("GET", "DELETE"):
        reply = api.send(method, f"/v1/assets/{asset_id}")
        assert reply.status_code in (400, 404), reply.text
        assert reply.json()["request_id"]
