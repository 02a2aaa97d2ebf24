"""The DASH manifest against the schema of ISO/IEC 23009-1 (the parts that we write), and against the plan it was made from."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from xml.etree.ElementTree import Element, fromstring

import pytest

from media.plan import EncodePlan
from media.protection import Protection
from origin.manifest import joined
from packager import dash
from packager.presentation import Presentation, build, planned
from tests.titles import AUDIO, plan_of, title_of

NS = "{urn:mpeg:dash:schema:mpd:2011}"
TRACK = {"id": "trk_1", "kind": "captions", "language": "fr", "name": "Français", "default": True, "forced": False, "digest": "a" * 40}

# Children in the order of the schema's sequences, base type first; and the attributes that we may write.
ORDER = {
    "MPD": ("Period",),
    "Period": ("AdaptationSet",),
    "AdaptationSet": (
        "AudioChannelConfiguration", "ContentProtection", "EssentialProperty", "SupplementalProperty", "Label", "Accessibility", "Role",
        "SegmentTemplate", "Representation",
    ),
    "Representation": ("EssentialProperty", "BaseURL", "SegmentTemplate"),
    "SegmentTemplate": ("SegmentTimeline",),
    "SegmentTimeline": ("S",),
}  # fmt: skip
NEEDED = {
    "MPD": {"profiles", "type", "mediaPresentationDuration", "minBufferTime"},
    "Period": {"id", "start", "duration"},
    "AdaptationSet": {"id", "mimeType", "contentType"},
    "Representation": {"id", "bandwidth"},
    "SegmentTemplate": {"media", "startNumber", "timescale"},
    "S": {"d"},
}


def manifest(made: Presentation, plan: EncodePlan, *tracks: dict[str, object], thumbnails: bool = True) -> Element:
    pieces = dash.render(made, plan)
    pieces["text"] = dash.text_piece(tracks)
    return fromstring(joined({str(name): piece for name, piece in pieces.items()}, thumbnails=thumbnails))


def breaches(root: Element) -> list[str]:
    """What the schema forbids."""
    found = []
    for node in root.iter():
        name = node.tag.removeprefix(NS)
        order = ORDER.get(name, ())
        places = [order.index(child.tag.removeprefix(NS)) if child.tag.removeprefix(NS) in order else -1 for child in node]
        if -1 in places or places != sorted(places):
            found.append(f"children of {name}: {[child.tag.removeprefix(NS) for child in node]}")
        found += [f"{name} lacks {attribute}" for attribute in NEEDED.get(name, set()) - set(node.attrib)]
        numbers = ("bandwidth", "width", "height", "d", "t", "r", "startNumber", "timescale")
        found += [f"{name}@{key}={node.get(key)}" for key in numbers if not re.fullmatch(r"[0-9]+", node.get(key, "0"))]
    ids = [node.get("id") for node in root.iter(f"{NS}Representation")] + [
        f"set {node.get('id')}" for node in root.iter(f"{NS}AdaptationSet")
    ]
    return found + [f"twice: {name}" for name in ids if ids.count(name) > 1]


def sets(root: Element, kind: str) -> list[Element]:
    return [node for node in root.iter(f"{NS}AdaptationSet") if node.get("contentType") == kind]


def spans(adaptation: Element) -> tuple[int, list[tuple[int, int]]]:
    """The timescale and every segment's start and end."""
    template = adaptation.find(f"{NS}SegmentTemplate")
    assert template is not None
    at, found = 0, []
    for entry in template.iter(f"{NS}S"):
        at = int(entry.get("t", at))
        length, count = int(entry.attrib["d"]), int(entry.get("r", 0)) + 1
        found += [(at + number * length, at + (number + 1) * length) for number in range(count)]
        at += count * length
    return int(template.attrib["timescale"]), found


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30000, 1001), Fraction(50)])
def test_it_keeps_to_the_schema_and_says_every_segment_to_the_tick(rate: Fraction) -> None:
    plan = plan_of(frames=1000, rate=rate, rungs=("480p", "720p", "1080p"))
    made = build(plan, title_of(plan).tables)
    for stage in (planned(plan), made):
        root = manifest(stage, plan, TRACK)
        assert breaches(root) == []
        (video,), (audio,) = sets(root, "video"), sets(root, "audio")
        assert spans(video) == (made.video[0].timescale, list(made.video[0].spans))
        assert spans(audio) == (made.audio[0].timescale, list(made.audio[0].spans))
        assert [node.get("id") for node in video.iter(f"{NS}Representation")] == ["480p", "720p", "1080p"]
        duration_s = Fraction(root.attrib["mediaPresentationDuration"][2:-1])
        assert plan.grid.duration <= duration_s < plan.grid.duration + Fraction(1, 10**6)


def test_planned_and_ready_differ_in_rates_alone() -> None:
    plan = plan_of()
    texts = ["".join(dash.render(made, plan).values()) for made in (planned(plan), build(plan, title_of(plan).tables))]
    assert texts[0] != texts[1]
    assert len({re.sub(r'bandwidth="\d+"', "", text) for text in texts}) == 1


def test_addresses_are_relative_and_of_the_plan() -> None:
    plan = plan_of()
    text = "".join(dash.render(planned(plan), plan).values()) + dash.text_piece([TRACK])
    addresses = re.findall(r'(?:media|initialization)="([^"]+)"', text) + re.findall("<BaseURL>(.*?)</BaseURL>", text)
    assert addresses
    assert all(address.startswith((f"{plan.digest}/", "t/")) for address in addresses)


def test_each_codec_and_range_is_a_set_and_hdr_is_essential() -> None:
    plan = plan_of(rungs=("480p", "720p", "1080p"))
    video = (
        dataclasses.replace(plan.video[0], codec="hevc", codecs="hvc1.2.4.L90.B0", video_range="PQ"),
        plan.video[1],
        dataclasses.replace(plan.video[2], codec="hevc", codecs="hvc1.1.6.L120.90"),
    )
    plan = dataclasses.replace(plan, video=video)
    root = manifest(planned(plan), plan)
    assert breaches(root) == []
    assert [[node.get("id") for node in made.iter(f"{NS}Representation")] for made in sets(root, "video")] == [
        ["720p"],
        ["480p"],
        ["1080p"],
    ]
    essential = [[node.get("value") for node in made.findall(f"{NS}EssentialProperty")] for made in sets(root, "video")]
    assert essential == [[], ["9", "16", "9"], []]


def test_every_track_of_sound_says_what_it_is() -> None:
    told = dataclasses.replace(
        AUDIO, name="audio-2", label='Say "<what>" & \x01why', language="de", default=False, autoselect=False, channels=6
    )
    described = dataclasses.replace(AUDIO, name="audio-3", default=False, characteristics=("public.accessibility.describes-video",))
    plan = plan_of(audio=(AUDIO, told, described))
    root = manifest(planned(plan), plan)
    assert breaches(root) == []
    roles = [node.attrib["value"] for made in sets(root, "audio") for node in made.findall(f"{NS}Role")]
    assert roles == ["main", "commentary", "description"]
    second = sets(root, "audio")[1]
    assert (second.get("lang"), second.findtext(f"{NS}Label")) == ("de", "Say '<what>' & why")
    channels = second.find(f"{NS}AudioChannelConfiguration")
    assert channels is not None and channels.get("value") == "6"


def test_sound_in_another_codec_is_a_set_of_its_own_and_says_its_channels_in_its_way() -> None:
    wide = dataclasses.replace(AUDIO, name="audio-51", channels=6, group="surround")
    dolby = dataclasses.replace(wide, name="audio-ec3", codecs="ec-3", group="ec3", bitrate_bps=448_000)
    plan = plan_of(audio=(AUDIO, wide, dolby))
    made = build(plan, title_of(plan).tables)
    root = manifest(made, plan)
    assert breaches(root) == []
    found = sets(root, "audio")
    assert [[(node.get("id"), node.get("codecs")) for node in one.iter(f"{NS}Representation")] for one in found] == [
        [("audio", "mp4a.40.2")], [("audio-51", "mp4a.40.2")], [("audio-ec3", "ec-3")],
    ]  # fmt: skip
    channels = [node.attrib for one in found for node in one.findall(f"{NS}AudioChannelConfiguration")]
    assert [item["value"] for item in channels] == ["2", "6", "6", "F801"]  # chanmap of ETSI TS 102 366: L, C, R, Ls, Rs; LFE
    assert channels[3]["schemeIdUri"] == "tag:dolby.com,2014:dash:audio_channel_configuration:2011"
    assert spans(found[2]) == (48_000, list(made.audio[2].spans))


def test_text_tracks_come_and_go_without_renumbering_the_rest() -> None:
    plan = plan_of()
    forced = {**TRACK, "kind": "subtitles", "forced": True, "digest": "b" * 40, "name": ""}
    root = manifest(planned(plan), plan, TRACK, forced)
    assert breaches(root) == []
    roles = [[node.get("value") for node in made.findall(f"{NS}Role")] for made in sets(root, "text")]
    assert roles == [["caption", "main"], ["forced-subtitle"]]
    assert root.findtext(f".//{NS}BaseURL") == f"t/{'a' * 40}/whole.vtt"
    without = manifest(planned(plan), plan)
    assert [made.attrib for made in sets(without, "video")] == [made.attrib for made in sets(root, "video")]


@pytest.mark.parametrize(("frames", "tiles", "sheets"), [(24 * 15, "8x1", 1), (24 * 500, "10x10", 3), (24 * 3 * 3600, "10x10", 9)])
def test_the_sheets_cover_the_title_and_appear_when_they_are_made(frames: int, tiles: str, sheets: int) -> None:
    plan = plan_of(frames=frames)
    assert sets(manifest(planned(plan), plan, thumbnails=False), "image") == []
    (made,) = sets(manifest(planned(plan), plan), "image")
    template, layout = made.find(f"{NS}SegmentTemplate"), made.find(f".//{NS}EssentialProperty")
    assert template is not None and layout is not None
    assert layout.get("value") == tiles
    sheet_s = Fraction(int(template.attrib["duration"]), int(template.attrib["timescale"]))
    assert -(-plan.grid.duration // sheet_s) == sheets


def test_a_long_title_has_a_short_timeline() -> None:
    plan = plan_of(frames=24 * 12 * 3600)
    assert sum(map(len, dash.render(planned(plan), plan).values())) < 150_000


def test_a_protected_title_says_how_and_by_which_key() -> None:
    plan = dataclasses.replace(plan_of(), protection=Protection("cbcs", "00112233445566778899aabbccddeeff"))
    root = manifest(planned(plan), plan, TRACK)
    assert breaches(root) == []
    for made in root.iter(f"{NS}AdaptationSet"):
        schemes = {item.get("schemeIdUri"): item for item in made.iter(f"{NS}ContentProtection")}
        if made.get("mimeType") not in ("video/mp4", "audio/mp4"):
            assert schemes == {}
            continue
        common = schemes["urn:mpeg:dash:mp4protection:2011"]
        assert (common.get("value"), common.get("{urn:mpeg:cenc:2013}default_KID")) == ("cbcs", "00112233-4455-6677-8899-aabbccddeeff")
        assert "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e" in schemes
    assert "cenc" not in dash.render(planned(plan_of()), plan_of())["head"]
