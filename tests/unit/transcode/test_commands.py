"""The FFmpeg commands, word for word: `tests/golden/ffmpeg-*.txt`, one word of the command on each line.

When one of these differs on purpose, the plan has to differ, or `PLANNER_VERSION` has to rise (other commands may give other bytes under
the same digest), and `HEADWATER_GOLDEN=write` rewrites the files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from catalog.asset import Profile
from kit.process import Command
from media.info import MediaInfo
from tests.sources import sound, source, video
from transcode.ffmpeg.audio import audio_command, audio_segment_command
from transcode.ffmpeg.headers import init_commands
from transcode.ffmpeg.picture import poster_command
from transcode.ffmpeg.run import PROGRESS, STALL_S, Work
from transcode.ffmpeg.video import encode_command
from transcode.plan import PLANNER_VERSION, PlanOptions, make_plan

GOLDEN = Path(__file__).parents[2] / "golden"


def work(info: MediaInfo, profile: Profile = "default") -> Work:
    plan = make_plan(info, "digest", PlanOptions(profile=profile), "encoder")
    return Work(plan, info, Path("/scratch/source"), Path("/scratch/out"), "ffmpeg")


def commands() -> Mapping[str, Command]:
    film = work(source(video(seconds=120, keyframe_every=7), sound(seconds=120)))
    hdr = work(source(video(3840, 2160, seconds=10, color=("bt2020nc", "smpte2084", "bt2020"))))
    wide = work(source(video(seconds=120, keyframe_every=7), sound(seconds=120, channels=6)), "archive")
    fields = work(source(video(768, 576, rate=50, seconds=40, start=Fraction(7, 5), interlaced=True), container="mpegts"))
    return {
        "encode-first": encode_command(film, film.plan.chunks[0].of(film.plan.groups[0])),
        "encode-middle": encode_command(film, {"480p": [3], "720p": [1, 3]}),
        "encode-hdr": encode_command(hdr, hdr.plan.chunks[0].of(hdr.plan.groups[0])),
        "encode-interlaced-ts": encode_command(fields, fields.plan.chunks[-1].of(fields.plan.groups[0])),
        "init": init_commands(film.plan, Path("/scratch/out"), "ffmpeg")[0],
        "audio": audio_command(film, film.plan.audio[0]),
        "audio-segment": audio_segment_command(film, film.plan.audio[0], 9)[0],
        "audio-ec3": audio_command(wide, wide.plan.audio[2]),
        "audio-ec3-segment": audio_segment_command(wide, wide.plan.audio[2], 9)[0],
        "poster": poster_command(film, (Fraction(7), Fraction(35))),
    }


@pytest.mark.parametrize("name", commands())
def test_word_for_word(name: str) -> None:
    path = GOLDEN / f"ffmpeg-{name}.txt"
    text = "\n".join([f"# planner {PLANNER_VERSION}", *commands()[name].argv]) + "\n"
    if os.environ.get("HEADWATER_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", [name for name in commands() if name != "init"])
def test_an_upload_can_make_ffmpeg_open_nothing_else(name: str) -> None:
    argv = commands()[name].argv
    assert "-nostdin" in argv
    inputs = [index for index, word in enumerate(argv) if word == "-i"]
    begin = 0
    for at in inputs:
        options = argv[begin:at]
        assert options[options.index("-protocol_whitelist") + 1] == "file"
        assert "mov" in options[options.index("-format_whitelist") + 1] or "mpegts" in options[options.index("-format_whitelist") + 1]
        assert options[options.index("-codec_whitelist") + 1] in {"h264", "aac"}
        assert "-max_pixels" in options
        assert argv[at + 1] == "file:/scratch/source"
        begin = at + 2
    assert inputs


@pytest.mark.parametrize("name", commands())
def test_every_command_runs_in_the_sandbox(name: str) -> None:
    """Checklist line F10: the poster's no less than an encode's."""
    command = commands()[name]
    assert command.confine is not None
    assert command.confine.reads == (() if name == "init" else (Path("/scratch/source"),))
    assert command.confine.writes == (Path("/scratch/out"),)
    assert not command.confine.forks
    assert 0 < command.confine.memory_bytes <= 8 << 30
    assert command.confine.cpu_s > 0
    assert 0 < command.confine.file_bytes <= 8 << 30
    assert command.stall_s is not None and command.stall_s >= STALL_S
    assert command.life == PROGRESS


def test_silence_is_allowed_as_long_as_there_can_be_nothing_to_say() -> None:
    """Decoding from the start of the file gives no picture for a long time."""
    film = work(source(video(seconds=7200, keyframe_every=7), sound(seconds=7200)))
    last = {"480p": [1199]}
    near, far = (encode_command(film, last, rewind=rewind) for rewind in (Fraction(0), None))
    assert near.stall_s is not None and far.stall_s is not None
    assert far.stall_s - near.stall_s > 1000
    assert far.stall_s < far.timeout_s


def test_a_command_has_time_for_its_work_and_no_more() -> None:
    film = work(source(video(seconds=120, keyframe_every=7)))
    first, middle = (encode_command(film, chunk.of(film.plan.groups[0])) for chunk in film.plan.chunks[:2])
    assert 120 < first.timeout_s < middle.timeout_s < 4 * 3600
    last = film.plan.chunks[-1].of(film.plan.groups[0])
    assert encode_command(film, last, rewind=None).timeout_s > encode_command(film, last).timeout_s


def test_a_rate_control_without_memory_of_other_chunks() -> None:
    """Checklist 20: capped CRF, never a bare bitrate."""
    for name, command in commands().items():
        if name.startswith("encode"):
            assert command.argv.count("-crf") == command.argv.count("-maxrate") == command.argv.count("-bufsize") > 0
            assert "-b:v" not in command.argv
