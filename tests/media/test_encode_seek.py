"""A chunk that starts decoding at a keyframe shows exactly the pictures of a decode from the start, whatever the container and codec.

The command under test is the real one, up to its encoders: these are replaced by a checksum of each picture.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from ingest.probe import probe
from kit import tools
from kit.process import Command
from kit.world import World
from media.plan import Chunk
from transcode.ffmpeg import run as commands
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command
from transcode.plan import PlanOptions, frames_of, lead_in_keyframe, make_plan

PICTURE = "testsrc2=size=128x72:rate={rate}:duration=20"
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p")


@dataclass(frozen=True)
class Recipe:
    """A source of 20 seconds."""

    name: str
    options: tuple[str, ...]
    rate: str = "24"


def _x265(keyint: int) -> tuple[str, ...]:
    return ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=none:keyint={keyint}:open-gop=1:bframes=4")


RECIPES = (
    Recipe("long-gop.mp4", (*X264, "-g", "250")),
    Recipe("long-gop.mkv", (*X264, "-g", "250")),
    Recipe("long-gop.ts", (*X264, "-g", "250")),
    Recipe("fragmented.mp4", (*X264, "-g", "250", "-movflags", "+frag_keyframe+empty_moov")),
    Recipe("open-gop.mp4", (*X264, "-g", "60", "-x264-params", "open-gop=1")),
    Recipe("open-gop.ts", (*X264, "-g", "60", "-x264-params", "open-gop=1")),
    Recipe("hevc-cra.mp4", (*_x265(100), "-tag:v", "hvc1")),
    Recipe("hevc-cra.ts", _x265(100)),
    Recipe("ntsc.mkv", (*X264, "-g", "200"), "30000/1001"),
    Recipe("ntsc.flv", (*X264, "-g", "200"), "30000/1001"),
    Recipe("vp9.webm", ("-c:v", "libvpx-vp9", "-cpu-used", "8", "-deadline", "realtime", "-b:v", "200k", "-g", "120"), "30000/1001"),
    Recipe("mpeg2.mpg", ("-c:v", "mpeg2video", "-g", "15", "-bf", "2"), "25"),
    Recipe("intra.mov", ("-c:v", "prores_ks", "-profile", "0"), "25"),
    Recipe("interlaced.mp4", (*X264, "-g", "100", "-flags", "+ilme+ildct", "-vf", "tinterlace=interleave_top,fieldorder=tff"), "50"),
    Recipe("uneven.mp4", (*X264, "-g", "250", "-vf", "select='not(mod(n,3))+gt(t,8)*lt(t,14)'", "-fps_mode", "vfr"), "60"),
    Recipe("uneven.mkv", (*X264, "-g", "250", "-vf", "select='not(mod(n,3))+gt(t,8)*lt(t,14)'", "-fps_mode", "vfr"), "60"),
    Recipe("gap.mkv", (*X264, "-g", "250", "-vf", "select='not(between(t,5,13))'", "-fps_mode", "vfr"), "30"),
)
Shot = Callable[[str], Work]


@pytest.fixture
def shot(world: World, tmp_path: Path) -> Shot:
    """Makes a source and its plan, in chunks of one segment."""

    def make(name: str) -> Work:
        recipe = next(recipe for recipe in RECIPES if recipe.name == name)
        program, path = tools.ffmpeg(world.settings), tmp_path / name
        argv = [program, "-nostdin", "-v", "error", "-f", "lavfi", "-i", PICTURE.format(rate=recipe.rate), *recipe.options, str(path)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
        info = probe(world, path)
        return Work(make_plan(info, "source", PlanOptions(chunk_s=6), "encoder"), info, path, tmp_path, program)

    return make


def pictures(command: Command, folder: Path) -> list[tuple[int, str]]:
    """Number and checksum of every picture that the encoders of `command`, all of one rung, would be given, one after the other."""
    words = list(command.argv)
    targets = [words[at + 1] for at, word in enumerate(words) if word == "-map"]
    lists = [folder / f"pictures-{number}" for number in range(len(targets))]
    outputs = [
        ("-map", target, "-fps_mode", "passthrough", "-f", "framemd5", str(path)) for target, path in zip(targets, lists, strict=True)
    ]
    words = [*words[: words.index("-map")], *(word for output in outputs for word in output)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=120)
    rows = [line.split(",") for path in lists for line in path.read_text().splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[-1].strip()) for row in rows]


def shown(work: Work, chunk: Chunk, rewind: Fraction | None = Fraction(0)) -> list[tuple[int, str]]:
    return pictures(encode_command(work, chunk.of(work.plan.groups[0][:1]), rewind=rewind), work.out_dir)


def frames_of_chunk(work: Work, chunk: Chunk) -> tuple[int, int]:
    return frames_of(work.plan, chunk.of(["any"]))


@pytest.mark.parametrize("name", [recipe.name for recipe in RECIPES])
def test_every_chunk_shows_what_a_decode_from_the_start_shows(shot: Shot, name: str) -> None:
    work = shot(name)
    grid = work.plan.grid
    whole = shown(work, Chunk(0, 0, grid.segment_count))
    assert [number for number, _ in whole] == list(range(grid.frames))
    assert len({checksum for _, checksum in whole}) > grid.frames // 4
    for chunk in work.plan.chunks:
        first, end = frames_of_chunk(work, chunk)
        expected = [(number - first, checksum) for number, checksum in whole[first:end]]
        assert shown(work, chunk) == expected, chunk
    last = work.plan.chunks[-1]
    for rewind in (Fraction(5), None):  # what is tried when frames are missing shows the same pictures
        assert shown(work, last, rewind) == expected


def test_the_chunks_do_not_start_at_the_beginning(shot: Shot) -> None:
    """Otherwise the test above would prove nothing."""
    work = shot("open-gop.mp4")
    begins = [lead_in_keyframe(work.plan, work.video, frames_of_chunk(work, chunk)[0]) for chunk in work.plan.chunks]
    assert begins[0] is None and all(begins[1:])
    command = encode_command(work, work.plan.chunks[-1].of(work.plan.groups[0]))
    assert command.argv[command.argv.index("-ss") + 1] == "17500000us"


def test_a_start_that_comes_too_late_is_missing_pictures(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entering a transport stream at the time of the keyframe itself is too late. Nothing may cover that up."""
    work = shot("hevc-cra.ts")
    chunk = work.plan.chunks[1]
    first, end = frames_of_chunk(work, chunk)
    assert len(shown(work, chunk)) == end - first
    monkeypatch.setattr(commands, "UNINDEXED", ())
    late = shown(work, chunk)
    assert 0 < len(late) < end - first
    assert late[0][0] > 0


def test_a_source_that_ends_too_early_is_missing_pictures(shot: Shot) -> None:
    work = shot("long-gop.ts")
    whole = work.source.read_bytes()
    work.source.write_bytes(whole[: len(whole) * 4 // 5 // 188 * 188])
    last = work.plan.chunks[-1]
    first, end = frames_of_chunk(work, last)
    assert len(shown(work, last)) < end - first
