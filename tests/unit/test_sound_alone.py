"""Sound without pictures: its plan, its playlists, and what follows which step."""

from __future__ import annotations

import re
from fractions import Fraction
from xml.etree.ElementTree import fromstring

import pytest

from catalog import downloads, quality
from media.grid import AAC_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.info import AudioStream, MediaInfo
from media.pictures import storyboard
from media.plan import EncodePlan
from packager import dash, hls
from packager.presentation import build, planned
from tests.sources import sound
from tests.titles import title_of
from tests.unit.worker.test_flow import dead
from transcode.plan import PlanOptions, make_plan
from transcode.profiles import Named
from worker import flow

NS = "{urn:mpeg:dash:schema:mpd:2011}"


def plan_of(*tracks: AudioStream, profile: Named = "h264") -> EncodePlan:
    info = MediaInfo("flac", 1000, Fraction(60), None, tracks or (sound(),), 0, ())
    return make_plan(info, "source", PlanOptions(profile=profile), "encoder")


def variants(plan: EncodePlan, lost: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Each EXT-X-STREAM-INF with its playlist."""
    lines = hls.render_multivariant(planned(plan, lost), plan.digest).splitlines()
    return [(line, lines[number + 1]) for number, line in enumerate(lines) if line.startswith("#EXT-X-STREAM-INF")]


@pytest.mark.parametrize("seconds", [Fraction(1, 100), Fraction(6), Fraction(203, 10), Fraction(3600)])
def test_segments_are_whole_aac_frames_of_about_six_seconds(seconds: Fraction) -> None:
    plan = plan_of(sound(start=Fraction(1, 40), seconds=seconds))
    grid = plan.grid
    assert (plan.video, plan.chunks, plan.groups, plan.origin) == ((), (), (), Fraction(1, 40))
    assert 0 <= grid.duration - seconds < Fraction(AAC_FRAME_SAMPLES, AUDIO_RATE_HZ)  # to the frame, and nothing is cut off
    assert grid.audio_frames() == grid.frames
    assert [grid.audio_bounds(index) for index in range(grid.segment_count)] == [
        grid.segment_bounds(index) for index in range(grid.segment_count)
    ]
    assert grid.target_duration_s() == (6 if seconds >= 6 else 1)
    assert all(grid.segment_duration(index) == Fraction(6016, 1000) for index in range(grid.segment_count - 1))


def test_every_track_is_there_at_two_rates_and_once_in_surround() -> None:
    plan = plan_of(sound(index=0, channels=6), sound(index=1, default=False, language="de"))
    assert [(track.name, track.group, track.bitrate_bps // 1000, track.channels) for track in plan.audio] == [
        ("audio", "audio", 128, 2), ("audio-2", "audio", 128, 2), ("audio-low", "low", 64, 2), ("audio-2-low", "low", 64, 2),
        ("audio-51", "surround", 320, 6),
    ]  # fmt: skip
    assert plan.digest == plan_of(sound(index=0, channels=6), sound(index=1, default=False, language="de")).digest
    assert plan.digest != plan_of(sound(index=0, channels=6)).digest


def test_neither_is_no_plan() -> None:
    with pytest.raises(ValueError, match="video or sound"):
        make_plan(MediaInfo("flac", 1000, Fraction(60), None, (), 0, ()), "source", PlanOptions(), "encoder")


def test_the_multivariant_playlist_of_one_track_has_nothing_but_variants() -> None:
    plan = plan_of()
    assert [(re.findall(r'CODECS="([^"]+)"', line), uri) for line, uri in variants(plan)] == [
        (["mp4a.40.2"], f"{plan.digest}/audio/index.m3u8"), (["mp4a.40.2"], f"{plan.digest}/audio-low/index.m3u8"),
    ]  # fmt: skip
    text = hls.render_multivariant(planned(plan), plan.digest)
    for absent in ("RESOLUTION", "FRAME-RATE", "VIDEO-RANGE", "I-FRAME", "EXT-X-MEDIA", "AUDIO="):
        assert absent not in text
    rates = [int(found) for found in re.findall(r":BANDWIDTH=(\d+)", text)]
    assert rates == [160_000, 80_000]
    measured = hls.render_multivariant(build(plan, title_of(plan).tables), plan.digest)
    assert re.sub(r"BANDWIDTH=\d+", "", measured) == re.sub(r"BANDWIDTH=\d+", "", text)  # only figures change


def test_where_there_is_something_to_choose_there_are_groups() -> None:
    plan = plan_of(sound(index=0, channels=6), sound(index=1, default=False, language="de"))
    text = hls.render_multivariant(planned(plan), plan.digest)
    groups = re.findall(r'TYPE=AUDIO,GROUP-ID="([^"]+)",NAME="([^"]+)"', text)
    assert groups == [(group, name) for group in ("audio", "low", "surround") for name in ("English", "German")]
    assert [(re.findall(r'AUDIO="([^"]+)"', line)[0], uri.split("/")[1]) for line, uri in variants(plan)] == [
        ("audio", "audio"), ("low", "audio-low"), ("surround", "audio-51"),
    ]  # fmt: skip


def test_surround_in_another_codec_is_a_variant_more_and_no_file() -> None:
    plan = plan_of(sound(index=0, channels=6), profile="archive")
    assert [(re.findall(r'CODECS="([^"]+)"', line)[0], uri.split("/")[1]) for line, uri in variants(plan)] == [
        ("mp4a.40.2", "audio"), ("mp4a.40.2", "audio-low"), ("mp4a.40.2", "audio-51"), ("ec-3", "audio-ec3"),
    ]  # fmt: skip
    assert downloads.names_of(plan) == ("audio.m4a", "audio-low.m4a", "audio-51.m4a")
    whole = plan.grid.segment_count - 1
    assert [plan.grid.audio_bounds(index, 1536) for index in range(whole)] == [(188 * index, 188 * (index + 1)) for index in range(whole)]


def test_a_form_that_was_lost_is_no_variant() -> None:
    plan = plan_of()
    assert [uri.split("/")[1] for _, uri in variants(plan, ("audio-low",))] == ["audio"]


def test_the_dash_manifest_has_one_set_with_both_rates() -> None:
    plan = plan_of()
    pieces = dash.render(planned(plan), plan)
    (found,) = fromstring("".join(pieces.values())).iter(f"{NS}AdaptationSet")
    assert found.get("contentType") == "audio"
    assert [node.get("id") for node in found.iter(f"{NS}Representation")] == ["audio", "audio-low"]
    assert pieces["thumbnails"] == ""


def test_there_are_no_pictures_of_it() -> None:
    plan = plan_of()
    with pytest.raises(ValueError, match="no rung"):
        storyboard(plan)
    assert quality.jobs("ast_1", plan, "full") == []
    assert downloads.names_of(plan) == ("audio.m4a", "audio-low.m4a")
    assert downloads.names_of(plan, ("audio-low",)) == ("audio.m4a",)


def test_the_opening_is_what_players_begin_with_and_then_come_sound_and_poster() -> None:
    plan = plan_of(sound(index=0, channels=6), sound(index=1, default=False, language="de"))
    assert [job.args["rendition"] for job in flow.opening_jobs("ast_1", plan)] == ["audio", "audio-low"]
    jobs = flow.encode_jobs("ast_1", plan)
    assert [job.kind for job in jobs] == [flow.AUDIO] * 5 + [flow.POSTER]


@pytest.mark.parametrize(
    ("broken", "lost"),
    [("audio", None), ("audio-2", ("audio-2", "audio-2-low")), ("audio-low", ("audio-low",)), ("audio-51", ("audio-51",))],
)
@pytest.mark.parametrize("hopeless", [False, True])
def test_a_track_of_sound_is_lost_alone_unless_it_is_the_main_one(broken: str, lost: tuple[str, ...] | None, *, hopeless: bool) -> None:
    plan = plan_of(sound(index=0, channels=6), sound(index=1, default=False, language="de"))
    (job,) = (dead(new) for new in flow.encode_jobs("ast_1", plan) if new.args.get("renditions") == [broken])
    expected = flow.Cost(title=True) if lost is None else flow.Cost(lost=lost)
    assert flow.cost_of(job, plan, (), hopeless=hopeless) == expected
    if lost is not None:
        assert flow.cost_of(job, plan, lost, hopeless=hopeless) == flow.Cost()  # for the second time


def test_the_opening_of_a_lesser_form_costs_that_form() -> None:
    plan = plan_of()
    main, low = (dead(new) for new in flow.opening_jobs("ast_1", plan))
    assert flow.cost_of(main, plan, (), hopeless=False) == flow.Cost(title=True)
    assert flow.cost_of(low, plan, (), hopeless=False) == flow.Cost(lost=("audio-low",))
