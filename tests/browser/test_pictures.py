"""Pictures in a browser: what is where on the time bar, and cards that move while the mouse rests on them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio
from tests.eventually import eventually


@pytest.fixture(scope="module")
def pictured(studio: Studio, film: Film) -> Film:
    """The film, with everything that follows after it was ready."""
    assert eventually(lambda: len(studio.asset(film.asset_id)["pictures"]) == 2, 240), studio.asset(film.asset_id)
    return film


def keep(page: Page, name: str) -> None:
    """A picture of the page, for whoever wants to look at it."""
    if folder := os.environ.get("HEADWATER_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 320)])
def test_the_time_bar_shows_what_is_there(visit: Open, pictured: Film, theme: str, width: int) -> None:
    page = visit(pictured.watch, theme=theme, width=width).page
    screening.wait_until(page, "video.readyState >= 1")
    screening.wait_until(page, "[...video.textTracks].some((track) => track.label === 'thumbnails' && track.cues?.length === 9)")
    page.locator("media-time-range").hover(position={"x": width // 2, "y": 8})
    shown = page.locator(".timeline > media-preview-thumbnail")
    expect(shown).to_be_visible()
    page.wait_for_function(
        "document.querySelector('.timeline > media-preview-thumbnail').shadowRoot.querySelector('img').naturalWidth > 160"
    )
    box = shown.bounding_box()
    assert box is not None and box["width"] > box["height"] > 40
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    keep(page, f"player-{theme}-{width}")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 320)])
def test_a_card_moves_while_the_mouse_rests_on_it(visit: Open, pictured: Film, theme: str, width: int) -> None:
    made = visit("/?q=for%3E%20tests", theme=theme, width=width)
    made.page.locator(f'.card[data-playback="{pictured.playback_id}"]').hover()
    film = made.page.locator(".card-frame .moving--on")
    expect(film).to_be_visible(timeout=30_000)
    assert eventually(lambda: made.page.evaluate("document.querySelector('.moving')?.currentTime > 0.5"), 30)
    keep(made.page, f"library-{theme}-{width}")
    made.page.mouse.move(1, 1)
    expect(film).to_have_count(0)


def test_nothing_moves_for_those_who_want_no_motion(visit: Open, pictured: Film) -> None:
    page = visit("/?q=for%3E%20tests", reduced_motion="reduce").page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.locator(f'.card[data-playback="{pictured.playback_id}"]').hover()
    page.wait_for_timeout(800)  # twice as long as a card needs to begin
    assert not page.locator(".moving").count()
    assert not [url for url in asked if url.endswith("preview.mp4")]


def test_a_chosen_moment_becomes_the_poster(studio: Studio, pictured: Film) -> None:
    before = studio.client.get(f"/v/{pictured.playback_id}/poster.jpg").content
    changed = studio.client.patch(f"/v1/assets/{pictured.asset_id}", json={"poster_time_s": 12.5}).raise_for_status().json()
    assert changed["poster_time_s"] == 12.5
    assert eventually(lambda: studio.client.get(f"/v/{pictured.playback_id}/poster.jpg").content != before, 120)
    refused = studio.client.patch(f"/v1/assets/{pictured.asset_id}", json={"poster_time_s": 1000})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_time")
    thumbnail = studio.client.get(f"/v/{pictured.playback_id}/thumbnail.jpg?t=12.5&width=640", follow_redirects=True)
    assert (thumbnail.status_code, thumbnail.headers["content-type"]) == (200, "image/jpeg")
    studio.client.patch(f"/v1/assets/{pictured.asset_id}", json={"poster_time_s": None}).raise_for_status()
