"""Profiles: the ladders a title gets, their groups, and the memory of the runs that make them."""

from __future__ import annotations

from dataclasses import asdict, replace
from fractions import Fraction
from typing import get_args

import pytest

from catalog.asset import PROFILES as KNOWN
from catalog.asset import Profile
from kit.settings import Settings
from media.rendition import VideoRendition
from tests.sources import sound, source, video
from transcode.ladder import Light, Size, rungs
from transcode.plan import CHUNK_MEMORY_BYTES, PlanOptions, make_plan, runs
from transcode.profiles import PROFILES, Named, encoder_bytes, named

FILM = Fraction(24)
PQ = Light("PQ", "G(1,1)B(1,1)R(1,1)WP(1,1)L(2,1)", "1000,400")


def names(profile: Profile, light: Light = Light(), size: Size = Size(1280, 720)) -> list[str]:  # noqa: B008
    return [rung.name for rung in rungs(size, FILM, profile, light)]


def test_one_list_of_names() -> None:
    assert set(KNOWN) == set(get_args(Profile)) == {"default", *PROFILES}
    assert set(get_args(Settings.__annotations__["default_profile"]) or PROFILES) == set(PROFILES)
    assert named("default", "h264+av1") == "h264+av1"
    assert named("mobile", "h264+av1") == "mobile"
    with pytest.raises(StopIteration):
        named("none", "h264")


def test_default_is_h264() -> None:
    assert rungs(Size(1920, 1080), FILM) == rungs(Size(1920, 1080), FILM, "h264") == rungs(Size(1920, 1080), FILM, "default", PQ)


def test_ladders_beside_it() -> None:
    assert names("h264+hevc") == ["480p", "720p", "480p-hevc", "720p-hevc"]
    assert names("h264+hevc", PQ) == ["480p", "720p", "480p-hdr", "720p-hdr"]
    assert names("h264+av1", PQ) == ["480p", "720p", "480p-av1", "720p-av1"]
    assert names("archive") == ["480p", "720p"]
    assert names("archive", PQ) == ["480p", "720p", "720p-hdr"]
    assert names("h264+av1", size=Size(100, 60)) == ["60p"]  # smaller than the encoder takes


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("light", [Light(), PQ, Light("HLG")])
def test_a_range_is_said_only_where_it_is_kept(profile: Named, light: Light) -> None:
    for rung in rungs(Size(3840, 2160), Fraction(60), profile, light):
        assert rung.video_range == (light.video_range if rung.name.endswith("-hdr") else "SDR")
        assert (rung.bit_depth == 10) == rung.name.endswith("-hdr")
        assert bool(rung.mastering_display) == (rung.video_range == "PQ")
        assert rung.codecs.split(".")[0] == {"h264": "avc1", "hevc": "hvc1", "av1": "av01"}[rung.codec]


def test_a_group_for_each_codec() -> None:
    plan = make_plan(source(video(1920, 1080, seconds=60), sound(seconds=60)), "digest", PlanOptions(profile="h264+av1"), "encoder")
    assert plan.groups == (("480p", "720p", "1080p"), ("480p-av1", "720p-av1", "1080p-av1"))
    first = make_plan(
        source(video(1920, 1080, seconds=60), sound(seconds=60)), "digest", PlanOptions(profile="h264+av1", lowest_first=True), "encoder"
    )
    assert first.groups == (("480p",), ("720p", "1080p"), ("480p-av1", "720p-av1", "1080p-av1"))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("width", "height"), [(640, 360), (1920, 1080), (3840, 2160)])
def test_a_run_holds_no_more_than_it_may(profile: Named, width: int, height: int) -> None:
    color = ("bt2020nc", "smpte2084", "bt2020")
    plan = make_plan(source(video(width, height, seconds=60, color=color)), "digest", PlanOptions(profile=profile), "encoder")
    for group in plan.groups:
        for chunk in plan.chunks:
            wanted = chunk.of(group)
            parts = list(runs(plan, wanted))
            for part in parts:
                held = sum(encoder_bytes(plan.rendition(name)) * len(indexes) for name, indexes in part.items())
                alone = len(part) == 1 and all(len(indexes) == 1 for indexes in part.values())
                assert held <= CHUNK_MEMORY_BYTES or alone
            made = sorted((name, index) for part in parts for name, indexes in part.items() for index in indexes)
            assert made == sorted((name, index) for name, indexes in wanted.items() for index in indexes)
            if plan.rendition(group[0]).codec == "h264":
                assert len(parts) == 1


def test_h264_plans_keep_the_digest_that_they_had_before_there_were_other_codecs() -> None:
    plan = make_plan(source(video(1920, 1080, seconds=60)), "digest", PlanOptions(), "encoder")
    again = make_plan(source(video(1920, 1080, seconds=60)), "digest", PlanOptions(profile="h264"), "encoder")
    assert plan == again
    later = {"codec", "bit_depth", "video_range", "mastering_display", "content_light"}
    assert all(asdict(rung)[name] == VideoRendition.__dataclass_fields__[name].default for rung in plan.video for name in later)
    other = replace(plan.video[0], video_range="PQ")
    assert other != plan.video[0]
