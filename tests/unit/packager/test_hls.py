"""The playlists, line by line: rules of RFC 8216 and of Apple's authoring specification (numbers P1 … and V1 … of the checklist)."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from pathlib import Path

import pytest

from media.plan import EncodePlan
from packager import hls
from packager.presentation import Presentation, WrongSegments, build, missing, planned
from tests.titles import AUDIO, plan_of, title_of

GOLDEN = Path(__file__).parents[2] / "golden"


def presentation_of(plan: EncodePlan, seed: int = 1) -> Presentation:
    return build(plan, title_of(plan, seed=seed).tables)


def extinfs(text: str) -> list[Fraction]:
    return [Fraction(match) for match in re.findall(r"^#EXTINF:([0-9.]+),$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def ntsc() -> Presentation:
    return presentation_of(plan_of(frames=1800, rate=Fraction(30000, 1001), rungs=("480p", "720p", "1080p")))


def test_playlists_are_the_golden_ones() -> None:
    plan = plan_of(frames=24 * 15 + 7, rungs=("480p", "720p"))
    made = presentation_of(plan)
    texts = {
        "multivariant.m3u8": hls.render_multivariant(made, plan.digest),
        "video.m3u8": hls.render_media(made.video[0], made.target_duration_s),
        "iframes.m3u8": hls.render_iframes(made.video[0], made.target_duration_s),
        "audio.m3u8": hls.render_media(made.audio[0], made.target_duration_s),
    }
    assert texts == {name: (GOLDEN / name).read_text() for name in texts}


def test_every_media_playlist_says_vod_and_ends(ntsc: Presentation) -> None:
    texts = [hls.render_media(track, ntsc.target_duration_s) for track in ntsc.tracks]
    texts += [hls.render_iframes(video, ntsc.target_duration_s) for video in ntsc.video]
    for text in texts:  # P4, P5
        lines = text.splitlines()
        assert lines[0] == "#EXTM3U"
        assert lines.count("#EXT-X-PLAYLIST-TYPE:VOD") == 1
        assert lines[-1] == "#EXT-X-ENDLIST"
        assert lines.count('#EXT-X-MAP:URI="init.mp4"') == 1


def test_target_duration_is_one_integer_for_all_and_six_for_ntsc(ntsc: Presentation) -> None:  # P2, P7, checklist 21
    texts = [hls.render_media(track, ntsc.target_duration_s) for track in ntsc.tracks]
    assert {re.search(r"#EXT-X-TARGETDURATION:(\d+)\n", text)[1] for text in texts} == {"6"}  # type: ignore[index]


def test_durations_are_exact_over_any_run(ntsc: Presentation) -> None:  # P1
    track = ntsc.video[0]
    written = extinfs(hls.render_media(track, ntsc.target_duration_s))
    true = [Fraction(segment.duration_ticks, track.timescale) for segment in track.segments]
    for first in range(len(true)):
        for end in range(first + 1, len(true) + 1):
            assert abs(sum(written[first:end]) - sum(true[first:end])) <= Fraction(1, 1_000_000)


def test_audio_and_video_cover_the_same_time(ntsc: Presentation) -> None:  # P3: within half an AAC frame
    sums = [sum(extinfs(hls.render_media(track, ntsc.target_duration_s))) for track in ntsc.tracks]
    assert max(sums) - min(sums) <= Fraction(512, 48_000) + Fraction(1, 1_000_000)


def test_versions_are_the_lowest_that_hold_the_tags(ntsc: Presentation) -> None:  # P11, C31
    assert "#EXT-X-VERSION:6\n" in hls.render_media(ntsc.video[0], 6)
    assert "#EXT-X-VERSION:5\n" in hls.render_iframes(ntsc.video[0], 6)
    assert "#EXT-X-VERSION:4\n" in hls.render_multivariant(ntsc, plan_of().digest)


def test_there_is_an_iframe_for_each_fragment(ntsc: Presentation) -> None:  # M15, P10, checklist 24
    video = ntsc.video[0]
    text = hls.render_iframes(video, ntsc.target_duration_s)
    assert "#EXT-X-I-FRAMES-ONLY\n" in text
    fragments = [part for segment in video.segments for part in segment.fragments]
    assert re.findall(r"^i/(\d{5})\.m4s$", text, re.MULTILINE) == [f"{gop:05d}" for gop in range(len(fragments))]
    for written, part in zip(extinfs(text), fragments, strict=True):
        assert abs(written - Fraction(part.duration_ticks, video.timescale)) <= Fraction(1, 1_000_000)
    assert abs(sum(extinfs(text)) - ntsc.duration) <= Fraction(1, 1_000_000)  # spans the whole title


def test_variants_carry_every_attribute(ntsc: Presentation) -> None:  # V1, V2, V6, V7
    text = hls.render_multivariant(ntsc, plan_of().digest)
    assert "#EXT-X-INDEPENDENT-SEGMENTS\n" in text
    variants = re.findall(r"^#EXT-X-STREAM-INF:(.*)$", text, re.MULTILINE)
    assert len(variants) == 3
    for line in variants:
        for attribute in ("BANDWIDTH=", "AVERAGE-BANDWIDTH=", 'CODECS="avc1.', "RESOLUTION=", "FRAME-RATE=29.970", "VIDEO-RANGE=SDR"):
            assert attribute in line
        assert ',mp4a.40.2"' in line
        assert 'AUDIO="audio"' in line
    iframes = re.findall(r"^#EXT-X-I-FRAME-STREAM-INF:(.*)$", text, re.MULTILINE)
    assert len(iframes) == 3
    assert all("URI=" in line and "RESOLUTION=" in line and "mp4a" not in line and "FRAME-RATE" not in line for line in iframes)


def test_audio_is_described(ntsc: Presentation) -> None:  # V8, V9
    (line,) = re.findall(r"^#EXT-X-MEDIA:(.*)$", hls.render_multivariant(ntsc, plan_of().digest), re.MULTILINE)
    for attribute in ("TYPE=AUDIO", 'NAME="English"', 'LANGUAGE="en"', "DEFAULT=YES", "AUTOSELECT=YES", 'CHANNELS="2"'):
        assert attribute in line


def test_a_silent_title_has_no_audio_group() -> None:
    plan = plan_of(audio=None)
    text = hls.render_multivariant(presentation_of(plan), plan.digest)
    assert "EXT-X-MEDIA" not in text
    assert "AUDIO=" not in text
    assert "mp4a" not in text


def test_a_label_cannot_break_the_playlist() -> None:
    plan = plan_of(audio=dataclasses.replace(AUDIO, label='Com"mentary\n#EXT-X-ENDLIST\x00', language=""))
    text = hls.render_multivariant(presentation_of(plan), plan.digest)
    assert 'NAME="Com\'mentary #EXT-X-ENDLIST"' in text
    assert 'LANGUAGE="und"' in text
    assert text.count("\n#EXT-X-ENDLIST") == 0


def test_the_first_variant_is_the_one_expected_to_be_nearest_to_two_megabits() -> None:
    plan = plan_of(rungs=("480p", "720p", "1080p"))
    caps = {"480p": 1_500_000, "720p": 4_500_000, "1080p": 7_800_000}
    plan = dataclasses.replace(plan, video=tuple(dataclasses.replace(rung, maxrate_bps=caps[rung.name]) for rung in plan.video))
    for made in (planned(plan), presentation_of(plan)):
        text = hls.render_multivariant(made, plan.digest)
        assert re.findall(rf"^{plan.digest}/(\w+)/index\.m3u8$", text, re.MULTILINE) == ["720p", "480p", "1080p"]


def test_addresses_are_relative(ntsc: Presentation) -> None:  # C34
    texts = [hls.render_multivariant(ntsc, plan_of().digest), hls.render_media(ntsc.video[0], 6), hls.render_iframes(ntsc.video[0], 6)]
    addresses = [line for text in texts for line in text.splitlines() if line and not line.startswith("#")]
    addresses += re.findall(r'URI="([^"]*)"', "".join(texts))
    assert addresses
    assert not [address for address in addresses if address.startswith("/") or ":" in address]


@pytest.mark.parametrize("frames", [1, 12, 24 * 15, 24 * 18 + 11, 24 * 18 + 12])  # the fourth: a tail joins the last segment
def test_what_was_planned_is_what_is_published_but_for_the_measured_rates(frames: int) -> None:
    plan = plan_of(frames=frames, rungs=("480p", "720p", "1080p"))
    before, after = planned(plan), presentation_of(plan)
    assert [hls.render_media(track, 6) for track in before.tracks] == [hls.render_media(track, 6) for track in after.tracks]
    assert [hls.render_iframes(track, 6) for track in before.video] == [hls.render_iframes(track, 6) for track in after.video]
    rate = re.compile(r"BANDWIDTH=[1-9]\d*")
    first, last = (hls.render_multivariant(made, plan.digest) for made in (before, after))
    assert rate.sub("BANDWIDTH=", first) == rate.sub("BANDWIDTH=", last)
    assert first != last


def test_what_has_not_been_measured_is_named() -> None:
    plan = plan_of(rungs=("480p", "720p"))
    tables = dict(title_of(plan).tables)
    assert missing(plan, tables) == ()
    tables["720p"] = tables["720p"][:-1]
    del tables["audio"]
    assert missing(plan, tables) == ("720p", "audio")
    with pytest.raises(WrongSegments, match="720p"):
        build(plan, tables)


def test_groups_of_pictures_that_are_not_the_planned_ones_are_refused() -> None:
    plan = plan_of()
    tables = dict(title_of(plan).tables)
    first = tables["480p"][0]
    long, short, *rest = first.fragments
    longer = dataclasses.replace(long, duration_ticks=long.duration_ticks + 1000)
    shorter = dataclasses.replace(short, duration_ticks=short.duration_ticks - 1000)
    tables["480p"] = (dataclasses.replace(first, fragments=(longer, shorter, *rest)), *tables["480p"][1:])
    with pytest.raises(WrongSegments, match="groups of pictures"):
        build(plan, tables)


@pytest.mark.parametrize("field", ["decode_time_ticks", "duration_ticks", "index"])
def test_a_table_that_contradicts_the_plan_is_refused(field: str) -> None:
    plan = plan_of()
    tables = dict(title_of(plan).tables)
    wrong = dataclasses.replace(tables["480p"][1], **{field: getattr(tables["480p"][1], field) + 1})
    tables["480p"] = (tables["480p"][0], wrong, *tables["480p"][2:])
    with pytest.raises(WrongSegments):
        build(plan, tables)
