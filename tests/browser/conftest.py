"""A real Chromium in front of a whole Headwater.

`visit(path)` opens a page as a new visitor and watches it: whatever goes wrong on it (an error on the console, a refused
request, a breach of its content security policy, a request to another place) fails the test in the end, unless the test said
that it would happen. `film` is a video of two qualities that is ready to be watched.

The browser lives as long as a module: Playwright keeps an event loop in its thread, which other tests need for their own.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from tests import clip_recipes as recipes
from tests.clips import Clips, _ffmpeg
from tests.eventually import eventually
from tests.local_stack import LocalStack
from tests.node import node
from web.frontend import build_hook

expect.set_options(timeout=20_000)  # ms: a busy machine is no fault of the page

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
]
READY_LIMIT_S = 240
_NOTE_BREACHES = """
window.breaches = [];
addEventListener("securitypolicyviolation", (event) => window.breaches.push(event.violatedDirective + " " + event.blockedURI), true);
"""


@pytest.fixture(scope="session", autouse=True)
def _front_end() -> None:
    build_hook.build()


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    # Playwright's own copy of Node needs a library (libatomic) that a small machine does not have.
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", node())
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield running
        running.close()


@dataclass
class Visit:
    """A page and what went wrong on it."""

    page: Page
    home: str
    problems: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect_problem(self, pattern: str) -> None:
        """What matches `pattern` is meant to happen."""
        self.expected.append(pattern)

    def note(self, problem: str) -> None:
        self.problems.append(problem)

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.note(f"console: {message.text} {message.location.get('url', '')}")

    def on_response(self, response: Response) -> None:
        if response.status >= 400:
            self.note(f"{response.status} {response.url}")

    def unexpected(self) -> list[str]:
        breaches = [f"policy: {item}" for item in self.page.evaluate("window.breaches ?? []")]
        found = self.problems + breaches
        return [item for item in found if not any(re.search(pattern, item) for pattern in self.expected)]


Open = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, stack_url: str) -> Iterator[Open]:
    """`visit(path, width=…, height=…, theme="light" | "dark", **context options)`."""
    visits: list[Visit] = []

    def open_page(path: str = "/", *, width: int = 1280, height: int = 800, theme: str = "light", **options: Any) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, base_url=stack_url, **options)
        context.add_init_script(_NOTE_BREACHES)
        made = Visit(context.new_page(), stack_url)
        made.page.on("console", made.on_console)
        made.page.on("pageerror", lambda error: made.note(f"error: {error}"))
        made.page.on("response", made.on_response)
        made.page.on("request", lambda request: _note_foreign(made, request.url))
        visits.append(made)
        made.page.goto(path)
        return made

    yield open_page
    found = [item for made in visits for item in made.unexpected()]
    for made in visits:
        made.page.unroute_all(behavior="ignoreErrors")
        made.page.context.close()
    assert found == []


def _note_foreign(made: Visit, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlsplit(made.home).netloc:
        made.note(f"another place: {url}")


# Films


@dataclass(frozen=True)
class Film:
    asset_id: str
    playback_id: str
    title: str
    duration_s: float

    @property
    def watch(self) -> str:
        return f"/watch/{self.playback_id}"

    @property
    def embed(self) -> str:
        return f"/embed/{self.playback_id}"


@dataclass(frozen=True)
class Studio:
    """The API of the stack, as a program with its key sees it."""

    client: httpx.Client

    def send(self, path: Path, title: str, **more: Any) -> str:
        """Upload a file in one piece. Its asset id."""
        made = self.client.post("/v1/uploads", json={"title": title, **more}).raise_for_status().json()
        with path.open("rb") as source:
            self.client.put(made["url"], content=source, headers={"content-length": str(path.stat().st_size)}).raise_for_status()
        return str(made["asset_id"])

    def asset(self, asset_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"/v1/assets/{asset_id}").raise_for_status().json()
        return found

    def wait(self, asset_id: str, status: str = "ready") -> dict[str, Any]:
        assert eventually(lambda: self.asset(asset_id)["status"] in (status, "errored"), READY_LIMIT_S), self.asset(asset_id)
        found = self.asset(asset_id)
        assert found["status"] == status, found["error"]
        return found

    def film(self, path: Path, title: str, **more: Any) -> Film:
        found = self.wait(self.send(path, title, **more))
        return Film(found["id"], found["playback_ids"][0]["id"], title, found["source"]["duration_s"])


@pytest.fixture(scope="session")
def studio(local_stack: LocalStack) -> Iterator[Studio]:
    headers = {"authorization": f"Bearer {local_stack.api_key}"}
    with httpx.Client(base_url=local_stack.url, headers=headers, timeout=60) as client:
        yield Studio(client)


@pytest.fixture(scope="session")
def film_file(tmp_path_factory: pytest.TempPathFactory, clips: Clips) -> Path:
    """18 s of 1280x720 with a tone: two qualities, three segments."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    recipes.h264(recipes.Workshop(out=path, of=clips, ffmpeg=_ffmpeg), size="1280x720", seconds=18)
    return path


@pytest.fixture(scope="session")
def film(studio: Studio, film_file: Path) -> Film:
    return studio.film(film_file, "A film <for> tests")


@pytest.fixture(scope="session")
def short_film(studio: Studio, clips: Clips) -> Film:
    """6 s of 320x180: light enough for a busy machine."""
    return studio.film(clips("plain"), "A short film")


# Another player

_SHAKA = """
import shaka from "shaka-player/dist/shaka-player.compiled.js";
shaka.polyfill.installAll();
const video = document.querySelector("video");
const player = new shaka.Player();
window.errors = [];
player.addEventListener("error", (event) => window.errors.push(String(event.detail?.code)));
window.begin = async (address) => {
  await player.attach(video);
  player.configure({ streaming: { preferNativeHls: false, useNativeHlsForFairPlay: false } });
  await player.load(address);
  await video.play();
};
window.player = player;
"""
_SHAKA_PAGE = '<!doctype html><title>Shaka</title><video muted playsinline width="640"></video><script src="/shaka-test.js"></script>'


def bundled(source: str, made: Path) -> Path:
    """A script with all that it imports, as one file."""
    build_hook.install_packages(dev=True)
    node, _ = build_hook.find_node()
    esbuild = build_hook.HERE / "node_modules" / "esbuild" / "bin" / "esbuild"
    argv = [node, str(esbuild), "--bundle", "--minify", "--format=iife", "--loader=js", f"--outfile={made}", "--log-level=error"]
    subprocess.run(argv, input=source, cwd=build_hook.HERE, text=True, check=True)
    return made


@pytest.fixture(scope="session")
def shaka_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaka Player and the few lines above."""
    return bundled(_SHAKA, tmp_path_factory.mktemp("shaka") / "shaka-test.js")


def shaka_page(visit: Open, script: Path) -> Visit:
    """A page of this origin with Shaka Player; `begin(address)` plays."""
    made = visit("/login")
    made.page.route("**/shaka-test.js", lambda route: route.fulfill(path=script, content_type="text/javascript"))
    made.page.route("**/shaka-test", lambda route: route.fulfill(body=_SHAKA_PAGE, content_type="text/html"))
    made.page.goto("/shaka-test")
    return made
