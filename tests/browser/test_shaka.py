"""The same presentation through Shaka Player, an independent implementation, forced to Media Source Extensions.

If both Shaka and hls.js play it, the packager is right (ecosystem.md, section 6). The page exists in this test only: the stack's
own origin answers it from a route of the browser.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser import screening
from tests.browser.conftest import Film, Open, shaka_page


@pytest.fixture
def shaka(visit: Open, film: Film, shaka_script: Path) -> Page:
    """A page in which Shaka plays the film."""
    page = shaka_page(visit, shaka_script).page
    page.evaluate("(address) => begin(address)", f"/v/{film.playback_id}/main.m3u8")
    return page


def test_shaka_plays_it_with_sound_and_without_a_complaint(shaka: Page, film: Film) -> None:
    for _ in range(400):
        if shaka.evaluate("document.querySelector('video').currentTime") > 2:
            break
        shaka.wait_for_timeout(50)
    facts = shaka.evaluate("""(() => {
      const video = document.querySelector("video");
      return {source: video.currentSrc, time: video.currentTime, sound: video.webkitAudioDecodedByteCount, duration: video.duration,
              sizes: player.getVariantTracks().map((track) => track.height).sort((a, b) => a - b), errors};
    })()""")
    assert facts["source"].startswith("blob:")  # Media Source, not the browser's own HLS
    assert facts["time"] > 2
    assert facts["sound"] > 0
    assert abs(facts["duration"] - film.duration_s) < 0.1
    assert facts["sizes"] == [480, 720]
    assert facts["errors"] == []


def test_shaka_shows_the_very_frame_it_is_asked_for(shaka: Page, film: Film) -> None:
    chance = random.Random(film.playback_id)
    for _ in range(10):
        to_s = chance.uniform(0.3, film.duration_s - 0.5)
        assert 0 <= to_s - screening.seek(shaka, to_s, "video") < 1 / 24 + 0.001
    assert shaka.evaluate("errors") == []
