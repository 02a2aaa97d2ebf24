"""Matroska and WebM: clocks, and what is known of a file by its cues."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from ingest.matroska_index import clusters_begin
from ingest.probe import probe, probe_by_index
from kit import scratch, tools
from kit.errors import Rejected
from kit.sparse import size_of
from kit.world import World
from media.source_map import merged
from tests.clip_recipes import RECIPES
from tests.clips import Clips
from tests.encoded import run
from tests.media.test_encode_ranges import indexed, is_made_of
from tests.media.test_probe_index import CountingStorage, by_index, told
from transcode.ffmpeg.audio import audio_run, audio_segment_command
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import PlanOptions, audio_needs, make_plan, video_needs

NAMES = sorted(name for name, recipe in RECIPES.items() if recipe.suffix in {".mkv", ".webm"})
INDEXED = {  # of these the cues are enough; of the others there are none, or pictures come when they like, or nothing says how many
    *("attachments", "av1", "languages", "mkv", "mkv-cues-first", "mkv-heavy", "mkv-late", "rgb", "surround-7.1", "texts", "webm"),
}


def test_a_clock_that_starts_late_takes_nothing_from_the_file(local_world: World, clips: Clips) -> None:
    late, usual = (probe(local_world, clips(name)).video for name in ("mkv-late", "mkv"))
    assert late is not None
    assert usual is not None
    assert (late.start, late.packets, late.end - late.start) == (Fraction(5), usual.packets, usual.end - usual.start)


def test_a_late_clock_does_not_hide_that_the_end_is_missing(local_world: World, clips: Clips, tmp_path: Path) -> None:
    data = clips("mkv-late").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(Rejected) as refused:
        probe(local_world, cut)
    assert refused.value.code == "truncated"


@pytest.mark.parametrize("name", NAMES)
def test_the_cues_say_what_the_packets_say(local_world: World, clips: Clips, name: str) -> None:
    storage = CountingStorage()
    try:
        by_cues = by_index(local_world, storage, clips(name))
    except Rejected as refused:
        assert (refused.code, refused.detail) == told(local_world, clips(name))
        return
    assert (by_cues is not None) == (name in INDEXED)
    if by_cues is not None:
        assert by_cues.info == told(local_world, clips(name))
        assert storage.sent <= clips(name).stat().st_size + 4096


@pytest.mark.parametrize(("name", "index"), [("mkv-heavy", 0), ("mkv-heavy", 1), ("mkv-heavy", 2), ("mkv-cues-first", 1), ("mkv-late", 0)])
def test_a_segment_is_made_of_the_bytes_it_needs(local_world: World, clips: Clips, tmp_path: Path, name: str, index: int) -> None:
    storage, path = CountingStorage(), clips(name)
    source = indexed(local_world, storage, path)
    plan = make_plan(source.info, source.digest, PlanOptions(), "encoder")
    rung, video = plan.video[0].name, source.info.video
    assert video is not None
    wanted = {rung: (index,)}
    needs = video_needs(plan, video, wanted, Fraction(0))
    assert needs is not None
    ranges = merged(piece for start, end in needs.video for piece in source.source_map.video_ranges(start, end))

    def make(file: Path, folder: Path) -> object:
        run(local_world, encode_command(Work(plan, source.info, file, folder, tools.ffmpeg(local_world.settings)), wanted))
        return segment_path(folder, rung, index).read_bytes()

    is_made_of(storage, path, tmp_path, ranges, make)
    if path.stat().st_size > 10_000_000:  # of 18 s: 6 s and what is read behind them, and the header
        assert size_of(ranges) < path.stat().st_size * 3 / 4


@pytest.mark.parametrize(("name", "index"), [("mkv-heavy", 0), ("mkv-heavy", 1), ("mkv-heavy", 2), ("mkv-late", 0)])
def test_a_segment_of_sound_is_made_of_the_bytes_it_needs(local_world: World, clips: Clips, tmp_path: Path, name: str, index: int) -> None:
    storage, path = CountingStorage(), clips(name)
    source = indexed(local_world, storage, path)
    plan = make_plan(source.info, source.digest, PlanOptions(), "encoder")
    (track,) = plan.audio
    assert source.info.video is not None
    needs = audio_needs(plan, track, source.info.video, *audio_run(plan, track, source.info.container, index))
    assert needs.audio is not None
    ranges = source.source_map.audio_ranges(*needs.audio)

    def make(file: Path, folder: Path) -> object:
        work = Work(plan, source.info, file, folder, tools.ffmpeg(local_world.settings))
        run(local_world, audio_segment_command(work, track, index)[0])
        return (folder / f"{track.name}.mp4").read_bytes()

    is_made_of(storage, path, tmp_path, ranges, make)


def test_only_of_a_file_whose_cues_come_first_work_can_begin_early(clips: Clips) -> None:
    for name, begins in (("mkv-cues-first", True), ("mkv-heavy", False), ("mkv-no-cues", False)):
        data = clips(name).read_bytes()
        found = clusters_begin(lambda offset, size, data=data: data[offset : offset + size], len(data))  # type: ignore[misc]
        assert (found is not None) == begins
        assert found is None or data[found : found + 4] == b"\x1f\x43\xb6\x75"


def test_tags_are_believed_until_the_last_blocks_are_there(local_world: World, clips: Clips, tmp_path: Path) -> None:
    lying = tmp_path / "lying.mkv"
    lying.write_bytes(clips("mkv-cues-first").read_bytes().replace(b"00:00:18.000000000", b"00:00:17.000000000"))
    storage = CountingStorage()
    storage.put(lying.name, lying)
    with scratch.opened(storage, lying.name, lying.stat().st_size, tmp_path / "pieces") as copy:
        early = probe_by_index(local_world, copy, arriving=True)
        assert early is not None
        assert early.info.video is not None
        assert early.info.video.end == 17
        assert size_of(early.source_map.header_ranges()) == storage.sent < lying.stat().st_size / 4
        assert probe_by_index(local_world, copy) is None
    true = by_index(local_world, CountingStorage(), clips("mkv-cues-first"))
    assert true is not None
    assert early.digest != true.digest
