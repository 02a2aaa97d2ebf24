"""Programs that play HLS and DASH outside browsers: how each is started without a screen, and how it says that it came to the end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

NEAR_S = 1.0  # how far from the end the last thing shown may be
_ERRORS = re.compile(r"\b(error|failed|cannot|could not|corrupt)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Played:
    """What one program did with one manifest."""

    reached_s: float | None  # how far it came; None: it did not say
    problems: tuple[str, ...]

    def holds(self, duration_s: float) -> bool:
        return not self.problems and self.reached_s is not None and self.reached_s >= duration_s - NEAR_S


@dataclass(frozen=True, slots=True)
class Player:
    """`argv` starts it at an address; `read` finds in what it said how far it came, and what went wrong."""

    name: str
    program: str
    package: str  # Debian's, for whoever has to install it
    argv: Callable[[str], Sequence[str]]
    read: Callable[[str], Played]
    environment: tuple[tuple[str, str], ...] = ()
    ordinary_user: bool = False  # it refuses to be root
    by_the_wall: bool = False  # it does not say how far it came, but never plays faster than time goes

    @property
    def installed(self) -> bool:
        return shutil.which(self.program) is not None

    def play(self, url: str, patience_s: float) -> Played:
        """Plays to the end, or for so long."""
        argv = [*self.argv(url)]
        if self.ordinary_user and os.geteuid() == 0:
            argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", *argv]
        environment = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LC_ALL": "C.UTF-8", **dict(self.environment)}
        start_s = time.monotonic()
        try:
            done = subprocess.run(
                argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=patience_s,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Played(None, (f"it had not ended after {patience_s:.0f} s",))
        played = self.read(done.stdout.decode(errors="replace").replace("\r", "\n"))
        reached_s = time.monotonic() - start_s if self.by_the_wall else played.reached_s
        problems = (*played.problems, *((f"exit code {done.returncode}",) if done.returncode else ()))
        return Played(reached_s, problems)


def _last(pattern: str, said: str) -> float | None:
    found = re.findall(pattern, said)
    return float(found[-1]) if found else None


def _complaints(said: str) -> tuple[str, ...]:
    return tuple([line.strip() for line in said.splitlines() if _ERRORS.search(line)][:3])


def _ffmpeg(said: str) -> Played:
    micros = _last(r"out_time_us=(\d+)", said)
    return Played(micros / 1e6 if micros is not None else None, _complaints(said))


def _ffplay(said: str) -> Played:
    """The clock comes first on its status line, and is `nan` at the beginning and sometimes at the end.

    It is started without subtitles: with the text of a DASH manifest, a single file, its clock stops at the last cue although it ends
    without an error. FFmpeg and mpv read the same manifest, text included, to its end.
    """
    clock = [float(seconds) for seconds in re.findall(r"^\s*(\d+\.\d+) [AM]-", said, re.MULTILINE)]
    return Played(max(clock, default=None), _complaints(said))


def _mpv(said: str) -> Played:
    ended = () if "End of file" in said else ("it did not end at the end of the file",)
    return Played(_last(r"T:(\d+\.\d+)", said), (*ended, *_complaints(said)))


def _vlc(said: str) -> Played:
    """It has no clock to print: with all its messages it says when its input is at an end, and it plays no faster than time goes.

    Of a DASH manifest it tries every track; that it has no demuxer for the one of thumbnails keeps nothing from playing.
    """
    problems = re.findall(r"(?:input|decoder|demux|stream|access|adaptive\S*) error: .*", said)
    ended = () if "EOF reached" in said else ("it did not say that it came to the end",)
    return Played(None, (*ended, *[problem for problem in problems if "Failed to create demuxer (nil)" not in problem][:3]))


def _gstreamer(said: str) -> Played:
    ended = () if "Got EOS from element" in said else ("no end of stream came",)
    times = [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in re.findall(r"Execution ended after (\d+):(\d+):([\d.]+)", said)]
    return Played(max(times, default=None), (*ended, *tuple(re.findall(r"ERROR: .*", said)[:3])))


def _silent(*words: str) -> Callable[[str], Sequence[str]]:
    return lambda url: [word.replace("{}", url) for word in words]


PLAYERS = (
    Player("FFmpeg", "ffmpeg", "ffmpeg",
           _silent("ffmpeg", "-nostdin", "-v", "error", "-progress", "pipe:1", "-i", "{}", "-f", "null", "-"), _ffmpeg),
    Player("ffplay", "ffplay", "ffmpeg",
           _silent("ffplay", "-v", "error", "-stats", "-autoexit", "-sn", "{}"), _ffplay,
           (("SDL_VIDEODRIVER", "dummy"), ("SDL_AUDIODRIVER", "dummy"))),
    Player("mpv", "mpv", "mpv",
           _silent("mpv", "--no-config", "--ytdl=no", "--vo=null", "--ao=null", "--term-status-msg=T:${=time-pos}", "{}"), _mpv),
    Player("VLC", "cvlc", "vlc-bin vlc-plugin-base",
           _silent("cvlc", "-vv", "--vout", "dummy", "--aout", "dummy", "--play-and-exit", "{}", "vlc://quit"), _vlc, ordinary_user=True,
           by_the_wall=True),
    Player("GStreamer", "gst-launch-1.0", "gstreamer1.0-tools gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-libav",
           _silent("gst-launch-1.0", "playbin", "uri={}", "video-sink=fakesink sync=true", "audio-sink=fakesink sync=true"), _gstreamer),
)  # fmt: skip
