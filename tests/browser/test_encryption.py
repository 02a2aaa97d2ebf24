"""Encrypted titles in Chromium: our player (hls.js) and Shaka Player with the key, and with a wrong one; `cbcs` by W3C ClearKey."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio, Visit, shaka_page
from tests.clips import Clips

Locked = dict[str, Film]
PLAYED = "document.querySelector('video').currentTime > 2 && document.querySelector('video').webkitAudioDecodedByteCount > 0"
OTHER_KEY = bytes(range(16))


@pytest.fixture(scope="module")
def locked(studio: Studio, clips: Clips) -> Locked:
    """The same six seconds by both schemes."""
    ids = {choice: studio.send(clips("plain"), f"Encrypted, {choice}", encryption=choice) for choice in ("aes-128", "cbcs")}
    found = {choice: studio.wait(asset_id) for choice, asset_id in ids.items()}
    assert {choice: asset["encryption"] for choice, asset in found.items()} == {choice: choice for choice in ids}
    return {
        choice: Film(asset["id"], asset["playback_ids"][0]["id"], asset["title"], asset["source"]["duration_s"])
        for choice, asset in found.items()
    }


@pytest.fixture
def shaka(visit: Open, shaka_script: Path) -> Visit:
    return shaka_page(visit, shaka_script)


def _until(page: Page, holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("not within 30 s")


def _begin(page: Page, address: str) -> None:
    page.evaluate("(address) => { begin(address).catch((error) => errors.push(String(error.code))); }", address)


@pytest.mark.parametrize("choice", ["aes-128", "cbcs"])
def test_our_player_plays_it(visit: Open, locked: Locked, choice: str) -> None:
    page = visit("/login").page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(locked[choice].watch)
    screening.play(page)
    screening.wait_until(page, "video.currentTime > 2", limit_s=60)
    assert screening.ask(page, "video.webkitAudioDecodedByteCount") > 0
    assert screening.ask(page, "video.error") is None
    assert any("/key/" in url for url in asked)


@pytest.mark.parametrize(("choice", "manifest"), [("aes-128", "main.m3u8"), ("cbcs", "main.m3u8"), ("cbcs", "manifest.mpd")])
def test_shaka_plays_it(shaka: Visit, studio: Studio, locked: Locked, choice: str, manifest: str) -> None:
    page, film = shaka.page, locked[choice]
    if manifest == "manifest.mpd":  # HLS names the address of the key itself
        (key,) = studio.client.get(f"/v1/assets/{film.asset_id}/keys").raise_for_status().json()["data"]
        page.evaluate("([kid, key]) => player.configure({drm: {clearKeys: {[kid]: key}}})", [key["key_id"], key["key"]])
    _begin(page, f"/v/{film.playback_id}/{manifest}")
    _until(page, lambda: bool(page.evaluate(f"errors.length > 0 || {PLAYED}")))
    assert page.evaluate("errors") == []
    assert page.evaluate("player.drmInfo()?.keySystem ?? ''") == ("org.w3.clearkey" if choice == "cbcs" else "")


@pytest.mark.parametrize("choice", ["aes-128", "cbcs"])
def test_a_wrong_key_shows_nothing(shaka: Visit, locked: Locked, choice: str) -> None:
    page = shaka.page
    shaka.expect_problem("console|error")
    page.route("**/key/*", lambda route: route.fulfill(body=OTHER_KEY, content_type="application/octet-stream"))
    _begin(page, f"/v/{locked[choice].playback_id}/main.m3u8")
    _until(page, lambda: bool(page.evaluate("errors.length > 0 || document.querySelector('video').error !== null")))
    assert page.evaluate("document.querySelector('video').getVideoPlaybackQuality().totalVideoFrames") == 0
