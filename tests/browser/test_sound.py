"""Several tracks of sound as a viewer meets them: named in the menu, and heard when chosen; in Shaka Player too."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from playwright.sync_api import Page, expect

from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio, shaka_page


@pytest.fixture(scope="module")
def spoken(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Film:
    """8 s in English, which is 5.1 in AAC and in E-AC-3, and in German."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.mkv"
    wide = "aevalsrc=exprs=" + "|".join(["0.1*sin(2*PI*440*t)"] * 6) + ":c=5.1:s=48000:d=8"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=24:d=8"]
    argv += ["-f", "lavfi", "-i", wide, "-f", "lavfi", "-i", "sine=f=880:d=8:r=48000", "-map", "0", "-map", "1", "-map", "2"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-disposition:a:0", "default"]
    argv += ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return studio.film(path, "Spoken twice", profile="archive")


def menu(page: Page) -> list[str]:
    page.locator("headwater-player").hover()
    page.locator("media-settings-menu-button").click()
    page.locator("media-settings-menu-item").filter(has_text="Sound").click()
    choices = page.locator("media-audio-track-menu").get_by_role("menuitemradio")
    expect(choices).to_have_count(2)
    return [text.strip() for text in choices.all_inner_texts()]


def test_the_menu_names_the_tracks_and_switches(visit: Open, spoken: Film) -> None:
    page = visit(spoken.watch).page
    screening.play(page)
    screening.next_frame(page)
    assert menu(page) == ["English", "German"]
    page.locator("media-audio-track-menu").get_by_role("menuitemradio").filter(has_text="German").click()
    screening.wait_until(page, "player.engine.hls.audioTracks[player.engine.hls.audioTrack]?.lang === 'de'")
    before = screening.ask(page, "video.webkitAudioDecodedByteCount")
    screening.play(page)
    screening.wait_until(page, f"video.webkitAudioDecodedByteCount > {before}")
    assert screening.ask(page, "video.error") is None


def test_a_form_of_the_sound_is_no_quality(visit: Open, spoken: Film) -> None:
    page = visit(spoken.watch).page
    screening.wait_until(page, "player.engine.hls.levels.length > 0")
    assert screening.ask(page, "[...video.videoRenditions].length") == 1


def test_a_browser_that_cannot_play_e_ac_3_takes_what_it_can(visit: Open, spoken: Film) -> None:
    page = visit(spoken.watch).page
    assert not screening.ask(page, "MediaSource.isTypeSupported('audio/mp4; codecs=\"ec-3\"')")
    playlist = page.evaluate("(address) => fetch(address).then((reply) => reply.text())", f"/v/{spoken.playback_id}/main.m3u8")
    assert 'GROUP-ID="ec3"' in playlist
    screening.play(page)
    screening.wait_until(page, "video.currentTime > 1")
    screening.wait_until(
        page, "player.engine.hls.levels.length && player.engine.hls.levels.every((level) => level.audioCodec === 'mp4a.40.2')"
    )
    screening.wait_until(page, "player.engine.hls.audioTracks.every((track) => track.groupId !== 'ec3')")
    assert screening.ask(page, "video.webkitAudioDecodedByteCount") > 0
    assert screening.ask(page, "video.error") is None


def test_one_track_is_no_choice(visit: Open, short_film: Film) -> None:
    page = visit(short_film.watch).page
    screening.wait_until(page, "video.readyState >= 1")
    page.locator("headwater-player").hover()
    page.locator("media-settings-menu-button").click()
    expect(page.locator(".menu-sound")).to_be_hidden()


@pytest.mark.parametrize("manifest", ["main.m3u8", "manifest.mpd"])
def test_shaka_offers_both_languages_in_both_forms(visit: Open, spoken: Film, shaka_script: Path, manifest: str) -> None:
    page = shaka_page(visit, shaka_script).page
    page.evaluate("(address) => begin(address)", f"/v/{spoken.playback_id}/{manifest}")
    found = page.evaluate("player.getVariantTracks().map((track) => [track.language, track.channelsCount])")
    assert {(language, channels) for language, channels in found} >= {("en", 2), ("de", 2), ("en", 6)}
    assert not [codec for codec in page.evaluate("player.getVariantTracks().map((track) => track.audioCodec)") if "ec-3" in codec]
    page.evaluate("player.selectAudioTrack(player.getAudioTracks().find((track) => track.language === 'de'))")
    page.wait_for_function("player.getVariantTracks().find((track) => track.active)?.language === 'de'")
    page.wait_for_function("document.querySelector('video').currentTime > 1")
    assert page.evaluate("errors") == []
