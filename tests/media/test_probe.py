"""The probe of real files: what FFmpeg writes, ffprobe reads and we conclude. Lines of the encoding checklist are named."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ingest.probe import probe
from kit.errors import Rejected
from kit.world import World
from media.info import MediaInfo, VideoStream
from tests.clips import Clips
from tests.readback import decode_luma

NTSC = Fraction(1000, 1001)


@pytest.fixture
def look(local_world: World, clips: Clips) -> Any:
    def look(name: str) -> tuple[MediaInfo, VideoStream]:
        info = probe(local_world, clips(name))
        assert info.video is not None
        return info, info.video

    return look


# name -> rate of the encode, whether the source is even, pictures, seconds
RATES = {
    "plain": (Fraction(24), True, 144, Fraction(6)),
    "rate-23.976": (24 * NTSC, True, 96, Fraction(4004, 1000)),
    "rate-25": (Fraction(25), True, 100, Fraction(4)),
    "rate-29.97": (30 * NTSC, True, 120, Fraction(4004, 1000)),
    "rate-30": (Fraction(30), True, 120, Fraction(4)),
    "rate-48": (Fraction(48), True, 96, Fraction(2)),
    "rate-50": (Fraction(50), True, 200, Fraction(4)),
    "rate-59.94": (60 * NTSC, True, 240, Fraction(4004, 1000)),
    "rate-60": (Fraction(60), True, 240, Fraction(4)),
    "rate-12.5": (Fraction(25, 2), True, 50, Fraction(4)),
    "rate-15": (Fraction(15), True, 30, Fraction(2)),
    "rate-18": (Fraction(18), True, 36, Fraction(2)),
    "rate-120": (Fraction(60), True, 240, Fraction(2)),
    "rate-100": (Fraction(50), True, 200, Fraction(2)),
    "rate-119.88": (60 * NTSC, True, 240, Fraction(2002, 1000)),
    "rate-7": (Fraction(14), True, 14, Fraction(2)),
    "rate-1": (Fraction(10), True, 2, Fraction(2)),
    "vfr": (Fraction(60), False, 180, Fraction(239, 60)),
    "vfr-screen": (Fraction(60), False, 90, Fraction(9, 2)),
    "vfr-jitter": (Fraction(30), False, 120, Fraction(4005, 1000)),
    "mkv": (24 * NTSC, True, 96, Fraction(4004, 1000)),
    "webm": (Fraction(24), True, 72, Fraction(3)),
    "av1": (Fraction(24), True, 48, Fraction(2)),
    "ts": (Fraction(25), True, 100, Fraction(4)),
    "ts-wrap": (Fraction(25), True, 100, Fraction(4)),
    "flv": (Fraction(30), True, 60, Fraction(2)),
    "avi": (Fraction(25), True, 100, Fraction(4)),
    "mpeg-ps": (Fraction(25), True, 50, Fraction(2)),
    "fragmented": (Fraction(24), True, 144, Fraction(6)),
    "fast-start": (Fraction(24), True, 144, Fraction(6)),
    "edit-list": (Fraction(24), True, 192, Fraction(8)),
    "late-start": (Fraction(24), True, 144, Fraction(6)),
    "open-gop": (Fraction(24), True, 96, Fraction(4)),
    "open-gop-ts": (Fraction(24), True, 96, Fraction(4)),
    "long-gop": (Fraction(24), True, 336, Fraction(14)),
    "hevc-10bit": (Fraction(24), True, 72, Fraction(3)),
    "interlaced": (Fraction(25), True, 50, Fraction(2)),
    "one-frame": (Fraction(24), True, 1, Fraction(1, 24)),
    "half-second": (Fraction(24), True, 12, Fraction(1, 2)),
    "attachments": (Fraction(24), True, 12, Fraction(1, 2)),
    "cover-first": (Fraction(25), True, 100, Fraction(4)),
}


@pytest.mark.parametrize("name", RATES)
def test_rate_count_and_length(look: Any, clips: Clips, name: str) -> None:
    """Checklist 34, 44: the grid comes from what is there; the count of pictures is the decoder's."""
    _, video = look(name)
    rate, constant, pictures, length = RATES[name]
    assert (video.frame_rate, video.constant_rate, video.packets, video.end - video.start) == (rate, constant, pictures, length)
    assert len(decode_luma(clips(name), 16, 16)) == pictures


@pytest.mark.parametrize(
    ("name", "start"),
    [
        *(("plain", Fraction(0)), ("avi", Fraction(1, 25)), ("mpeg-ps", Fraction(54, 100)), ("flv", Fraction(21, 1000))),
        *(("late-start", Fraction(36014, 10)), ("audio-negative", Fraction(3, 4)), ("edit-list", Fraction(0))),
    ],
)
def test_the_first_picture_is_where_the_decoder_shows_it(look: Any, name: str, start: Fraction) -> None:
    _, video = look(name)
    assert video.start == start


@pytest.mark.parametrize(
    ("name", "display", "stored", "rotation"),
    [
        ("plain", (320, 180), (320, 180), 0),
        ("rotated-90", (180, 320), (320, 180), 90),
        ("rotated-180", (320, 180), (320, 180), 180),
        ("rotated-270", (180, 320), (320, 180), 270),
        ("portrait", (180, 320), (180, 320), 0),
        ("anamorphic", (512, 288), (352, 288), 0),
        ("odd-size", (641, 361), (641, 361), 0),
        ("tiny", (16, 16), (16, 16), 0),
        ("wide", (8192, 512), (8192, 512), 0),
        ("uhd", (3840, 2160), (3840, 2160), 0),
    ],
)
def test_geometry(look: Any, name: str, display: tuple[int, int], stored: tuple[int, int], rotation: int) -> None:
    """Checklist 33, 38, 39."""
    _, video = look(name)
    assert ((video.width, video.height), (video.coded_width, video.coded_height), video.rotation) == (display, stored, rotation)


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "depth", "hdr"),
    [
        ("plain", "h264", "yuv420p", 8, "sdr"),
        ("yuv422", "h264", "yuv422p", 8, "sdr"),
        ("high10", "h264", "yuv420p10le", 10, "sdr"),
        ("rgb", "h264", "gbrp", 8, "sdr"),
        ("hevc-10bit", "hevc", "yuv420p10le", 10, "sdr"),
        ("hdr10", "hevc", "yuv420p10le", 10, "hdr10"),
        ("hlg", "hevc", "yuv420p10le", 10, "hlg"),
        ("dolby-vision-8.1", "hevc", "yuv420p10le", 10, "dolby_vision"),
        ("prores", "prores", "yuv422p10le", 10, "sdr"),
        ("av1", "av1", "yuv420p", 8, "sdr"),
        ("webm", "vp9", "yuv420p", 8, "sdr"),
        ("avi", "mpeg4", "yuv420p", 8, "sdr"),
        ("mpeg-ps", "mpeg2video", "yuv420p", 8, "sdr"),
    ],
)
def test_codec_and_pixels(look: Any, name: str, codec: str, pixel_format: str, depth: int, hdr: str) -> None:
    """Checklist 36, 37, 43: AV1 is described although this ffprobe cannot decode it."""
    _, video = look(name)
    assert (video.codec, video.pixel_format, video.bit_depth, video.hdr) == (codec, pixel_format, depth, hdr)


def test_hdr_colours_are_named(look: Any) -> None:
    _, video = look("hdr10")
    assert (video.color_space, video.color_transfer, video.color_primaries) == ("bt2020nc", "smpte2084", "bt2020")


def test_interlaced_is_noticed(look: Any) -> None:
    assert look("interlaced")[1].interlaced
    assert not look("plain")[1].interlaced


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("plain", [0, 2, 4]),
        ("long-gop", [0]),
        ("edit-list", [1, 3, 5, 7]),
        ("prores", [0, Fraction(1, 2), 1, Fraction(3, 2)]),
        ("open-gop", [0, 1, 2, 3]),
        ("hevc-10bit", [0, 1, 2]),
    ],
)
def test_where_decoding_can_begin(look: Any, name: str, times: list[Fraction]) -> None:
    _, video = look(name)
    assert list(video.keyframes) == times


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("sync", Fraction(0), Fraction(20)),
        ("audio-late", Fraction(22287, 10_000), Fraction(801, 100)),
        ("audio-negative", Fraction(0), Fraction(8)),
        ("audio-short", Fraction(0), Fraction(15, 10)),
        ("audio-long", Fraction(0), Fraction(6)),
    ],
)
def test_where_the_sound_is(look: Any, name: str, start: Fraction, end: Fraction) -> None:
    """Checklist 16."""
    info, video = look(name)
    (sound,) = info.audio
    assert abs(sound.start - start) < Fraction(1, 1000)
    assert abs(sound.end - end) < Fraction(3, 1000)
    assert info.duration == max(video.end, sound.end) - min(video.start, sound.start)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("mono", "aac", 44_100, 1),
        ("surround", "aac", 48_000, 6),
        ("surround-7.1", "pcm_s16le", 48_000, 8),
        ("audio-8k", "aac", 8_000, 1),
        ("audio-96k", "aac", 96_000, 2),
        ("webm", "opus", 48_000, 2),
    ],
)
def test_sound(look: Any, name: str, codec: str, rate: int, channels: int) -> None:
    """Checklist 17."""
    (sound,) = look(name)[0].audio
    assert (sound.codec, sound.sample_rate, sound.channels) == (codec, rate, channels)


def test_no_sound(look: Any) -> None:
    info, video = look("no-audio")
    assert info.audio == ()
    assert info.duration == video.end - video.start == 4


def test_languages_and_subtitles(look: Any) -> None:
    """Checklist 46, 47."""
    info, _ = look("languages")
    assert [(sound.language, sound.title, sound.default) for sound in info.audio] == [
        ("en", "Commentary", False),
        ("fr", "", True),
        ("und", "", False),
    ]
    assert info.subtitle_codecs == ("subrip",)


@pytest.mark.parametrize(("name", "index"), [("cover-first", 1), ("cover-last", 0)])
def test_cover_art_is_not_the_video(look: Any, name: str, index: int) -> None:
    """Checklist 41."""
    info, video = look(name)
    assert (video.index, video.codec, info.attached_pictures) == (index, "h264", 1)


def test_progress_is_told(local_world: World, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.probe.REPORT_EVERY", 50)
    told: list[float] = []
    probe(local_world, clips("plain"), told.append)
    assert told == sorted(told)
    assert 0 < told[0] <= told[-1] <= 1


def _shared_clips() -> list[Path]:
    folder = Path(os.environ.get("HEADWATER_SHARED") or Path(__file__).parents[3] / "shared") / "media"
    return sorted(folder.glob("*.mp4"))


if _shared_clips():

    @pytest.mark.parametrize("path", _shared_clips(), ids=lambda path: path.name)
    def test_real_clips_at_hand(local_world: World, path: Path) -> None:
        """Real films, where somebody has put some: they are accepted, and as long as their pictures say."""
        info = probe(local_world, path)
        assert info.video is not None
        assert info.video.packets == len(decode_luma(path, 16, 16))
        assert info.video.end - info.video.start == info.video.packets / info.video.frame_rate


def test_limits_are_the_operators(local_world: World, clips: Clips) -> None:
    small = replace(local_world, settings=replace(local_world.settings, max_pixels=100_000))
    with pytest.raises(Rejected) as refused:
        probe(small, clips("uhd"))
    assert refused.value.code == "too_many_pixels"
    with pytest.raises(Rejected) as refused:
        probe(replace(local_world, settings=replace(local_world.settings, max_duration_s=3)), clips("plain"))
    assert refused.value.code == "too_long"
    with pytest.raises(Rejected) as refused:
        probe(replace(local_world, settings=replace(local_world.settings, max_upload_bytes=3)), clips("plain"))
    assert refused.value.code == "too_large"
