"""POST /v1/events on the whole application and a live database: who may send what, what counts once, what it feeds at once."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from kit.metrics import REGISTRY
from kit.world import World
from recommend import store
from recommend.intake import Pace
from recommend.tables import view_events, view_sessions
from tests.api_client import Api, is_problem, open_api
from tests.viewing import DURATION_S, a_title, event, playback_of, watched
from web.viewers import COOKIE

OWN = {"sec-fetch-site": "same-origin", "host": "127.0.0.1:8080"}


@pytest.fixture
def api(world: World) -> Api:
    return open_api(world)


def send(api: Api, *events: Any, **more: Any) -> dict[str, Any]:
    reply = api.post("/v1/events", json={"events": list(events)}, **more)
    assert reply.status_code == 202, reply.text
    return dict(reply.json())


def stored(world: World) -> int:
    with world.db.connect() as conn:
        return int(conn.execute(select(func.count()).select_from(view_events)).scalar_one())


def count_of(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{name}_total", labels) or 0.0


def test_events_count_once(api: Api, world: World) -> None:
    asset = a_title(world)
    one, other = event("v", asset.id, position_s=1), event("v", asset.id, position_s=2)
    assert send(api, one, other, one) == {"accepted": 2, "duplicates": 1, "adjusted": 0, "dropped": []}
    assert send(api, other)["duplicates"] == 1
    assert send(api, {**one, "viewer_id": "w"})["accepted"] == 1  # an id counts for its viewer
    assert stored(world) == 3


def test_a_bare_list_and_a_single_event_are_taken_too(api: Api, world: World) -> None:
    asset = a_title(world)
    for body in ([event("v", asset.id)], event("v", asset.id)):
        reply = api.post("/v1/events", json=body)
        assert reply.status_code == 202, reply.text
        assert reply.json()["accepted"] == 1


def test_p11_one_bad_event_never_refuses_its_batch_and_is_counted(api: Api, world: World) -> None:
    asset = a_title(world)
    before = {fault: count_of("headwater_view_event_faults", fault=fault) for fault in ("unknown_asset", "number", "beyond_end")}
    body = json.dumps({"events": [
        event("v", asset.id), 7, event("v", "ast_none"), event("v", asset.id, position_s=math.nan), event("v", asset.id, position_s=1e6),
    ]})  # fmt: skip
    answer = api.post("/v1/events", content=body, headers={"content-type": "application/json"}).json()
    assert answer["accepted"] == 3
    assert answer["adjusted"] == 2
    assert answer["dropped"] == [{"index": 1, "reason": "not_an_event"}, {"index": 2, "reason": "unknown_asset"}]
    assert {fault: count_of("headwater_view_event_faults", fault=fault) - was for fault, was in before.items()} == dict.fromkeys(before, 1)


def test_late_and_disordered_events_make_the_same_session(api: Api, world: World) -> None:
    asset = a_title(world)
    events = [event("v", asset.id, position_s=float(at), watched_s=float(at), ago_s=100.0 - at, session_id="s") for at in range(1, 9)]
    send(api, *events[4:])
    send(api, *reversed(events))
    with world.db.connect() as conn:
        (row,) = conn.execute(select(view_sessions)).mappings()
    assert (row["position_s"], row["furthest_s"], row["watched_s"], row["completed"]) == (8.0, 8.0, 8.0, False)


def test_positions_feed_resuming_at_once(api: Api, world: World) -> None:
    asset = a_title(world)
    send(api, watched("v", asset.id, share=0.5))
    (entry,) = api.get("/v1/viewers/v/history").json()["data"]
    assert (entry["asset_id"], entry["resume_at_s"], entry["watched_fraction"]) == (asset.id, DURATION_S / 2, 0.5)
    (row, *_) = api.get("/v1/viewers/v/home").json()["rows"]
    assert (row["id"], row["items"][0]["position_s"]) == ("continue_watching", DURATION_S / 2)
    send(api, watched("v", asset.id))
    assert api.get("/v1/viewers/v/history").json()["data"][0]["resume_at_s"] is None


def test_a_whole_batch_is_one_of_the_wrong_shape(api: Api) -> None:
    is_problem(api.post("/v1/events", json={"events": "x"}), 422, "validation_failed")
    is_problem(api.post("/v1/events", json={"events": [{}] * 1001}), 422, "validation_failed")
    is_problem(api.post("/v1/events", content=b"{", headers={"content-type": "application/json"}), 400, "malformed_json")


def test_a_browser_watches_without_a_key_on_our_own_pages_only(api: Api, world: World) -> None:
    asset = a_title(world)
    mine = {"playback_id": playback_of(world, asset), "session_id": "0123456789abcdef", "kind": "start"}
    refused = [{}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}]
    for headers in refused:
        is_problem(api.post("/v1/events", json=mine, signed=False, headers=headers), 401, "unauthorized")
    reply = api.post("/v1/events", json=mine, signed=False, headers=OWN)
    assert reply.json()["accepted"] == 1
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    viewer_id = cookie.partition("=")[2].partition(";")[0]
    with world.db.connect() as conn:
        assert [title.asset_id for title in store.seen_by(conn, viewer_id)] == [asset.id]


def test_a_browser_can_name_no_other_viewer_and_no_asset(api: Api, world: World) -> None:
    asset = a_title(world)
    mine = {"playback_id": playback_of(world, asset), "session_id": "0123456789abcdef", "kind": "start", "viewer_id": "user-42"}
    send(api, mine, signed=False, headers={**OWN, "cookie": f"{COOKIE}=user-42"})
    with world.db.connect() as conn:
        assert store.seen_by(conn, "user-42") == []
    answer = send(api, event("user-42", asset.id), signed=False, headers=OWN)
    assert answer["dropped"] == [{"index": 0, "reason": "unknown_asset"}]


def test_a_browser_without_a_cookie_is_one_viewer_for_a_session(api: Api, world: World) -> None:
    playback_id = playback_of(world, a_title(world))
    for kind in ("start", "heartbeat"):
        send(api, {"playback_id": playback_id, "session_id": "0123456789abcdef", "kind": kind}, signed=False, headers=OWN)
    with world.db.connect() as conn:
        assert len(conn.execute(select(view_events.c.viewer_id).distinct()).all()) == 1


@pytest.mark.parametrize("policy", ["signed"])
def test_a_browser_cannot_watch_what_it_may_not(api: Api, world: World, policy: Any) -> None:
    playback_id = playback_of(world, a_title(world, policy=policy))
    answer = send(api, {"playback_id": playback_id, "session_id": "0123456789abcdef", "kind": "start"}, signed=False, headers=OWN)
    assert answer["dropped"][0]["reason"] == "unknown_asset"


def test_a_browser_that_sends_too_much_is_asked_to_wait(api: Api, world: World) -> None:
    playback_id = playback_of(world, a_title(world))
    body = {"events": [{"playback_id": playback_id, "session_id": "0123456789abcdef", "kind": "start"}] * 301}
    reply = api.post("/v1/events", json=body, signed=False, headers=OWN)
    is_problem(reply, 429, "too_many_events")
    assert int(reply.headers["retry-after"]) > 0
    assert api.post("/v1/events", json=body).status_code == 202  # a server with a key may


def test_the_pace_of_an_address_recovers() -> None:
    pace = Pace(burst=10, per_s=1)
    assert [pace.allow("a", 6, 0.0), pace.allow("a", 6, 0.0), pace.allow("b", 6, 0.0), pace.allow("a", 6, 2.0)] == [True, False, True, True]


def test_under_an_open_studio_a_strange_host_is_nobody(world: World) -> None:
    open_world = replace(world, settings=replace(world.settings, studio="open"))
    api = open_api(open_world)
    body = {"playback_id": playback_of(world, a_title(world)), "session_id": "0123456789abcdef", "kind": "start"}
    reply = api.post("/v1/events", json=body, signed=False, headers={"sec-fetch-site": "same-origin", "host": "evil.example"})
    is_problem(reply, 401, "unauthorized")
