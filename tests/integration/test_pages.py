"""The pages as the whole application serves them, on a live database: what is in the HTML, who gets in, what errors look like."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from accounts import store as accounts
from catalog import store
from catalog.asset import Asset, AssetEvent, PlaybackPolicy
from kit.world import World
from tests.page_client import Visitor
from tests.viewing import a_title, playback_of
from web import front_end
from web.app import create_app
from web.frontend import build_hook

OWN = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build_hook.build()


def _client(world: World, studio: str) -> Visitor:
    changed = replace(world, settings=replace(world.settings, studio=studio))  # type: ignore[arg-type]
    return Visitor(create_app(changed))


@pytest.fixture
def studio(world: World) -> Visitor:
    """An open studio, as `headwater up` has it."""
    return _client(world, "open")


@pytest.fixture
def closed(world: World) -> Visitor:
    """A studio that asks for a key."""
    return _client(world, "login")


def make(world: World, title: str = "Spring", *, ready: bool = True, policy: PlaybackPolicy = "public") -> tuple[Asset, str]:
    """An asset, ready or still being processed, and its playback id."""
    asset = a_title(world, title, description="A\nfilm.", policy=policy, ready=ready)
    return asset, playback_of(world, asset)


def test_the_library_lists_what_there_is(studio: Visitor, world: World) -> None:
    asset, playback_id = make(world, "Sprin<g>")
    page = studio.get("/").text
    card = page[page.index(f'data-asset="{asset.id}"') :]
    assert 'data-state="ready"' in card[:200]
    assert "Sprin&lt;g&gt;" in card
    assert f'href="/watch/{playback_id}"' in card
    assert f'src="/v/{playback_id}/poster.jpg"' in card
    assert "1 video" in page


def test_an_empty_library_teaches_the_next_step(studio: Visitor) -> None:
    page = studio.get("/").text
    assert re.search(r'<section class="empty" data-empty aria', page)
    assert "headwater upload film.mp4 --wait" in page


def test_searching_works_without_a_script(studio: Visitor, world: World) -> None:
    make(world, "River")
    make(world, "Meadow")
    page = studio.get("/", params={"q": "riv"}).text
    assert "River" in page
    assert "Meadow" not in page
    assert "Nothing matches “<span" in studio.get("/", params={"q": "desert"}).text


def test_long_lists_go_on_over_the_page(studio: Visitor, world: World) -> None:
    titles = {make(world, f"Part {number}", ready=False)[0].title for number in range(26)}
    first = studio.get("/").text
    link = re.search(r'data-more href="([^"]+)"', first)
    assert link is not None
    second = studio.get(unescape(link[1])).text
    shown = [set(re.findall(r"Part \d+", page)) for page in (first, second)]
    assert len(shown[0]) == 24
    assert shown[0] | shown[1] == titles
    assert not shown[0] & shown[1]


def test_a_wrong_cursor_is_a_page_that_says_so(studio: Visitor) -> None:
    reply = studio.get("/?cursor=nonsense")
    assert reply.status_code == 400
    assert reply.headers["content-type"].startswith("text/html")


def test_the_studio_hands_out_a_session_and_strict_rules(studio: Visitor) -> None:
    reply = studio.get("/")
    assert "HttpOnly" in reply.headers["set-cookie"]
    policy = reply.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script>" not in reply.text
    assert " style=" not in reply.text


def test_a_watch_page_is_complete_without_its_script(studio: Visitor, world: World) -> None:
    _, playback_id = make(world, 'A "quoted" spring')
    reply = studio.get(f"/watch/{playback_id}")
    page = reply.text
    assert reply.status_code == 200
    assert 'property="og:title" content="A &#34;quoted&#34; spring"' in page
    assert (
        f'type="application/json+oembed" href="http://127.0.0.1:8080/oembed?url=http%3A%2F%2F127.0.0.1%3A8080%2Fwatch%2F{playback_id}"'
        in page
    )
    told = re.search(r'<script type="application/ld\+json">(.*?)</script>', page)
    assert told is not None
    assert json.loads(told[1])["name"] == 'A "quoted" spring'
    assert f'<img class="stage-poster" src="/v/{playback_id}/poster.jpg"' in page
    assert "<noscript>" in page
    assert "set-cookie" not in reply.headers


def test_a_title_cannot_end_the_data_block(studio: Visitor, world: World) -> None:
    _, playback_id = make(world, "</script><script>alert(1)</script>")
    assert "<script>alert" not in studio.get(f"/watch/{playback_id}").text


def test_a_video_that_is_being_prepared_says_how_far(studio: Visitor, world: World) -> None:
    _, playback_id = make(world, ready=False)
    page = studio.get(f"/watch/{playback_id}").text
    assert 'state="processing"' in page
    assert "Being prepared" in page
    assert studio.get(f"/watch/{playback_id}/state").json() == {"state": "processing", "progress": 0.0, "poster": None, "detail": None}


def test_the_state_of_a_ready_video_names_its_poster(studio: Visitor, world: World) -> None:
    _, playback_id = make(world)
    state = studio.get(f"/watch/{playback_id}/state")
    assert state.json() == {"state": "ready", "progress": 1.0, "poster": f"/v/{playback_id}/poster.jpg", "detail": None}
    assert state.headers["cache-control"] == "no-store"


def test_a_failed_video_says_why(studio: Visitor, world: World) -> None:
    asset, playback_id = make(world, ready=False)
    with world.db.begin() as conn:
        store.mark_errored(conn, asset.id, "truncated", "The file ends early.")
    assert "The file ends early." in studio.get(f"/watch/{playback_id}").text
    assert "The file ends early." in studio.get("/").text


@pytest.mark.parametrize("path", ["/watch/nothing", "/embed/nothing", "/no/such/page"])
def test_what_is_not_there_is_a_page_for_people(studio: Visitor, path: str) -> None:
    reply = studio.get(path)
    assert reply.status_code == 404
    assert reply.headers["content-type"].startswith("text/html")
    assert "There is nothing at this address." in reply.text
    assert reply.headers["x-request-id"] in reply.text
    assert len(reply.content) == int(reply.headers["content-length"])


def test_and_a_problem_for_programs(studio: Visitor) -> None:
    reply = studio.get("/watch/nothing", headers={"accept": "application/json"})
    assert (reply.status_code, reply.headers["content-type"]) == (404, "application/problem+json")


def test_a_deleted_video_is_gone(studio: Visitor, world: World) -> None:
    asset, playback_id = make(world)
    with world.db.begin() as conn:
        store.advance(conn, asset.id, AssetEvent.DELETE)
    assert studio.get(f"/watch/{playback_id}").status_code == 404
    assert asset.id not in studio.get("/").text


@pytest.mark.parametrize("path", ["/watch/{}", "/embed/{}", "/watch/{}/state", "/oembed?url=http://127.0.0.1:8080/watch/{}"])
def test_a_signed_video_is_not_open_to_everyone(studio: Visitor, world: World, path: str) -> None:
    _, playback_id = make(world, policy="signed")
    assert studio.get(path.format(playback_id)).status_code == 403


def test_the_embedded_player_may_be_framed_and_takes_its_switches(studio: Visitor, world: World) -> None:
    _, playback_id = make(world)
    reply = studio.get(f"/embed/{playback_id}?autoplay=1&muted=1&loop=1&start=12&t=%22x")
    assert "frame-ancestors *" in reply.headers["content-security-policy"]
    assert "x-frame-options" not in reply.headers
    tag = re.search(r"<headwater-player[^>]*>", reply.text)
    assert tag is not None
    assert tag[0].rstrip("> ").endswith("lazy autoplay muted loop start=12")


def test_oembed(studio: Visitor, world: World) -> None:
    _, playback_id = make(world)
    reply = studio.get("/oembed", params={"url": f"http://127.0.0.1:8080/watch/{playback_id}", "maxwidth": "320"})
    answer = reply.json()
    assert (answer["type"], answer["version"], answer["width"], answer["height"]) == ("video", "1.0", 320, 180)
    assert f"/embed/{playback_id}" in answer["html"]
    assert studio.get("/oembed", params={"url": "https://elsewhere.example/watch/x"}).status_code == 404
    assert studio.get("/oembed", params={"url": f"http://127.0.0.1:8080/watch/{playback_id}", "format": "xml"}).status_code == 501


def test_signing_in_and_out(closed: Visitor, world: World) -> None:
    asked = closed.get("/?q=a")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/%3Fq%3Da")
    page = closed.get(asked.headers["location"]).text
    assert 'name="next" value="/?q=a"' in page
    wrong = closed.post("/login", data={"api_key": "hw_wrong", "next": "/?q=a"}, headers=OWN)
    assert wrong.status_code == 401
    assert "This key is not known here" in wrong.text
    with world.db.begin() as conn:
        secret = accounts.create_key(conn, "test").secret
    done = closed.post("/login", data={"api_key": f" {secret} ", "next": "//evil.example"}, headers=OWN)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert closed.get("/").status_code == 200
    assert closed.get("/login").headers["location"] == "/"
    closed.post("/logout", headers=OWN)
    assert closed.get("/").status_code == 303


def test_another_site_cannot_sign_anybody_in(closed: Visitor) -> None:
    reply = closed.post("/login", data={"api_key": "hw_x"}, headers={"sec-fetch-site": "cross-site"})
    assert reply.status_code == 403


def test_watching_needs_no_key(closed: Visitor, world: World) -> None:
    _, playback_id = make(world)
    assert closed.get(f"/watch/{playback_id}").status_code == 200
    assert closed.get(f"/embed/{playback_id}").status_code == 200


def test_files_are_compressed_and_kept_for_ever(studio: Visitor) -> None:
    found = re.search(r'src="(/static/library[^"]+)"', studio.get("/").text)
    assert found is not None
    reply = studio.get(found[1], headers={"accept-encoding": "gzip"})
    assert (reply.headers["content-encoding"], reply.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert reply.headers["content-type"].startswith("text/javascript")
    assert "tus" in reply.text.lower()
    assert studio.get("/static/missing.js").status_code == 404
    assert studio.get("/favicon.ico").headers["location"].startswith("/static/favicon-")


def test_an_unbuilt_front_end_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end, "load", lambda: None)
    client = _client(world, "open")
    for path in ("/", "/watch/x", "/embed/x"):
        reply = client.get(path)
        assert reply.status_code == 503
        assert reply.text.count("<p>") == 1
        assert "The front end is not built: run “make up”" in reply.text
