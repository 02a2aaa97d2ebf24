"""VVC in MP4 becomes a title, and ffprobe, whose VVC decoder has a hole, never opens that decoder (docs/decisions/0017-codecs.md)."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ingest import vvc
from ingest.probe import Indexed, look_at
from kit import scratch, tools
from kit.errors import Rejected, Unavailable
from kit.process import Command, Completed
from kit.sparse import size_of
from kit.step import Beat
from kit.storage.memory import MemoryStorage
from kit.world import World
from media.plan import Chunk
from media.source_map import merged
from tests.encoded import encode, run
from tests.media.conftest import world_without_servers
from tests.media.test_encode_seek import frames_of_chunk, shown
from tests.media.test_probe_index import CountingStorage, by_index
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import PlanOptions, make_plan, video_needs
from transcode.title import decoder

RATE, SECONDS = 12, 14
COPY = ("-c", "copy")
HDR = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"
LIGHT = "MasteringDisplayColourVolume=13250,34500,7500,3000,34000,16000,15635,16450,10000000,50:MaxContentLightLevel=1000,400"


def _vvc(params: str = "", *, seconds: int = 1, more: str = "null", sound: bool = False) -> tuple[str, ...]:
    """Options that make a clip of VVC. vvenc's pictures are shown before its first keyframe, which makes it a hard case."""
    heard = ("-f", "lavfi", "-i", f"sine=duration={seconds}", "-c:a", "aac", "-b:a", "64k") if sound else ()
    picture = f"testsrc2=size=128x72:rate={RATE}:duration={seconds},{more}"
    given = ("-vvenc-params", params) if params else ()
    coder = ("-c:v", "libvvenc", "-preset", "faster", "-period", "2", "-threads", "1", "-pix_fmt", "yuv420p10le", *given)
    return ("-f", "lavfi", "-i", picture, *heard, *coder)


CLIPS: Mapping[str, tuple[str | None, tuple[str, ...]]] = {  # the clip that each is made of, and how
    "ten.mp4": (None, _vvc(seconds=SECONDS, sound=True)),
    "eight.mp4": (None, _vvc("InternalBitDepth=8")),
    "hdr.mp4": (None, _vvc(LIGHT, more=HDR)),
    "fragmented.mp4": ("eight.mp4", (*COPY, "-movflags", "+frag_keyframe+empty_moov+default_base_moof")),
    "turned.mp4": ("eight.mp4", COPY),
    "vvc.mkv": ("eight.mp4", COPY),
    "vvc.ts": ("eight.mp4", COPY),
}
Clip = Callable[[str], Path]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_without_servers(tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="module")
def clip(world: World, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("vvc")

    def make(name: str) -> Path:
        base, options = CLIPS[name]
        path = folder / name
        if not path.exists():
            source = () if base is None else (*(("-display_rotation", "90") if name == "turned.mp4" else ()), "-i", str(make(base)))
            argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", *source, *options, str(path)]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)
        return path

    return make


def described(world: World, path: Path) -> Indexed:
    indexed = by_index(world, MemoryStorage(), path)
    assert indexed is not None
    return indexed


def refusal(world: World, path: Path) -> Rejected:
    """By either way to look at a source."""
    with pytest.raises(Rejected) as refused:
        assert by_index(world, MemoryStorage(), path) is None
        look_at(world, path, Beat())
    return refused.value


def test_a_clip_of_ten_bits_is_described(world: World, clip: Clip) -> None:
    info = described(world, clip("ten.mp4")).info
    video = info.video
    assert video is not None
    assert (video.codec, video.width, video.height, video.pixel_format, video.bit_depth, video.hdr) == (
        *("vvc", 128, 72, "yuv420p10le", 10, "sdr"),
    )
    assert [video.frame_rate, video.packets, video.start, video.end] == [RATE, RATE * SECONDS, 0, SECONDS]
    assert [sound.codec for sound in info.audio] == ["aac"]


def test_a_clip_of_eight_bits_is_described(world: World, clip: Clip) -> None:
    video = described(world, clip("eight.mp4")).info.video
    assert video is not None
    assert (video.pixel_format, video.bit_depth, video.rotation) == ("yuv420p", 8, 0)


def test_a_turned_clip_is_described_as_it_is_stored(world: World, clip: Clip) -> None:
    video = described(world, clip("turned.mp4")).info.video
    assert video is not None
    assert video.rotation in (90, 270)
    assert (video.coded_width, video.coded_height, video.width, video.height) == (128, 72, 72, 128)


def test_what_only_the_pictures_say_of_their_light_is_known(world: World, clip: Clip, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    silent.write_bytes(clip("hdr.mp4").read_bytes().replace(b"colr", b"free"))
    video = described(world, silent).info.video
    assert video is not None
    assert (video.hdr, video.color_primaries, video.color_space, video.full_range) == ("hdr10", "bt2020", "bt2020nc", False)
    assert video.mastering_display.startswith("G(13250,34500)B(7500,3000)")
    assert video.content_light == "1000,400"


def test_every_chunk_shows_what_a_decode_from_the_start_shows(world: World, clip: Clip, tmp_path: Path) -> None:
    info = described(world, clip("ten.mp4")).info
    plan = make_plan(info, "source", PlanOptions(chunk_s=6), "encoder")
    work = Work(plan, info, clip("ten.mp4"), tmp_path, tools.ffmpeg(world.settings))
    whole = shown(work, Chunk(0, 0, plan.grid.segment_count))
    assert [number for number, _ in whole] == list(range(plan.grid.frames))
    assert len({checksum for _, checksum in whole}) > plan.grid.frames // 2
    assert len(plan.chunks) > 1
    for chunk in plan.chunks:
        first, end = frames_of_chunk(work, chunk)
        assert shown(work, chunk) == [(number - first, checksum) for number, checksum in whole[first:end]], chunk


def test_a_segment_is_made_of_the_bytes_it_needs(world: World, clip: Clip, tmp_path: Path) -> None:
    storage, path = CountingStorage(), clip("ten.mp4")
    source = by_index(world, storage, path)
    assert source is not None
    video = source.info.video
    assert video is not None
    plan = make_plan(source.info, source.digest, PlanOptions(), "encoder")
    rung, index = plan.video[0].name, 1
    needs = video_needs(plan, video, {rung: (index,)}, Fraction(0))
    assert needs is not None
    ranges = merged(piece for start, end in needs.video for piece in source.source_map.video_ranges(start, end))
    made = []
    with scratch.fetch(storage, path.name, path.stat().st_size, tmp_path / "pieces", ranges) as sparse:
        for place, file in (("sparse", sparse), ("whole", path)):
            folder = tmp_path / place
            folder.mkdir()
            run(world, encode_command(Work(plan, source.info, file, folder, tools.ffmpeg(world.settings)), {rung: (index,)}))
            made.append(segment_path(folder, rung, index).read_bytes())
    assert made[0] == made[1]
    assert size_of(ranges) < path.stat().st_size


def test_a_clip_becomes_verified_segments(world: World, clip: Clip, tmp_path: Path) -> None:
    path = clip("eight.mp4")
    title = encode(world, path, tmp_path / "title", info=described(world, path).info)
    assert all(title.segments.values())
    words = encode_command(Work(title.plan, title.info, path, tmp_path, "ffmpeg"), {title.plan.video[0].name: (0,)}).argv
    assert words[words.index("-codec_whitelist") + 1] == "vvc"


@pytest.mark.parametrize("name", ["fragmented.mp4", "vvc.mkv", "vvc.ts"])
def test_it_is_refused_elsewhere(world: World, clip: Clip, name: str) -> None:
    refused = refusal(world, clip(name))
    assert refused.code == "unsupported_codec"
    assert "vvc" in refused.detail


@pytest.mark.parametrize("version", ["8.1.2", "n9.0.1", "5.1.9-0+deb12u1", "N-118000-g1234567"])
def test_an_ffmpeg_with_the_hole_opens_none(world: World, clip: Clip, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(tools, "version", lambda *_: version)
    monkeypatch.setattr(vvc, "picture_command", None)  # is not asked for
    refused = refusal(world, clip("eight.mp4"))
    assert refused.code == "unsupported_codec"
    assert version in refused.detail


def test_a_picture_that_cannot_be_decoded_is_refused(world: World, clip: Clip, tmp_path: Path) -> None:
    path, data = tmp_path / "damaged.mp4", bytearray(clip("eight.mp4").read_bytes())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    path.write_bytes(data)
    assert refusal(world, path).code == "unsupported_codec"


def test_a_picture_that_is_too_large_is_refused(world: World, clip: Clip) -> None:
    small = replace(world, settings=replace(world.settings, max_pixels=72 * 127))
    assert refusal(small, clip("eight.mp4")).code == "too_many_pixels"


class Watched:
    """Keeps the commands that are run."""

    def __init__(self, world: World) -> None:
        self._runner = world.runner
        self.commands: list[Command] = []

    def run(self, command: Command, **more: Any) -> Completed:
        self.commands.append(command)
        return self._runner.run(command, **more)


def test_ffprobe_is_never_told_that_it_may_decode_vvc(world: World, clip: Clip) -> None:
    watched = Watched(world)
    seen = replace(world, runner=watched)
    for name in CLIPS:
        with contextlib.suppress(Rejected):
            by_index(seen, MemoryStorage(), clip(name))
        with contextlib.suppress(Rejected):
            look_at(seen, clip(name), Beat())
    asked = [made.argv for made in watched.commands if made.argv[0] == tools.ffprobe(world.settings)]
    listed = [argv[argv.index("-codec_whitelist") + 1].split(",") for argv in asked]
    assert len(listed) >= 2 * len(CLIPS)
    assert all("h264" in names and "vvc" not in names for names in listed)


def test_the_list_of_codecs_is_what_keeps_ffprobe_from_it(world: World, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted fault: a header that still names the codec. ffprobe ends instead of opening the decoder."""
    monkeypatch.setattr(vvc, "NOBODYS", b"vvc1")
    refused = refusal(world, clip("eight.mp4"))
    assert refused.detail == "A track of the file is in the codec vvc, which is not supported."


def test_a_worker_with_an_older_ffmpeg_leaves_it_to_others(world: World, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    info = described(world, clip("eight.mp4")).info
    assert decoder(world, info) == tools.ffmpeg(world.settings)
    monkeypatch.setattr(tools, "version", lambda *_: "8.1.2")
    with pytest.raises(Unavailable) as left:
        decoder(world, info)
    assert left.value.code == "ffmpeg_too_old"
    assert info.video is not None
    assert decoder(world, replace(info, video=replace(info.video, codec="h264"))) == tools.ffmpeg(world.settings)
