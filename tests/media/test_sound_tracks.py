"""Several tracks of sound: each as stereo, and 5.1 as such too, in AAC and in E-AC-3; all in time, none clipped, whatever its channels
and its rate."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kit import tools
from kit.world import World
from media.codecs import EAC3
from media.grid import AAC_FRAME_SAMPLES
from tests import readback
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode, run
from tests.media.conftest import world_without_servers
from transcode import loudness
from transcode.cut import AudioCutter, header_size
from transcode.ffmpeg.audio import audio_command, audio_segment_command, loudness_command
from transcode.ffmpeg.run import Work
from transcode.plan import PlanOptions
from transcode.verify import BadEncode, check_audio_init

FRAME_S = 1 / 24
WIDE = "pan=5.1(side)|FL=0.5*c0|FR=0.5*c0|FC=0.5*c0|LFE=0.5*c0|SL=0.5*c0|SR=0.5*c0"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world_without_servers(tmp_path_factory.mktemp("scratch"))


def ffmpeg(world: World, *options: str | Path) -> None:
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-y", *map(str, options)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=120)


@pytest.fixture(scope="module")
def film(world: World, clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> EncodedTitle:
    """A click and a flash every second for 13 seconds, the click in English 5.1, German mono at 8 kHz and in a commentary."""
    folder = tmp_path_factory.mktemp("film")
    made = folder / "film.mkv"
    wide = f"[0:a]{WIDE}[wide]"
    mono = "[0:a]pan=mono|c0=c0,aresample=8000[mono]"
    maps = ("-map", "0:v", "-map", "[wide]", "-map", "[mono]", "-map", "0:a", "-c:v", "copy", "-c:a", "pcm_s16le")
    tags = ("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-metadata:s:a:2", "language=eng")
    flags = ("-disposition:a:0", "default", "-disposition:a:1", "0", "-disposition:a:2", "comment")
    graph = ("-filter_complex", f"{wide};{mono}")
    ffmpeg(world, "-t", "13", "-i", clips("sync"), *graph, *maps, *tags, *flags, made)
    return encode(world, made, folder / "out", PlanOptions(chunk_s=6, profile="archive"))


def test_all_tracks_are_there(film: EncodedTitle) -> None:  # checklist 17, 47
    assert [(track.name, track.language, track.label, track.channels) for track in film.plan.audio] == [
        ("audio", "en", "English", 2), ("audio-2", "de", "German", 2), ("audio-3", "en", "English, commentary", 2),
        ("audio-51", "en", "English", 6), ("audio-ec3", "en", "English", 6),
    ]  # fmt: skip
    for track in film.plan.audio:
        (found,) = readback.ffprobe(film.whole(track.name))["streams"]
        assert (found["channels"], found["sample_rate"]) == (track.channels, "48000")
        assert (found["codec_name"], found.get("profile")) == (("eac3", None) if track.codecs == EAC3 else ("aac", "LC"))


@pytest.mark.parametrize("name", ["audio", "audio-2", "audio-3", "audio-51", "audio-ec3"])
def test_every_click_of_every_track_meets_its_flash(film: EncodedTitle, name: str) -> None:  # checklist 14
    flashes = [frame / 24 for frame in readback.flashes(film.whole(film.plan.video[0].name))]
    clicks = readback.clicks(film.whole(name))
    assert len(clicks) == len(flashes) == 13
    assert max(abs(click - flash) for click, flash in zip(clicks, flashes, strict=True)) < FRAME_S / 4
    length = next(track.frame_samples for track in film.plan.audio if track.name == name)
    assert len(readback.samples(film.whole(name))) == film.plan.grid.audio_frames(length) * length


def test_a_segment_of_surround_made_alone_joins_the_others(world: World, clips: Clips, tmp_path: Path) -> None:
    """Limited stereo and 5.1: what the filters remember of before is heard too."""
    source = tmp_path / "wide.mov"
    ffmpeg(world, "-t", "7", "-i", clips("sync"), "-af", WIDE, "-c:v", "copy", "-c:a", "pcm_s16le", source)
    title = encode(world, source, tmp_path / "out", PlanOptions(profile="archive"))
    work = Work(title.plan, title.info, source, tmp_path, tools.ffmpeg(world.settings))
    for track in title.plan.audio:
        whole = readback.samples(title.whole(track.name)).astype(np.int32)
        command, skip = audio_segment_command(work, track, 1)
        run(world, command)
        data = (tmp_path / f"{track.name}.mp4").read_bytes()
        (alone,) = AudioCutter(title.plan, track, 1, skip, 2).take(data[header_size(data) :])
        mixed = tmp_path / "mixed.mp4"
        mixed.write_bytes(b"".join([title.inits[track.name], title.segments[track.name][0][1], alone[1]]))
        if track.codecs == EAC3:  # each of whose frames knows nothing but the block before it
            assert alone == title.segments[track.name][1]
        difference = np.abs(readback.samples(mixed).astype(np.int32) - whole)
        assert difference.max() < 2500 and difference.mean() < 40


def test_surround_in_both_codecs_lies_on_the_same_samples(film: EncodedTitle) -> None:
    """Their encoders are late by different lengths, 1,024 samples and 256."""
    aac, dolby = (readback.clicks(film.whole(name)) for name in ("audio-51", "audio-ec3"))
    assert dolby == pytest.approx(aac, abs=24 / 48_000)


def test_surround_is_the_same_bytes_again_and_says_how_loud_it_is(world: World, film: EncodedTitle, tmp_path: Path) -> None:
    track = film.plan.audio[-1]
    work = Work(film.plan, film.info, film.folder.parent / "film.mkv", tmp_path, tools.ffmpeg(world.settings))
    run(world, audio_command(work, track))
    assert (tmp_path / "audio-ec3.mp4").read_bytes() == (film.folder / "audio-ec3.mp4").read_bytes()
    of_both = []
    for name in ("audio-51", "audio-ec3"):
        made = replace(work, out_dir=film.folder)
        command = loudness_command(made, next(item for item in film.plan.audio if item.name == name))
        of_both.append(loudness.read(run(world, command).stderr.decode(errors="replace")).integrated_lufs or 0.0)
    assert of_both[0] == pytest.approx(of_both[1], abs=0.3)


def test_another_kind_of_surround_than_was_planned_is_refused(film: EncodedTitle) -> None:
    track = film.plan.audio[-1]
    assert check_audio_init(film.inits["audio-ec3"], track) == film.inits["audio-ec3"]
    for other in (replace(track, bitrate_bps=640_000), film.plan.audio[0]):
        with pytest.raises(BadEncode):
            check_audio_init(film.inits["audio-ec3"], other)


def heard(world: World, path: Path, folder: Path, channels: int) -> npt.NDArray[np.float32]:
    raw = folder / "heard.raw"
    ffmpeg(world, "-i", path, "-f", "f32le", raw)
    return np.fromfile(raw, np.float32).reshape(-1, channels)


def tone(world: World, path: Path, layout: str, levels: Sequence[float], rate: int = 48_000) -> Path:
    """Two seconds of picture, and a tone of its own pitch in each channel at this level."""
    parts = "|".join(f"{level}*sin(2*PI*{220 + 110 * place}*t)" for place, level in enumerate(levels))
    sound = ("-f", "lavfi", "-i", f"aevalsrc=exprs={parts}:c={layout}:s={rate}:d=2")
    picture = ("-f", "lavfi", "-i", "color=gray:size=64x64:rate=24:d=2")
    ffmpeg(world, *picture, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", path)
    return path


def level_of(sound: npt.NDArray[np.float32], place: int) -> float:
    """The amplitude of the tone that `tone` has put into channel `place`."""
    middle = sound[24_000:72_000].astype(np.float64)
    wave = np.exp(-2j * np.pi * (220 + 110 * place) * np.arange(len(middle)) / 48_000)
    return float(2 * abs((middle * wave).mean()))


def test_six_channels_become_two_as_the_recommendation_says(world: World, tmp_path: Path) -> None:
    source = tone(world, tmp_path / "wide.mkv", "5.1", [0.1] * 6)
    title = encode(world, source, tmp_path / "out")
    left, right = heard(world, title.whole("audio"), tmp_path, 2).T
    for place, (on_left, on_right) in enumerate([(1, 0), (0, 1), (0.7071, 0.7071), (0, 0), (0.7071, 0), (0, 0.7071)]):
        assert level_of(left, place) == pytest.approx(0.1 * on_left, abs=0.006)
        assert level_of(right, place) == pytest.approx(0.1 * on_right, abs=0.006)
    wide = heard(world, title.whole("audio-51"), tmp_path, 6).T
    for place in (0, 1, 2, 4, 5):  # the encoder takes from the low frequency channel what does not belong there
        assert level_of(wide[place], place) == pytest.approx(0.1, abs=0.01)


def test_a_loud_mix_is_held_below_full_scale(world: World, tmp_path: Path) -> None:
    """As the encoder gets it: AAC itself would make a frame that is too loud quieter, which is heard as pumping."""
    source = tone(world, tmp_path / "loud.mkv", "5.1", [0.95] * 6)
    title = encode(world, source, tmp_path / "out")
    command = audio_command(Work(title.plan, title.info, source, tmp_path, tools.ffmpeg(world.settings)), title.plan.audio[0])
    plain = {"aac": "pcm_f32le", "mp4": "mov"}
    run(world, replace(command, argv=tuple(plain.get(word, word) for word in command.argv)))
    assert 0.7 < np.abs(heard(world, tmp_path / "audio.mp4", tmp_path, 2)).max() <= 0.9  # without the limiter it is 1.95


@pytest.mark.parametrize(
    ("layout", "channels", "rate"),
    [("mono", 1, 8_000), ("3.0", 3, 44_100), ("quad", 4, 96_000), ("6.1", 7, 48_000), ("7.1", 8, 192_000), ("7.1.4", 12, 48_000)],
)
def test_any_number_of_channels_at_any_rate_is_heard(world: World, tmp_path: Path, layout: str, channels: int, rate: int) -> None:
    title = encode(world, tone(world, tmp_path / "odd.mkv", layout, [0.2] * channels, rate), tmp_path / "out")
    assert [track.channels for track in title.plan.audio] == ([2, 6] if channels > 5 else [2])
    for track in title.plan.audio:
        sound = heard(world, title.whole(track.name), tmp_path, track.channels)
        assert len(sound) == title.plan.grid.audio_frames() * AAC_FRAME_SAMPLES
        assert level_of(sound[:, 0], 0) == pytest.approx(0.2, abs=0.02)
