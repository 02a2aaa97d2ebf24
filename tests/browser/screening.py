"""Watching a <video>: what a test asks of it and does to it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

VIDEO = "headwater-player video"

# Resolves with the media time of the next frame that is really shown.
_NEXT_FRAME = """(video) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error("no frame within 20 s at " + video.currentTime)), 20000);
  video.requestVideoFrameCallback((_, frame) => { clearTimeout(timer); resolve(frame.mediaTime); });
})"""

# Pausing first makes it exact: the frame shown is the one that contains `to`, however busy the machine is.
_SEEK = """(video, to) => new Promise((resolve, reject) => {
  const playing = !video.paused;
  const timer = setTimeout(() => reject(new Error("no frame within 20 s of seeking to " + to)), 20000);
  const look = (_, frame) => {
    if (frame.mediaTime > to || frame.mediaTime < to - 0.1) { video.requestVideoFrameCallback(look); return; }
    clearTimeout(timer);
    clearInterval(again);
    if (playing) void video.play();
    resolve(frame.mediaTime);
  };
  video.pause();
  video.requestVideoFrameCallback(look);
  video.currentTime = to;
  // A busy page may miss the one callback of a paused video's one new frame, so the frame is asked for again.
  const again = setInterval(() => { video.currentTime = to; }, 2000);
})"""


def play(page: Page) -> None:
    page.wait_for_selector(VIDEO, state="attached")
    page.eval_on_selector(VIDEO, "(video) => void video.play().catch(() => undefined)")


def next_frame(page: Page) -> float:
    """Waits for a frame to be shown. Its time in the video, in seconds."""
    shown: float = page.eval_on_selector(VIDEO, _NEXT_FRAME)
    return shown


def seek(page: Page, to_s: float, video: str = VIDEO) -> float:
    """Jumps and waits for the frame there."""
    shown: float = page.eval_on_selector(video, _SEEK, to_s)
    return shown


def ask(page: Page, expression: str) -> Any:
    """The value of an expression of `video`."""
    return page.eval_on_selector(VIDEO, f"(video) => {expression}")


def wait_until(page: Page, condition: str, limit_s: float = 20) -> None:
    """Until a condition of `video` (and of its `player`) holds.

    It is asked again and again from here: Playwright's own waiting evaluates strings in the page, which our policy forbids.
    """
    question = f"""(() => {{
      const player = document.querySelector("headwater-player"), video = player?.video;
      return Boolean(video && ({condition}));
    }})()"""
    for _ in range(int(limit_s / 0.05)):
        if page.evaluate(question):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {limit_s:.0f} s: {condition}")


def beyond(page: Page) -> list[str]:
    """What reaches over the right edge of the window, but for what is made to be pushed sideways."""
    found: list[str] = page.evaluate("""[...document.querySelectorAll("main *, header *")].filter((element) =>
      element.checkVisibility() && getComputedStyle(element).position !== "absolute"
      && element.getBoundingClientRect().right > innerWidth + 1
      && !element.closest(".stage, .card-frame, .row-track, .unseen")).map((element) => element.outerHTML.slice(0, 80))""")
    return found
