"""How soon a title can be watched, however long it is: `make bench-playable`.

Against a whole local stack (`headwater up`), with 1080p sources of 1, 10 and 60 minutes made from a real clip (`--clip` or
HEADWATER_BENCH_CLIP; a test picture otherwise), each uploaded several times by plain PUT:

- from the moment the last byte is handed to the network to the first frame that headless Chromium paints on the title's own watch
  page, which is opened at that moment in a browser that runs already. Targets: p95 of each length at most 5 s, medians within 2 s;
- while the longest title is being encoded: random seeks at the lowest rung through hls.js, from the seek to the first frame of the new
  place. Target: p95 at most 4 s, no fatal error;
- with an upload throttled to 1.5 times real time: whether the first segment is served before the last byte arrives;
- whether the playlists served at first and at last are the same but for bandwidths (of the shortest title, which is let to finish).

Mux's figures stand beside ours: medians from the last byte to playable, published by Mux (see docs/benchmarks.md).
Writes bench/results/playable.json.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from bench.figures import keep
from bench.stack_run import client_of, command_line, wait_until_ready
from bench.transcode import about, run_plain
from kit.world import World
from stack import leftovers
from stack.data_dir import known_store_ports
from stack.servers import WEED_PORTS
from tests import chromium as browsers
from tests.browser.conftest import ARGUMENTS
from tests.local_stack import LocalStack, local_stack
from tests.media.conftest import world_without_servers
from tests.node import node
from web.frontend import build_hook

RESULTS = Path(__file__).parent / "results" / "playable.json"
START_P95_S, MEDIANS_WITHIN_S, SEEK_P95_S = 5.0, 2.0, 4.0
MUX_MEDIAN_S = {1: 2.0, 10: 9.0, 60: 93.5}  # clips under 1 min, of 5 to 20 min, and over 60 min
PIECE_BYTES = 1 << 20
LIMIT_S, READY_LIMIT_S = 120.0, 1800.0
ROOM_FOR = 8  # sources: what arrives is kept twice for a while

_NOTE_FIRST_FRAME = """
const look = () => {
  const video = document.querySelector("video");
  if (video && !video.watched) {
    video.watched = true;
    video.requestVideoFrameCallback(() => { window.firstFrameAt = Date.now() / 1000; });
  }
  if (!window.firstFrameAt) requestAnimationFrame(look);
};
look();
"""
_SEEK_PAGE = '<!doctype html><title>Seek</title><video muted playsinline width="640"></video>'
_BEGIN = """(address) => new Promise((resolve) => {
  const video = document.querySelector("video");
  window.fatal = []; window.waited = 0;
  const hls = new Hls({ startLevel: 0, startPosition: 0 });
  hls.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) window.fatal.push(data.details); else window.waited += 1; });
  hls.on(Hls.Events.MANIFEST_PARSED, () => { hls.currentLevel = 0; });
  hls.loadSource(address); hls.attachMedia(video);
  video.requestVideoFrameCallback(() => resolve());
  video.play();
})"""
_SEEK = """(to) => new Promise((resolve, reject) => {
  const video = document.querySelector("video");
  const began = performance.now();
  const frame = (_, data) => {
    if (data.mediaTime >= to - 0.2 && data.mediaTime <= to + 10) resolve((performance.now() - began) / 1000);
    else video.requestVideoFrameCallback(frame);
  };
  video.requestVideoFrameCallback(frame);
  setTimeout(() => reject(new Error("no frame within a minute of a seek to " + to)), 60000);
  video.currentTime = to;
})"""


@dataclass(slots=True)
class Starts:
    """One length. Seconds from the last byte."""

    minutes: int
    size_bytes: int
    first_frame_s: list[float] = field(default_factory=list)
    playable_s: list[float] = field(default_factory=list)  # as the API says, from "received" on

    @property
    def median_s(self) -> float:
        return statistics.median(self.first_frame_s)

    @property
    def p95_s(self) -> float:
        return percentile(self.first_frame_s, 95)


@dataclass(slots=True)
class Seeks:
    encoded_at_begin: float = 0.0  # progress of the title, 0 to 1
    encoded_at_end: float = 0.0
    seconds: list[float] = field(default_factory=list)
    recovered: int = 0  # errors that the player got over
    fatal: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Throttled:
    """Seconds since the upload began."""

    last_byte_s: float = 0.0
    first_segment_s: float | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    asset_id: str
    playback_id: str
    last_byte_at: float  # seconds since 1970


def percentile(values: list[float], percent: float) -> float:
    """By linear interpolation between the closest ranks."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * percent / 100
    low = int(at)
    return ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (at - low)


def make_sources(world: World, clip: Path | None, lengths: list[int], folder: Path) -> dict[int, Path]:
    """A minute of 1080p at 30 frames per second with sound, and the others from it, by copying."""
    minute = folder / "1.mp4"
    pictures = ["-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]
    if clip is not None:
        pictures = ["-stream_loop", "-1", "-i", f"file:{clip}", "-vf", "scale=1920:1080:flags=bicubic,setsar=1,fps=30"]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "128k"]
    run_plain(world, [*pictures, *encoder, "-t", "60", "-movflags", "+faststart", str(minute)])
    made = {1: minute}
    for length in lengths:
        if length != 1:
            made[length] = folder / f"{length}.mp4"
            loop = ["-stream_loop", str(length - 1), "-i", str(minute), "-t", str(60 * length), "-c", "copy", "-movflags", "+faststart"]
            run_plain(world, [*loop, str(made[length])])
    return made


class Client:
    """The API of one stack."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._http = client_of(stack)

    def upload(self, path: Path, pause_s: float = 0.0) -> Uploaded:
        """`pause_s`: after every piece of `PIECE_BYTES`."""
        made = self._http.post("/v1/uploads", json={"title": path.name}).raise_for_status().json()
        sent = 0.0

        def pieces() -> Iterator[bytes]:
            nonlocal sent
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    yield piece
                    sent = time.time()
                    time.sleep(pause_s)

        headers = {"Content-Length": str(path.stat().st_size)}
        self._http.put(made["url"], content=pieces(), headers=headers).raise_for_status()
        asset = self.asset(made["asset_id"])
        return Uploaded(asset["id"], asset["playback_ids"][0]["id"], sent)

    def begin(self, path: Path) -> tuple[str, str, str]:
        """Asset, playback id and upload address of an upload that has not begun."""
        made = self._http.post("/v1/uploads", json={"title": path.name, "size": path.stat().st_size}).raise_for_status().json()
        return made["asset_id"], self.asset(made["asset_id"])["playback_ids"][0]["id"], made["url"]

    def asset(self, asset_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._http.get(f"/v1/assets/{asset_id}").raise_for_status().json()
        return found

    def text(self, path: str) -> str | None:
        """None when it is not there (yet)."""
        answer = self._http.get(path)
        return answer.text if answer.status_code == 200 else None

    def ready(self, asset_id: str) -> None:
        wait_until_ready(self._http, asset_id, READY_LIMIT_S)

    def delete(self, asset_id: str) -> None:
        """And wait until nothing works for it any more."""
        self._http.delete(f"/v1/assets/{asset_id}").raise_for_status()
        until = time.monotonic() + 60
        while encoding(self._stack) and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1.0)

    def make_room(self) -> None:
        """Has the store give back the room of what was deleted, which it does by itself only now and then."""
        master = known_store_ports(self._stack.data)[WEED_PORTS.index("master.port")]
        httpx.get(f"http://127.0.0.1:{master}/vol/vacuum", params={"garbageThreshold": "0.01"}, timeout=600, trust_env=False)


def encoding(stack: LocalStack) -> bool:
    """Whether an FFmpeg of this stack runs."""
    return any(b"ffmpeg" in command_line(pid).split(b"\0")[0] for pid in leftovers.find(stack.data))


@contextmanager
def chromium() -> Iterator[Browser]:
    found = browsers.find()
    if found is None:
        raise SystemExit(browsers.REMEDY)
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", node())
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield running
        running.close()


def first_frame(browser: Browser, stack: LocalStack, made: Uploaded) -> float:
    """Seconds from the last byte to the first frame on the watch page."""
    context = browser.new_context(base_url=stack.url)
    context.add_init_script(_NOTE_FIRST_FRAME)
    page = context.new_page()
    page.goto(f"/watch/{made.playback_id}", wait_until="commit")
    page.wait_for_function("() => window.firstFrameAt", timeout=LIMIT_S * 1000, polling=50)
    at: float = page.evaluate("window.firstFrameAt")
    context.close()
    return at - made.last_byte_at


def seconds_to_playable(asset: dict[str, Any]) -> float:
    received, playable = (datetime.fromisoformat(asset["timings"][name]) for name in ("received_at", "playable_at"))
    return (playable - received).total_seconds()


def seek_page(browser: Browser, stack: LocalStack, playback_id: str) -> Page:
    context = browser.new_context(base_url=stack.url, bypass_csp=True)
    page = context.new_page()
    page.route("**/seek-page", lambda route: route.fulfill(body=_SEEK_PAGE, content_type="text/html"))
    page.goto("/seek-page")
    page.add_script_tag(path=build_hook.HERE / "node_modules" / "hls.js" / "dist" / "hls.min.js")
    page.evaluate(_BEGIN, f"/v/{playback_id}/main.m3u8")
    return page


def random_seeks(browser: Browser, stack: LocalStack, client: Client, made: Uploaded, minutes: int, count: int) -> Seeks:
    page, found, dice = seek_page(browser, stack, made.playback_id), Seeks(), random.Random(7)
    found.encoded_at_begin = client.asset(made.asset_id)["progress"]
    for _ in range(count):
        found.seconds.append(round(page.evaluate(_SEEK, dice.uniform(0, minutes * 60 - 20)), 3))
        page.wait_for_timeout(300)
    found.encoded_at_end = client.asset(made.asset_id)["progress"]
    found.recovered, found.fatal = page.evaluate("window.waited"), page.evaluate("window.fatal")
    page.context.close()
    return found


def throttled(client: Client, path: Path, seconds: float) -> Throttled:
    """An upload that takes `seconds` for a file of a minute, and when its first segment can be fetched."""
    found = Throttled()
    asset_id, playback, address = client.begin(path)
    began = time.time()
    pieces = 400
    size = -(-path.stat().st_size // pieces)

    def slowly() -> Iterator[bytes]:
        with path.open("rb") as file:
            for number in range(pieces):
                time.sleep(max(0.0, began + seconds * (number + 1) / pieces - time.time()))
                if number % 8 == 0 and found.first_segment_s is None and first_segment(client, playback):
                    found.first_segment_s = round(time.time() - began, 1)
                yield file.read(size)
        found.last_byte_s = round(time.time() - began, 1)

    httpx.put(address, content=slowly(), headers={"Content-Length": str(path.stat().st_size)}, timeout=600, trust_env=False)
    while found.first_segment_s is None and time.time() - began < seconds + LIMIT_S:
        if first_segment(client, playback):
            found.first_segment_s = round(time.time() - began, 1)
        time.sleep(0.2)
    client.delete(asset_id)
    return found


def first_segment(client: Client, playback_id: str) -> bool:
    """Whether the first segment of the first variant is served."""
    main = client.text(f"/v/{playback_id}/main.m3u8")
    found = re.search(r"^[^#\s].*index\.m3u8$", main or "", re.MULTILINE)
    return found is not None and client.text(f"/v/{playback_id}/{found.group().replace('index.m3u8', '00000.m4s')}") is not None


def playlists(client: Client, playback_id: str) -> dict[str, str]:
    """Every playlist by address, without bandwidths."""
    main = client.text(f"/v/{playback_id}/main.m3u8") or ""
    named = re.findall(r"^[^#\s].*\.m3u8$", main, re.MULTILINE) + re.findall(r'URI="([^"]*\.m3u8)"', main)
    texts = {"main.m3u8": re.sub(r"BANDWIDTH=\d+", "BANDWIDTH=…", main)}
    return texts | {name: client.text(f"/v/{playback_id}/{name}") or "" for name in named}


def same_playlists(client: Client, path: Path) -> bool:
    """Whether what is served as soon as something is served is served to the end."""
    made = client.upload(path)
    until = time.monotonic() + LIMIT_S
    while client.text(f"/v/{made.playback_id}/main.m3u8") is None and time.monotonic() < until:
        time.sleep(0.02)
    before = playlists(client, made.playback_id)
    client.ready(made.asset_id)
    after = playlists(client, made.playback_id)
    client.delete(made.asset_id)
    return before == after and len(before) > 3 and all(before.values())


@dataclass(frozen=True, slots=True)
class Verdict:
    name: str
    figure: str
    target: str
    kept: bool


def verdicts(starts: list[Starts], seeks: Seeks, slow: Throttled, same: bool) -> list[Verdict]:
    medians = [one.median_s for one in starts]
    spread = max(medians) - min(medians)
    early = slow.first_segment_s is not None and slow.first_segment_s < slow.last_byte_s
    seek_p95 = percentile(seeks.seconds, 95) if seeks.seconds else float("inf")
    first_segment_text = "never" if slow.first_segment_s is None else f"{slow.first_segment_s:.1f} s"
    return [
        *(Verdict(f"{one.minutes} min: p95 to the first frame", f"{one.p95_s:.2f} s", f"≤ {START_P95_S:g} s", one.p95_s <= START_P95_S)
          for one in starts),
        Verdict("medians of all lengths apart by", f"{spread:.2f} s", f"≤ {MEDIANS_WITHIN_S:g} s", spread <= MEDIANS_WITHIN_S),
        Verdict(f"{len(seeks.seconds)} seeks while encoding: p95", f"{seek_p95:.2f} s", f"≤ {SEEK_P95_S:g} s", seek_p95 <= SEEK_P95_S),
        Verdict("fatal errors of the player", str(len(seeks.fatal)), "0", not seeks.fatal),
        Verdict("throttled upload: first segment, last byte", f"{first_segment_text}, {slow.last_byte_s:.1f} s", "before", early),
        Verdict("playlists at first and at last", "equal" if same else "differ", "equal", same),
    ]  # fmt: skip


def show(console: Console, facts: dict[str, str], starts: list[Starts], found: list[Verdict]) -> None:
    about = Table(title="Machine", show_header=False)
    for name, value in facts.items():
        about.add_row(name, value)
    table = Table(title="Last byte → first frame painted in Chromium, 1080p")
    for name in ("length", "runs", "median", "p95", "largest", "playable (API), median", "Mux, median"):
        table.add_column(name, justify="right")
    for one in starts:
        largest, api = max(one.first_frame_s), statistics.median(one.playable_s)
        values = (f"{one.median_s:.2f} s", f"{one.p95_s:.2f} s", f"{largest:.2f} s", f"{api:.2f} s")
        table.add_row(f"{one.minutes} min", str(len(one.first_frame_s)), *values, f"{MUX_MEDIAN_S.get(one.minutes, float('nan')):.1f} s")
    judged = Table(title="Targets")
    for name in ("", "measured", "target", ""):
        judged.add_column(name)
    for item in found:
        judged.add_row(item.name, item.figure, item.target, "kept" if item.kept else "missed")
    for shown in (about, table, judged):
        console.print(shown)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="a real clip to make the sources from (default: HEADWATER_BENCH_CLIP, or a test picture)")
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 10, 60], help="lengths of the sources")
    parser.add_argument("--runs", type=int, default=20, help="uploads of each length")
    parser.add_argument("--seeks", type=int, default=20)
    arguments = parser.parse_args()
    named = os.environ.get("HEADWATER_BENCH_CLIP")
    clip = arguments.clip or (Path(named) if named else None)
    console, folder = Console(), Path(tempfile.mkdtemp(prefix="headwater-bench-playable-"))
    starts: list[Starts] = []
    try:
        world = world_without_servers(folder)
        facts = about(world)
        console.print("making the sources …")
        sources = make_sources(world, clip, arguments.minutes, folder)
        with local_stack(folder / "data", {"HEADWATER_CHUNK_S": "24"}) as stack, chromium() as browser:
            client = Client(stack)
            seeks = Seeks()
            for minutes in arguments.minutes:
                one = Starts(minutes, sources[minutes].stat().st_size)
                starts.append(one)
                for run in range(arguments.runs):
                    made = client.upload(sources[minutes])
                    one.first_frame_s.append(round(first_frame(browser, stack, made), 3))
                    one.playable_s.append(round(seconds_to_playable(client.asset(made.asset_id)), 3))
                    console.print(f"{minutes} min, {run + 1} of {arguments.runs}: {one.first_frame_s[-1]:.2f} s")
                    if minutes == max(arguments.minutes) and run == arguments.runs - 1:
                        seeks = random_seeks(browser, stack, client, made, minutes, arguments.seeks)
                        console.print(f"seeks: {seeks.seconds}")
                    client.delete(made.asset_id)
                    if shutil.disk_usage(folder).free < ROOM_FOR * one.size_bytes:
                        client.make_room()
            slow = throttled(client, sources[min(arguments.minutes)], 60 * min(arguments.minutes) / 1.5)
            same = same_playlists(client, sources[min(arguments.minutes)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found = verdicts(starts, seeks, slow, same)
    show(console, facts, starts, found)
    report = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": facts, "source": clip.name if clip else "test picture",
        "starts": [asdict(one) | {"median_s": one.median_s, "p95_s": one.p95_s} for one in starts],
        "seeks": asdict(seeks), "throttled": asdict(slow), "playlists_equal": same, "targets": [asdict(item) for item in found],
    }  # fmt: skip
    keep(report, RESULTS)
    return 0 if all(item.kept for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
