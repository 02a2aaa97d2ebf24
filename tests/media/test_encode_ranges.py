"""A source of which only the needed bytes are there gives the same segments as the whole one, byte for byte."""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from ingest.mp4_fragments import find_fragments
from ingest.probe import Indexed, probe_by_index
from kit import scratch, tools
from kit.process import Completed
from kit.sparse import size_of
from kit.world import World
from media.source_map import ByteRange, merged
from tests.clips import Clips
from tests.encoded import run
from tests.media.test_probe_index import CountingStorage
from transcode.ffmpeg.audio import audio_run, audio_segment_command
from transcode.ffmpeg.picture import poster_command
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import PlanOptions, audio_needs, make_plan, picture_needs, video_needs

PICTURES = [
    *(("looped", 0), ("looped", 7), ("long-gop", 1), ("open-gop-looped", 4), ("edit-list", 1)),
    *(("frag-keys", 1), ("frag-sidx-edit", 1), ("frag-separate", 1), ("frag-odd", 1)),
]
SOUNDS = [
    *(("looped", 0), ("looped", 9), ("edit-list", 1)),
    *(("frag-sidx-edit", 1), ("frag-odd", 1)),
]


def complaints(done: Completed) -> bytes:
    """What FFmpeg did not like, without addresses: it complains of a hole, even where what it reads there is thrown away."""
    return re.sub(rb"0x[0-9a-f]+", b"", done.stderr)


def indexed(world: World, storage: CountingStorage, path: Path) -> Indexed:
    storage.put(path.name, path)
    with scratch.opened(storage, path.name, path.stat().st_size, world.settings.scratch_dir) as copy:
        found = probe_by_index(world, copy)
    assert found is not None
    return found


def is_made_of(
    storage: CountingStorage, path: Path, folder: Path, ranges: tuple[ByteRange, ...], make: Callable[[Path, Path], object]
) -> None:
    """`make(file, folder)` yields the same of a file with only these ranges of the source as of all of it, and little more is fetched."""
    made = []
    storage.sent = 0
    with scratch.fetch(storage, path.name, path.stat().st_size, folder / "pieces", ranges) as sparse:  # as on another machine
        for place, file in (("sparse", sparse), ("whole", path)):
            (folder / place).mkdir()
            made.append(make(file, folder / place))
    assert made[0] == made[1]
    assert storage.sent <= 1.2 * size_of(ranges)


@pytest.mark.parametrize(("name", "index"), PICTURES)
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
        done = run(local_world, encode_command(Work(plan, source.info, file, folder, tools.ffmpeg(local_world.settings)), wanted))
        return segment_path(folder, rung, index).read_bytes(), complaints(done)

    is_made_of(storage, path, tmp_path, ranges, make)
    if name.endswith("looped"):
        assert size_of(ranges) < path.stat().st_size / 2


@pytest.mark.parametrize(("name", "index"), SOUNDS)
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
        done = run(local_world, audio_segment_command(work, track, index)[0])
        return (folder / f"{track.name}.mp4").read_bytes(), complaints(done)

    is_made_of(storage, path, tmp_path, ranges, make)


@pytest.mark.parametrize("name", ["frag-sidx", "frag-sidx-edit"])
def test_by_an_index_in_front_reading_begins_where_the_map_says(local_world: World, clips: Clips, tmp_path: Path, name: str) -> None:
    path, said, data = clips(name), tmp_path / "begins", clips(name).read_bytes()
    video = indexed(local_world, CountingStorage(), path).source_map.streams[0]
    index = find_fragments(lambda at, size: data[at : at + size], lambda ranges: [data[a:b] for a, b in ranges], len(data))
    assert index is not None
    track, shift = index.movie.tracks[0], index.tracks[0].delivery.shift
    shown = dict(zip(track.positions, (time + shift for time in track.composition_times), strict=True))
    keys = [track.composition_times[sample] + shift for sample in track.sync or ()]
    earlier = 0
    for time in (Fraction(1), Fraction(5, 2), Fraction(6), Fraction(63, 10), Fraction(10), Fraction(119, 10)):
        seek = ("-ss", str(float(time)), "-seek_timestamp", "1", "-noaccurate_seek", "-copyts", "-i", str(path), "-map", "0:v")
        argv = (tools.ffmpeg(local_world.settings), "-y", "-v", "error", *seek, "-c", "copy", "-frames:v", "1", "-f", "framecrc", str(said))
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)
        begins = next(int(line.split(",")[2]) for line in said.read_text().splitlines() if not line.startswith("#"))
        first = max(0, bisect_right(video.times, time / video.tick) - 1)
        place = min(place for place in track.positions if place >= video.pieces[first][0])  # behind the head of its fragment
        assert shown[place] <= begins
        earlier += begins < max(key for key in keys if key * video.tick <= time)
    assert earlier  # than the last keyframe: without the map of these steps, a hole would be read


def test_a_poster_is_made_of_the_pictures_it_tries(local_world: World, clips: Clips, tmp_path: Path) -> None:
    storage, path = CountingStorage(), clips("looped")
    source = indexed(local_world, storage, path)
    plan = make_plan(source.info, source.digest, PlanOptions(), "encoder")
    assert source.info.video is not None
    times = source.info.video.keyframes[3::30][:2]
    needs = picture_needs(times)
    ranges = merged(piece for start, end in needs.video for piece in source.source_map.video_ranges(start, end))

    def make(file: Path, folder: Path) -> object:
        run(local_world, poster_command(Work(plan, source.info, file, folder, tools.ffmpeg(local_world.settings)), times))
        return [(folder / f"poster-{number}.jpg").read_bytes() for number in range(len(times))]

    is_made_of(storage, path, tmp_path, ranges, make)
