"""Every reason to refuse a source, with its code and its sentence."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ingest import checks
from ingest.checks import REASONS, Accepted, Limits, accept, check_count, check_size, check_streams, explain_failure, spoken
from ingest.container import Shape
from ingest.ffprobe import Found, FoundAudio, FoundVideo
from ingest.frame_rate import Spacing
from ingest.packets import Reach, Scan
from kit.errors import Rejected

LIMITS = Limits(bytes=10_000_000, duration_s=3600, pixels=1920 * 1080)
WHOLE = Shape(None, is_mp4=True, has_index=True, claimed_bytes=1000)

VIDEO = FoundVideo(
    index=0,
    codec="h264",
    width=640,
    height=360,
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
    claimed_rates=(Fraction(25),),
    claimed_end=Fraction(10),
)
SOUND = FoundAudio(1, "aac", 48_000, 2, "stereo", "und", "", True, Fraction(0), Fraction(10))
FOUND = Found("mov", 2, Fraction(10), VIDEO, (SOUND,), 0, (), {0: Fraction(1, 1000), 1: Fraction(1, 48_000)})
STEP = Fraction(1, 25)
SCAN = Scan(
    spacing=Spacing(250, Fraction(0), Fraction(249, 25), Fraction(1, 1000), STEP, STEP, {4000: 249}),
    last_duration=STEP,
    keyframes=(Fraction(0),),
    encrypted=False,
    reach={0: Reach(Fraction(0), Fraction(10)), 1: Reach(Fraction(0), Fraction(10))},
)


def reason(verdict: Accepted | Rejected | None) -> str | None:
    if not isinstance(verdict, Rejected):
        return None
    assert verdict.code in REASONS
    assert verdict.detail[0].isupper() and verdict.detail.endswith("."), verdict.detail
    return verdict.code


def refused_video(**change: Any) -> str | None:
    return reason(check_streams(replace(FOUND, video=replace(VIDEO, **change)), "", LIMITS))


def verdict(scan: Scan = SCAN, found: Found = FOUND, shape: Shape = WHOLE, size_bytes: int = 1000) -> Accepted | Rejected:
    return accept(found, scan, shape, size_bytes, LIMITS)


def test_a_good_source_passes_every_check() -> None:
    assert check_size(1000, LIMITS) is None
    assert check_streams(FOUND, "", LIMITS) is None
    assert check_count(250, 500, 1000) is None
    good = verdict()
    assert isinstance(good, Accepted)
    assert good.info.video is not None
    assert (good.info.video.packets, good.info.duration) == (250, 10)


def test_size() -> None:
    assert reason(check_size(0, LIMITS)) == "empty"
    assert reason(check_size(10_000_001, LIMITS)) == "too_large"
    assert check_size(10_000_000, LIMITS) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"codec": "magicyuv"}, "unsupported_codec"),
        ({"dolby_vision": (5, 0)}, "dolby_vision_5"),
        ({"dolby_vision": (10, 0)}, "dolby_vision_5"),
        ({"dolby_vision": (8, 1)}, None),
        ({"dolby_vision": (7, 6)}, None),
        ({"width": 1921, "height": 1080}, "too_many_pixels"),
        ({"width": 1920, "height": 1080}, None),
        ({"width": 1440, "height": 1080, "pixel_aspect": Fraction(4, 3)}, None),
        ({"width": 1440, "height": 1080, "pixel_aspect": Fraction(3, 2)}, "too_many_pixels"),
        ({"width": 0, "height": 0}, "unsupported_format"),
        ({"width": 15, "height": 100}, "too_small"),
        ({"width": 16, "height": 16}, None),
        ({"width": 160, "height": 160, "pixel_aspect": Fraction(1, 100)}, "too_small"),
        ({"width": 321, "height": 20}, "unsupported_shape"),
        ({"width": 320, "height": 20}, None),
        ({"width": 20, "height": 321}, "unsupported_shape"),
    ],
)
def test_the_picture(change: dict[str, Any], code: str | None) -> None:
    assert refused_video(**change) == code


def test_a_picture_too_large_to_be_looked_at() -> None:
    none = replace(FOUND, video=replace(VIDEO, width=0, height=0))
    assert reason(check_streams(none, "Picture size 90000x90000 exceeds specified max pixel count 2073600", LIMITS)) == "too_many_pixels"


def test_tracks() -> None:
    assert reason(check_streams(replace(FOUND, streams=33), "", LIMITS)) == "too_many_streams"
    assert check_streams(replace(FOUND, video=None), "", LIMITS) is None
    assert reason(check_streams(replace(FOUND, video=None, audio=()), "", LIMITS)) == "no_video_stream"
    assert reason(check_streams(replace(FOUND, video=None, ticks={}), "", LIMITS)) == "unsupported_format"


def test_too_many_pictures() -> None:
    assert reason(check_count(checks.MOST_PICTURES + 1, checks.MOST_PICTURES + 1, 10**10)) == "too_many_pictures"
    assert reason(check_count(10, checks.MOST_PACKETS + 1, 10**10)) == "too_many_packets"
    assert reason(check_count(10, 300_000, 2_000_000)) == "too_many_packets"
    assert check_count(10, 300_000, 20_000_000) is None


def test_what_cannot_become_a_video_is_refused_while_it_is_read() -> None:
    """Pieces that lie on one another, and pictures that come too fast: the end of the file is not waited for."""
    size_bytes, many = 2_000_000, checks.JUDGED_PICTURES
    assert reason(check_count(10, 50_000, size_bytes, held_bytes=2 * size_bytes + checks.FREE_BYTES + 1)) == "too_many_packets"
    assert check_count(10, 50_000, size_bytes, held_bytes=2 * size_bytes + checks.FREE_BYTES) is None
    assert reason(check_count(many, many, 10**9, span=Fraction(many, 250))) == "too_fast"
    assert check_count(many, many, 10**9, span=Fraction(many, 240)) is None
    assert check_count(many - 1, many, 10**9, span=Fraction(1)) is None, "too early to say"


def test_encrypted() -> None:
    assert reason(verdict(replace(SCAN, encrypted=True))) == "encrypted"


def test_no_sound() -> None:
    alone = replace(FOUND, video=None, claimed_end=None, audio=(replace(FOUND.audio[0], claimed_end=None),))
    assert reason(verdict(replace(SCAN, spacing=None, reach={}), alone)) == "no_sound"


def test_a_length_that_is_only_guessed_is_not_held_against_sound() -> None:
    """An MP3 does not say how long it is; FFmpeg guesses from its first packets."""
    far = replace(FOUND, video=None, claimed_end=Fraction(1000))
    assert reason(verdict(SCAN, far)) == "truncated"
    assert isinstance(verdict(SCAN, replace(far, container="mp3")), Accepted)


def test_no_pictures() -> None:
    said_nothing = replace(FOUND, claimed_end=None, video=replace(VIDEO, claimed_end=None), audio=())
    assert reason(verdict(replace(SCAN, spacing=None, reach={}), said_nothing)) == "no_pictures"


def test_truncated_names_both_durations() -> None:
    short = replace(SCAN, reach={0: Reach(Fraction(0), Fraction(36, 10)), 1: Reach(Fraction(0), Fraction(36, 10))})
    refused = verdict(short)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.detail) == (
        "truncated",
        "The file should last 10 seconds, but ends after 3.6 seconds: the rest is missing.",
    )


@pytest.mark.parametrize(
    ("video_end", "audio_end", "code"),
    [
        (Fraction(10), Fraction(4), "truncated"),  # only the sound is cut off
        (Fraction(4), Fraction(10), "truncated"),
        (Fraction(96, 10), Fraction(96, 10), None),  # containers are wrong by so much
        (Fraction(94, 10), Fraction(10), "truncated"),
    ],
)
def test_each_track_must_reach_what_it_claims(video_end: Fraction, audio_end: Fraction, code: str | None) -> None:
    assert reason(verdict(replace(SCAN, reach={0: Reach(Fraction(0), video_end), 1: Reach(Fraction(0), audio_end)}))) == code


def test_a_clock_that_starts_late_hides_nothing() -> None:
    """The length counts, not the time of day: half of ten seconds is missing, an hour into the clock."""
    hour = Fraction(3600)
    assert SCAN.spacing is not None
    late = replace(FOUND, claimed_end=hour + 10, video=replace(VIDEO, claimed_end=hour + 10), audio=())
    spacing = replace(SCAN.spacing, first=hour, last=hour + 5)
    refused = verdict(replace(SCAN, spacing=spacing, reach={0: Reach(hour, hour + 5)}), late)
    assert isinstance(refused, Rejected)
    assert refused.detail == "The file should last 10 seconds, but ends after 5 seconds: the rest is missing."


def test_a_long_source_may_miss_a_little_more() -> None:
    long = replace(FOUND, claimed_end=Fraction(1000), video=replace(VIDEO, claimed_end=Fraction(1000)), audio=())
    assert reason(verdict(replace(SCAN, reach={0: Reach(Fraction(0), Fraction(981))}), long)) is None
    assert reason(verdict(replace(SCAN, reach={0: Reach(Fraction(0), Fraction(979))}), long)) == "truncated"


def test_only_the_container_claims() -> None:
    """Matroska without statistics, FLV: the whole is as long as its longest track."""
    silent = replace(FOUND, video=replace(VIDEO, claimed_end=None), audio=(replace(SOUND, claimed_end=None),))
    reach = {0: Reach(Fraction(0), Fraction(4)), 1: Reach(Fraction(0), Fraction(10))}
    assert reason(verdict(replace(SCAN, reach=reach), silent)) is None
    assert reason(verdict(replace(SCAN, reach=reach), replace(silent, claimed_end=Fraction(86_400)))) == "truncated"


def test_boxes_that_go_on_past_the_end_of_the_file() -> None:
    cut = replace(WHOLE, claimed_bytes=2000)
    refused = verdict(shape=cut)
    assert isinstance(refused, Rejected)
    assert refused.code == "truncated"
    assert "1.0 kB of 2.0 kB" in refused.detail
    assert isinstance(verdict(shape=replace(WHOLE, claimed_bytes=1005)), Accepted)


def test_times_that_make_no_sense() -> None:
    assert SCAN.spacing is not None
    gap = replace(SCAN, spacing=replace(SCAN.spacing, longest=Fraction(601)))
    assert reason(verdict(gap)) == "broken_timestamps"
    assert reason(verdict(replace(SCAN, last_duration=Fraction(601)))) == "broken_timestamps"
    assert isinstance(verdict(replace(SCAN, last_duration=Fraction(599))), Accepted)


def test_too_long_counts_what_is_there_not_what_is_claimed() -> None:
    long = replace(SCAN, reach={0: Reach(Fraction(0), Fraction(3601)), 1: Reach(Fraction(0), Fraction(10))})
    assert reason(verdict(long)) == "too_long"
    lying = replace(FOUND, claimed_end=Fraction(10), video=replace(VIDEO, claimed_end=Fraction(10)))
    assert reason(verdict(long, lying)) == "too_long"
    late = replace(SCAN, reach={0: Reach(Fraction(90_000), Fraction(90_010)), 1: Reach(Fraction(90_000), Fraction(90_010))})
    assert isinstance(verdict(late), Accepted)


@pytest.mark.parametrize(
    ("shape", "complaint", "code", "words"),
    [
        (Shape("a playlist", False, False, None), "Invalid data", "unsupported_format", "a playlist"),
        (Shape(None, True, False, 900), "moov atom not found", "truncated", "index"),
        (Shape(None, False, False, None), "Invalid data", "unsupported_format", "damaged"),
        (Shape(None, True, True, 900), "Invalid data", "unsupported_format", "damaged"),
        (Shape(None, False, False, None), "Codec (magicyuv) not on whitelist 'h264'", "unsupported_codec", "magicyuv"),
        (Shape(None, True, True, 9), "Picture size 9x9 exceeds specified max pixel count 8", "too_many_pixels", "2,073,600"),
        (Shape(None, True, True, 9), "Number of streams exceeds max_streams parameter (128)", "too_many_streams", "32"),
    ],
)
def test_what_ffprobe_could_not_read_is_explained(shape: Shape, complaint: str, code: str, words: str) -> None:
    refused = explain_failure(shape, complaint, LIMITS)
    assert reason(refused) == code
    assert words in refused.detail


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((Fraction(0), "0 seconds"), (Fraction(36, 10), "3.6 seconds"), (Fraction(1), "1 second"), (Fraction(6), "6 seconds")),
        *((Fraction(125), "2 min 5 s"), (Fraction(120), "2 min"), (Fraction(12_000), "3 h 20 min"), (Fraction(86_400), "24 h")),
    ],
)
def test_durations_in_words(seconds: Fraction, words: str) -> None:
    assert spoken(seconds) == words


def test_more_pictures_than_any_camera_makes() -> None:
    assert SCAN.spacing is not None
    many = replace(SCAN, spacing=replace(SCAN.spacing, pictures=100_000, last=SCAN.spacing.first + 4))
    assert reason(verdict(many)) == "too_fast"
    at_once = replace(SCAN, spacing=replace(SCAN.spacing, pictures=1000, last=SCAN.spacing.first))
    assert reason(verdict(at_once)) == "too_fast"
    slow_motion = replace(SCAN, spacing=replace(SCAN.spacing, pictures=960, last=SCAN.spacing.first + 4))
    assert isinstance(verdict(slow_motion), Accepted)
