"""Starts a Headwater, publishes a title with two tracks of sound and subtitles, and plays HLS and DASH in every client that is installed.

Exit codes: 0 all that are installed came to the end, 1 one did not, 2 none is installed. Those that are not installed are named.
`--url` plays something else instead.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
import imageio_ffmpeg

from hls_validation import report, validate
from tests.clients.players import PLAYERS, Player
from tests.local_stack import LocalStack, local_stack

DURATION_S = 20
_PATIENCE = 4  # times the duration, and half a minute


def _clip(folder: Path) -> Path:
    """640x360 with a counter, two languages and subtitles."""
    clip, text = folder / "clients.mkv", folder / "clients.srt"
    text.write_text("1\n00:00:01,000 --> 00:00:04,000\nOne.\n\n2\n00:00:12,000 --> 00:00:15,000\nTwo.\n")
    argv = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s=640x360:r=25:d={DURATION_S}",
        "-f", "lavfi", "-i", f"sine=f=440:d={DURATION_S}", "-f", "lavfi", "-i", f"sine=f=880:d={DURATION_S}", "-i", text,
        "-map", "0", "-map", "1", "-map", "2", "-map", "3", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-c:s", "srt",
        "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-metadata:s:s:0", "language=eng", clip,
    ]  # fmt: skip
    subprocess.run(argv, check=True, timeout=300, stdin=subprocess.DEVNULL)
    return clip


def _published(stack: LocalStack, folder: Path) -> list[str]:
    """The addresses of its manifests."""
    done = stack.command("upload", str(_clip(folder)), "--wait", "--json", limit_s=600)
    if done.returncode:
        raise SystemExit(f"The title was not published:\n{done.stdout}{done.stderr}")
    playback = httpx.Response(200, text=done.stdout).json()["playback_ids"][0]
    base = f"{stack.url}/v/{playback['id'] if isinstance(playback, dict) else playback}"
    dash = httpx.get(f"{base}/manifest.mpd", timeout=60)
    return [f"{base}/main.m3u8", *([f"{base}/manifest.mpd"] if dash.status_code == 200 else [])]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _play(players: Sequence[Player], urls: Sequence[str], duration_s: float) -> int:
    failed = 0
    for url in urls:
        for player in players:
            played = player.play(url, 30 + _PATIENCE * duration_s)
            good = played.holds(duration_s)
            failed += not good
            came = "nowhere" if played.reached_s is None else f"{played.reached_s:.2f} s of {duration_s:.2f} s"
            _say(f"{'ok    ' if good else 'FAILED'}  {player.name:10}  {url.rpartition('/')[2]:13}  {came}  {'; '.join(played.problems)}")
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    parser.add_argument("--url", help="play this instead of a title of ours")
    parser.add_argument("--duration", type=float, default=DURATION_S, help="its length in seconds")
    parser.add_argument("--only", action="append", choices=[player.name for player in PLAYERS], help="only this client; may be repeated")
    given = parser.parse_args()
    chosen = [player for player in PLAYERS if not given.only or player.name in given.only]
    there = [player for player in chosen if player.installed]
    for player in chosen:
        if not player.installed:
            _say(f"absent  {player.name:10}  apt install {player.package}")
    if not there:
        return 2
    if given.url:
        return int(_play(there, [given.url], given.duration) > 0)
    with tempfile.TemporaryDirectory() as folder, local_stack(Path(folder) / "data") as stack:
        urls = _published(stack, Path(folder))
        found = validate(urls[0])
        _say(report.as_text(found))
        return int(_play(there, urls, DURATION_S) > 0 or report.exit_code(found, strict=False))


if __name__ == "__main__":
    sys.exit(main())
