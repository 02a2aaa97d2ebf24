"""The DASH manifest in two players that share no code, Shaka Player and dash.js, and in FFmpeg."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Film, Open, Studio, bundled, shaka_page
from tests.eventually import eventually

SECONDS = 8
SRT = "1\n00:00:00,500 --> 00:00:07,000\nGood evening\n"
_DASH_JS = """
import * as dashjs from "dashjs";
const video = document.querySelector("video");
const player = dashjs.MediaPlayer().create();
window.errors = [];
player.on(dashjs.MediaPlayer.events.ERROR, (event) => window.errors.push(String(event.error?.code ?? event.error)));
window.begin = (address) => new Promise((done) => {
  player.on(dashjs.MediaPlayer.events.STREAM_INITIALIZED, () => done());
  player.updateSettings({ streaming: { text: { defaultEnabled: true } } });
  player.initialize(video, address, true);
});
window.player = player;
"""


@pytest.fixture(scope="module")
def spoken(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Film:
    """8 s in two languages, with captions, and with its storyboard."""
    path = tmp_path_factory.mktemp("dash") / "spoken.mkv"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-f", "lavfi", "-i", f"testsrc=size=320x180:rate=24:d={SECONDS}"]
    argv += [part for pitch in (440, 880) for part in ("-f", "lavfi", "-i", f"sine=f={pitch}:d={SECONDS}:r=48000")]
    argv += ["-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    argv += ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-disposition:a:0", "default", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)
    film = studio.film(path, "Spoken twice, in DASH")
    query = {"language": "en", "kind": "captions", "name": "English", "default": "true"}
    studio.client.post(f"/v1/assets/{film.asset_id}/tracks", params=query, content=SRT).raise_for_status()
    assert eventually(lambda: "thumbnails" in _manifest(studio, film) and "whole.vtt" in _manifest(studio, film), 60)
    return film


def _manifest(studio: Studio, film: Film) -> str:
    answer = studio.client.get(f"/v/{film.playback_id}/manifest.mpd").raise_for_status()
    assert answer.headers["content-type"] == "application/dash+xml"
    return answer.text


@pytest.fixture(scope="module")
def dash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundled(_DASH_JS, tmp_path_factory.mktemp("dashjs") / "dash-test.js")


def _begin(visit: Open, script: Path, film: Film) -> Page:
    opened = shaka_page(visit, script)
    page = opened.page
    # A whole address: dash.js makes URLs of it for its own reports.
    page.evaluate("(address) => begin(address)", f"{opened.home}/v/{film.playback_id}/manifest.mpd")
    _until(page, "video.currentTime > 0.5")
    return page


def _until(page: Page, condition: str) -> None:
    question = f"(() => {{ const video = document.querySelector('video'); return Boolean({condition}); }})()"
    for _ in range(800):
        if page.evaluate(question):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 40 s: {condition}; {page.evaluate('errors')}")


def _to_the_end(page: Page, film: Film) -> None:
    """Plays on until it has ended, with sound and pictures."""
    _until(page, "video.ended")
    facts: dict[str, Any] = page.evaluate("""(() => {
      const video = document.querySelector("video");
      return {source: video.currentSrc, sound: video.webkitAudioDecodedByteCount, duration: video.duration,
              frames: video.getVideoPlaybackQuality().totalVideoFrames, errors};
    })()""")
    assert facts["source"].startswith("blob:")
    assert facts["sound"] > 0
    assert facts["frames"] > 0
    assert abs(facts["duration"] - film.duration_s) < 0.1
    assert facts["errors"] == []


def test_shaka_plays_it_to_the_end_in_either_language_with_text_and_thumbnails(visit: Open, spoken: Film, shaka_script: Path) -> None:
    page = _begin(visit, shaka_script, spoken)
    assert {track["language"] for track in page.evaluate("player.getAudioTracks()")} == {"en", "de"}
    page.evaluate("player.selectAudioTrack(player.getAudioTracks().find((track) => track.language === 'de'))")
    _until(page, "player.getVariantTracks().find((track) => track.active)?.language === 'de'")
    page.evaluate("player.selectTextTrack(player.getTextTracks()[0])")
    _until(page, "[...video.textTracks].some((track) => track.cues?.[0]?.text === 'Good evening')")
    tile = page.evaluate("player.getThumbnails(player.getImageTracks()[0].id, 5)")
    assert (tile["startTime"], tile["width"], tile["height"], tile["positionX"]) == (4, 160, 90, 320)
    _to_the_end(page, spoken)


def test_dash_js_plays_it_to_the_end_in_either_language_with_text(visit: Open, spoken: Film, dash_script: Path) -> None:
    page = _begin(visit, dash_script, spoken)
    tracks = page.evaluate("player.getTracksFor('audio').map((track) => [track.lang, track.roles[0].value])")
    assert sorted(tracks) == [["de", "alternate"], ["en", "main"]]
    page.evaluate("player.setCurrentTrack(player.getTracksFor('audio').find((track) => track.lang === 'de'))")
    _until(page, "player.getCurrentTrackFor('audio').lang === 'de'")
    _until(page, "[...video.textTracks].some((track) => track.cues?.[0]?.text === 'Good evening')")
    _to_the_end(page, spoken)


def test_ffmpeg_reads_all_of_it(visit: Open, spoken: Film) -> None:
    address = f"{visit('/login').home}/v/{spoken.playback_id}/manifest.mpd"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", address, "-map", "0:v:0", "-map", "0:a", "-f", "null", "-"]
    told = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True, stdin=subprocess.DEVNULL).stderr
    assert f"Duration: 00:00:0{SECONDS}.00" in told
    assert int(re.findall(r"frame=\s*(\d+)", told)[-1]) == SECONDS * 24
