"""The audio track of real encodes: exactly as long as its grid, in time from the first sample to the last, and the same every time."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ingest.probe import probe
from kit import tools
from kit.world import World
from media.grid import AAC_FRAME_SAMPLES
from media.isobmff import find, read_fragments
from tests import readback
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode, run
from transcode.cut import AudioCutter, header_size
from transcode.ffmpeg.audio import audio_command, audio_segment_command
from transcode.ffmpeg.run import Work
from transcode.plan import PlanOptions, make_plan

FRAME_S = 1 / 24


def test_the_track_is_exactly_as_long_as_the_grid(sync_title: EncodedTitle) -> None:
    grid = sync_title.plan.grid
    assert len(readback.samples(sync_title.whole("audio"))) == grid.audio_frames() * AAC_FRAME_SAMPLES
    assert abs(grid.audio_frames() * AAC_FRAME_SAMPLES / 48_000 - float(grid.duration)) <= AAC_FRAME_SAMPLES / 48_000


def test_segments_are_cut_at_the_frames_of_the_grid(sync_title: EncodedTitle) -> None:
    expected = [sync_title.plan.grid.audio_bounds(index) for index in range(sync_title.plan.grid.segment_count)]
    assert len(expected) > 1
    found = [fragment for _, data in sync_title.segments["audio"] for fragment in read_fragments(data)]
    times = [(item.decode_time, item.decode_time + item.duration) for item in found]
    assert times == [(first * AAC_FRAME_SAMPLES, end * AAC_FRAME_SAMPLES) for first, end in expected]
    assert all(sample.sync and sample.duration == AAC_FRAME_SAMPLES for item in found for sample in item.samples)
    assert [item.sequence for item in found] == list(range(1, len(found) + 1))
    assert all(before[1] == after[0] for before, after in pairwise(times))
    assert find(sync_title.inits["audio"], "moov/trak/edts") is None  # the priming is gone, so there is nothing to edit away


def test_every_click_meets_its_flash(sync_title: EncodedTitle) -> None:
    """At the start, at every segment boundary on the way, and at the end: less than a frame apart (in fact, on the sample)."""
    flashes = [frame / 24 for frame in readback.flashes(sync_title.whole(sync_title.plan.groups[0][0]))]
    clicks = readback.clicks(sync_title.whole("audio"))
    assert len(clicks) == len(flashes) == 20
    assert max(abs(click - flash) for click, flash in zip(clicks, flashes, strict=True)) < FRAME_S / 4


def test_only_the_first_twenty_milliseconds_differ_from_the_source(sync_title: EncodedTitle, clips: Clips) -> None:
    """Cutting off the priming frame fades the first AAC frame in; everything behind it is the source again."""
    ours = readback.samples(sync_title.whole("audio")).astype(np.int32)
    source = readback.samples(clips("sync")).astype(np.int32)
    least = min(len(ours), len(source))
    quiet = np.abs(ours[AAC_FRAME_SAMPLES:least] - source[AAC_FRAME_SAMPLES:least])
    assert quiet.mean() < 200  # of 32,768


def test_a_gap_in_the_sound_is_a_silence_and_not_a_shift(world: World, clips: Clips, tmp_path: Path) -> None:
    source = tmp_path / "gap.mkv"
    program = tools.ffmpeg(world.settings)
    gap = ("-c:v", "copy", "-af", "aselect='not(between(t,3.1,5.3))'", "-c:a", "pcm_s16le")
    argv = [program, "-nostdin", "-v", "error", "-t", "9", "-i", str(clips("sync")), *gap, str(source)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
    clicks = readback.clicks(encode(world, source, tmp_path / "out").whole("audio"))
    assert [round(click, 2) for click in clicks] == [0.5, 1.5, 2.5, 5.5, 6.5, 7.5, 8.5]


def test_mono_is_heard_on_both_sides_at_its_own_level(world: World, clips: Clips, tmp_path: Path) -> None:
    title = encode(world, clips("mono"), tmp_path)
    raw = tmp_path / "stereo.raw"
    program = tools.ffmpeg(world.settings)
    argv = [program, "-nostdin", "-v", "error", "-i", str(title.whole("audio")), "-f", "s16le", str(raw)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
    left, right = np.fromfile(raw, np.int16).reshape(-1, 2).astype(np.int32).T
    source = readback.samples(clips("mono")).astype(np.int32)
    loudness = np.sqrt((source**2).mean())
    for side in (left, right):
        assert abs(np.sqrt((side**2).mean()) / loudness - 1) < 0.05


def test_two_runs_are_byte_identical_on_any_cpu(world: World, clips: Clips, sync_title: EncodedTitle, tmp_path: Path) -> None:
    info = probe(world, clips("sync"))
    plan = make_plan(info, "source", PlanOptions(chunk_s=6), "encoder")
    command = audio_command(Work(plan, info, clips("sync"), tmp_path, tools.ffmpeg(world.settings)), plan.audio[0])
    run(world, command)
    assert (tmp_path / "audio.mp4").read_bytes() == (sync_title.folder / "audio.mp4").read_bytes()
    assert command.argv[1:3] == ("-cpuflags", "0")  # without SIMD: floating point is rounded alike everywhere


@pytest.mark.parametrize("clip", ["sync", "mono", "audio-late"])
def test_a_segment_made_alone_joins_the_others_without_a_seam(world: World, clips: Clips, tmp_path: Path, clip: str) -> None:
    """Sample for sample as long, and sounding as if it had been made with them. The first one, made the same way, is the same."""
    title = encode(world, clips(clip), tmp_path / "whole", PlanOptions(chunk_s=6))
    work = Work(title.plan, title.info, clips(clip), tmp_path, tools.ffmpeg(world.settings))
    whole = readback.samples(title.whole("audio")).astype(np.int32)
    for index in range(title.plan.grid.segment_count):
        command, skip = audio_segment_command(work, title.plan.audio[0], index)
        run(world, command)
        data = (tmp_path / "audio.mp4").read_bytes()
        alone = list(AudioCutter(title.plan, title.plan.audio[0], index, skip, index + 1).take(data[header_size(data) :]))
        assert [segment.index for segment, _ in alone] == [index]
        if index == 0:
            assert alone[0] == title.segments["audio"][0]
        mixed = replace(title, folder=tmp_path, segments={"audio": [*title.segments["audio"]]})
        mixed.segments["audio"][index] = alone[0]  # type: ignore[index]
        heard = readback.samples(mixed.whole("audio")).astype(np.int32)
        assert len(heard) == len(whole)
        difference = np.abs(heard - whole)
        assert difference.max() < 2500 and difference.mean() < 40  # of 32,768: the encoder's own noise, no click and no shift
