"""The embedded player in an <iframe> of another site: its switches, its messages, its manners (checklist T7)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open


class Neighbour(SimpleHTTPRequestHandler):
    """Another site on this machine. (A page that only a route of the browser answers counts as one from the internet, and
    Chromium keeps such pages from loading anything of the local network.)
    """

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture
def host(visit: Open, film: Film) -> Iterator[Page]:
    """A page of another origin with our player in it, which notes what the player says."""
    made = visit("/login")
    Neighbour.page = f"""<!doctype html><title>Elsewhere</title><link rel="icon" href="data:,"><script>
      window.said = []; addEventListener("message", (event) => said.push(event.data));
      window.tell = (data) => document.querySelector("iframe").contentWindow.postMessage(data, "*");
      </script><iframe width="640" height="360" src="{made.home}{film.embed}" allow="autoplay; fullscreen"></iframe>""".encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Neighbour) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.expect_problem(f"^another place: {address}$")
        made.page.goto(address)
        yield made.page
        server.shutdown()


def wait_for(page: Page, name: str, condition: str = "true") -> None:
    for _ in range(400):
        if page.evaluate(f"said.some((message) => message.headwater === '{name}' && {condition})"):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the player never said {name} with {condition}: {page.evaluate('said.map((m) => m.headwater)')}")


def test_it_plays_inside_another_site_and_says_so(host: Page, film: Film) -> None:
    page = host
    wait_for(page, "ready", f"message.id === '{film.playback_id}'")
    page.evaluate("tell({headwater: 'play'})")
    wait_for(page, "play")
    wait_for(page, "timeupdate", "message.time > 0.5 && message.duration > 17 && message.paused === false")
    page.evaluate("tell({headwater: 'seek', to: 9})")
    wait_for(page, "seeked", "message.time >= 9")
    page.evaluate("tell({headwater: 'mute'})")
    wait_for(page, "volumechange", "message.muted === true")
    page.evaluate("tell({headwater: 'pause'})")
    wait_for(page, "pause")


def test_nonsense_is_ignored(host: Page) -> None:
    page = host
    wait_for(page, "ready")
    page.evaluate("[null, 'play', {headwater: 'explode'}, {headwater: 'seek', to: 'x'}, {headwater: 'seek'}].forEach(tell)")
    page.evaluate("tell({headwater: 'play'})")
    wait_for(page, "play")


def test_its_switches(visit: Open, film: Film) -> None:
    page = visit(f"{film.embed}?autoplay=1&muted=1&loop=1&start=7").page
    screening.wait_until(page, "!video.paused && video.currentTime > 7")
    assert screening.ask(page, "[video.muted, video.loop, video.autoplay]") == [True, True, True]


@pytest.mark.parametrize("size", [(320, 180), (640, 360)])
def test_it_fills_its_frame(visit: Open, film: Film, size: tuple[int, int]) -> None:
    page = visit(film.embed, width=size[0], height=size[1]).page
    box = page.locator("headwater-player").bounding_box()
    assert box == {"x": 0, "y": 0, "width": size[0], "height": size[1]}
    assert page.evaluate("document.documentElement.scrollHeight") <= size[1]
    expect(page.locator(".stage-poster")).to_be_visible()


def test_it_fetches_no_media_before_it_is_played(visit: Open, film: Film) -> None:
    made = visit("/login")
    asked: list[str] = []
    made.page.on("request", lambda request: asked.append(request.url))
    made.page.goto(film.embed)
    screening.wait_until(made.page, "player.engine")
    made.page.wait_for_timeout(500)
    assert not [url for url in asked if url.endswith(".m4s")]
    expect(made.page.locator("media-time-display")).to_contain_text("0:18")  # known from the page itself
    screening.play(made.page)
    screening.next_frame(made.page)
    assert [url for url in asked if url.endswith(".m4s")]


def test_it_leaves_the_viewer_s_place_alone(visit: Open, film: Film) -> None:
    page = visit(film.embed).page
    screening.play(page)
    screening.seek(page, 9)
    screening.ask(page, "video.pause()")
    assert page.evaluate("localStorage.getItem('headwater:places')") is None
