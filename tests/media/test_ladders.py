"""The ladders beside the H.264 one: HEVC, HDR and AV1 segments that stand alone, are the same bytes however they are made, and say what
they are."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from kit import tools
from kit.world import World
from media.isobmff import colours
from tests.clips import Clips
from tests.encoded import EncodedTitle, encode, run, video
from tests.media.conftest import world_without_servers
from tests.readback import decode_luma, ffprobe, frame_numbers
from transcode.ffmpeg.run import Work
from transcode.ffmpeg.video import encode_command, segment_path
from transcode.plan import PlanOptions
from transcode.profiles import Named
from transcode.verify import RANGES, BadEncode, MissingFrames, check_video, check_video_init

PROFILES: dict[str, tuple[str, Named]] = {
    "hevc": ("small", "h264+hevc"),
    "av1": ("small", "h264+av1"),
    "hdr10": ("hdr10", "h264+hevc"),
    "hlg": ("hlg", "h264+hevc"),
    "dolby": ("dolby-vision-8.4", "archive"),
    "hdr-av1": ("hdr10", "h264+av1"),
}


@pytest.fixture(scope="module")
def titles(clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> dict[str, EncodedTitle]:
    world = world_without_servers(tmp_path_factory.mktemp("ladders"))

    def made(clip: str, profile: Named) -> EncodedTitle:
        return encode(world, clips(clip), tmp_path_factory.mktemp(clip), PlanOptions(profile=profile))

    return {name: made(*what) for name, what in PROFILES.items()}


def stream(title: EncodedTitle, name: str) -> dict[str, Any]:
    (found,) = ffprobe(title.whole(name), "-select_streams", "v")["streams"]
    return dict(found)


@pytest.mark.parametrize("name", PROFILES)
def test_every_picture_of_every_ladder_is_there_at_its_time(titles: dict[str, EncodedTitle], name: str) -> None:
    title = titles[name]
    for rung in title.plan.video:
        shown = frame_numbers(title.whole(rung.name), width=rung.width, height=rung.height)
        assert shown == list(range(title.plan.grid.frames)), rung.name
        first = ffprobe(title.whole(rung.name), "-select_streams", "v")["streams"][0]["start_time"]
        assert float(first) == 0, rung.name


@pytest.mark.parametrize(("name", "codec", "profile", "pixels", "tag"), [
    ("hevc", "hevc", "Main", "yuv420p", "hvc1"),
    ("hdr10", "hevc", "Main 10", "yuv420p10le", "hvc1"),
    ("av1", "av1", "Main", "yuv420p", "av01"),
])  # fmt: skip
def test_a_ladder_is_in_its_codec(titles: dict[str, EncodedTitle], name: str, codec: str, profile: str, pixels: str, tag: str) -> None:
    title = titles[name]
    common, other = title.plan.video[0], title.plan.video[-1]
    assert (stream(title, common.name)["codec_name"], stream(title, common.name)["profile"]) == ("h264", "High")
    found = stream(title, other.name)
    assert (found["codec_name"], found["profile"], found["pix_fmt"], found["codec_tag_string"]) == (codec, profile, pixels, tag)
    assert (found["width"], found["height"], found["sample_aspect_ratio"]) == (other.width, other.height, "1:1")


@pytest.mark.parametrize("name", PROFILES)
def test_no_rendition_says_it_has_another_range_than_it_has(titles: dict[str, EncodedTitle], name: str) -> None:
    """Checklist 23: in the plan, in the box, in the bitstream and in the number of bits."""
    title = titles[name]
    transfers = {"bt709": "SDR", "smpte2084": "PQ", "arib-std-b67": "HLG"}
    for rung in title.plan.video:
        found = stream(title, rung.name)
        assert transfers[found["color_transfer"]] == rung.video_range == RANGES[colours(title.inits[rung.name])]
        assert (found["color_primaries"], found["color_space"], found["color_range"]) == (
            ("bt709", "bt709", "tv") if rung.video_range == "SDR" else ("bt2020", "bt2020nc", "tv")
        )
        assert (rung.bit_depth > 8) == (rung.video_range != "SDR")
    expected = {"hdr10": {"SDR", "PQ"}, "hlg": {"SDR", "HLG"}, "dolby": {"SDR", "HLG"}}
    assert {rung.video_range for rung in title.plan.video} == expected.get(name, {"SDR"})


def test_hdr_keeps_what_its_master_was_made_on(titles: dict[str, EncodedTitle]) -> None:
    title = titles["hdr10"]
    rung = title.plan.video[-1]
    assert (rung.mastering_display, rung.content_light) == (
        "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)",
        "1000,400",
    )
    frames = ffprobe(title.whole(rung.name), "-select_streams", "v", "-show_frames", "-read_intervals", "%+#1")["frames"]
    said = {item["side_data_type"]: item for item in frames[0]["side_data_list"]}
    assert said["Mastering display metadata"]["max_luminance"] == "10000000/10000"
    assert said["Mastering display metadata"]["green_x"] == "13250/50000"
    light = said["Content light level metadata"]
    assert (light["max_content"], light["max_average"]) == (1000, 400)


def test_hdr_is_the_light_of_the_source(titles: dict[str, EncodedTitle], clips: Clips) -> None:
    """The pictures of an HDR rung are not converted: coded mean luma is that of the source."""
    for name in ("hdr10", "hlg"):
        source = decode_luma(clips(name), 32, 18)[0].mean()
        assert abs(decode_luma(titles[name].whole(titles[name].plan.video[-1].name), 32, 18)[0].mean() - source) < 2


@pytest.mark.parametrize("name", ["hevc", "av1", "hdr10"])
def test_a_segment_is_the_same_bytes_alone(
    titles: dict[str, EncodedTitle], clips: Clips, local_world: World, tmp_path: Path, name: str
) -> None:
    title = titles[name]
    rung = title.plan.video[-1]
    work = Work(title.plan, title.info, clips(PROFILES[name][0]), tmp_path, tools.ffmpeg(local_world.settings))
    run(local_world, encode_command(work, {rung.name: [0]}))
    assert video(work, title.inits[rung.name], rung.name, 0)[1] == title.segments[rung.name][0][1]


@pytest.mark.parametrize("name", ["hevc", "av1"])
def test_what_is_wrong_is_noticed(titles: dict[str, EncodedTitle], local_world: World, tmp_path: Path, clips: Clips, name: str) -> None:
    """Planted: an open group of pictures or none at the grid, another range than planned, another codec string, a frame too few."""
    title = titles[name]
    rung = title.plan.video[-1]
    init = title.inits[rung.name]
    good = segment_path(title.folder, rung.name, 0).read_bytes()
    digest = sha256(init).hexdigest()
    assert check_video(good, title.plan, rung, 0, init_sha256=digest)
    with pytest.raises(BadEncode, match="announces the colours"):
        check_video_init(good, replace(rung, video_range="PQ"), title.plan)
    with pytest.raises(BadEncode, match="not what was planned"):
        check_video_init(good, replace(rung, codecs="hvc1.1.6.L30.90"), title.plan)
    with pytest.raises(BadEncode):
        check_video_init(good, title.plan.video[0], title.plan)  # another codec altogether
    longer = replace(title.plan, grid=replace(title.plan.grid, frames=title.plan.grid.frames + 1))
    with pytest.raises(MissingFrames):
        check_video(good, longer, rung, longer.grid.segment_count - 1, init_sha256=digest)
    work = Work(title.plan, title.info, clips(PROFILES[name][0]), tmp_path, tools.ffmpeg(local_world.settings))
    command = encode_command(work, {rung.name: [0]})
    open_gop = [
        word.replace("open-gop=0", "open-gop=1").replace("keyint=48:min-keyint=48", "keyint=48:min-keyint=1") for word in command.argv
    ]
    if name == "av1":  # groups of twice the length: the second begins with no key frame
        open_gop = ["96" if before == "-g" else word for before, word in zip(["", *command.argv], command.argv, strict=False)]
    run(local_world, replace(command, argv=tuple(open_gop)))
    with pytest.raises(BadEncode):
        check_video(segment_path(tmp_path, rung.name, 0).read_bytes(), title.plan, rung, 0, init_sha256=digest)
