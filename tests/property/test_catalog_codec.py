"""Stored values come back as they were."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.codec import Malformed, info_from_json, info_to_json, plan_from_json, plan_to_json, to_json
from media.grid import SegmentGrid
from media.info import AudioStream, MediaInfo, VideoStream
from media.plan import Chunk, EncodePlan
from media.rendition import AudioRendition, VideoRendition
from tests.assets import INFO, a_plan

fractions = st.fractions(max_denominator=1_000_000)
rates = st.fractions(min_value=Fraction(1, 10), max_value=120, max_denominator=1001)
words = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
numbers = st.integers(0, 2**40)

videos = st.builds(
    VideoStream,
    rotation=st.sampled_from([0, 90, 180, 270]), pixel_aspect=fractions, frame_rate=rates, start=fractions, end=fractions,
    keyframes=st.lists(fractions, max_size=4).map(tuple), hdr=st.sampled_from(["sdr", "hdr10", "hlg", "dolby_vision"]),
    index=numbers, width=numbers, height=numbers, coded_width=numbers, coded_height=numbers, bit_depth=numbers, packets=numbers,
    codec=words, pixel_format=words, color_space=words, color_transfer=words, color_primaries=words,
)  # fmt: skip
audios = st.builds(
    AudioStream, start=fractions, end=fractions, index=numbers, sample_rate=numbers, channels=numbers, codec=words,
    channel_layout=words, language=words, title=words,
)  # fmt: skip
infos = st.builds(
    MediaInfo, container=words, size_bytes=numbers, duration=fractions, video=st.none() | videos,
    audio=st.lists(audios, max_size=3).map(tuple), attached_pictures=numbers, subtitle_codecs=st.lists(words, max_size=3).map(tuple),
)  # fmt: skip
rungs = st.builds(
    VideoRendition, name=words, width=numbers, height=numbers, frame_rate=rates, crf=st.floats(0, 51) | st.integers(0, 51).map(float),
    maxrate_bps=numbers, bufsize_bits=numbers, level_idc=numbers, preset=words, threads=numbers, codecs=words,
)  # fmt: skip
sounds = st.builds(
    AudioRendition, name=words, source_index=numbers, channels=numbers, sample_rate_hz=numbers, bitrate_bps=numbers, codecs=words,
    language=words, label=words,
)  # fmt: skip
plans = st.builds(
    EncodePlan, digest=words, source_digest=words, encoder=words, origin=fractions,
    grid=st.builds(SegmentGrid, frame_rate=rates, frames=st.integers(1, 10**7)),
    video=st.lists(rungs, max_size=3).map(tuple), audio=st.lists(sounds, max_size=3).map(tuple),
    chunks=st.lists(st.builds(Chunk, index=numbers, first_segment=numbers, end_segment=numbers), max_size=3).map(tuple),
    groups=st.lists(st.lists(words, max_size=3).map(tuple), max_size=3).map(tuple),
)  # fmt: skip


def through_text(value: Any) -> Any:
    return json.loads(json.dumps(value))


@given(infos)
def test_a_source_comes_back_unchanged(info: MediaInfo) -> None:
    assert info_from_json(through_text(info_to_json(info))) == info


@given(plans)
def test_a_plan_comes_back_unchanged(plan: EncodePlan) -> None:
    assert plan_from_json(through_text(plan_to_json(plan))) == plan


@pytest.mark.parametrize("audio", [True, False])
def test_a_plan_of_before_there_could_be_several_tracks_is_read(audio: bool) -> None:
    plan = a_plan(audio=audio)
    stored = through_text(plan_to_json(plan))
    stored["audio"] = stored["audio"][0] if audio else None
    for name in ("group", "default", "autoselect", "characteristics"):
        stored["audio"] and stored["audio"].pop(name)
    assert plan_from_json(stored) == plan


def test_times_are_exact_fractions_in_the_stored_form() -> None:
    stored = info_to_json(INFO)
    assert stored["duration"] == "13/1"
    assert stored["video"]["keyframes"] == ["0/1", "24/5"]


def changed(path: str, value: Any) -> dict[str, Any]:
    stored: dict[str, Any] = through_text(info_to_json(INFO))
    holder: Any = stored
    *way, last = path.split(".")
    for name in way:
        holder = holder[name]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return stored


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("duration", 13.0, "fraction"),
        ("duration", "13", "fraction"),
        ("duration", "1/0", "not a fraction"),
        ("size_bytes", "12", "must be int"),
        ("size_bytes", True, "must be int"),
        ("video.hdr", "hdr11", "one of"),
        ("video.index", ..., "video.index is missing"),
        ("video", [], "must be an object"),
        ("audio", {}, "must be a list"),
        ("video.interlaced", 0, "must be bool"),
    ],
)
def test_another_shape_is_refused(path: str, value: Any, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        info_from_json(changed(path, value))


def test_a_field_that_a_newer_version_added_is_skipped() -> None:
    assert info_from_json(changed("video.sparkle", 1)) == INFO


def test_what_has_no_stored_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_json(object())


def test_the_example_plan_is_among_them() -> None:
    assert plan_from_json(through_text(plan_to_json(a_plan()))) == a_plan()
