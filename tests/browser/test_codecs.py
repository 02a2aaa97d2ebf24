"""Titles in two codecs, played by a Chromium that has decoders of H.264 and AV1 and none of HEVC."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio, shaka_page

SECONDS, RATE = 8, 12
SEED = 20261122
SIZES = ["720p", "480p"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 s of 1280x720 with a tone: two sizes, of few pictures."""
    path = tmp_path_factory.mktemp("codecs") / "source.mp4"
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        f"testsrc=size=1280x720:rate={RATE}:d={SECONDS}",
    ]
    argv += ["-f", "lavfi", "-i", f"sine=f=440:d={SECONDS}:r=48000", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
    subprocess.run([*argv, "-c:a", "aac", str(path)], check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def _film(studio: Studio, source: Path, profile: str) -> Film:
    found = studio.wait(studio.send(source, f"A film in {profile}", profile=profile))
    return Film(found["id"], found["playback_ids"][0]["id"], found["title"], found["source"]["duration_s"])


@pytest.fixture(scope="module")
def av1_film(studio: Studio, source: Path) -> Film:
    return _film(studio, source, "h264+av1")


@pytest.fixture(scope="module")
def hevc_film(studio: Studio, source: Path) -> Film:
    return _film(studio, source, "h264+hevc")


def _levels(page: Page) -> dict[str, Any]:
    """What hls.js may choose from, and the codec of the pictures that it shows."""
    found: dict[str, Any] = screening.ask(
        page,
        """(({levels, currentLevel}) => ({all: levels.map((level) => [level.videoCodec.slice(0, 4), level.height]).sort(),
        now: levels[currentLevel]?.videoCodec.slice(0, 4)}))(document.querySelector("headwater-player").engine.hls)""",
    )
    return found


def _choices(page: Page) -> list[str]:
    """The quality menu, opened."""
    page.locator("headwater-player").hover()
    page.locator("media-settings-menu-button").click()
    page.locator("media-settings-menu-item").filter(has_text="Quality").click()
    choices = page.locator("headwater-quality-menu").get_by_role("menuitemradio")
    expect(choices.first).to_be_visible()
    return [text.strip() for text in choices.all_inner_texts()]


def _shown_on(page: Page) -> None:
    screening.play(page)
    screening.next_frame(page)
    screening.wait_until(page, "player.engine.hls.currentLevel >= 0")


def _seeks(page: Page, film: Film) -> None:
    chance = random.Random(SEED)
    for _ in range(5):
        to_s = chance.uniform(0.3, film.duration_s - 0.5)
        assert 0 <= to_s - screening.seek(page, to_s) < 1 / RATE + 0.001


def test_our_player_shows_av1_where_it_can(visit: Open, av1_film: Film) -> None:
    page = visit(av1_film.watch).page
    _shown_on(page)
    found = _levels(page)
    assert found == {"all": [["av01", 480], ["av01", 720], ["avc1", 480], ["avc1", 720]], "now": "av01"}
    assert screening.ask(page, "video.webkitAudioDecodedByteCount") > 0
    _seeks(page, av1_film)
    screening.seek(page, av1_film.duration_s - 1)
    screening.play(page)
    screening.wait_until(page, "video.ended")
    assert _levels(page)["now"] == "av01"
    assert screening.ask(page, "video.error") is None


def test_each_size_is_in_the_menu_once_and_keeps_the_codec(visit: Open, av1_film: Film) -> None:
    page = visit(av1_film.watch).page
    _shown_on(page)
    assert _choices(page)[:-1] == SIZES
    chosen = """(({levels, manualLevel}) => [levels[manualLevel]?.height, levels[manualLevel]?.videoCodec.slice(0, 4)].join())
      (player.engine.hls)"""
    for height in (480, 720):
        page.locator("headwater-quality-menu").get_by_role("menuitemradio").filter(has_text=f"{height}p").first.click()
        screening.wait_until(page, f"{chosen} === '{height},av01'")
        for _ in range(3):  # a choice may close the menu, or leave it at the list it was made from
            if page.locator("media-settings-menu").is_visible():
                page.keyboard.press("Escape")
                page.wait_for_timeout(400)
        _choices(page)
    _seeks(page, av1_film)
    assert screening.ask(page, "video.error") is None


def test_what_it_cannot_decode_is_not_offered(visit: Open, hevc_film: Film) -> None:
    page = visit(hevc_film.watch).page
    assert not page.evaluate("MediaSource.isTypeSupported('video/mp4; codecs=\"hvc1.1.6.L93.90\"')"), "this Chromium decodes HEVC"
    _shown_on(page)
    assert _levels(page) == {"all": [["avc1", 480], ["avc1", 720]], "now": "avc1"}
    assert _choices(page)[:-1] == SIZES
    _seeks(page, hevc_film)
    assert screening.ask(page, "video.error") is None


_SHAKA_NOW = """(() => {
  const video = document.querySelector("video"), tracks = player.getVariantTracks();
  return {codecs: [...new Set(tracks.map((track) => track.videoCodec.slice(0, 4)))].sort(), errors,
          now: tracks.find((track) => track.active)?.videoCodec.slice(0, 4), source: video.currentSrc.slice(0, 5)};
})()"""


@pytest.mark.parametrize("manifest", ["main.m3u8", "manifest.mpd"])
@pytest.mark.parametrize(("profile", "wanted"), [("h264+av1", "av01"), ("h264+hevc", "avc1")])
def test_shaka_plays_it_to_the_end(
    visit: Open, request: pytest.FixtureRequest, shaka_script: Path, profile: str, wanted: str, manifest: str
) -> None:
    film: Film = request.getfixturevalue("av1_film" if wanted == "av01" else "hevc_film")
    page = shaka_page(visit, shaka_script).page
    page.evaluate("(codec) => player.configure({preferredVideo: [{codec}]})", wanted)
    page.evaluate("(address) => begin(address)", f"/v/{film.playback_id}/{manifest}")
    page.wait_for_function("document.querySelector('video').currentTime > 1")
    facts = page.evaluate(_SHAKA_NOW)
    assert (facts["now"], facts["source"], facts["errors"]) == (wanted, "blob:", [])
    for to_s in (5.25, 2.5, film.duration_s - 1.5):
        page.evaluate("(to) => { document.querySelector('video').currentTime = to; }", to_s)
        page.wait_for_function(
            "(to) => { const video = document.querySelector('video'); return !video.seeking && video.currentTime >= to; }", arg=to_s
        )
    page.wait_for_function("document.querySelector('video').ended")
    assert page.evaluate(_SHAKA_NOW) | {"codecs": []} == facts | {"codecs": []}
