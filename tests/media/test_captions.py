"""Captions inside pictures, copied out by FFmpeg in the sandbox and decoded here: texts equal, times within a frame."""

from __future__ import annotations

import re
import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from captions import extract, line21
from ingest.probe import look_at
from kit import tools
from kit.step import Beat
from kit.world import World
from media.cues import Cue
from media.info import MediaInfo
from tests.clip_captions import CC1, CC3
from tests.clips import Clips

FRAME_MS = Fraction(1001, 30)
Wanted = list[tuple[int, int, str, str]]  # by frame


def taken_out(world: World, path: Path, folder: Path) -> tuple[MediaInfo, line21.Captions]:
    info = look_at(world, path, Beat()).info
    assert info.video is not None
    command = extract.hidden_command(info, info.video, tools.ffmpeg(world.settings), path, folder)
    assert command.confine is not None
    assert (command.confine.reads, command.confine.writes) == ((path,), (folder,))
    done = world.runner.run(command)
    assert done.exit_code == 0, done.stderr
    return info, line21.read_hidden(info, folder, info.video.start, info.duration)


def within_a_frame(found: tuple[Cue, ...], wanted: Wanted) -> None:
    assert [(cue.text, cue.settings) for cue in found] == [(text, settings) for _, _, text, settings in wanted]
    for cue, (start, end, _, _) in zip(found, wanted, strict=True):
        assert abs(cue.start_ms - start * FRAME_MS) < FRAME_MS
        assert abs(cue.end_ms - end * FRAME_MS) < FRAME_MS


@pytest.mark.parametrize("name", ["captions", "captions-mpeg2", "captions-hevc"])
def test_captions_come_out_of_every_codec_that_carries_them(local_world: World, clips: Clips, tmp_path: Path, name: str) -> None:
    _, found = taken_out(local_world, clips(name), tmp_path)
    assert list(found.channels) == ["CC1", "CC3"]
    within_a_frame(found.channels["CC1"][0], CC1)
    within_a_frame(found.channels["CC3"][0], CC3)


def test_captions_come_out_of_the_ancillary_data_of_an_mxf(local_world: World, clips: Clips, tmp_path: Path) -> None:
    info, found = taken_out(local_world, clips("captions-mxf"), tmp_path)
    assert (info.ancillary, info.closed_captions) == (2, False)
    within_a_frame(found.channels["CC1"][0], CC1)


def test_ffmpegs_own_decoder_says_the_same_of_simple_captions(clips: Clips) -> None:
    """It decodes the pictures for that, and leaves marks of places in the text."""
    graph = f"movie={clips('captions')}[out0+subcc]"
    argv = (
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        graph,
        "-map",
        "0:s",
        "-c:s",
        "srt",
        "-f",
        "srt",
        "-",
    )
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout
    times = [[float(part) for part in clock] for clock in re.findall(r"00:00:(\d\d),(\d{3})", said)]
    theirs = [1000 * seconds + thousandths for seconds, thousandths in times]
    ours = [frame * FRAME_MS for start, end, _, _ in CC1 for frame in (start, end)]
    assert len(theirs) == len(ours)
    assert all(abs(one - float(other)) < FRAME_MS for one, other in zip(theirs, ours, strict=True))
    for _, _, text, _ in CC1:
        assert all(line in said for line in text.split("\n"))


@pytest.mark.parametrize(("name", "there"), [("captions-mpeg2", True), ("captions-empty", True), ("ts", False), ("plain", False)])
def test_whoever_reads_a_source_sees_that_there_are_captions(local_world: World, clips: Clips, name: str, there: bool) -> None:
    assert look_at(local_world, clips(name), Beat()).info.closed_captions is there


def test_an_empty_carrier_and_digital_captions(local_world: World, clips: Clips, tmp_path: Path) -> None:
    for name, detail in (("captions-empty", ""), ("captions-digital", line21.DIGITAL)):
        folder = tmp_path / name
        folder.mkdir()
        assert taken_out(local_world, clips(name), folder)[1] == line21.Captions({}, detail)
