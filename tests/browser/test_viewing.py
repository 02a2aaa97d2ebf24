"""Two tastes, end to end: viewers watch real clips on real pages, a model is trained, and their home pages go apart."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from functools import partial

import imageio_ffmpeg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio
from tests.eventually import eventually
from tests.local_stack import LocalStack

TASTES = {"rain": "0x27506b", "fire": "0x8a3b12"}
EACH, VIEWERS = 3, 5  # clips of a taste; viewers of it, each of whom leaves one clip out
_PLAY_FAST = """(() => {
  const video = document.querySelector("headwater-player").video;
  video.muted = true;
  video.playbackRate = 2;
  video.play();
})()"""


@dataclass(frozen=True)
class Tastes:
    films: dict[str, list[Film]]

    def of(self, asset_id: str) -> str:
        return next((taste for taste, films in self.films.items() if asset_id in [film.asset_id for film in films]), "")


@pytest.fixture(scope="module")
def tastes(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Tastes:
    """Clips of two seconds, in two colours."""
    folder = tmp_path_factory.mktemp("tastes")
    sent: dict[str, list[tuple[str, str]]] = {}
    for taste, colour in TASTES.items():
        for number in range(EACH):
            path = folder / f"{taste}-{number}.mp4"
            source = (
                "-f",
                "lavfi",
                "-i",
                f"color=c={colour}:s=320x180:r=12:d={2 + number * 0.25}",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
            )
            subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, str(path)], check=True, timeout=60)
            sent.setdefault(taste, []).append((studio.send(path, f"{taste.title()} {number}", tags=[taste]), path.stem))
    films: dict[str, list[Film]] = {}
    for taste, clips in sent.items():
        for asset_id, title in clips:
            found = studio.wait(asset_id)
            film = Film(asset_id, found["playback_ids"][0]["id"], title, found["source"]["duration_s"])
            films.setdefault(taste, []).append(film)
    return Tastes(films)


def viewer(browser: Browser, home: str) -> BrowserContext:
    return browser.new_context(base_url=home, viewport={"width": 800, "height": 600})


def watch(page: Page, film: Film) -> None:
    """To the end, at twice the speed."""
    page.goto(film.watch)
    screening.wait_until(page, "video.readyState >= 1")
    page.evaluate(_PLAY_FAST)
    screening.wait_until(page, "video.ended")


def rows_of(page: Page) -> dict[str, list[str]]:
    rows = page.evaluate("""[...document.querySelectorAll("[data-row]")].map((row) => [row.dataset.row,
      [...row.querySelectorAll("[data-tile]")].map((tile) => tile.dataset.asset)])""")
    return dict(rows)


def known(studio: Studio, context: BrowserContext) -> int:
    """How many titles the server knows that this browser has watched to the end."""
    cookie = next((one["value"] for one in context.cookies() if one["name"] == "hw_viewer"), "")
    if not cookie:
        return 0
    entries = studio.client.get(f"/v1/viewers/{cookie}/history").raise_for_status().json()["data"]
    return sum(entry["completed"] for entry in entries)


def knows(studio: Studio, context: BrowserContext, titles: int) -> bool:
    return known(studio, context) == titles


def test_viewers_of_two_tastes_get_pages_of_their_own(
    browser: Browser, tastes: Tastes, studio: Studio, local_stack: LocalStack, visit: Open
) -> None:
    contexts = {}
    for taste, films in tastes.films.items():
        for number in range(VIEWERS):
            context = contexts[taste, number] = viewer(browser, local_stack.url)
            page = context.new_page()
            seen = [film for place, film in enumerate(films) if place != number % EACH or number >= EACH]
            for film in seen:
                watch(page, film)
            assert eventually(partial(knows, studio, context, len(seen)), 20), (taste, number)
            page.close()
    trained = local_stack.command("train", "--json", limit_s=240)
    assert trained.returncode == 0, trained.stderr
    version = json.loads(trained.stdout)["version"]
    someone = next(one["value"] for one in contexts["rain", 0].cookies() if one["name"] == "hw_viewer")

    def answering() -> object:
        return studio.client.get(f"/v1/viewers/{someone}/home").json()["model_version"]

    assert eventually(lambda: answering() == version, 30)
    for (taste, number), context in contexts.items():
        page = context.new_page()
        page.goto("/home")
        picks = rows_of(page).get("top_picks", [])
        unseen = tastes.films[taste][number % EACH].asset_id
        assert picks, rows_of(page)
        if number < EACH:  # of this taste one is left, and it comes before everything of the other
            assert picks[0] == unseen, (taste, number, [tastes.of(one) for one in picks])
        context.close()
    studio_page = visit(f"/studio/suggestions?viewer={someone}", width=320, height=700).page
    expect(studio_page.get_by_role("cell", name=version)).to_be_visible()
    assert screening.beyond(studio_page) == []


def test_a_title_of_no_interest_goes_and_stays_away(visit: Open, tastes: Tastes) -> None:
    page = visit("/home").page
    tile = page.locator("[data-tile]").first
    title = tile.get_by_role("link").inner_text()
    tile.hover()
    tile.get_by_role("button").click()
    expect(page.get_by_text("You will not be shown that again")).to_be_visible()
    expect(page.locator("[data-tile]").get_by_role("link", name=title, exact=True)).to_have_count(0)
    page.reload()
    expect(page.locator("[data-tile]").get_by_role("link", name=title, exact=True)).to_have_count(0)


def test_leaving_keeps_the_place_and_the_end_offers_what_is_next(visit: Open, tastes: Tastes, short_film: Film) -> None:
    page = visit(short_film.watch).page
    screening.wait_until(page, "video.readyState >= 1")
    page.evaluate("document.querySelector('headwater-player').video.play()")
    screening.wait_until(page, "video.currentTime > 1")
    page.goto("/home")  # leaves: the rest is sent by a beacon
    for _ in range(40):
        if short_film.asset_id in rows_of(page).get("continue_watching", []):
            break
        page.wait_for_timeout(250)
        page.reload()
    assert short_film.asset_id in rows_of(page)["continue_watching"]
    page.goto(tastes.films["rain"][0].watch)
    screening.wait_until(page, "video.readyState >= 1")
    page.evaluate("document.querySelector('headwater-player').video.play()")
    expect(page.get_by_role("complementary", name="Up next")).to_be_visible(timeout=20_000)
    page.get_by_role("complementary", name="Up next").get_by_role("link").click()
    screening.wait_until(page, "video.readyState >= 1")
