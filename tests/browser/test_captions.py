"""Captions and chapters as a viewer meets them: offered, switched on, shown at their time."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio, shaka_page

SRT = "1\n00:00:01,000 --> 00:00:04,000\nGood <i>evening</i>\n\n2\n00:00:04,500 --> 00:00:06,000\n{\\an8}From the top\n"
CHAPTERS = "WEBVTT\n\n00:00.000 --> 00:03.000\nThe first half\n\n00:03.000 --> 00:06.000\nThe second half\n"


@pytest.fixture(scope="module")
def told(studio: Studio, short_film: Film) -> Film:
    """The short film with English captions and chapters."""
    path = f"/v1/assets/{short_film.asset_id}/tracks"
    tracks = (({"language": "en", "kind": "captions", "name": "English"}, SRT), ({"language": "en", "kind": "chapters"}, CHAPTERS))
    for query, text in tracks:
        studio.client.post(path, params=query, content=text).raise_for_status()
    return short_film


def shown(page: Page) -> list[str]:
    """The cues of captions that are on the screen."""
    found: list[str] = screening.ask(
        page,
        "[...video.textTracks].filter((track) => track.kind !== 'chapters' && track.mode === 'showing')"
        ".flatMap((track) => [...(track.activeCues ?? [])].map((cue) => cue.text))",
    )
    return found


def test_captions_are_off_at_first_and_c_shows_them_at_their_time(visit: Open, told: Film) -> None:
    page = visit(told.watch).page
    screening.play(page)
    expect(page.locator("media-captions-button")).to_be_visible()
    assert shown(page) == []
    page.keyboard.press("c")
    screening.seek(page, 2.0)
    screening.wait_until(
        page, "[...video.textTracks].some((track) => track.mode === 'showing' && track.activeCues?.[0]?.text === 'Good <i>evening</i>')"
    )
    times = screening.ask(page, "[...video.textTracks].find((track) => track.kind === 'captions').cues[0].startTime")
    assert times == pytest.approx(1.0, abs=0.002)
    screening.seek(page, 5.0)
    screening.wait_until(page, "[...video.textTracks].some((track) => track.mode === 'showing' && track.activeCues?.[0]?.line === 5)")
    page.keyboard.press("c")
    screening.wait_until(page, "[...video.textTracks].every((track) => track.kind === 'chapters' || track.mode !== 'showing')")


def test_the_menu_names_them_and_the_time_bar_knows_chapters(visit: Open, told: Film) -> None:
    page = visit(told.watch).page
    screening.wait_until(page, "video.readyState >= 1")
    label = "[...video.textTracks].some((track) => track.kind === 'subtitles' || track.kind === 'captions')"
    screening.wait_until(page, label)
    assert "English" in screening.ask(page, "[...video.textTracks].map((track) => track.label)")
    screening.wait_until(page, "[...video.textTracks].some((track) => track.kind === 'chapters' && track.cues?.length === 2)")
    page.locator("media-time-range").hover(position={"x": 40, "y": 8})
    expect(page.locator(".timeline > media-preview-chapter-display")).to_contain_text("The first half")


_SHAKA_CUES = """(() => [...document.querySelector("video").textTracks].filter((track) => track.mode === "showing")
  .flatMap((track) => [...(track.cues ?? [])].map((cue) => [cue.startTime, cue.endTime, cue.text])))()"""


def test_shaka_shows_them_at_their_times(visit: Open, told: Film, shaka_script: Path) -> None:
    """Chosen before anything is loaded: Shaka 5 keeps text back until it has appended a segment of video after text was chosen, and
    of a title as short as this one nothing is left to append later."""
    page = shaka_page(visit, shaka_script).page
    page.evaluate("player.configure({preferredText: [{language: 'en'}]})")
    page.evaluate("(address) => begin(address)", f"/v/{told.playback_id}/main.m3u8")
    page.evaluate("player.selectTextTrack(player.getTextTracks()[0])")
    for _ in range(400):
        if len(page.evaluate(_SHAKA_CUES)) == 2:
            break
        page.wait_for_timeout(50)
    assert page.evaluate(_SHAKA_CUES) == [[1, 4, "Good <i>evening</i>"], [4.5, 6, "From the top"]]
    (held,) = page.evaluate("player.getBufferedInfo().text")
    assert held["start"] == 0
    assert held["end"] >= told.duration_s - 0.1
    assert page.evaluate("errors") == []
