"""/home, "more like this" and the studio's look at suggestions, as the whole application serves them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from kit.world import World
from recommend import bundle
from tests.models import a_bundle
from tests.page_client import Visitor
from tests.viewing import a_title, playback_of, watched
from web.app import create_app
from web.frontend import build_hook
from web.viewers import COOKIE

ME = "anon_" + "0" * 32


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build_hook.build()


@pytest.fixture(autouse=True)
def _no_model_is_left(world: World) -> Iterator[None]:
    yield
    for found in list(world.storage.list(bundle.PREFIX)):
        world.storage.delete(found.key)


def visitor(world: World, *, studio: str = "open", browse: str = "login") -> Visitor:
    return Visitor(create_app(replace(world, settings=replace(world.settings, studio=studio, browse=browse))))  # type: ignore[arg-type]


def rivers(world: World) -> list[str]:
    """Seven titles, and a model of viewers who like them all."""
    titles = [str(a_title(world, f"River & sea {n}", tags=["river"]).id) for n in range(7)]
    bundle.publish(world.storage, a_bundle({f"v{n}": titles for n in range(6)}), world.clock)
    return titles


def watch(world: World, *events: object) -> None:
    from recommend.events import Sender
    from recommend.intake import Intake

    assert not Intake(world).take(events, Sender(None, may_name_assets=True)).dropped


def test_an_empty_home_says_what_will_be_there(world: World) -> None:
    page = visitor(world).get("/home").text
    assert "Nothing is flowing yet." in page
    assert "data-row" not in page


def test_home_follows_the_cookie(world: World) -> None:
    titles = rivers(world)
    watch(world, watched(ME, titles[0]), watched(ME, titles[1], share=0.5))
    page = visitor(world).get("/home", headers={"cookie": f"{COOKIE}={ME}"})
    assert page.headers["cache-control"] == "no-store"
    assert 'data-row="continue_watching"' in page.text
    assert "Because you watched River &amp; sea" in page.text
    assert f'data-asset="{titles[0]}"' not in page.text
    assert 'href="/watch/' in page.text
    assert "?t=6" in page.text
    assert visitor(world).get("/home", headers={"cookie": f"{COOKIE}=user-42"}).text.count('data-row="continue_watching"') == 0


@pytest.mark.parametrize(("browse", "status"), [("login", 303), ("open", 200)])
def test_who_may_browse_is_a_setting(world: World, browse: str, status: int) -> None:
    titles = rivers(world)
    someone = visitor(world, studio="login", browse=browse)
    assert someone.get("/home").status_code == status
    with world.db.connect() as conn:
        playback_id = conn.exec_driver_sql("SELECT id FROM playback_ids WHERE asset_id = %s", (titles[0],)).scalar_one()
    page = someone.get(f"/watch/{playback_id}")
    assert ("More like this" in page.text) == (browse == "open")
    assert page.headers["cache-control"] == "private, no-cache"


def test_below_a_video_is_more_like_it_and_what_is_next(world: World) -> None:
    rivers(world)
    asset = a_title(world, "Another river", tags=["river"])
    page = visitor(world).get(f"/watch/{playback_of(world, asset)}").text
    assert "More like this" in page
    assert "<template data-up-next>" in page
    assert f'data-asset="{asset.id}"' not in page


def test_a_lonely_video_offers_nothing(world: World) -> None:
    page = visitor(world).get(f"/watch/{playback_of(world, a_title(world))}").text
    assert "data-row" not in page
    assert "data-up-next" not in page


def test_the_studio_shows_the_model_and_who_gets_what(world: World) -> None:
    someone = visitor(world)
    assert "There is no model yet" in someone.get("/studio/suggestions").text
    assert someone.get("/studio/suggestions/report").status_code == 404
    titles = rivers(world)
    watch(world, watched("user-42", titles[0]))
    someone = visitor(world)
    page = someone.get("/studio/suggestions", params={"viewer": "user-42"}).text
    assert "<dd>m1</dd>" in page
    assert "to the end" in page
    assert 'data-row="top_picks"' in page
    assert 'value="user-42"' in page
    assert "data-refuse" not in page
    assert "Nothing is known of this viewer" in someone.get("/studio/suggestions", params={"viewer": "stranger"}).text


def test_looking_into_a_viewer_logs_no_impressions(world: World) -> None:
    titles = rivers(world)
    watch(world, watched("user-42", titles[0]))
    visitor(world).get("/studio/suggestions", params={"viewer": "user-42"})
    with world.db.connect() as conn:
        assert conn.exec_driver_sql("SELECT count(*) FROM impressions").scalar_one() == 0


def test_the_studio_page_needs_a_session(world: World) -> None:
    reply = visitor(world, studio="login", browse="open").get("/studio/suggestions")
    assert (reply.status_code, reply.headers["location"]) == (303, "/login?next=/studio/suggestions")
