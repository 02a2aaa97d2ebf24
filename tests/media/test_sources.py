"""Awkward sources from end to end: probed, planned, encoded, and read back by their pictures. Checklist 6, 11, 14-16, 33-41.

Every picture of a clip says its own number, so "upright, complete, at the right time" is something that can be read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.probe import probe
from kit.world import World
from media.info import MediaInfo
from media.plan import EncodePlan
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode
from tests.media.conftest import world_without_servers
from tests.readback import clicks, decode_luma, ffprobe, flashes, frame_numbers
from transcode.plan import PlanOptions, make_plan


@dataclass(frozen=True)
class Made:
    """What was made of a clip."""

    title: EncodedTitle

    @property
    def info(self) -> MediaInfo:
        return self.title.info

    @property
    def plan(self) -> EncodePlan:
        return self.title.plan

    @property
    def top(self) -> Path:
        return self.title.whole(self.plan.video[-1].name)

    @property
    def sound(self) -> Path:
        return self.title.whole("audio")

    @property
    def numbers(self) -> list[int | None]:
        rung = self.plan.video[-1]
        return frame_numbers(self.top, "-noautorotate", width=rung.width, height=rung.height)

    def stream(self) -> dict[str, Any]:
        (stream,) = ffprobe(self.top, "-select_streams", "v")["streams"]
        return dict(stream)


Make = Callable[[str], Made]


@pytest.fixture(scope="module")
def make(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Probe and plan a clip, and encode it and its sound; once for all tests of this module."""
    world = world_without_servers(tmp_path_factory.mktemp("sources"))

    @cache
    def make(name: str) -> Made:
        return Made(encode(world, clips(name), tmp_path_factory.mktemp(name)))

    return make


def every(count: int) -> list[int]:
    return list(range(count))


# name -> the number painted on each picture of the result
PICTURES: dict[str, list[int]] = {
    "plain": every(144),
    "rate-23.976": every(96),
    "rate-29.97": every(120),
    "rate-12.5": every(50),
    "rate-18": every(36),
    "rate-120": [2 * index for index in range(120)],
    "rate-119.88": [2 * index for index in range(120)],
    "rate-100": [2 * index for index in range(100)],
    "rate-7": [index // 2 for index in range(28)],
    "rate-1": [index // 10 for index in range(20)],
    # A second at 60, one at 30 (every second number twice), and so on; the last picture lasts one frame.
    "vfr": [index if index % 120 < 60 else index - index % 2 for index in range(239)],
    # Half a second of pictures, then the last one stays until the next burst.
    "vfr-screen": [index if index % 120 < 30 else index - index % 120 + 29 for index in range(270)],
    "rotated-90": every(72),
    "rotated-180": every(72),
    "rotated-270": every(72),
    "portrait": every(48),
    "anamorphic": every(48),
    "odd-size": every(48),
    "yuv422": every(48),
    "high10": every(48),
    "rgb": every(48),
    "hevc-10bit": every(72),
    "hdr10": every(48),
    "hlg": every(48),
    "dolby-vision-8.1": every(48),
    "prores": every(48),
    "av1": every(48),
    "webm": every(72),
    "vp8": every(48),
    "wmv": every(50),
    "dv": every(25),
    "mirrored": every(48),
    "mkv": every(96),
    "ts": every(100),
    "ts-wrap": every(100),
    "avi": every(100),
    "mpeg-ps": every(50),
    "flv": every(60),
    "fragmented": every(144),
    "open-gop": every(96),
    "open-gop-ts": every(96),
    "long-gop": every(336),
    "edit-list": [24 + index for index in range(192)],
    "cover-first": every(100),
    "one-frame": [0],
    "half-second": every(12),
    "wide": every(12),
    "interlaced": [2 * index for index in range(50)],  # the upper field of each frame is an even picture
    # Film carried as video: each fourth picture stays for two, none is lost and none is a blend.
    "telecined": [4 * (index // 5) + (0, 1, 1, 2, 3)[index % 5] for index in range(60)],
    "truncated-ts": every(61),
    # Its sound can be heard from the beginning, so the first picture stands for the time before it.
    "cut-start": [48] * 22 + [48 + index for index in range(52)],
    "size-change": every(100),
}


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_there_upright_and_in_order(make: Make, name: str) -> None:
    made = make(name)
    assert made.numbers == PICTURES[name]
    assert made.plan.grid.frames == len(PICTURES[name])


SIZES = {
    "plain": (320, 180),
    "rotated-90": (180, 320),
    "rotated-180": (320, 180),
    "rotated-270": (180, 320),
    "portrait": (180, 320),
    "anamorphic": (512, 288),
    "odd-size": (640, 360),
    "tiny": (16, 16),
    "wide": (4096, 256),
}


@pytest.mark.parametrize("name", [*SIZES, "yuv422", "high10", "rgb", "hevc-10bit", "hdr10", "prores", "interlaced", "avi", "one-frame"])
def test_what_comes_out_is_what_every_browser_plays(make: Make, name: str) -> None:
    made = make(name)
    stream = made.stream()
    assert (stream["codec_name"], stream["profile"], stream["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert stream["sample_aspect_ratio"] == "1:1"
    assert stream.get("field_order", "progressive") == "progressive"
    assert "side_data_list" not in stream or all("Matrix" not in item["side_data_type"] for item in stream["side_data_list"])
    assert (stream["color_space"], stream["color_transfer"], stream["color_primaries"], stream["color_range"]) == (*("bt709",) * 3, "tv")
    if made.plan.grid.frames > 1:
        assert Fraction(stream["r_frame_rate"]) == made.plan.grid.frame_rate
    if name in SIZES:
        assert (stream["width"], stream["height"]) == SIZES[name]


def test_a_rate_of_an_awkward_source_is_never_above_sixty(make: Make) -> None:
    """Checklist 34: no explosion of repeated frames."""
    for name in ("rate-120", "vfr", "vfr-screen"):
        made = make(name)
        assert made.plan.grid.frame_rate <= 60
        assert made.plan.grid.frames <= 60 * float(made.plan.grid.duration) + 1


def test_hdr_becomes_a_plausible_picture(make: Make) -> None:
    """Checklist 36: neither washed out nor black; the same picture in SDR is not far away."""
    plain = decode_luma(make("plain").top, 32, 18)[0].mean()
    for name in ("hdr10", "hlg"):
        mean = decode_luma(make(name).top, 32, 18)[0].mean()
        assert 0.5 * plain < mean < 1.6 * plain, (name, mean, plain)


def test_interlaced_pictures_show_no_comb(make: Make) -> None:
    """Checklist 35: neighbouring lines of a moving picture differ no more than lines of the progressive one do."""

    def roughness(path: Path) -> float:
        frames = decode_luma(path, 352, 288).astype(int)[5:45, 48:]
        return float(abs(2 * frames[:, 1:-1] - frames[:, :-2] - frames[:, 2:]).mean())

    woven, clean = make("interlaced"), make("anamorphic")
    assert roughness(woven.top) < 2 * roughness(clean.top)


@pytest.mark.parametrize(
    ("name", "missing"),
    [("sync", 0), ("edit-list", 0), ("late-start", 0), ("audio-late", 2), ("audio-negative", 1)],
)
def test_sound_and_picture_stay_together(make: Make, name: str, missing: int) -> None:
    """Checklist 14-16: every flash has its click within half a frame, also where audio starts late or early."""
    made = make(name)
    rate = float(made.plan.grid.frame_rate)
    seen = [index / rate for index in flashes(made.top)]
    heard = clicks(made.sound)
    longer, shorter = (seen, heard) if len(seen) >= len(heard) else (heard, seen)
    assert len(longer) - len(shorter) == missing
    assert len(shorter) >= 5
    for at in shorter:
        assert min(abs(at - other) for other in longer) < 0.5 / rate, (name, at, longer)


@pytest.mark.parametrize("name", ["audio-short", "audio-long", "mono", "surround", "surround-7.1", "audio-8k", "audio-96k"])
def test_the_sound_is_as_long_as_the_picture(make: Make, name: str) -> None:
    """Checklist 15-17."""
    made = make(name)
    (stream,) = ffprobe(made.sound)["streams"]
    assert (stream["codec_name"], stream["sample_rate"], stream["channels"]) == ("aac", "48000", 2)
    packets = ffprobe(made.sound, "-count_packets")["streams"][0]["nb_read_packets"]
    assert int(packets) == made.plan.grid.audio_frames()
    assert abs(made.plan.grid.audio_frames() * 1024 / 48_000 - float(made.plan.grid.duration)) < 1024 / 48_000


def test_no_upscaling_and_five_rungs_for_uhd(local_world: World, clips: Clips) -> None:
    """Checklist 40."""

    def rungs(name: str) -> list[str]:
        return [rung.name for rung in make_plan(probe(local_world, clips(name)), "0", PlanOptions(), "tested").video]

    assert rungs("uhd") == ["480p", "720p", "1080p", "1440p", "2160p"]
    assert rungs("plain") == ["180p"]
    assert rungs("portrait") == ["180p"]
