"""A title in segments against one long encode at the same rate factor: as large, and so is the first picture of a segment.

Of x264, which alone needs to be told (`transcode.profiles.KEY_GAIN`). Each picture is judged against the one at its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from kit import tools
from kit.process import Command
from kit.world import World
from tests.media.conftest import world_without_servers
from transcode.ffmpeg.encoders import encoder_options
from transcode.ladder import Size, rung_of
from transcode.profiles import FINE_H264, H264, Encoder

GOP, SEGMENT, SEGMENTS = 24, 72, 2
FILM = "testsrc2=size=320x180:rate=24:d=6,noise=alls=4:allf=t"
NEAR = 0.02  # of all bytes: the target


def encode(world: World, encoder: Encoder, target: Path, first: int, end: int) -> list[int]:
    """Frames [first, end) with one encoder; the size of each picture."""
    rung = rung_of(encoder, Size(320, 180), Fraction(24))
    free = replace(rung, maxrate_bps=8_000_000, bufsize_bits=12_000_000, level_idc=31)  # a cap would hide what is looked for
    options = encoder_options(free, GOP) | {"fps_mode": "passthrough"}
    words = [word for name, value in options.items() for word in (f"-{name}", str(value))]
    film = f"{FILM},trim=start_frame={first}:end_frame={end},setpts=PTS-STARTPTS"
    run(world, (tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", film, *words, str(target)))
    shown = ("-v", "error", "-select_streams", "v", "-show_entries", "packet=size", "-of", "csv=p=0", str(target))
    return [int(line.strip(",")) for line in run(world, (tools.ffprobe(world.settings), *shown)).split()]


def run(world: World, argv: Sequence[str]) -> str:
    done = world.runner.run(Command(tuple(argv), timeout_s=120))
    assert done.exit_code == 0, done.stderr
    return done.stdout.decode()


@pytest.mark.parametrize("encoder", [H264, FINE_H264], ids=lambda encoder: encoder.preset)
def test_segments_are_as_large_as_one_long_encode(encoder: Encoder, tmp_path: Path) -> None:
    world = world_without_servers(tmp_path)

    def in_segments(encoder: Encoder) -> list[int]:
        bounds = [(SEGMENT * index, SEGMENT * (index + 1)) for index in range(SEGMENTS)]
        return [size for first, end in bounds for size in encode(world, encoder, tmp_path / "segment.mp4", first, end)]

    # Nothing is said of the first segment: the long encode has a first picture too.
    whole = encode(world, replace(encoder, first_gain=1.0), tmp_path / "whole.mp4", 0, SEGMENT * SEGMENTS)
    ours, left_alone = in_segments(encoder), in_segments(replace(encoder, first_gain=1.0))
    assert abs(sum(ours[SEGMENT:]) / sum(whole[SEGMENT:]) - 1) < NEAR
    assert 0.9 < ours[SEGMENT] / whole[SEGMENT] < 1.15
    assert left_alone[SEGMENT] < 0.85 * whole[SEGMENT]  # the encoder still does what this is for
