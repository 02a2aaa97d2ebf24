"""Home, suggestions and similar titles on the whole application: live database, object store and a small model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from catalog import store as catalog
from kit.errors import Unavailable
from kit.metrics import REGISTRY
from kit.world import World
from recommend import bundle, ranked
from recommend.rows import variant_of
from recommend.serving import Recommender
from recommend.tables import impressions
from tests.api_client import Api, is_problem, open_api
from tests.models import a_bundle
from tests.viewing import a_title, event, watched

TASTES = ("river", "desert")
EACH = 7  # titles of each taste


@dataclass(frozen=True)
class Place:
    """Two tastes: viewers who watched only rivers, or only deserts, and the model of that."""

    world: World
    api: Api
    recommender: Recommender
    titles: dict[str, list[str]]

    def send(self, *events: Any) -> None:
        assert self.api.post("/v1/events", json=list(events)).json()["dropped"] == []

    def home(self, viewer: str) -> dict[str, Any]:
        reply = self.api.get(f"/v1/viewers/{viewer}/home")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def list_of(self, viewer: str, limit: int = 20) -> list[str]:
        reply = self.api.get(f"/v1/viewers/{viewer}/recommendations?limit={limit}")
        return [item["asset_id"] for item in reply.json()["data"]]

    def taste_of(self, asset_id: str) -> str:
        return next(taste for taste, titles in self.titles.items() if asset_id in titles)


def degraded(reason: str) -> float:
    return REGISTRY.get_sample_value("headwater_recommend_degraded_total", {"reason": reason}) or 0.0


class Away:
    """A store that never answers."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable("The object store is away.")


def history(titles: dict[str, list[str]]) -> dict[str, list[str]]:
    """Eight viewers of each taste, each but the last without one of its titles: every pair has six viewers in common."""
    return {f"{taste}-{n}": [item for k, item in enumerate(titles[taste]) if k != n] for taste in titles for n in range(8)}


@pytest.fixture
def place(world: World) -> Iterator[Place]:
    titles = {taste: [str(a_title(world, f"The {taste} {n}", tags=[taste]).id) for n in range(EACH)] for taste in TASTES}
    bundle.publish(world.storage, a_bundle(history(titles)), world.clock)
    api = open_api(world)
    yield Place(world, api, recommender_of(api), titles)
    for found in list(world.storage.list(bundle.PREFIX)):
        world.storage.delete(found.key)


def recommender_of(api: Api) -> Recommender:
    found = api.app.state.recommender
    assert isinstance(found, Recommender)
    found.shelves.refresh()
    return found


def ids_of(home: dict[str, Any]) -> list[str]:
    return [item["asset_id"] for row in home["rows"] for item in row["items"]]


def test_a_taste_of_one_minute_leads_the_next_page(place: Place) -> None:
    """P7: what was just finished changes the list, forgetting it restores the one before."""
    rivers = place.titles["river"]
    place.send(watched("new", rivers[0]))
    before = place.list_of("new")
    assert {place.taste_of(one) for one in before[:4]} == {"river"}
    assert rivers[0] not in before
    place.send(*(watched("new", one) for one in place.titles["desert"][:5]))
    after = place.list_of("new")
    assert place.taste_of(after[0]) == "desert"
    assert not set(place.titles["desert"][:5]) & set(after)
    place.api.delete("/v1/viewers/new/history")
    place.send(watched("new", rivers[0]))
    assert place.list_of("new") == before


def test_a_page_has_its_rows_in_their_order_with_reasons(place: Place) -> None:
    rivers = place.titles["river"]
    place.send(watched("v", rivers[0], ago_s=60), watched("v", rivers[1], share=0.5))
    home = place.home("v")
    assert [row["id"] for row in home["rows"]][:2] == ["continue_watching", "top_picks"]
    assert home["source"] == "model"
    assert home["model_version"] == "m1"
    first = home["rows"][1]["items"][0]
    assert first["reason"]["kind"] == "because_you_watched"
    assert first["reason"]["asset_id"] in rivers[:2]
    assert "The river" in first["reason"]["text"]


def test_p3_p20_no_title_twice_no_empty_row_nothing_finished(place: Place) -> None:
    rivers = place.titles["river"]
    place.send(*(watched("v", one, ago_s=60) for one in rivers[:3]), watched("v", rivers[3], share=0.4))
    home = place.home("v")
    shown = ids_of(home)
    assert len(shown) == len(set(shown))
    assert all(row["items"] for row in home["rows"])
    assert not set(rivers[:3]) & set(shown)
    assert home["rows"][0]["id"] == "continue_watching"
    again = place.home("v")
    assert [row["id"] for row in again["rows"]] == [row["id"] for row in home["rows"]]
    assert ids_of(again) == shown  # stable within a session


def test_p6_without_history_a_page_is_what_is_watched_and_what_is_new(place: Place) -> None:
    place.send(*(watched(f"x{n}", place.titles["desert"][2]) for n in range(3)))
    place.recommender.shelves._trends_at_s = -1e9
    place.recommender.shelves.refresh()
    home = place.home("nobody")
    assert home["source"] == "trending"
    assert home["rows"][0]["id"] == "trending"
    assert home["rows"][0]["items"][0]["asset_id"] == place.titles["desert"][2]
    listed = place.list_of("nobody")
    assert listed[0] == place.titles["desert"][2]
    assert len(listed) == 2 * EACH


def test_p5_deleted_and_signed_titles_vanish_from_every_answer_at_once(place: Place) -> None:
    """The shelf still has them: what is about to be shown is looked up once more."""
    gone, closed = place.titles["river"][5], place.titles["river"][6]
    place.send(watched("v", place.titles["river"][0]))
    assert {gone, closed} <= set(place.list_of("v"))
    with place.world.db.begin() as conn:
        catalog.delete_asset(conn, gone)
        conn.exec_driver_sql("UPDATE assets SET playback_policy = 'signed' WHERE id = %s", (closed,))
    similar = place.api.get(f"/v1/assets/{place.titles['river'][0]}/similar").json()["data"]
    for answer in (place.list_of("v"), ids_of(place.home("v")), [item["asset_id"] for item in similar]):
        assert answer
        assert not {gone, closed} & set(answer)


def test_p5_a_deleted_title_names_no_row(place: Place) -> None:
    seed = place.titles["river"][0]
    place.send(watched("v", seed))
    assert f"because:{seed}" in [row["id"] for row in place.home("v")["rows"]]
    with place.world.db.begin() as conn:
        catalog.delete_asset(conn, seed)
    place.recommender.shelves.refresh()
    assert f"because:{seed}" not in [row["id"] for row in place.home("v")["rows"]]


def test_p19_a_row_is_named_after_what_was_really_watched(place: Place) -> None:
    rivers = place.titles["river"]
    place.send(watched("v", rivers[0], share=0.02), watched("v", rivers[1], ago_s=40 * 86_400.0) | {"at": datetime.now(UTC).isoformat()})
    rows = [row["id"] for row in place.home("v")["rows"]]
    assert f"because:{rivers[0]}" not in rows  # only begun
    assert f"because:{rivers[1]}" in rows


def test_not_interested_changes_the_next_answer(place: Place) -> None:
    place.send(watched("v", place.titles["river"][0]))
    unwanted = place.list_of("v")[0]
    place.send(event("v", unwanted, "not_interested"))
    assert unwanted not in place.list_of("v")
    assert unwanted not in ids_of(place.home("v"))


def test_p18_similar_titles_leave_the_title_itself_out_and_follow_viewers(place: Place) -> None:
    river = place.titles["river"]
    reply = place.api.get(f"/v1/assets/{river[0]}/similar?limit=5").json()
    assert len(reply["data"]) == 5
    assert {item["asset_id"] for item in reply["data"]} <= set(river[1:])
    assert {item["reason"]["kind"] for item in reply["data"]} == {"similar"}
    is_problem(place.api.get("/v1/assets/ast_none/similar"), 404, "asset_not_found")


def test_p18_few_common_viewers_are_not_enough(world: World, place: Place) -> None:
    """With support below five, words decide."""
    titles = place.titles
    few = {f"v{n}": [titles["river"][0], titles["desert"][0]] for n in range(4)}
    bundle.publish(world.storage, a_bundle(few, version="m2"), world.clock)
    place.recommender.shelves.refresh()
    found = place.api.get(f"/v1/assets/{titles['river'][0]}/similar").json()
    assert titles["desert"][0] not in [item["asset_id"] for item in found["data"][: EACH - 1]]
    assert found["model_version"] is None


def test_a_new_title_gets_in_by_exploration_and_as_new(place: Place) -> None:
    fresh = a_title(place.world, "A spring nobody knows").id
    place.recommender.shelves.refresh()
    place.send(watched("v", place.titles["river"][0]))
    top = next(row for row in place.home("v")["rows"] if row["id"] == "top_picks")["items"]
    slots = {item["asset_id"]: item["reason"]["kind"] for item in top}
    assert slots.get(fresh) == "explore" or len(top) < 6
    with place.world.db.connect() as conn:
        found = conn.execute(select(impressions).where(impressions.c.asset_id == fresh)).mappings().all()
    assert {row["propensity"] for row in found} == {1.0}  # the only one of its pool


def test_p21_the_log_replays_the_page(place: Place) -> None:
    place.send(watched("v", place.titles["river"][0]))
    home = place.home("v")
    with place.world.db.connect() as conn:
        query = select(impressions).where(impressions.c.request_id == home["request_id"])
        rows = conn.execute(query.order_by(impressions.c.row_number, impressions.c.position)).mappings().all()
    assert [row["asset_id"] for row in rows] == ids_of(home)
    assert [(row["row"], row["position"]) for row in rows] == [
        (row["id"], position) for row in home["rows"] for position in range(len(row["items"]))
    ]
    assert {(row["viewer_id"], row["variant"], row["model_version"]) for row in rows} == {("v", "a", "m1")}
    assert all(0 < row["propensity"] <= 1 for row in rows)


def test_p10_a_new_model_is_taken_up_without_a_restart_and_a_broken_one_is_not(place: Place) -> None:
    place.send(watched("v", place.titles["river"][0]))
    swapped = {f"s{n}": [place.titles["river"][0], *place.titles["desert"]] for n in range(6)}
    bundle.publish(place.world.storage, a_bundle(swapped, version="m2"), place.world.clock)
    place.recommender.shelves.refresh()
    assert place.home("v")["model_version"] == "m2"
    assert place.taste_of(place.list_of("v")[0]) == "desert"
    bundle.publish(place.world.storage, a_bundle(history(place.titles), version="m3"), place.world.clock)
    place.world.storage.put("models/m3/item_factors.npy", b"half of it")
    place.recommender.shelves.refresh()
    assert place.home("v")["model_version"] == "m2"
    bundle.rollback(place.world.storage, place.world.clock, "m1")
    place.recommender.shelves.refresh()
    assert place.home("v")["model_version"] == "m1"


@pytest.mark.parametrize("fault", ["none", "broken", "away", "stale", "failed", "slow"])
def test_without_a_usable_model_the_page_is_made_of_what_is_watched(place: Place, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place.send(watched("v", place.titles["river"][0]))
    api, storage = place.api, place.world.storage
    if fault == "none":
        storage.delete(bundle.CURRENT)
    elif fault == "broken":
        storage.put("models/m1/manifest.json", b"{}")
        api = open_api(place.world)
    elif fault == "away":
        api = open_api(replace(place.world, storage=Away()))
    elif fault == "stale":
        old = a_bundle(history(place.titles), version="old", trained_at=datetime.now(UTC) - timedelta(days=60))
        bundle.publish(storage, old, place.world.clock)
    elif fault == "failed":
        monkeypatch.setattr(ranked, "fold_in", lambda *_, **_named: (_ for _ in ()).throw(ValueError("wrong shape")))
    else:
        monkeypatch.setattr("recommend.serving._SLOW_S", -1.0)
        assert api.get("/v1/viewers/v/home").json()["source"] == "model"  # this one was slow, the next ones do without
    recommender_of(api)
    fault = "broken" if fault == "away" else fault
    before = degraded(fault)
    home = api.get("/v1/viewers/v/home").json()
    assert home["source"] in ("trending", "new")
    assert home["model_version"] is None
    assert [row["id"] for row in home["rows"]][-1] != "top_picks"
    assert degraded(fault) > before


def test_two_models_side_by_side(place: Place) -> None:
    swapped = {f"s{n}": [place.titles["river"][0], *place.titles["desert"]] for n in range(6)}
    bundle.publish(place.world.storage, a_bundle(swapped, version="b1"), place.world.clock)
    bundle.rollback(place.world.storage, place.world.clock, "m1")
    settings = replace(place.world.settings, model_b="b1", model_b_share=0.5)
    api = open_api(replace(place.world, settings=settings))
    recommender_of(api)
    versions = {}
    for n in range(12):
        api.post("/v1/events", json=watched(f"v{n}", place.titles["river"][0]))
        home = api.get(f"/v1/viewers/v{n}/home").json()
        versions[f"v{n}"] = home["model_version"]
        assert home["variant"] == variant_of(f"v{n}", "b1", 0.5)
        assert (home["variant"] == "b") == (home["model_version"] == "b1")
    assert set(versions.values()) == {"m1", "b1"}


def test_p28_one_viewer_who_loops_a_title_makes_no_trend(place: Place) -> None:
    looped, liked = place.titles["desert"][0], place.titles["desert"][1]
    place.send(*(event("fan", looped, "complete", session_id=f"s{n}", position_s=13.0, watched_s=13.0) for n in range(200)))
    place.send(*(watched(f"v{n}", liked) for n in range(2)))
    place.recommender.shelves._trends_at_s = -1e9
    hot = place.recommender.shelves.refresh().hot
    assert hot.index(liked) < hot.index(looped)


def test_the_log_of_a_flat_list_and_its_shape(place: Place) -> None:
    reply = place.api.get("/v1/viewers/v/recommendations?limit=3").json()
    assert set(reply) == {"data", "next_cursor", "model_version", "source"}
    assert len(reply["data"]) == 3
    is_problem(place.api.get("/v1/viewers/v/recommendations?limit=0"), 422, "validation_failed")
    is_problem(place.api.get("/v1/viewers/a%0Ab/home"), 400, "bad_request")
    assert json.dumps(reply)
