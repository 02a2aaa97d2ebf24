"""The last part of `make compose-test`: wait for the services, send a video through the edge, and play it in every way at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import imageio_ffmpeg

from tests import chromium
from tests.local_stack import command

WAIT_S = 300
PLAYED_S = 2.0
_PLAYS = """
(wanted) => {
  const find = (root) => {
    for (const element of root.querySelectorAll("*")) {
      const found = element.tagName === "VIDEO" ? element : element.shadowRoot && find(element.shadowRoot);
      if (found) return found;
    }
    return null;
  };
  const video = find(document);
  if (video?.paused) video.play();
  return video && video.currentTime > wanted;
}
"""


def wait(url: str) -> None:
    """Until every dependency of the API answers."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        try:
            if httpx.get(f"{url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(1)
    raise SystemExit(f"{url}/readyz did not say that all is well within {WAIT_S} s.")


def send(url: str) -> tuple[str, int]:
    """The playback id of a new video, and its frames."""
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        picture, sound = "testsrc2=s=1280x720:r=24:d=8", "sine=d=8"
        argv = [
            imageio_ffmpeg.get_ffmpeg_exe(),
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            picture,
            "-f",
            "lavfi",
            "-i",
            sound,
            "-pix_fmt",
            "yuv420p",
            clip,
        ]
        subprocess.run(argv, check=True)
        settings = {"HEADWATER_URL": url, "HEADWATER_API_KEY": os.environ["HEADWATER_API_KEY"], "XDG_STATE_HOME": folder}
        sent = command("upload", str(clip), "--wait", "--json", environment=settings, limit_s=WAIT_S)
    if sent.returncode:
        raise SystemExit(f"The upload ended with exit code {sent.returncode}: {sent.stderr}")
    return json.loads(sent.stdout)["playback_ids"][0]["id"], 8 * 24


def decoded_frames(url: str) -> int:
    """Frames that FFmpeg gets out of the playlist's best rendition."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", url, "-map", "0:v:0", "-f", "framemd5", "-"]
    lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    return sum(1 for line in lines if not line.startswith("#"))


def played_s(browser: Path, url: str) -> float:
    """How far Chromium gets on the watch page."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", "--disable-background-networking"]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=browser, args=flags) as running:
        page = running.new_page()
        page.goto(url)
        page.wait_for_function(_PLAYS, arg=PLAYED_S, timeout=60_000)
        return PLAYED_S


def play(url: str) -> None:
    playback, frames = send(url)
    got = decoded_frames(f"{url}/v/{playback}/main.m3u8")
    if got != frames:
        raise SystemExit(f"FFmpeg decoded {got} frames of {frames}.")
    print(f"FFmpeg decoded all {frames} frames from the edge.")
    browser = chromium.find()
    if browser is None:
        print(f"Not played in a browser. {chromium.REMEDY}")
        return
    print(f"Chromium played past {played_s(browser, f'{url}/watch/{playback}')} s of the watch page.")


if __name__ == "__main__":
    {"wait": wait, "play": play}[sys.argv[2]](sys.argv[1])
