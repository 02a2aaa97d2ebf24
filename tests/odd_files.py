"""Odd but valid files, seeded: container x codec x size x rate x shape x turn x sound.

    python -m tests.odd_files DIR [--count N] [--check]

Each file is a handful of choices out of the tables below that exist in the wild, made with FFmpeg; what must be found in it is known
from the choices: display size, duration, number of audio tracks. `--check` probes and plans each, and encodes its first segment, as a
worker would. A short form is in the suite (tests/media/test_odd_files.py); the long one takes a few seconds a file.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ingest.probe import probe
from kit import tools
from kit.errors import HeadwaterError
from kit.world import World
from tests.encoded import run, video
from tests.media.conftest import world_without_servers
from transcode.ffmpeg.headers import init_commands
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command
from transcode.plan import PlanOptions, make_plan
from transcode.verify import check_video_init

SECONDS = 2


@dataclass(frozen=True, slots=True)
class Codec:
    """How FFmpeg makes it, the pixel formats it comes in, and the containers it is found in."""

    options: tuple[str, ...]
    formats: tuple[str, ...]
    containers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OddFile:
    """A file and what must be found in it."""

    path: Path
    words: str
    width: int
    height: int
    seconds: float
    audio_tracks: int
    frame_rate: Fraction


_FAST = ("-preset", "ultrafast", "-threads", "1")
CODECS = {
    "h264": Codec(
        ("-c:v", "libx264", *_FAST, "-g", "30"),
        ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "gray"),
        ("mp4", "mov", "mkv", "ts", "flv", "avi", "m4v", "3gp"),
    ),
    "hevc": Codec(
        ("-c:v", "libx265", *_FAST, "-x265-params", "log-level=error:pools=none:frame-threads=1:keyint=30", "-tag:v", "hvc1"),
        ("yuv420p", "yuv420p10le", "yuv422p10le", "yuv444p", "yuv420p12le"),
        ("mp4", "mov", "mkv"),
    ),
    "hevc-ts": Codec(
        ("-c:v", "libx265", *_FAST, "-x265-params", "log-level=error:pools=none:frame-threads=1:keyint=30"),
        ("yuv420p", "yuv420p10le"),
        ("ts",),
    ),
    "av1": Codec(
        ("-c:v", "libsvtav1", "-preset", "12", "-svtav1-params", "lp=1", "-g", "30"), ("yuv420p", "yuv420p10le"), ("mp4", "mkv", "webm")
    ),
    "vp8": Codec(("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "30"), ("yuv420p",), ("webm", "mkv")),
    "vp9": Codec(
        ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "30"),
        ("yuv420p", "yuv444p", "yuv420p10le"),
        ("webm", "mkv", "mp4"),
    ),
    "mpeg2": Codec(("-c:v", "mpeg2video", "-q:v", "4", "-threads", "1"), ("yuv420p", "yuv422p"), ("mpg", "ts", "mkv", "mxf", "vob")),
    "mpeg4": Codec(("-c:v", "mpeg4", "-q:v", "4", "-threads", "1"), ("yuv420p",), ("mp4", "avi", "mkv", "mov", "3gp")),
    "mpeg4-b": Codec(("-c:v", "mpeg4", "-q:v", "4", "-bf", "2", "-threads", "1"), ("yuv420p",), ("mp4", "avi", "mkv")),
    "prores": Codec(("-c:v", "prores_ks", "-threads", "1"), ("yuv422p10le", "yuv444p10le", "yuva444p10le"), ("mov", "mkv")),
    "dnxhr": Codec(("-c:v", "dnxhd", "-profile:v", "dnxhr_hq", "-threads", "1"), ("yuv422p",), ("mov", "mxf", "mkv")),
    "mjpeg": Codec(("-c:v", "mjpeg", "-q:v", "4", "-threads", "1"), ("yuvj420p", "yuvj422p", "yuvj444p"), ("mov", "avi", "mkv", "mp4")),
    "ffv1": Codec(("-c:v", "ffv1", "-threads", "1"), ("yuv420p", "bgr0", "yuv422p10le", "gray"), ("mkv", "avi")),
    "theora": Codec(("-c:v", "libtheora", "-q:v", "5"), ("yuv420p",), ("ogv", "mkv")),
    "cineform": Codec(("-c:v", "cfhd", "-threads", "1"), ("yuv422p10le",), ("mov", "mkv")),
    "wmv": Codec(("-c:v", "wmv2", "-q:v", "4", "-threads", "1"), ("yuv420p",), ("wmv",)),
}
SIZES = ((320, 180), (176, 144), (352, 288), (180, 320), (640, 272), (200, 200), (322, 182), (96, 64), (720, 480), (480, 360), (1280, 128))
RATES = ("24", "25", "30", "24000/1001", "30000/1001", "15", "12", "50", "60", "60000/1001", "10", "100", "29")
ASPECTS = ("1/1", "1/1", "1/1", "4/3", "16/11", "32/27", "8/9", "1/2")
TURNS = (None, None, None, 90, 180, 270)
SOUNDS = {
    "mp4": ("aac", "libmp3lame", "ac3", "eac3", "alac", "flac", "libopus"),
    "mov": ("aac", "pcm_s16le", "pcm_s24be", "alac", "adpcm_ima_qt"),
    "mkv": ("aac", "ac3", "libopus", "flac", "libvorbis", "pcm_f32le", "mp2", "truehd", "dca"),
    "ts": ("aac", "mp2", "ac3", "libmp3lame"),
    "flv": ("aac", "libmp3lame"),
    "avi": ("libmp3lame", "ac3", "pcm_s16le", "mp2", "adpcm_ms"),
    "m4v": ("aac",),
    "3gp": ("aac",),
    "webm": ("libopus", "libvorbis"),
    "mpg": ("mp2", "ac3"),
    "vob": ("mp2", "ac3"),
    "mxf": ("pcm_s16le",),
    "ogv": ("libvorbis", "libopus", "flac"),
    "wmv": ("wmav2",),
}
LAYOUTS = ("stereo", "stereo", "mono", "5.1", "quad")
SQUARE_CODECS = {"theora", "mjpeg", "cineform", "dnxhr", "wmv", "ffv1", "prores"}  # these cannot say another shape of their
SQUARE_CONTAINERS = {"avi", "flv", "mpg", "vob", "mxf", "ts"}  # pixels, and neither can these, or say it by halves
ONLY_STEREO = {"libmp3lame", "mp2", "adpcm_ms", "adpcm_ima_qt", "wmav2"}
TURNING = {"mp4", "mov", "m4v", "mkv"}
MXF_RATES = ("24", "25", "50", "30000/1001")


def make(folder: Path, ffmpeg: str, *, seed: int, count: int, containers: frozenset[str] = frozenset()) -> Iterator[OddFile]:
    """`count` files, or fewer: a few combinations do not exist, and FFmpeg says so. Only of these containers, when any are named."""
    pick = random.Random(seed)
    names = [name for name, codec in CODECS.items() if not containers or containers & set(codec.containers)]
    for number in range(count):
        codec_name = names[number % len(names)]  # each codec as often as any other
        made = _one(folder, ffmpeg, pick, number, codec_name, containers)
        if made is not None:
            yield made


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What one file is to be."""

    codec: str
    container: str
    pixels: str
    width: int
    height: int
    rate: str
    aspect: Fraction
    turn: int | None
    sounds: tuple[tuple[str, int, str], ...]  # encoder, samples per second, layout

    @property
    def description(self) -> str:
        picture = f"{self.codec} {self.pixels} {self.width}x{self.height} {self.rate} fps, aspect {self.aspect}, turn {self.turn}"
        return f"{picture}, {self.container}, {list(self.sounds)}"

    @property
    def shown(self) -> tuple[int, int]:
        size = (round(self.width * self.aspect), self.height)
        return (size[1], size[0]) if self.turn in (90, 270) else size


def _draw(pick: random.Random, codec_name: str, containers: frozenset[str]) -> _Drawn:
    codec = CODECS[codec_name]
    container = pick.choice([name for name in codec.containers if not containers or name in containers])
    pixels, (width, height), rate = pick.choice(codec.formats), pick.choice(SIZES), pick.choice(RATES)
    aspect, turn = Fraction(pick.choice(ASPECTS)), pick.choice(TURNS) if container in TURNING else None
    if codec_name == "dnxhr":
        width, height = max(width, 256), max(height, 120)
    if codec_name in ("mpeg2", "mpeg4", "mpeg4-b") or container == "mxf":
        rate = pick.choice(MXF_RATES)
    if codec_name in SQUARE_CODECS or container in SQUARE_CONTAINERS:
        aspect = Fraction(1)
    silent = container == "mxf" and codec_name == "dnxhr"
    tracks = 0 if silent else pick.choice((0, 1, 1, 1, 2 if container in ("mp4", "mov", "mkv", "ts") else 1))
    sounds = tuple((pick.choice(SOUNDS[container]), pick.choice((48_000, 44_100)), pick.choice(LAYOUTS)) for _ in range(tracks))
    return _Drawn(codec_name, container, pixels, width, height, rate, aspect, turn, sounds)


def _words(drawn: _Drawn) -> list[str]:
    """FFmpeg's, but for the file they make."""
    size = f"{drawn.width}x{drawn.height}:rate={drawn.rate}:duration={SECONDS}"
    inputs = ["-f", "lavfi", "-i", f"testsrc2=size={size},format={drawn.pixels},setsar={drawn.aspect}"]
    maps, options = ["-map", "0:v"], ["-pix_fmt", drawn.pixels]
    for index, (coder, sample_rate, layout) in enumerate(drawn.sounds):
        heard = "stereo" if coder in ONLY_STEREO else layout
        at_rate = 48_000 if coder in ("libopus", "truehd", "dca") or drawn.container == "mxf" else sample_rate
        inputs += ["-f", "lavfi", "-i", f"sine=frequency={440 + 220 * index}:sample_rate={at_rate}:duration={SECONDS}"]
        maps += ["-map", f"{index + 1}:a"]
        options += [f"-c:a:{index}", coder, f"-filter:a:{index}", f"aformat=channel_layouts={heard}"]
    return [*inputs, *maps, *CODECS[drawn.codec].options, *options, "-strict", "-2", "-f", _muxer(drawn.container)]


def _one(folder: Path, ffmpeg: str, pick: random.Random, number: int, codec_name: str, containers: frozenset[str]) -> OddFile | None:
    drawn = _draw(pick, codec_name, containers)
    path = folder / f"{number:03d}-{codec_name}.{drawn.container}"
    target = path if drawn.turn is None else path.with_name(f"upright-{path.name}")
    made = _ran(ffmpeg, *_words(drawn), str(target))
    if made and drawn.turn is not None:
        made = _ran(ffmpeg, "-display_rotation", str(-drawn.turn), "-i", str(target), "-map", "0", "-c", "copy", str(path))
        target.unlink()
    if not made:
        path.unlink(missing_ok=True)
        return None
    return OddFile(path, drawn.description, *drawn.shown, SECONDS, len(drawn.sounds), Fraction(drawn.rate))


def _ran(ffmpeg: str, *words: str) -> bool:
    argv = [ffmpeg, "-nostdin", "-v", "error", "-y", *words]
    return subprocess.run(argv, capture_output=True, check=False, timeout=120).returncode == 0


def _muxer(container: str) -> str:
    return {"mkv": "matroska", "ts": "mpegts", "mpg": "mpeg", "m4v": "mp4", "wmv": "asf", "ogv": "ogg"}.get(container, container)


def check(world: World, odd: OddFile, folder: Path) -> str | None:
    """What is wrong with what is made of the file; None when nothing is."""
    try:
        info = probe(world, odd.path)
    except HeadwaterError as error:
        return f"refused: {error.code}: {error}"
    found = info.video
    if found is None:
        return "no video"
    if abs(found.width - odd.width) > 1 or abs(found.height - odd.height) > 1:
        return f"display size {found.width}x{found.height} instead of {odd.width}x{odd.height}"
    if len(info.audio) != odd.audio_tracks:
        return f"{len(info.audio)} audio tracks instead of {odd.audio_tracks}"
    plan = make_plan(info, "odd", PlanOptions(), "odd")
    shown = float(found.end - found.start)
    if abs(shown - odd.seconds) > 1 / float(min(odd.frame_rate, plan.grid.frame_rate)) + 0.001:
        return f"{shown} s of video instead of {odd.seconds}"
    folder.mkdir(exist_ok=True)
    work = Work(plan, info, odd.path, folder, tools.ffmpeg(world.settings))
    try:
        for command in init_commands(plan, folder, work.program):
            run(world, command)
        inits = {rung.name: check_video_init((folder / f"{rung.name}.mp4").read_bytes(), rung, plan) for rung in plan.video}
        run(world, encode_command(work, {name: [0] for name in inits}))
        for name, init in inits.items():
            video(work, init, name, 0)
    except (HeadwaterError, AssertionError) as error:
        return f"not encoded: {str(error)[-300:]}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    made = failed = 0
    with tempfile.TemporaryDirectory(prefix="odd-files-") as name:
        world = world_without_servers(Path(name))
        for odd in make(args.folder, tools.ffmpeg(world.settings), seed=args.seed, count=args.count):
            made += 1
            wrong = check(world, odd, Path(name) / odd.path.stem) if args.check else None
            failed += wrong is not None
            print(json.dumps({"file": odd.path.name, "what": odd.words, "wrong": wrong}), flush=True)
    print(f"{made} files, {failed} of them not as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
