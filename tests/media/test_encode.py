"""Chunks of real encodes: they join without a seam, they are what was planned, and doing it again gives the same bytes."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from ingest.probe import probe
from kit import tools
from kit.huge_pages import MEMORY_FACTS
from kit.world import World
from media.codecs import NAL_IDR, nal_types
from media.grid import AAC_FRAME_SAMPLES
from media.isobmff import FragmentBoxes, find, read_fragments
from media.plan import Chunk
from media.segments import MeasuredSegment
from tests import readback
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode, run, video
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import PlanOptions, make_plan
from transcode.verify import BadEncode, MissingFrames, check_video

RATES = {
    "rate-23.976": Fraction(24_000, 1001),
    "rate-25": Fraction(25),
    "rate-29.97": Fraction(30_000, 1001),
    "rate-59.94": Fraction(60_000, 1001),
    "vfr": Fraction(60),
    "one-frame": Fraction(24),
    "half-second": Fraction(24),
    "no-audio": Fraction(24),
    "cover-first": Fraction(25),
    "anamorphic": Fraction(24),
    "portrait": Fraction(24),
}


def frames_of(title: EncodedTitle, name: str) -> Iterator[tuple[MeasuredSegment, bytes, FragmentBoxes]]:
    for measured, data in title.segments[name]:
        for fragment in read_fragments(data):
            yield measured, data, fragment


def display_times(title: EncodedTitle, name: str) -> list[int]:
    """As a player reads them: decode times, composition offsets and the edit list (ISO/IEC 14496-12 8.8.8, 8.8.12, 8.6.6)."""
    edit = find(title.inits[name], "moov/trak/edts/elst")
    assert edit is not None
    _, entries, duration, starts_at, speed = struct.unpack(">IIIiI", title.inits[name][edit.body : edit.end])
    assert (entries, duration, speed) == (1, 0, 0x1_0000)
    times: list[int] = []
    for _, _, fragment in frames_of(title, name):
        at = fragment.decode_time
        for sample in fragment.samples:
            assert sample.composition_offset >= 0  # negative offsets or an edit list, never both
            times.append(at + sample.composition_offset - starts_at)
            at += sample.duration
    return times


def assert_on_grid(title: EncodedTitle, name: str) -> None:
    grid = title.plan.grid
    assert sorted(display_times(title, name)) == [index * grid.frame_ticks for index in range(grid.frames)]
    fragments = [fragment for _, _, fragment in frames_of(title, name)]
    assert [fragment.sequence for fragment in fragments] == list(range(1, len(fragments) + 1))
    for before, after in pairwise(fragments):
        assert before.decode_time + before.duration == after.decode_time
    for _, data, fragment in frames_of(title, name):
        kinds = [list(nal_types(data[item.offset : item.offset + item.size])) for item in fragment.samples]
        assert [NAL_IDR in kind for kind in kinds] == [index == 0 for index in range(len(kinds))]


def test_chunks_join_without_a_seam(sync_title: EncodedTitle) -> None:
    assert len(sync_title.plan.chunks) == 4
    (name,) = sync_title.plan.groups[0]
    assert_on_grid(sync_title, name)
    decoded = readback.ffprobe(sync_title.whole(name), "-show_frames", "-show_entries", "frame=pts")["frames"]
    times = [int(frame["pts"]) for frame in decoded if "pts" in frame]
    assert times == [index * sync_title.plan.grid.frame_ticks for index in range(sync_title.plan.grid.frames)]
    assert readback.flashes(sync_title.whole(name)) == [12 + 24 * second for second in range(20)]


@pytest.mark.parametrize("name", RATES)
def test_every_rendition_is_on_its_grid(world: World, clips: Clips, tmp_path: Path, name: str) -> None:
    title = encode(world, clips(name), tmp_path)
    assert title.plan.grid.frame_rate == RATES[name]
    for rung in title.plan.video:
        assert_on_grid(title, rung.name)
        decoded = readback.decode_luma(title.whole(rung.name), 16, 16)
        assert len(decoded) == title.plan.grid.frames
    assert (not title.plan.audio) == (name in {"one-frame", "no-audio"})
    if title.plan.audio:
        assert len(readback.samples(title.whole("audio"))) == title.plan.grid.audio_frames() * AAC_FRAME_SAMPLES


def test_all_rungs_have_the_same_boundaries(world: World, clips: Clips, tmp_path: Path) -> None:
    source = clips("odd-size")  # 640x360 and a little
    title = encode(world, source, tmp_path, PlanOptions(profile="mobile"))
    first, *others = [rung.name for rung in title.plan.video]
    assert [first, *others] == ["240p", "360p"]
    cut = [(item.decode_time_ticks, item.duration_ticks, len(item.fragments)) for item in title.measured(first)]
    for other in others:
        assert [(item.decode_time_ticks, item.duration_ticks, len(item.fragments)) for item in title.measured(other)] == cut
    for rung in title.plan.video:
        assert_on_grid(title, rung.name)
        stream = readback.ffprobe(title.whole(rung.name))["streams"][0]
        assert (stream["width"], stream["height"], stream["sample_aspect_ratio"]) == (rung.width, rung.height, "1:1")
        assert (stream["profile"], stream["pix_fmt"], stream["level"]) == ("High", "yuv420p", rung.level_idc)
        assert (stream["color_space"], stream["color_transfer"], stream["color_primaries"], stream["color_range"]) == ("bt709",) * 3 + (
            "tv",
        )


def test_the_segment_table_describes_the_bytes(sync_title: EncodedTitle) -> None:
    for name in sync_title.names:
        for measured, data in sync_title.segments[name]:
            assert (len(data), hashlib.sha256(data).hexdigest()) == (measured.size_bytes, measured.sha256)
            assert data[4:8] == b"styp"
            found = list(read_fragments(data))
            assert [(part.offset, part.size, part.keyframe_size, part.duration_ticks) for part in measured.fragments] == [
                (item.offset, item.size, item.keyframe_size, item.duration) for item in found
            ]
            assert measured.decode_time_ticks == found[0].decode_time
            assert measured.duration_ticks == sum(item.duration for item in found)
            assert sum(part.size for part in measured.fragments) + measured.fragments[0].offset == len(data)


def test_a_keyframe_of_the_i_frame_playlist_decodes_alone(sync_title: EncodedTitle, tmp_path: Path) -> None:
    """Checklist 24: a byte range from the `moof` to the end of the first sample is exactly one picture."""
    (name,) = sync_title.plan.groups[0]
    measured, data = sync_title.segments[name][1]
    part = measured.fragments[1]
    alone = tmp_path / "keyframe.mp4"
    alone.write_bytes(sync_title.inits[name] + data[part.offset : part.offset + part.keyframe_size])
    assert len(readback.decode_luma(alone, 32, 18, "-err_detect", "ignore_err")) == 1


def test_two_encodes_are_byte_identical(world: World, clips: Clips, sync_title: EncodedTitle, tmp_path: Path) -> None:
    again = encode(world, clips("sync"), tmp_path, PlanOptions(chunk_s=6))
    assert again.plan == sync_title.plan
    assert again.inits == sync_title.inits
    assert {name: again.segments[name] for name in again.names} == {name: sync_title.segments[name] for name in sync_title.names}


def test_a_segment_made_alone_is_the_one_made_among_others(world: World, clips: Clips, sync_title: EncodedTitle, tmp_path: Path) -> None:
    work = Work(sync_title.plan, sync_title.info, clips("sync"), tmp_path, tools.ffmpeg(world.settings))
    (name,) = sync_title.plan.groups[0]
    everything = Chunk(0, 0, sync_title.plan.grid.segment_count)
    run(world, encode_command(work, everything.of([name])))
    together = [video(work, sync_title.inits[name], name, index) for index in everything.segments]
    for index in everything.segments:
        run(world, encode_command(work, {name: [index]}))
        assert video(work, sync_title.inits[name], name, index) == together[index] == sync_title.segments[name][index]


def test_huge_pages_change_no_byte(world: World, clips: Clips, sync_title: EncodedTitle, tmp_path: Path) -> None:
    """Whether the machine has any or not: where they are used up, memory is ordinary."""
    work = Work(sync_title.plan, sync_title.info, clips("sync"), tmp_path, tools.ffmpeg(world.settings), huge_pages=True)
    (name,) = sync_title.plan.groups[0]
    command = encode_command(work, {name: [0, 1]})
    assert command.confine is not None
    assert "hugetlb" in command.env["GLIBC_TUNABLES"]
    assert MEMORY_FACTS in command.confine.reads, "glibc asks there for the size of a page"
    run(world, command)
    assert [video(work, sync_title.inits[name], name, index) for index in (0, 1)] == list(sync_title.segments[name][:2])


def test_other_cpus_encode_the_same_bytes(world: World, clips: Clips, tmp_path: Path) -> None:
    """One machine has AVX-512, another has not; a retry may happen on either."""
    source = clips("high10")
    info, program = probe(world, source), tools.ffmpeg(world.settings)
    plan = make_plan(info, "source", PlanOptions(), "encoder")
    command = encode_command(Work(plan, info, source, tmp_path, program), plan.chunks[0].of(plan.groups[0]))
    outputs = set()
    for flags in (), ("-cpuflags", "0"):
        slower = tuple(f"{word}:asm=0" if flags and word.startswith("stitchable=") else word for word in command.argv[1:])
        run(world, replace(command, argv=(command.argv[0], *flags, *slower)))
        outputs.add(segment_path(tmp_path, plan.video[0].name, 0).read_bytes())
    assert len(outputs) == 1


def faults(data: bytes) -> dict[str, bytes]:
    """Ways in which an output can be wrong."""
    fragments = list(read_fragments(data, data.index(b"moof") - 4))
    last = fragments[-1]
    trun = data.index(b"trun", fragments[0].offset)
    idr = fragments[0].samples[0].offset
    while data[idr + 4] & 31 != NAL_IDR:
        idr += 4 + int.from_bytes(data[idr : idr + 4])
    return {
        "missing_frames": data[: last.offset],
        "init_mismatch": data.replace(b"avcC\x01\x64\x00", b"avcC\x01\x64\x01", 1),
        "no idr": data[: idr + 4] + bytes([data[idr + 4] & 0xE0 | 1]) + data[idr + 5 :],
        "another first offset": data[: trun + 26] + b"\x01" + data[trun + 27 :],
        "cut off": data[:-1],
        "empty": b"",
    }


def test_wrong_outputs_are_noticed(world: World, clips: Clips, sync_title: EncodedTitle, tmp_path: Path) -> None:
    plan, rung = sync_title.plan, sync_title.plan.video[0]
    work = Work(plan, sync_title.info, clips("sync"), tmp_path, tools.ffmpeg(world.settings))
    run(world, encode_command(work, {rung.name: [0]}))
    data = segment_path(tmp_path, rung.name, 0).read_bytes()
    sha256 = hashlib.sha256(sync_title.inits[rung.name]).hexdigest()
    assert len(check_video(data, plan, rung, 0, init_sha256=sha256)) == 3
    for name, wrong in faults(data).items():
        assert wrong != data, name
        with pytest.raises(MissingFrames if name == "missing_frames" else BadEncode) as caught:
            check_video(wrong, plan, rung, 0, init_sha256=sha256)
        assert caught.value.code == (name if name in {"missing_frames", "init_mismatch"} else "verify_failed"), name


@pytest.mark.parametrize(
    ("change", "code"), [(("-g", "47"), "verify_failed"), (("-level", "5.1"), "init_mismatch"), (("-crf", "40"), None)]
)
def test_another_encoder_setting_is_noticed_where_it_matters(
    world: World, clips: Clips, sync_title: EncodedTitle, tmp_path: Path, change: tuple[str, str], code: str | None
) -> None:
    """A plan that is not obeyed. Quality alone may change without breaking the stream: the header does not depend on it."""
    plan, rung = sync_title.plan, sync_title.plan.video[0]
    work = Work(plan, sync_title.info, clips("sync"), tmp_path, tools.ffmpeg(world.settings))
    command = encode_command(work, {rung.name: [0]})
    words = list(command.argv)
    words[words.index(change[0]) + 1] = change[1]
    run(world, replace(command, argv=tuple(words)))
    data = segment_path(tmp_path, rung.name, 0).read_bytes()
    sha256 = hashlib.sha256(sync_title.inits[rung.name]).hexdigest()
    if code is None:
        check_video(data, plan, rung, 0, init_sha256=sha256)
        return
    with pytest.raises(BadEncode) as caught:
        check_video(data, plan, rung, 0, init_sha256=sha256)
    assert caught.value.code == code
