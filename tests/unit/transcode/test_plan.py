"""The plan: where time 0 lies, how long the title is, how it is cut, and what its digest covers."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from catalog.codec import plan_from_json, plan_to_json
from kit.errors import Rejected
from media.info import MediaInfo
from media.plan import EncodePlan
from media.protection import Protection
from tests.sources import sound, source, video
from transcode import plan as planning
from transcode.ffmpeg.encoders import encoder_options
from transcode.plan import PlanOptions, frames_of, lead_in_keyframe, make_plan, poster_size, tail_frames, with_protection


def plan(info: MediaInfo, chunk_s: float = 24, **options: object) -> EncodePlan:
    return make_plan(info, "digest", PlanOptions(chunk_s, **options), "encoder")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("picture_start", "sound_start", "origin"),
    [
        (0, 0, 0),
        (Fraction(7, 5), Fraction(7, 5), Fraction(7, 5)),
        (0, Fraction(-1, 20), 0),
        (1, Fraction(95, 100), 1),
        (1, Fraction(1, 2), Fraction(1, 2)),
        (0, 2, 0),
        (-3, 0, -3),
    ],
)
def test_time_zero(picture_start: Fraction, sound_start: Fraction, origin: Fraction) -> None:
    info = source(video(start=picture_start, seconds=20), sound(start=sound_start, seconds=20))
    assert plan(info).origin == origin


@pytest.mark.parametrize(("sound_s", "frames"), [(20, 480), (Fraction(204, 10), 480), (30, 720), (3, 480)])
def test_the_title_ends_with_its_video_or_with_much_longer_sound(sound_s: Fraction, frames: int) -> None:
    assert plan(source(video(seconds=20), sound(seconds=sound_s))).grid.frames == frames


def test_a_title_has_at_least_one_frame() -> None:
    assert plan(source(video(seconds=Fraction(1, 100)))).grid.frames == 1


def test_the_default_track_is_taken() -> None:
    made = plan(source(video(), sound(index=1, default=False), sound(index=2, default=True)))
    assert made.main_audio is not None and made.main_audio.source_index == 2
    first = plan(source(video(), sound(index=1, default=False), sound(index=2, default=False)))
    assert first.main_audio is not None and first.main_audio.source_index == 1
    assert plan(source(video())).audio == ()


def chunks(seconds: int, chunk_s: float = 24, keyframe_every: Fraction | int = 6) -> list[int]:
    """The lengths of the chunks in segments."""
    made = plan(source(video(854, 480, seconds=seconds, keyframe_every=keyframe_every)), chunk_s)
    return [chunk.end_segment - chunk.first_segment for chunk in made.chunks]


def test_the_first_chunk_is_one_segment_and_a_short_rest_joins_the_last() -> None:
    assert chunks(5) == [1]
    assert chunks(12) == [1, 1]
    assert chunks(30) == [1, 4]
    assert chunks(42) == [1, 6]  # two segments more than wanted are not worth a chunk
    assert chunks(48) == [1, 4, 3]
    assert chunks(60, chunk_s=6) == [1] * 10
    assert chunks(60, chunk_s=1) == [1] * 10


def test_chunks_begin_where_little_has_to_be_decoded_first() -> None:
    made = plan(source(video(854, 480, seconds=300, keyframe_every=Fraction(6) * 5)), 24)
    starts = [made.grid.segment_bounds(chunk.first_segment)[0] / made.grid.frame_rate for chunk in made.chunks]
    assert starts[1:4] == [6, 30, 60]  # 24 s and 30 s long: at the keyframes at 30 s and 60 s


def test_all_rungs_share_one_decode_unless_the_lowest_is_wanted_first() -> None:
    def groups(width: int, height: int, *, lowest_first: bool = False) -> tuple[tuple[str, ...], ...]:
        return make_plan(source(video(width, height, seconds=3600)), "digest", PlanOptions(lowest_first=lowest_first), "encoder").groups

    assert groups(1920, 1080) == (("480p", "720p", "1080p"),)
    assert groups(1920, 1080, lowest_first=True) == (("480p",), ("720p", "1080p"))
    assert groups(854, 480, lowest_first=True) == (("480p",),)


def test_the_first_chunk_is_two_segments_where_that_saves_much_decoding() -> None:
    assert chunks(60, keyframe_every=11)[0] == 2, "one would leave 6 s to decode again, two leave 1"
    assert chunks(60, keyframe_every=5)[0] == 1, "1 s and 2 s"
    assert chunks(60, keyframe_every=Fraction(23, 2), chunk_s=6)[0] == 1, "chunks of one segment were asked for"
    assert chunks(12, keyframe_every=11) == [1, 1]


def test_chunks_of_large_pictures_are_shorter_so_that_a_run_fits_into_memory() -> None:
    made = plan(source(video(3840, 2160, seconds=100)), 24)
    assert [len(chunk.segments) for chunk in made.chunks] == [1, 2, 2, 2, 2, 2, 2, 2, 2]


def test_the_keyframe_before_a_chunk() -> None:
    picture = video(seconds=60, start=5, keyframe_every=10)
    made = plan(source(picture), 6)
    assert [lead_in_keyframe(made, picture, frame) for frame in (0, 144, 240, 288)] == [None, None, 15, 15]
    assert lead_in_keyframe(made, picture, 15 * 24, Fraction(3)) == 15  # 3 s earlier than needed
    interlaced = dataclasses.replace(picture, interlaced=True)
    assert lead_in_keyframe(made, interlaced, 240) is None  # pictures around each one are needed to deinterlace it


def test_how_much_may_be_made_up_at_the_end() -> None:
    picture = video(seconds=20)
    assert tail_frames(plan(source(picture)), picture) == 12  # half a second
    assert tail_frames(plan(source(picture, sound(seconds=30))), picture) == 12 + 240
    slow = video(seconds=20, rate=1)
    assert tail_frames(plan(source(slow)), slow) == 1


@pytest.mark.parametrize(
    ("width", "height", "poster"),
    [(1920, 1080, (1280, 720)), (854, 480, (854, 480)), (1080, 1920, (1080, 1920)), (3840, 1634, (1280, 544))],
)
def test_the_poster_has_the_titles_shape(width: int, height: int, poster: tuple[int, int]) -> None:
    assert poster_size(plan(source(video(width, height)))) == poster


def test_pixels_that_are_nearly_square_are_square() -> None:
    picture = dataclasses.replace(video(1922, 1080), coded_width=1920, pixel_aspect=Fraction(1281, 1280))
    assert plan(source(picture)).video[-1].width == 1920
    turned = dataclasses.replace(picture, width=1080, height=1922, rotation=90)
    assert (plan(source(turned)).video[-1].width, plan(source(turned)).video[-1].height) == (1080, 1920)
    assert plan(source(video(1024, 576, pixel_aspect=Fraction(64, 45)))).video[-1].width == 1024


def test_equal_facts_have_equal_digests_and_other_facts_others(monkeypatch: pytest.MonkeyPatch) -> None:
    info = source(video(seconds=60), sound())
    base = make_plan(info, "digest", PlanOptions(), "encoder")
    assert make_plan(info, "digest", PlanOptions(), "encoder") == base
    others = [
        make_plan(info, "other", PlanOptions(), "encoder"),
        make_plan(info, "digest", PlanOptions(chunk_s=12), "encoder"),
        make_plan(info, "digest", PlanOptions(profile="mobile"), "encoder"),
        make_plan(info, "digest", PlanOptions(), "another encoder"),
        make_plan(source(video(seconds=61), sound()), "digest", PlanOptions(), "encoder"),
        make_plan(source(video(seconds=60, start=1), sound(start=1)), "digest", PlanOptions(), "encoder"),
        make_plan(source(video(seconds=60)), "digest", PlanOptions(), "encoder"),
    ]
    monkeypatch.setattr(planning, "PLANNER_VERSION", planning.PLANNER_VERSION + 1)
    others.append(make_plan(info, "digest", PlanOptions(), "encoder"))
    assert len({base.digest, *(other.digest for other in others)}) == 9


def test_what_was_planned_before_first_pictures_were_made_finer_is_finished_as_it_was_begun() -> None:
    """Of such a title segments are there already, and a repair must come out as what was recorded."""
    made = plan(source(video(seconds=60)))
    assert all(str(encoder_options(rung, 48)["x264-params"]).endswith(":zones=0,0,b=1.4") for rung in made.video)
    stored = plan_to_json(made)
    for rung in stored["video"]:
        del rung["first_gain"]
    assert not any("zones" in str(encoder_options(rung, 48)["x264-params"]) for rung in plan_from_json(stored).video)


def test_a_source_without_video_has_no_plan() -> None:
    with pytest.raises(ValueError, match="video"):
        plan(dataclasses.replace(source(), video=None))


def test_the_frames_of_a_chunk() -> None:
    made = plan(source(video(854, 480, seconds=30, keyframe_every=6)))
    assert [frames_of(made, chunk.of(["any"])) for chunk in made.chunks] == [(0, 144), (144, 720)]


def test_a_protected_title_has_a_plan_of_its_own() -> None:
    """The digest of clear titles is what it was, and each key has another one: equal plans mean equal bytes."""
    clear = plan(source(video(), sound()))
    first, second = (with_protection(clear, Protection("aes-128", key_id * 32)) for key_id in "ab")
    assert with_protection(clear, None) == clear
    assert len({clear.digest, first.digest, second.digest, with_protection(clear, Protection("cbcs", "a" * 32)).digest}) == 4
    assert with_protection(clear, first.protection) == first
    assert plan_from_json(plan_to_json(first)) == first
    modern = plan(source(video(), sound()), profile="h264+av1")
    assert with_protection(modern, first.protection).protection == first.protection
    with pytest.raises(Rejected, match="AV1"):
        with_protection(modern, Protection("cbcs", "a" * 32))
