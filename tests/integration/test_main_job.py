"""The main job on real parts: any good source becomes a presentation that is whole, continuous, aligned and truly described."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from catalog.asset import AssetStatus, Profile
from kit.world import World
from media import keys
from media.grid import AAC_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.ids import AssetId
from tests.clips import Clips
from tests.judged import must_failures
from tests.presented import Presented, decoded_samples, decoded_times, present, read_back, texts_of
from tests.readback import ffprobe

SOURCES = (
    "plain", "rate-23.976", "rate-25", "rate-29.97", "rate-50", "rate-59.94", "rate-12.5", "rate-120", "rate-1", "no-audio", "vfr",
    "vfr-screen", "vfr-jitter", "rotated-90", "rotated-180", "rotated-270", "portrait", "tiny", "odd-size", "anamorphic", "yuv422",
    "high10", "rgb", "hevc-10bit", "hdr10", "prores", "av1", "webm", "open-gop", "open-gop-ts", "long-gop", "one-frame", "half-second",
    "fast-start", "fragmented", "mkv", "ts", "ts-wrap", "avi", "edit-list", "late-start", "audio-late", "audio-negative", "audio-short",
    "audio-long", "mono", "surround", "audio-8k", "audio-96k", "cover-last", "cover-first", "interlaced",
)  # fmt: skip

LADDERS: dict[str, tuple[str, Profile]] = {
    "hevc": ("rate-25", "h264+hevc"),
    "av1-beside-h264": ("rate-25", "h264+av1"),
    "hdr-kept": ("hdr10", "h264+hevc"),
}

FRONTEND = Path(__file__).parents[2] / "web" / "frontend"
STRICT = """
import * as HLS from 'hls-parser';
import { readFileSync } from 'node:fs';
HLS.setOptions({ strictMode: true });
for (const text of JSON.parse(readFileSync(0, 'utf8'))) HLS.parse(text);
"""


@dataclass(frozen=True)
class Shown(Presented):
    promised: dict[str, str]  # the playlists that were published before anything was encoded


@pytest.fixture(params=(*SOURCES, *LADDERS))
def shown(request: pytest.FixtureRequest, world: World, clips: Clips, tmp_path: Path) -> Shown:
    promised: dict[str, str] = {}

    def note(asset: AssetId) -> None:
        assert not [found for found in world.storage.list(keys.asset_prefix(asset)) if found.key.endswith(".m4s")]
        promised.update(texts_of(world, asset))

    clip, profile = LADDERS.get(request.param, (request.param, "default"))
    asset = present(world, clips(clip), note, profile)
    assert (asset.status, asset.error_code, asset.error_detail) == (AssetStatus.READY, None, None)
    assert must_failures(world, asset.id) == []
    found = read_back(world, asset, tmp_path)
    return Shown(found.asset, found.plan, found.multivariant, found.playlists, found.tracks, promised)


def test_a_source_becomes_a_correct_presentation(shown: Shown) -> None:
    grid = shown.plan.grid
    frame = 1 / grid.frame_rate
    for track in shown.video:
        times = decoded_times(track.file)
        assert len(times) == grid.frames, track.name
        assert times == [index * frame for index in range(grid.frames)], f"{track.name} is not continuous from 0"
        assert len({track.durations for track in shown.video}) == 1, "rungs have different segment boundaries"
        assert abs(track.duration - grid.duration) < Fraction(1, 1000)
    if shown.audio is not None:
        played = Fraction(decoded_samples(shown.audio.file), AUDIO_RATE_HZ)
        assert played % Fraction(AAC_FRAME_SAMPLES, AUDIO_RATE_HZ) == 0
        assert abs(played - grid.duration) <= max(frame, Fraction(AAC_FRAME_SAMPLES, AUDIO_RATE_HZ) / 2)
        assert abs(shown.audio.duration - played) < Fraction(1, 1000)
        assert shown.audio.target_duration_s == shown.video[0].target_duration_s
    _bandwidths_are_true(shown)
    _ranges_are_true(shown)
    _nothing_changed_but_the_rates(shown)
    _a_strict_parser_accepts((*shown.playlists.values(), *shown.promised.values()))


def _ranges_are_true(shown: Presented) -> None:
    """Checklist 22 and 23: the codec and VIDEO-RANGE of every variant are those of its bytes."""
    kinds = {"avc1": "h264", "hvc1": "hevc", "av01": "av1"}
    ranges = {"bt709": "SDR", "smpte2084": "PQ", "arib-std-b67": "HLG"}
    for attributes, name in re.findall(r"#EXT-X-STREAM-INF:(.*)\n.*/([^/]+)/index\.m3u8", shown.multivariant):
        (stream,) = ffprobe(shown.tracks[name].file, "-select_streams", "v")["streams"]
        assert kinds[re.findall(r'CODECS="(\w+)', attributes)[0]] == stream["codec_name"]
        assert re.findall(r"VIDEO-RANGE=(\w+)", attributes) == [ranges[stream["color_transfer"]]]
    assert re.findall(r'CODECS="(\w+)', shown.multivariant)[0] == "avc1", "a player begins with what every player can decode"


def _bandwidths_are_true(shown: Presented) -> None:
    """Of every rung with every form of the sound: the dearest member of the group counts."""
    variants = re.findall(r"#EXT-X-STREAM-INF:(.*)\n.*/([^/]+)/index\.m3u8", shown.multivariant)
    assert {name for _, name in variants} == {track.name for track in shown.video}
    for attributes, name in variants:
        said = {key: int(value) for key, value in re.findall(r"(?:^|,)((?:AVERAGE-)?BANDWIDTH)=(\d+)", attributes)}
        groups = "|".join(re.findall(r'AUDIO="([^"]+)"', attributes)) or "none"
        heard = re.findall(rf'TYPE=AUDIO,GROUP-ID="(?:{groups})".*/([^/]+)/index\.m3u8', shown.multivariant)
        track, sounds = shown.tracks[name], [shown.tracks[sound] for sound in heard]
        peak, average = max((sound.peak_bps() for sound in sounds), default=0), max((sound.average_bps() for sound in sounds), default=0)
        assert said["BANDWIDTH"] == pytest.approx(track.peak_bps() + peak, rel=0.01)
        assert said["AVERAGE-BANDWIDTH"] == pytest.approx(track.average_bps() + average, rel=0.01)


def _nothing_changed_but_the_rates(shown: Shown) -> None:
    """All playlists were there before the first encode, and are the same bytes since."""
    assert list(shown.promised) == list(shown.playlists)
    rates = re.compile(r"BANDWIDTH=\d+")
    for address, text in shown.playlists.items():
        before = shown.promised[address]
        assert before == text if address != "main.m3u8" else rates.sub("", before) == rates.sub("", text), address


def _a_strict_parser_accepts(playlists: tuple[str, ...]) -> None:
    from tests.node import node

    done = subprocess.run(
        (node(), "--input-type=module", "-e", STRICT), cwd=FRONTEND, input=json.dumps(playlists), capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
