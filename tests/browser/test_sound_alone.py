"""Sound without pictures as a listener meets it: the cover stays while it plays, the controls too, and there are no sizes to choose."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio
from tests.clips import Clips


@pytest.fixture(scope="module")
def music(studio: Studio, clips: Clips) -> Film:
    """3 s with a square cover."""
    return studio.film(clips("mp3-cover"), "A song")


def test_it_plays_under_its_cover(visit: Open, music: Film) -> None:
    page = visit(music.watch).page
    screening.play(page)
    screening.wait_until(page, "video.ended", 60)
    assert screening.ask(page, "video.error") is None
    assert screening.ask(page, "[video.videoWidth, video.webkitAudioDecodedByteCount > 0, Math.round(video.duration)]") == [0, True, 3]
    poster = page.locator("headwater-player .stage-poster")
    expect(poster).to_be_visible()
    assert poster.evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [300, 300]
    box, stage = poster.bounding_box(), page.locator("headwater-player").bounding_box()
    assert box is not None and stage is not None and box["height"] > 0.9 * stage["height"]
    assert page.locator("headwater-player .controls").get_attribute("autohide") == "-1"
    assert page.locator("headwater-player .controls").get_attribute("userinactive") is None
    expect(page.locator("media-pip-button")).to_be_hidden()
    page.locator("media-settings-menu-button").click()
    expect(page.locator("media-settings-menu-item").filter(has_text="Speed")).to_be_visible()
    expect(page.locator(".menu-quality")).to_be_hidden()
    expect(page.locator(".watch-meta")).to_contain_text("Sound")
    assert page.locator(".problem").count() == 0


def test_it_has_a_tile_in_the_library(visit: Open, music: Film) -> None:
    page = visit("/?q=song").page
    card = page.locator(f'.card[data-asset="{music.asset_id}"]')
    expect(card.locator('[data-fill="size"]')).to_have_text("Sound")
    card.locator(".card-poster").scroll_into_view_if_needed()
    page.wait_for_function("(image) => image.complete && image.naturalWidth === 300", arg=card.locator(".card-poster").element_handle())
