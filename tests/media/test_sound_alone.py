"""Sound without pictures, from real files: it is all there and in time, a segment made alone fits, and there is a poster."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ingest.probe import probe
from kit import tools
from kit.errors import Rejected
from kit.world import World
from media.grid import AAC_FRAME_SAMPLES
from media.info import CoverPicture
from tests import readback
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode, run
from tests.media.conftest import world_without_servers
from transcode.cut import AudioCutter, header_size
from transcode.ffmpeg.audio import audio_segment_command
from transcode.ffmpeg.cover import PLAIN_HEIGHT, PLAIN_WIDTH, cover_command, plain_command
from transcode.ffmpeg.picture import poster_path
from transcode.ffmpeg.run import Work

SECONDS = 13.3
RATE = 48_000
KINDS = {
    "mp3": ("-c:a", "libmp3lame", "-ar", "44100"),
    "m4a": ("-c:a", "aac", "-ar", "44100"),
    "flac": ("-c:a", "flac", "-ar", "44100"),
    "opus": ("-c:a", "libopus"),
    "wav": ("-c:a", "pcm_s16le"),
    "mka": ("-c:a", "libvorbis"),
}
COVERED = ("mp3", "m4a", "flac")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_without_servers(tmp_path_factory.mktemp("scratch"))


def ffmpeg(world: World, *options: str | Path) -> None:
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-y", *map(str, options)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)


@pytest.fixture(scope="module", params=KINDS)
def music(
    request: pytest.FixtureRequest, world: World, clips: Clips, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, EncodedTitle]:
    """A click every second."""
    kind = str(request.param)
    folder = tmp_path_factory.mktemp("music")
    source, cover = folder / f"music.{kind}", folder / "cover.png"
    ffmpeg(world, "-f", "lavfi", "-i", "testsrc=size=301x300:rate=1", "-frames:v", "1", cover)
    sound = ("-t", str(SECONDS), "-i", clips("sync"))
    art = ("-i", cover, "-map", "0:a", "-map", "1", "-c:v", "copy", "-disposition:v:0", "attached_pic") if kind in COVERED else ("-vn",)
    ffmpeg(world, *sound, *art, *KINDS[kind], source)
    return source, encode(world, source, folder / "out")


def test_it_is_as_long_as_its_source_and_in_time(music: tuple[Path, EncodedTitle]) -> None:
    source, title = music
    info, grid = title.info, title.plan.grid
    assert (info.video, len(info.audio)) == (None, 1)
    assert info.cover == (CoverPicture(1, "png") if source.suffix[1:] in COVERED else None)
    assert float(info.duration) == pytest.approx(SECONDS, abs=0.025)
    assert grid.segment_count == 3
    for name in ("audio", "audio-low"):
        whole = title.whole(name)
        assert len(readback.samples(whole)) == grid.frames * AAC_FRAME_SAMPLES
        assert readback.clicks(whole) == pytest.approx(readback.clicks(source), abs=0.002)
    large, small = (sum(len(data) for _, data in title.segments[name]) for name in ("audio", "audio-low"))
    assert small < large


def test_a_segment_made_alone_fits_between_the_others(world: World, music: tuple[Path, EncodedTitle]) -> None:
    source, title = music
    work = Work(title.plan, title.info, source, title.folder, tools.ffmpeg(world.settings))
    command, skip = audio_segment_command(work, title.plan.audio[0], 2)
    run(world, command)
    data = (title.folder / "audio.mp4").read_bytes()
    cutter = AudioCutter(title.plan, title.plan.audio[0], 2, skip, 3)
    ((_, alone),) = cutter.take(data[header_size(data) or 0 :])
    cutter.finish()
    parts = [body for _, body in title.segments["audio"]]
    patched = title.folder / "patched.mp4"
    patched.write_bytes(title.inits["audio"] + parts[0] + parts[1] + alone)
    whole, again = (np.asarray(readback.samples(path), dtype=float) for path in (title.whole("audio"), patched))
    assert len(whole) == len(again)
    # The clicks lie on the same sample; around them two runs of an encoder differ a little.
    assert readback.clicks(patched) == pytest.approx(readback.clicks(title.whole("audio")), abs=1.5 / RATE)
    assert float(np.sqrt(np.mean((whole - again) ** 2))) < 0.02 * float(np.abs(whole).max())


def test_its_poster_is_its_cover_or_a_plain_picture(world: World, music: tuple[Path, EncodedTitle]) -> None:
    source, title = music
    work = Work(title.plan, title.info, source, title.folder, tools.ffmpeg(world.settings))
    made, cover = [], title.info.cover
    for _ in range(2):
        run(world, plain_command(work) if cover is None else cover_command(work, cover))
        made.append(poster_path(title.folder, 0).read_bytes())
    assert made[0] == made[1]
    (stream,) = readback.ffprobe(poster_path(title.folder, 0))["streams"]
    assert (stream["width"], stream["height"]) == ((PLAIN_WIDTH, PLAIN_HEIGHT) if cover is None else (300, 300))  # even, and not enlarged
    other = replace(work, plan=replace(title.plan, source_digest="another"))
    run(world, plain_command(other))
    assert poster_path(title.folder, 0).read_bytes() != made[0]


def test_a_track_without_packets_is_refused(world: World, tmp_path: Path) -> None:
    empty = tmp_path / "empty.wav"
    ffmpeg(world, "-f", "lavfi", "-i", "anullsrc", "-t", "0", "-c:a", "pcm_s16le", empty)
    with pytest.raises(Rejected) as refused:
        probe(world, empty)
    assert refused.value.code == "no_sound"
