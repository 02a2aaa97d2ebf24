"""Groups of audio renditions in playlists: rules of RFC 8216 section 4.3.4.1.1 and of Apple's authoring specification (V3, V8, V9, V18)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from packager import hls
from packager.bandwidth import track_rates
from packager.presentation import Presentation, build
from packager.sound import groups
from tests.titles import AUDIO, plan_of, title_of

GERMAN = replace(AUDIO, name="audio-2", source_index=2, language="de", label="German", default=False)
TALK = replace(AUDIO, name="audio-3", source_index=3, label="English, commentary", default=False, autoselect=False)
DESCRIBED = replace(
    AUDIO,
    name="audio-4",
    source_index=4,
    label="English, described",
    default=False,
    characteristics=("public.accessibility.describes-video",),
)
WIDE = replace(AUDIO, name="audio-51", channels=6, group="surround", bitrate_bps=320_000)
PLAN = plan_of(audio=(AUDIO, GERMAN, TALK, DESCRIBED, WIDE))


@pytest.fixture(scope="module")
def made() -> Presentation:
    return build(PLAN, title_of(PLAN).tables)


@pytest.fixture(scope="module")
def text(made: Presentation) -> str:
    return hls.render_multivariant(made, PLAN.digest)


def attribute(line: str, name: str) -> str:
    found = re.search(rf'(?:^|[:,]){name}=("[^"]*"|[^,]*)', line)
    return found[1].strip('"') if found else ""


def media(text: str) -> list[str]:
    return re.findall(r"^#EXT-X-MEDIA:(.*)$", text, re.MULTILINE)


def test_every_group_has_every_track_and_only_address_and_channels_differ(text: str) -> None:
    lines = media(text)
    by_group: dict[str, list[str]] = {}
    for line in lines:
        by_group.setdefault(attribute(line, "GROUP-ID"), []).append(line)
    assert list(by_group) == ["audio", "surround"]
    stereo, wide = by_group.values()
    same = ("TYPE", "NAME", "LANGUAGE", "DEFAULT", "AUTOSELECT", "CHARACTERISTICS")
    assert [[attribute(line, name) for name in same] for line in stereo] == [[attribute(line, name) for name in same] for line in wide]
    assert len({attribute(line, "NAME") for line in stereo}) == len(stereo) == 4
    assert [attribute(line, "CHANNELS") for line in stereo] == ["2", "2", "2", "2"]
    assert [attribute(line, "CHANNELS") for line in wide] == ["6", "2", "2", "2"]
    assert attribute(wide[0], "URI") == f"{PLAN.digest}/audio-51/index.m3u8"
    assert attribute(wide[1], "URI") == attribute(stereo[1], "URI")


def test_one_member_is_the_default_and_commentary_is_never_chosen_by_itself(text: str) -> None:
    stereo = [line for line in media(text) if attribute(line, "GROUP-ID") == "audio"]
    assert [attribute(line, "DEFAULT") for line in stereo] == ["YES", "NO", "NO", "NO"]
    assert [attribute(line, "AUTOSELECT") for line in stereo] == ["YES", "YES", "NO", "YES"]
    assert attribute(stereo[3], "CHARACTERISTICS") == "public.accessibility.describes-video"  # V18
    assert not [line for line in stereo if "FORCED" in line]  # for subtitles only


def test_every_rung_is_there_with_every_group(text: str) -> None:
    variants = re.findall(r"^#EXT-X-STREAM-INF:(.*)\n(.*)$", text, re.MULTILINE)
    assert [(attribute(line, "AUDIO"), address.split("/")[1]) for line, address in variants] == [
        ("audio", "480p"), ("audio", "720p"), ("surround", "480p"), ("surround", "720p"),
    ]  # fmt: skip
    assert all(attribute(line, "CODECS").count("mp4a.40.2") == 1 for line, _ in variants)
    assert len(re.findall("#EXT-X-I-FRAME-STREAM-INF", text)) == 2


def test_bandwidth_is_that_of_the_dearest_of_the_group(made: Presentation, text: str) -> None:  # V3
    variants = re.findall(r"^#EXT-X-STREAM-INF:(.*)\n(.*)$", text, re.MULTILINE)
    for line, address in variants:
        (group,) = (group for group in groups(made.audio) if group.name == attribute(line, "AUDIO"))
        video = next(track for track in made.video if track.spec.name == address.split("/")[1])
        dearest = max(track_rates(track, made.target_duration_s).peak_bps for track in group.members)
        assert int(attribute(line, "BANDWIDTH")) == track_rates(video, made.target_duration_s).peak_bps + dearest


DOLBY = replace(AUDIO, name="audio-ec3", channels=6, codecs="ec-3", group="ec3", bitrate_bps=448_000)
IN_THREE = plan_of(audio=(AUDIO, GERMAN, WIDE, DOLBY))


def test_surround_in_another_codec_is_a_group_of_its_own_on_its_own_frames() -> None:
    shown = build(IN_THREE, title_of(IN_THREE).tables)
    text = hls.render_multivariant(shown, IN_THREE.digest)
    lines = [[attribute(line, name) for name in ("GROUP-ID", "CHANNELS", "URI")] for line in media(text)]
    assert [[group, channels, uri.split("/")[1]] for group, channels, uri in lines] == [
        ["audio", "2", "audio"], ["audio", "2", "audio-2"], ["surround", "6", "audio-51"], ["surround", "2", "audio-2"],
        ["ec3", "6", "audio-ec3"], ["ec3", "2", "audio-2"],
    ]  # fmt: skip
    variants = re.findall(r"^#EXT-X-STREAM-INF:(.*)$", text, re.MULTILINE)
    codecs = {attribute(line, "AUDIO"): attribute(line, "CODECS").split(",")[1:] for line in variants}
    assert codecs == {"audio": ["mp4a.40.2"], "surround": ["mp4a.40.2"], "ec3": ["ec-3", "mp4a.40.2"]}
    (dolby,) = (track for track in shown.audio if track.spec.name == "audio-ec3")
    assert dolby.spans == ((0, 188 * 1536), (188 * 1536, 375 * 1536), (375 * 1536, 469 * 1536))  # 15 s, and what fills the last frame
    lasts = [float(found) for found in re.findall(r"#EXTINF:([0-9.]+),", hls.render_media(dolby, shown.target_duration_s))]
    assert lasts == [6.016, 5.984, 3.008]


def test_no_sound_is_no_group() -> None:
    assert groups(()) == ()
