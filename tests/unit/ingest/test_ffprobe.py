"""What ffprobe's stored answers mean. `tests/media/test_probe_answers.py` proves that they are its answers."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ingest import checks, ffprobe
from ingest.described import media_info
from ingest.ffprobe import Found, FoundVideo, parse_streams
from ingest.packets import PacketScan
from kit.errors import Rejected
from media import accepted
from media.info import MediaInfo, VideoStream

FOLDER = Path(__file__).parent.parent.parent / "golden" / "ffprobe"


def found(name: str) -> Found:
    return parse_streams((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def video(name: str) -> FoundVideo:
    stream = found(name).video
    assert stream is not None
    return stream


def info(name: str) -> tuple[MediaInfo, VideoStream]:
    """The info of a clip whose packets are stored too."""
    streams = found(name)
    assert streams.video is not None
    scan = PacketScan(streams.video.index, streams.video.reorder_depth, streams.ticks)
    for line in (FOLDER / f"{name}.csv").read_text(encoding="utf-8").splitlines():
        scan.line(line)
    whole = media_info(streams, scan.result(), 12345)
    assert whole.video is not None
    return whole, whole.video


def changed(name: str, **fields: Any) -> Found:
    """The answer for a clip with fields of its first stream replaced."""
    answer = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    answer["streams"][0].update(fields)
    return parse_streams(json.dumps(answer))


def test_an_ordinary_clip() -> None:
    answer = found("plain")
    assert (answer.container, answer.streams, answer.claimed_end) == ("mov,mp4,m4a,3gp,3g2,mj2", 2, 6)
    assert answer.ticks == {0: Fraction(1, 12_288), 1: Fraction(1, 48_000)}
    assert answer.video == FoundVideo(
        index=0,
        codec="h264",
        width=320,
        height=180,
        pixel_aspect=Fraction(1),
        rotation=0,
        pixel_format="yuv420p",
        bit_depth=8,
        interlaced=False,
        color_space="unknown",
        color_transfer="unknown",
        color_primaries="unknown",
        full_range=False,
        dolby_vision=None,
        reorder_depth=0,
        claimed_rates=(Fraction(24), Fraction(24)),
        claimed_end=Fraction(6),
    )
    (sound,) = answer.audio
    assert (sound.codec, sound.sample_rate, sound.channels, sound.channel_layout, sound.default) == ("aac", 48_000, 2, "stereo", True)


@pytest.mark.parametrize(
    ("name", "size"),
    [("plain", (320, 180)), ("rotated-90", (180, 320)), ("anamorphic", (512, 288)), ("high10", (320, 180))],
)
def test_display_size_is_upright_with_square_pixels(name: str, size: tuple[int, int]) -> None:
    assert video(name).display_size == size


@pytest.mark.parametrize(
    "aspect", [Fraction(16, 11), Fraction(32, 27), Fraction(4, 3), Fraction(8, 9), Fraction(1280, 1281), Fraction(12, 11)]
)
@pytest.mark.parametrize("size", [(720, 576), (720, 480), (1440, 1080), (352, 288), (33, 17)])
def test_display_aspect_is_kept_within_one_percent(aspect: Fraction, size: tuple[int, int]) -> None:
    """Checklist 39; small pictures can only be as exact as a pixel."""
    answer = changed("plain", width=size[0], height=size[1], sample_aspect_ratio=f"{aspect.numerator}:{aspect.denominator}")
    assert answer.video is not None
    width, height = answer.video.display_size
    wanted = size[0] * aspect / size[1]
    assert abs(Fraction(width, height) / wanted - 1) <= max(Fraction(1, 100), Fraction(1, min(width, height)))


@pytest.mark.parametrize(("said", "clockwise"), [(-90, 90), (90, 270), (180, 180), (-180, 180), (-270, 270), (0, 0), (-89.6, 90), (360, 0)])
def test_ffprobe_counts_rotation_the_other_way(said: float, clockwise: int) -> None:
    answer = changed("plain", side_data_list=[{"side_data_type": "Display Matrix", "rotation": said}])
    assert answer.video is not None
    assert answer.video.rotation == clockwise


def test_a_turned_picture_has_its_pixel_aspect_turned_with_it() -> None:
    answer = changed("anamorphic", side_data_list=[{"side_data_type": "Display Matrix", "rotation": -90}])
    assert answer.video is not None
    assert answer.video.display_size == (288, 512)


def test_cover_art_is_counted_and_never_the_video() -> None:
    answer = found("cover-first")
    assert answer.video is not None
    assert (answer.video.index, answer.video.codec, answer.attached_pictures) == (1, "h264", 1)
    assert found("mp3-cover").video is None
    assert found("mp3-cover").attached_pictures == 1


def test_of_two_videos_the_default_then_the_larger_is_taken() -> None:
    plain = {"codec_type": "video", "codec_name": "h264", "time_base": "1/1000"}
    small = {**plain, "index": 0, "width": 320, "height": 180}
    large = {**plain, "index": 1, "width": 640, "height": 360}
    form = {"format_name": "mov", "nb_streams": 2}

    def chosen(*streams: dict[str, Any]) -> int | None:
        answer = parse_streams(json.dumps({"streams": streams, "format": form}))
        return answer.video and answer.video.index

    assert chosen(small, large) == 1
    assert chosen({**small, "disposition": {"default": 1}}, large) == 0
    assert chosen(small, {**small, "index": 1}) == 0


def test_audio_tracks_keep_their_names_and_languages() -> None:
    english, french, unknown = found("languages").audio
    assert (english.language, english.title, english.default) == ("en", "Commentary", False)
    assert (french.language, french.title, french.default) == ("fr", "", True)
    assert unknown.language == "und"
    assert found("languages").subtitle_codecs == ("subrip",)


def test_audio_that_cannot_be_decoded_is_left_out() -> None:
    answer = json.loads((FOLDER / "plain.json").read_text(encoding="utf-8"))
    for broken in ({"codec_name": "apac"}, {"sample_rate": "0"}, {"channels": 0}, {"codec_name": None}):
        sound = {**answer["streams"][1], **broken}
        assert parse_streams(json.dumps({**answer, "streams": [answer["streams"][0], sound]})).audio == ()


@pytest.mark.parametrize(
    ("name", "profile"),
    [("dolby-vision-5", (5, 0)), ("dolby-vision-8.1", (8, 1)), ("hdr10", None)],
)
def test_dolby_vision_is_told_by_its_record(name: str, profile: tuple[int, int] | None) -> None:
    assert video(name).dolby_vision == profile


@pytest.mark.parametrize(("name", "depth"), [("plain", 8), ("high10", 10), ("hdr10", 10), ("prores", 10)])
def test_bit_depth(name: str, depth: int) -> None:
    assert video(name).bit_depth == depth


@pytest.mark.parametrize(
    ("pixel_format", "depth"),
    [
        ("yuv420p10le", 10),
        ("p010le", 10),
        ("yuv444p12be", 12),
        ("gray16le", 16),
        ("gbrp10le", 10),
        ("yuvj420p", 8),
        ("nv12", 8),
        ("rgb24", 8),
    ],
)
def test_bit_depth_is_read_from_the_pixel_format_when_not_said(pixel_format: str, depth: int) -> None:
    answer = changed("plain", bits_per_raw_sample="N/A", pix_fmt=pixel_format)
    assert answer.video is not None
    assert answer.video.bit_depth == depth


def test_interlaced_and_full_range() -> None:
    assert video("interlaced").interlaced
    assert not video("plain").interlaced
    wide = changed("plain", color_range="pc").video
    old = changed("plain", pix_fmt="yuvj420p").video
    assert wide is not None and wide.full_range
    assert old is not None and old.full_range


def test_matroska_says_how_long_a_track_is_in_a_tag() -> None:
    assert video("mkv").claimed_end == Fraction(4004, 1000)


def test_a_stale_tag_does_not_outlast_its_container() -> None:
    stale = changed("mkv", tags={"DURATION": "01:30:00.000000000"})
    assert stale.video is not None
    assert stale.video.claimed_end == stale.claimed_end == Fraction(4021, 1000)


def test_attachments_are_not_tracks() -> None:
    answer = json.loads((FOLDER / "plain.json").read_text(encoding="utf-8"))
    answer["streams"] += [{"index": 2 + index, "codec_type": "attachment"} for index in range(40)]
    assert parse_streams(json.dumps(answer)).streams == 2


def test_avi_says_how_long_it_is_by_counting_pictures() -> None:
    assert video("avi").claimed_end == 4


@pytest.mark.parametrize(
    ("name", "start", "end", "pictures", "rate"),
    [
        ("mkv", Fraction(0), Fraction(4004, 1000), 96, Fraction(24000, 1001)),
        ("avi", Fraction(1, 25), Fraction(101, 25), 100, Fraction(25)),
        ("edit-list", Fraction(0), Fraction(8), 192, Fraction(24)),
        ("mpeg-ps", Fraction(54, 100), Fraction(254, 100), 50, Fraction(25)),
        ("open-gop", Fraction(0), Fraction(4), 96, Fraction(24)),
    ],
)
def test_the_timeline_comes_from_packets(name: str, start: Fraction, end: Fraction, pictures: int, rate: Fraction) -> None:
    whole, stream = info(name)
    assert (stream.start, stream.end, stream.packets, stream.frame_rate) == (start, end, pictures, rate)
    assert stream.constant_rate
    assert whole.size_bytes == 12345
    assert whole.duration >= stream.end - stream.start


def test_audio_reaches_as_far_as_its_packets() -> None:
    whole, _ = info("edit-list")
    (sound,) = whole.audio
    assert (sound.start, sound.end) == (0, Fraction(3001, 375))


def test_without_video_sound_or_pictures_there_is_no_info() -> None:
    nothing = PacketScan(0, 0, {0: Fraction(1, 1000)}).result()
    with pytest.raises(Rejected) as silent:
        media_info(found("mp3-cover"), nothing, 1)
    assert silent.value.code == "no_sound"
    with pytest.raises(Rejected) as neither:
        media_info(replace(found("mp3-cover"), audio=()), nothing, 1)
    assert neither.value.code == "no_video_stream"
    with pytest.raises(Rejected) as blank:
        media_info(found("plain"), nothing, 1)
    assert blank.value.code == "no_pictures"


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "{}", '{"format": 3}', '{"format": {"format_name": ""}}', "[" * 100_000])
def test_an_answer_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_streams(text)
    assert refused.value.code == "unsupported_format"


def test_commands_hold_ffprobe_to_local_files_and_accepted_formats() -> None:
    source = Path("/tmp/-i; rm.mp4")
    for command in (ffprobe.streams_command("ffprobe", source, 1000), ffprobe.packets_command("ffprobe", source, 1000, 10**9)):
        argv = command.argv
        assert argv[-1] == "file:/tmp/-i; rm.mp4"
        assert argv[argv.index("-protocol_whitelist") + 1] == "file"
        formats = argv[argv.index("-format_whitelist") + 1].split(",")
        assert not {"hls", "concat", "dash", "sdp", "image2", "rtsp", "lavfi"} & set(formats)
        assert "magicyuv" not in argv[argv.index("-codec_whitelist") + 1].split(",")
        assert argv[argv.index("-max_pixels") + 1] == "1000"


def test_a_small_file_is_given_less_than_a_minute_and_a_large_one_more() -> None:
    def limit_s(size_bytes: int) -> float:
        packets = ffprobe.packets_command("ffprobe", Path("x"), 1000, size_bytes)
        return ffprobe.streams_command("ffprobe", Path("x"), 1000).timeout_s + packets.timeout_s

    assert limit_s(1_000_000) < 60 < limit_s(1_000_000_000) < limit_s(10**12) < 3700


@pytest.mark.parametrize("size_bytes", [100_000, 5_771_587, 1_000_000_000])
def test_every_number_of_packets_that_is_accepted_has_the_time_to_be_counted(size_bytes: int) -> None:
    """An hour of darkness and silence in 5.8 MB is 255,064 packets, which took 2.6 CPU seconds."""
    packets = checks.FREE_PACKETS + size_bytes // checks.SMALLEST_PACKET_BYTES
    assert checks.check_count(0, packets, size_bytes) is None or packets > checks.MOST_PACKETS
    confine = ffprobe.packets_command("ffprobe", Path("x"), 1000, size_bytes).confine
    assert confine is not None
    assert confine.cpu_s >= min(packets, checks.MOST_PACKETS) / 110_000


def test_the_accepted_words_are_spelled_once() -> None:
    assert len(set(accepted.DECODERS)) == len(accepted.DECODERS)
    assert len(set(accepted.DEMUXERS)) == len(accepted.DEMUXERS)
    assert not set(accepted.VIDEO_CODECS) & set(accepted.AUDIO_CODECS)
