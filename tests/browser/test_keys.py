"""The keyboard of the player (ecosystem checklist B4, B5)."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open


@pytest.fixture
def player(visit: Open, film: Film) -> Page:
    """A paused player at second 9."""
    page = visit(film.watch).page
    screening.wait_until(page, "video.readyState >= 1 && player.engine.hls.levels.length === 2")
    screening.ask(page, "video.currentTime = 9")
    screening.wait_until(page, "!video.seeking && video.readyState >= 2")
    return page


@pytest.mark.parametrize(
    ("key", "at_s"),
    [
        ("j", 0), ("l", 18), ("ArrowLeft", 4), ("ArrowRight", 14), ("0", 0), ("5", 9), ("9", 16.2), ("Home", 0), ("End", 18),
        (".", 9 + 1 / 24), (",", 9 - 1 / 24), ("J", 0),
    ],
)  # fmt: skip
def test_keys_that_jump(player: Page, key: str, at_s: float) -> None:
    player.keyboard.press(key)
    screening.wait_until(player, f"Math.abs(video.currentTime - {at_s}) < 0.02")


@pytest.mark.parametrize("key", [" ", "k"])
def test_keys_that_play_and_pause(player: Page, key: str) -> None:
    player.keyboard.press(key)
    screening.wait_until(player, "!video.paused")
    player.keyboard.press(key)
    screening.wait_until(player, "video.paused")


def test_keys_for_sound(player: Page) -> None:
    screening.ask(player, "video.volume = 0.5")
    player.keyboard.press("ArrowUp")
    screening.wait_until(player, "video.volume === 0.55")
    player.keyboard.press("ArrowDown")
    player.keyboard.press("ArrowDown")
    screening.wait_until(player, "video.volume === 0.45")
    player.keyboard.press("m")
    screening.wait_until(player, "video.muted")
    player.keyboard.press("m")
    screening.wait_until(player, "!video.muted")


def test_keys_for_speed(player: Page) -> None:
    player.keyboard.press(">")
    screening.wait_until(player, "video.playbackRate === 1.25")
    expect(player.get_by_text("Speed 1.25×")).to_be_visible()
    player.keyboard.press("<")
    player.keyboard.press("<")
    screening.wait_until(player, "video.playbackRate === 0.75")


def test_full_screen_and_back(player: Page) -> None:
    player.keyboard.press("f")
    screening.wait_until(player, "document.fullscreenElement !== null")
    player.keyboard.press("f")
    screening.wait_until(player, "document.fullscreenElement === null")


@pytest.mark.parametrize("key", ["p", "i"])
def test_picture_in_picture_is_asked_for(player: Page, key: str) -> None:
    """A headless browser has no place for the small window, so what is seen here is that it was asked for one."""
    screening.ask(player, "(video.requestPictureInPicture = () => { window.asked = true; return Promise.resolve(); }) && true")
    player.keyboard.press(key)
    screening.wait_until(player, "window.asked")


def test_captions_on_and_off(player: Page) -> None:
    screening.ask(player, "(() => { video.addTextTrack('subtitles', 'English', 'en').mode = 'disabled'; })()")
    expect(player.locator("media-captions-button")).to_be_visible()
    player.keyboard.press("c")
    screening.wait_until(player, "[...video.textTracks].find((track) => track.label === 'English').mode === 'showing'")
    player.keyboard.press("c")
    screening.wait_until(player, "[...video.textTracks].find((track) => track.label === 'English').mode !== 'showing'")


def test_help_lists_the_keys_and_gives_the_focus_back(player: Page) -> None:
    player.keyboard.press("?")
    window = player.get_by_role("dialog", name="Keyboard")
    expect(window).to_be_visible()
    expect(window).to_contain_text("10 seconds back or on")
    player.keyboard.press("k")  # not while the window is open
    player.keyboard.press("Escape")
    expect(window).to_be_hidden()
    assert screening.ask(player, "video.paused")


def test_keys_can_be_bound_to_the_player(player: Page) -> None:
    player.keyboard.press("?")
    player.get_by_label("Keys work anywhere on the page").uncheck()
    player.keyboard.press("Escape")
    player.evaluate("document.activeElement.blur()")
    player.keyboard.press("m")
    assert not screening.ask(player, "video.muted")
    player.locator("media-controller").focus()
    player.keyboard.press("m")
    screening.wait_until(player, "video.muted")


def test_keys_with_a_modifier_belong_to_the_browser(player: Page) -> None:
    for key in ("Control+m", "Alt+m", "Meta+m"):
        player.keyboard.press(key)
    assert not screening.ask(player, "video.muted")


def test_typing_is_typing(player: Page) -> None:
    player.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input id=field>')")
    player.locator("#field").press_sequentially("mk 5")
    assert player.locator("#field").input_value() == "mk 5"
    assert screening.ask(player, "[video.muted, video.paused, video.currentTime]") == [False, True, 9]


def test_a_button_keeps_its_own_keys(player: Page) -> None:
    """The space bar on a focused button presses that button, once."""
    player.locator("media-mute-button").focus()
    player.keyboard.press(" ")
    screening.wait_until(player, "video.muted")
    assert screening.ask(player, "video.paused")


def test_everything_is_reached_with_the_tab_key(player: Page) -> None:
    player.locator(".skip").focus()
    seen = set()
    for _ in range(25):
        player.keyboard.press("Tab")
        seen.add(player.evaluate("document.activeElement.tagName.toLowerCase()"))
    wanted = {"media-controller", "media-play-button", "media-time-range", "media-mute-button", "media-settings-menu-button",
              "media-fullscreen-button", "button"}  # fmt: skip
    assert wanted <= seen
