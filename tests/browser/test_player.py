"""The watch page plays (ecosystem checklist B1, B3, B4, B6, B10): pictures, sound, seeking, qualities, memory, errors."""

from __future__ import annotations

import json
import random
from functools import partial

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open
from tests.eventually import eventually

SEED = 20261122


def test_pictures_and_sound_arrive_through_hls_js(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    assert screening.next_frame(page) < film.duration_s
    screening.wait_until(page, "video.currentTime > 3")
    assert screening.ask(page, "video.webkitAudioDecodedByteCount") > 0
    assert screening.ask(page, "video.src").startswith("blob:")  # Media Source, although Chromium claims HLS
    assert screening.ask(page, "video.canPlayType('application/vnd.apple.mpegurl')") == "maybe"
    assert screening.ask(page, "video.error") is None
    screening.wait_until(page, "video.buffered.end(0) > video.duration - 0.1")
    # Not a microsecond less, which would be shown as a second; half an AAC frame more where the sound is longer.
    assert 0 <= screening.ask(page, "video.duration") - film.duration_s <= 0.011


def test_it_plays_to_the_end_without_losing_frames(visit: Open, short_film: Film) -> None:
    """A machine that is busy with other things drops frames, whatever the stream; so the best of three screenings counts."""
    lost = []
    for _ in range(3):
        page = visit(short_film.watch, width=640, height=480).page
        screening.play(page)
        screening.wait_until(page, "video.ended", limit_s=120)
        shown, dropped = screening.ask(
            page, "(({totalVideoFrames: all, droppedVideoFrames: lost}) => [all, lost])(video.getVideoPlaybackQuality())"
        )
        assert shown == 24 * short_film.duration_s
        assert screening.ask(page, "video.buffered.length") == 1  # no holes
        lost.append(dropped / shown)
        if lost[-1] < 0.01:
            return
    raise AssertionError(f"frames lost in three screenings: {lost}")


def test_seeking_to_ten_places_shows_the_frame_there(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    screening.next_frame(page)
    chance = random.Random(SEED)
    for _ in range(10):
        to_s = chance.uniform(0.3, film.duration_s - 0.5)
        assert 0 <= to_s - screening.seek(page, to_s) < 1 / 24 + 0.001
    assert screening.ask(page, "video.error") is None


def test_the_poster_keeps_the_place_of_the_picture(visit: Open, film: Film) -> None:
    """No jump: the title below stands where it stood before any script ran."""
    bare = visit(film.watch, java_script_enabled=False).page
    full = visit(film.watch).page
    screening.wait_until(full, "video.readyState >= 1")
    assert bare.locator("h1").bounding_box() == full.locator("h1").bounding_box()
    assert bare.locator(".stage-poster").evaluate("(image) => image.naturalWidth") > 0
    assert "needs JavaScript" in bare.locator("noscript p").inner_text()


def _open_quality_menu(page: Page) -> Locator:
    page.locator("headwater-player").hover()
    menu = page.locator("media-settings-menu")
    for _ in range(3):  # a choice may close the menu, or leave it at the list it was made from
        if menu.is_visible():
            page.keyboard.press("Escape")
            page.wait_for_timeout(400)
    expect(menu).to_be_hidden()
    page.locator("media-settings-menu-button").click()
    page.locator("media-settings-menu-item").filter(has_text="Quality").click()
    return page.locator("headwater-quality-menu").get_by_role("menuitemradio")


def test_the_menu_stays_inside_the_smallest_player(visit: Open, film: Film) -> None:
    """What does not fit is scrolled to, in the list and in what it opens."""
    page = visit(film.watch, width=320, height=700).page
    screening.wait_until(page, "video.readyState >= 1")
    page.locator("media-settings-menu-button").click()
    player, menu = page.locator("headwater-player").bounding_box(), page.locator("media-settings-menu")
    assert player is not None

    def inside(what: Locator) -> bool:
        box = what.bounding_box()
        return box is not None and box["y"] >= player["y"] and box["y"] + box["height"] <= player["y"] + player["height"] + 0.5

    assert player["width"] == 320
    assert eventually(lambda: inside(menu), 10)
    page.locator("media-settings-menu-item").filter(has_text="Quality").click()
    choices = page.locator("headwater-quality-menu").get_by_role("menuitemradio")
    expect(choices).to_have_count(3)
    assert eventually(lambda: inside(menu), 10), "Media Chrome makes room for what is opened in steps"
    for choice in (choices.first, choices.last):
        choice.scroll_into_view_if_needed()
        assert eventually(partial(inside, choice), 10)
    choices.last.click()


def test_the_quality_menu_names_what_plays_and_switches(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    screening.next_frame(page)
    choices = _open_quality_menu(page)
    assert [text.strip() for text in choices.all_inner_texts()][:2] == ["720p", "480p"]
    expect(choices.last).to_contain_text("Auto (")
    choices.filter(has_text="480p").first.click()
    screening.wait_until(page, "video.videoHeight === 480 && player.engine.hls.autoLevelEnabled === false")
    _open_quality_menu(page).filter(has_text="720p").first.click()
    screening.wait_until(page, "video.videoHeight === 720")
    before = screening.ask(page, "video.currentTime")
    screening.wait_until(page, f"video.currentTime > {before} + 0.5")
    _open_quality_menu(page).filter(has_text="Auto").click()
    screening.wait_until(page, "player.engine.hls.autoLevelEnabled")


def test_the_quality_menu_stays_open_while_the_quality_changes(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    screening.next_frame(page)
    choices = _open_quality_menu(page)
    page.locator("media-controller").evaluate("(it) => it.querySelector('headwater-quality-menu').setAttribute('mediaheight', '123')")
    page.wait_for_timeout(300)
    expect(choices.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(choices.first).to_be_hidden()


def test_captions_are_offered_only_where_there_are_some(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.wait_until(page, "video.readyState >= 1")
    expect(page.locator("media-captions-button")).to_be_hidden()
    page.eval_on_selector(screening.VIDEO, "(video) => video.addTextTrack('subtitles', 'English', 'en')")
    expect(page.locator("media-captions-button")).to_be_visible()


def test_it_goes_on_where_it_was_left(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    screening.seek(page, 12.5)
    screening.ask(page, "video.pause()")
    screening.wait_until(page, "JSON.parse(localStorage['headwater:places'])[0].at_s >= 12.5")
    page.reload()
    expect(page.get_by_text("Resumed at 0:1")).to_be_visible()
    screening.wait_until(page, "video.currentTime > 12")
    page.get_by_role("button", name="Start over").click()
    screening.wait_until(page, "video.currentTime < 1")


def test_what_was_seen_to_the_end_begins_anew(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    screening.seek(page, film.duration_s - 0.6)
    screening.wait_until(page, "video.ended")
    page.reload()
    screening.wait_until(page, "video.readyState >= 1")
    assert screening.ask(page, "video.currentTime") == 0


def test_a_link_to_a_moment_begins_there(visit: Open, film: Film) -> None:
    page = visit(f"{film.watch}?t=13").page
    screening.wait_until(page, "video.readyState >= 2 && Math.abs(video.currentTime - 13) < 0.3")


def test_volume_and_speed_are_remembered(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.wait_until(page, "video.readyState >= 1")
    screening.ask(page, "(video.volume = 0.35, video.muted = true, video.playbackRate = 1.5)")
    screening.wait_until(page, "JSON.parse(localStorage['headwater:taste']).rate === 1.5")
    page.reload()
    screening.wait_until(page, "video.readyState >= 1")
    assert screening.ask(page, "[video.volume, video.muted, video.playbackRate]") == [0.35, True, 1.5]


def test_the_system_knows_what_plays(visit: Open, film: Film) -> None:
    page = visit(film.watch).page
    screening.play(page)
    told = page.evaluate("({title: navigator.mediaSession.metadata.title, artwork: navigator.mediaSession.metadata.artwork[0].src})")
    assert told["title"] == film.title
    assert told["artwork"].endswith(f"/v/{film.playback_id}/poster.jpg")


@pytest.mark.parametrize("broken", ["**/main.m3u8", "**/*.m4s"])
def test_a_lost_connection_is_a_card_with_a_way_back(visit: Open, film: Film, broken: str) -> None:
    made = visit("/login")
    page = made.page
    made.expect_problem(r"ERR_FAILED|^console: Failed to load")
    page.route(broken, lambda route: route.abort())
    page.clock.install()
    page.goto(film.watch)
    screening.wait_until(page, "video")
    card = page.get_by_role("alert")
    for _ in range(60):  # hls.js tries again with growing pauses; nobody wants to wait for them here
        if card.is_visible():
            break
        page.clock.run_for(2000)
        page.wait_for_timeout(50)
    expect(card).to_contain_text("The connection to the video was lost.")
    expect(card.locator("code")).to_contain_text(film.playback_id)
    page.unroute(broken)
    card.get_by_role("button", name="Try again").click()
    page.clock.resume()
    screening.next_frame(page)
    expect(card).to_be_hidden()


def test_a_video_that_is_gone_says_so(visit: Open, film: Film) -> None:
    made = visit("/login")
    made.expect_problem(r"404|main\.m3u8")
    made.page.route("**/main.m3u8", lambda route: route.fulfill(status=404))
    made.page.goto(film.watch)
    expect(made.page.get_by_role("alert")).to_contain_text("This video is not here any more.", timeout=30_000)


def test_damaged_bytes_never_end_in_an_endless_wait(visit: Open, film: Film) -> None:
    made = visit("/login")
    page = made.page

    page.route("**/*.m4s", lambda route: route.fulfill(body=b"\x00\x00\x10\x00moof" + bytes(5000), content_type="video/mp4"))
    page.goto(film.watch)
    screening.play(page)
    expect(page.get_by_role("alert")).to_be_visible(timeout=60_000)
    page.unroute("**/*.m4s")
    page.get_by_role("button", name="Try again").click()
    screening.next_frame(page)


def test_a_page_that_waits_becomes_the_player_by_itself(visit: Open, film: Film) -> None:
    """The server's own words about a video that is being made are in tests/integration/test_pages.py; here they change."""
    made = visit("/login")
    page = made.page
    told = {"state": "processing", "progress": 0.25, "poster": None, "detail": None}
    page.route(f"**{film.watch}/state", lambda route: route.fulfill(body=json.dumps(told), content_type="application/json"))

    def still_waiting(route: Route) -> None:
        reply = route.fetch()
        text = reply.text().replace('state="ready"', 'state="processing"')
        route.fulfill(
            response=reply,
            body=text.replace(
                "</headwater-player>", '<div class="notice" data-notice><p class="notice-line"></p></div></headwater-player>'
            ),
        )

    page.route(f"**{film.watch}", still_waiting)
    page.goto(film.watch)
    expect(page.locator(".notice-line")).to_have_text("Being prepared · 25 %")
    assert page.locator("video").count() == 0
    told |= {"state": "playable", "poster": f"/v/{film.playback_id}/poster.jpg"}
    screening.play(page)
    screening.next_frame(page)
    expect(page.locator(".notice")).to_have_count(0)
    told |= {"state": "ready"}
    expect(page.locator("headwater-player")).to_have_attribute("state", "ready")
    screening.next_frame(page)
