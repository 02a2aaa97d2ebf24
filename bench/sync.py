"""Whether sound and picture stay together over a long title, in every format: `make bench-sync`.

A source of one hour, small and at 24000/1001 pictures each second (a rate at which every rounding would add up): black and silent, but
for two white pictures and a tone of 30 ms that begin together every 10.01 s, which is 240 pictures. It goes through a whole local stack,
once for each profile. What comes out is read as a player would: over HTTP from our own origin, by FFmpeg's demuxers of HLS, DASH and MP4,
with the times that are written in the segments. Near the start, in the middle and at the end of the title, the first white picture is
compared with the first loud millisecond; the greatest distance counts. The source is measured in the same way first: that is what the
method itself is worth (an encoder's pre-echo begins some milliseconds before the tone).

Target: below one frame, everywhere. Writes bench/results/sync.json. Exit code 1 when the target is missed.
What it does not measure: what a player's own clock and a screen add.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg

from bench.figures import keep
from bench.stack_run import client_of, upload, wait_until_ready
from bench.transcode import about
from tests.local_stack import local_stack
from tests.media.conftest import world_without_servers

RESULTS = Path(__file__).parent / "results" / "sync.json"
RATE = Fraction(24000, 1001)
EVERY_FRAMES, FIRST_FRAME = 240, 120
TONE_S = 0.03
WINDOW_S = 22.0  # holds two flashes
LIMIT_S = 3600.0
PROFILES = ("h264+hevc", "h264+av1")
FORMS = {"HLS": "main.m3u8", "DASH": "manifest.mpd"}
WHITE = 128.0  # mean luma; black is 16 and white 235
LOUD = 0.25  # of the highest peak in the window
_VIDEO = "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file="
_SOUND = "aresample=48000,asetnsamples=n=48:p=0,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.Peak_level:file="


@dataclass(frozen=True, slots=True)
class Offset:
    """Tone minus flash, in milliseconds: positive when the sound is late. The one furthest from 0 of a window."""

    form: str
    codec: str
    place: str
    flashes: int
    offset_ms: float


def make_source(out: Path, duration_s: float) -> None:
    every, first = EVERY_FRAMES / RATE, FIRST_FRAME / RATE
    flash = f"drawbox=color=white:thickness=fill:enable='between(mod(n\\,{EVERY_FRAMES})\\,{FIRST_FRAME}\\,{FIRST_FRAME + 1})'"
    picture = f"color=black:size=160x90:rate={RATE}:duration={duration_s},{flash},format=yuv420p"
    tone = f"0.5*sin(2*PI*1000*t)*lt(mod(t+{float(every - first):.6f}\\,{float(every):.6f})\\,{TONE_S})"
    argv = ["-y", "-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"aevalsrc='{tone}':sample_rate=48000:duration={duration_s}"]
    _ffmpeg([*argv, "-c:v", "libx264", "-preset", "ultrafast", "-g", str(EVERY_FRAMES), "-c:a", "alac", str(out)])


def _ffmpeg(words: Sequence[str]) -> None:
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *words]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=600)


def onsets(samples: Sequence[tuple[float, float]], level: float) -> list[float]:
    """The times at which the values rise above `level`."""
    return [now[0] for before, now in pairwise(samples) if before[1] <= level < now[1]]


def nearest(flashes: Sequence[float], tones: Sequence[float]) -> list[float]:
    """For each flash, how much later its tone comes, in seconds. Raises ValueError where there is nothing to compare."""
    if not flashes or not tones:
        raise ValueError(f"{len(flashes)} flashes and {len(tones)} tones")
    return [min((tone - flash for tone in tones), key=abs) for flash in flashes]


def _values(path: Path) -> list[tuple[float, float]]:
    """Time in seconds and value, of FFmpeg's printed metadata. Silence is -inf decibels."""
    found = re.findall(r"pts_time:(\S+)\s+lavfi\.\S+=(\S+)", path.read_text())
    return [(float(at), float(value)) for at, value in found]


def measure(address: str, at_s: float, stream: int, folder: Path) -> list[float]:
    """The offsets in the window that begins at `at_s`, in seconds."""
    luma, peaks = folder / "luma.txt", folder / "peaks.txt"
    reading = ["-copyts", "-ss", f"{at_s:.3f}", "-t", f"{WINDOW_S:.3f}", "-i", address]
    picture = ["-map", f"0:v:{stream}", "-vf", f"{_VIDEO}{luma}", "-fps_mode", "passthrough", "-f", "null", "-"]
    _ffmpeg([*reading, *picture, "-map", "0:a:0", "-af", f"{_SOUND}{peaks}", "-f", "null", "-"])
    loud = [(at, 10 ** (value / 20)) for at, value in _values(peaks)]
    level = LOUD * max((value for _, value in loud), default=0.0)
    return nearest(onsets(_values(luma), WHITE), onsets(loud, level))


def codecs_of(address: str) -> list[str]:
    """The codecs of the video streams that FFmpeg finds there, in its order."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-i", address]
    said = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=120).stderr
    return re.findall(r"Stream #.*Video: (\w+)", said)


def offsets(form: str, address: str, duration_s: float, folder: Path) -> Iterator[Offset]:
    places = {"start": 0.0, "middle": duration_s / 2, "end": duration_s - WINDOW_S}
    for stream, codec in enumerate(codecs_of(address)):
        if codec not in ("h264", "hevc", "av1"):
            continue  # pictures of the time bar
        for place, at_s in places.items():
            found = measure(address, at_s, stream, folder)
            yield Offset(form, codec, place, len(found), round(max(found, key=abs) * 1000, 1))


def publish(api: httpx.Client, source: Path, profile: str) -> dict[str, Any]:
    """The asset, ready."""
    return wait_until_ready(api, upload(api, source, title=f"Sync in {profile}", profile=profile), LIMIT_S)


def downloads(api: httpx.Client, asset: dict[str, Any]) -> list[str]:
    """The addresses of its MP4 files, made on request."""
    place = f"/v1/assets/{asset['id']}/downloads"
    names = [name for name in api.get(place).raise_for_status().json()["available"] if name.endswith(".mp4")]
    for name in names:
        api.post(place, json={"name": name}).raise_for_status()
    end_s, addresses = time.monotonic() + LIMIT_S, []
    for name in names:
        while (file := api.get(f"{place}/{name}").raise_for_status().json())["status"] != "ready":
            if file["status"] == "failed" or time.monotonic() > end_s:
                raise SystemExit(f"{name} is {file['status']}: {file['error']}")
            time.sleep(1)
        addresses.append(str(api.base_url.join(file["url"])))
    return addresses


def run(folder: Path, duration_s: float, profiles: Sequence[str]) -> Iterator[Offset]:
    source = folder / "source.mp4"
    make_source(source, duration_s)
    yield from offsets("source", str(source), duration_s, folder)
    with local_stack(folder / "stack", {"HEADWATER_CHUNK_S": "96"}) as stack, client_of(stack) as api:
        for number, profile in enumerate(profiles):
            asset = publish(api, source, profile)
            base = f"{stack.url}/v/{asset['playback_ids'][0]['id']}"
            addresses = [(form, f"{base}/{name}") for form, name in FORMS.items()]
            for form, address in [*addresses, *(("MP4", address) for address in downloads(api, asset))]:
                for found in offsets(form, address, duration_s, folder):
                    if number == 0 or found.codec != "h264":  # every profile has the same H.264
                        yield found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--profile", action="append", choices=PROFILES, help="these only")
    options.add_argument("--out", type=Path, default=RESULTS)
    given = options.parse_args()
    frame_ms = float(1000 / RATE)
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as name:
        facts = about(world_without_servers(Path(name) / "world"))
        found = []
        for item in run(Path(name), given.minutes * 60, given.profile or PROFILES):
            found.append(item)
            print(f"{item.form} {item.codec}, {item.place}: {item.offset_ms} ms", file=sys.stderr, flush=True)
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": facts, "minutes": given.minutes,
        "frame_ms": round(frame_ms, 2), "offsets": [asdict(item) for item in found],
    }  # fmt: skip
    before = json.loads(given.out.read_text()) if given.out.exists() else {}
    keep(before | {" and ".join(given.profile or PROFILES): report}, given.out)
    print(f"{'':8}{'codec':8}{'start':>10}{'middle':>10}{'end':>10}   ms, sound after picture")
    for form, codec in dict.fromkeys((item.form, item.codec) for item in found):
        row = [item.offset_ms for item in found if (item.form, item.codec) == (form, codec)]
        print(f"{form:8}{codec:8}" + "".join(f"{value:>10.1f}" for value in row))
    worst = max(abs(item.offset_ms) for item in found if item.form != "source")
    passed = worst < frame_ms
    print(f"furthest apart: {worst:.1f} ms (target: below one frame, {frame_ms:.1f} ms; {'met' if passed else 'missed'})")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
