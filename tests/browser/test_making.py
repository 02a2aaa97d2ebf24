"""Watching a film that is not made yet, with the workers held up for longer than a request is made to wait.

The origin answers 503 then, which no player may take for the end. The film is a new one for each test.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import Engine, NullPool, create_engine, text

from stack import leftovers, servers
from stack.data_dir import load_secrets
from tests import clip_recipes as recipes
from tests.browser import screening
from tests.browser.conftest import Film, Open, Studio, Visit, shaka_page
from tests.clips import Clips, _ffmpeg
from tests.eventually import eventually
from tests.local_stack import LocalStack

# So long that the end of it cannot have been made between its playlists and the moment when the workers are held up.
ROUND_S, ROUNDS = 20, 45
LENGTH_S = ROUND_S * ROUNDS
FAR_S = 815.0
SEGMENT_S = 6
NOT_YET = r"503 .*\.m4s|status of 503"


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory, clips: Clips) -> Path:
    folder = tmp_path_factory.mktemp("films")
    recipes.h264(recipes.Workshop(out=folder / "round.mp4", of=clips, ffmpeg=_ffmpeg), size="1280x720", seconds=ROUND_S)
    _ffmpeg("-stream_loop", str(ROUNDS - 1), "-i", str(folder / "round.mp4"), "-c", "copy", str(folder / "long.mp4"))
    return folder / "long.mp4"


def _workers(stack: LocalStack) -> list[int]:
    found = []
    for pid in leftovers.find(stack.data):
        with contextlib.suppress(OSError):
            if b"stack.cli\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def _open_transactions(engine: Engine) -> int:
    query = text("SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()")
    with engine.connect() as conn:
        return int(conn.execute(query).scalar_one())


@contextmanager
def held_up(stack: LocalStack) -> Iterator[None]:
    """The workers stand still meanwhile, and hold no lock in the database, for which others would have to wait too."""
    pids = _workers(stack)
    assert pids
    where = servers.places(stack.data)
    engine = create_engine(servers.postgres_url(where, load_secrets(stack.data).database_password, "headwater"), poolclass=NullPool)

    def stands_still() -> bool:
        _signal(pids, signal.SIGSTOP)
        if any(_open_transactions(engine) == 0 for _ in range(20)):
            return True
        _signal(pids, signal.SIGCONT)
        return False

    assert eventually(stands_still)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


@dataclass(frozen=True)
class Making:
    """A film of which the playlists and little else are there, and the stack whose workers make it."""

    film: Film
    stack: LocalStack
    studio: Studio

    def recorded(self) -> bool:
        """Whether the place that is far away has been made."""
        return bool(self.studio.asset(self.film.asset_id)["status"] == "ready")


@pytest.fixture  # a test names it before `visit`, so that the page is closed before the film is deleted
def making(local_stack: LocalStack, studio: Studio, long_file: Path) -> Iterator[Making]:
    asset_id = studio.send(long_file, "A film that is being made")
    film = Film(asset_id, studio.asset(asset_id)["playback_ids"][0]["id"], "A film that is being made", LENGTH_S)
    # A player asks first for the opening of the rung that it likes, which need not be the one that is made first.
    assert eventually(lambda: studio.client.get(f"/v/{film.playback_id}/main.m3u8").status_code == 200)
    listed = re.findall(r"[0-9a-z]+/[0-9a-z-]+/(?=index\.m3u8)", studio.client.get(f"/v/{film.playback_id}/main.m3u8").text)
    firsts = [f"/v/{film.playback_id}/{rendition}00000.m4s" for rendition in listed]
    assert eventually(lambda: all(studio.client.get(first).status_code == 200 for first in firsts))
    yield Making(film, local_stack, studio)
    studio.client.delete(f"/v1/assets/{asset_id}")


def seek_far_while_held_up(made: Visit, making: Making) -> None:
    """Goes to a place that nobody has made, and returns after the first "not yet" about a segment there."""
    made.expect_problem(NOT_YET)
    page = made.page
    for _ in range(2400):
        # Before the video knows what it shows, a player puts it back to where it wants to begin.
        if page.evaluate(f"((video) => video?.readyState >= 1 && video.duration > {FAR_S})(document.querySelector('video'))"):
            break
        page.wait_for_timeout(50)
    page.evaluate(f"document.querySelector('video').currentTime = {FAR_S}")
    far = re.compile(rf"503 .*/00{int(FAR_S / SEGMENT_S) // 10}\d\.m4s")
    for _ in range(2400):
        if any(far.search(problem) for problem in made.problems):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"no segment was waited for: {state_of(page)}, {made.problems}")


def state_of(page: Page) -> object:
    facts = "({currentTime, paused, readyState, seeking, buffered}) => [currentTime, paused, readyState, seeking, buffered.length]"
    return page.evaluate(f"({facts})(document.querySelector('video'))")


def plays_on_from_there(page: Page) -> None:
    for _ in range(2400):
        if page.evaluate(f"document.querySelector('video').currentTime > {FAR_S} + 0.5"):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it did not go on: {state_of(page)}")


def test_hls_js_waits_calmly_and_goes_on(making: Making, visit: Open) -> None:
    with held_up(making.stack):
        assert not making.recorded()
        made = visit(f"{making.film.watch}?muted=1")
        page = made.page
        page.evaluate("addEventListener('headwater-problem', (event) => { window.problem = event.detail.code; }, true)")
        screening.play(page)
        seek_far_while_held_up(made, making)
        expect(page.locator(".chip--making")).to_have_text("This part is still being made. It plays in a moment.")
        expect(page.get_by_role("alert")).to_have_count(0)
    plays_on_from_there(page)
    expect(page.locator(".chip--making")).to_have_count(0)
    assert page.evaluate("window.problem ?? null") is None
    assert screening.ask(page, "video.error") is None


def test_shaka_goes_on_with_its_own_patience(making: Making, visit: Open, shaka_script: Path) -> None:
    with held_up(making.stack):
        assert not making.recorded()
        made = shaka_page(visit, shaka_script)
        page = made.page
        page.evaluate("(address) => { window.begun = begin(address); }", f"/v/{making.film.playback_id}/main.m3u8")
        seek_far_while_held_up(made, making)
    plays_on_from_there(page)
    assert page.evaluate("errors") == []
