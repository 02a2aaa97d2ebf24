"""What many scores come to, which segments a sample takes, and what is expected of a rung."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from catalog import quality
from catalog.quality import EVERY, SAMPLES
from kit.errors import StepFailed
from stack.quality_plot import draw, series
from tests.titles import plan_of
from transcode.quality import FINE_FLOOR, FLOORS, display_size, least, read_report
from transcode.verify import MissingFrames

SCORES = st.lists(st.floats(0, 100), min_size=1, max_size=60)


@given(SCORES)
def test_the_figures_are_those_of_libvmaf_and_numpy(scores: list[float]) -> None:
    found = quality.summary(scores)
    assert found.mean == pytest.approx(1 / np.mean([1 / (score + 1) for score in scores]) - 1, abs=0.001)
    assert found.p5 == pytest.approx(np.percentile(scores, 5), abs=0.001)
    assert found.lowest == min(scores)


def test_nothing_is_not_a_hundred() -> None:
    with pytest.raises(ValueError, match="nothing was scored"):
        quality.summary([])


@given(st.integers(1, 3000))
def test_a_sample_is_spread_over_the_title_and_part_of_the_whole(count: int) -> None:
    sampled = quality.picked(count, "sampled")
    assert len(set(sampled)) == len(sampled) == min(count, SAMPLES)
    assert set(sampled) <= set(quality.picked(count, "full")) == set(range(count))
    if count >= SAMPLES:
        assert all(number * count // SAMPLES <= index < (number + 1) * count // SAMPLES + 1 for number, index in enumerate(sampled))


def test_hdr_is_left_out_and_a_title_of_nothing_else_has_no_work() -> None:
    plan = plan_of()
    hdr = replace(plan.video[-1], name="hdr", video_range="PQ")
    assert "hdr" not in quality.measurable(replace(plan, video=(*plan.video, hdr)))
    assert quality.jobs("ast_1", replace(plan, video=(hdr,)), "full") == []


def test_a_whole_measurement_keeps_what_a_sample_has_done() -> None:
    plan = plan_of()
    sampled, full = ({job.subject for job in quality.jobs("ast_1", plan, extent)} for extent in ("sampled", "full"))
    assert sampled <= full
    assert len(full) == plan.grid.segment_count


def test_what_is_expected_falls_with_the_size_and_rises_with_the_profile() -> None:
    plan = plan_of()
    shapes = {480: (854, 480), 720: (1280, 720), 1080: (1920, 1080)}
    rungs = [replace(plan.video[0], name=f"{side}p", width=size[0], height=size[1], crf=23.0) for side, size in shapes.items()]
    ladder = replace(plan, video=tuple(rungs))
    assert [least(ladder, rung) for rung in rungs] == [floor for _, floor in reversed(FLOORS)]
    assert least(ladder, replace(rungs[-1], crf=18.0)) == FINE_FLOOR
    assert least(ladder, replace(rungs[0], width=426, height=240)) is None
    assert least(replace(ladder, video=(rungs[0],)), rungs[0]) == FLOORS[0][1], "of a small source the small rung is all there is"
    assert display_size(ladder) == display_size(replace(ladder, video=(rungs[1],))) == (1920, 1080)


def report(scores: list[float], first: int = 0) -> str:
    return json.dumps({"frames": [{"frameNum": first + EVERY * n, "metrics": {"vmaf": score}} for n, score in enumerate(scores)]})


def test_a_report_counts_when_it_is_whole() -> None:
    assert read_report(report([90.123, 95.0, 80.0]), 2 * EVERY + 1) == (90.12, 95.0, 80.0)
    for text, pictures in ((report([90.0, 95.0]), 2 * EVERY + 1), (report([90.0, 95.0], first=1), 2 * EVERY), ("", 3), ("{}", 3)):
        with pytest.raises(MissingFrames):
            read_report(text, pictures)
    with pytest.raises(StepFailed, match="not numbers"):
        read_report(report([90.0, float("nan")]), 2 * EVERY)


def test_it_is_drawn_with_gaps_where_nobody_looked(tmp_path: Path) -> None:
    points: list[Mapping[str, Any]] = [
        {"index": index, "start_s": 6.0 * index, "duration_s": 6.0, "scores": [90.0, 80.0]} for index in (0, 1, 5)
    ]
    times, scores = series(points)
    assert np.isnan(scores).tolist() == [False] * 4 + [True] + [False] * 2
    assert times == [0.0, 3.0, 6.0, 9.0, 30.0, 30.0, 33.0]
    vmaf = {"mean": 84.7, "p5": 80.0, "min": 80.0, "floor": 85.0, "below_floor": True}
    target = tmp_path / "quality.png"
    draw({"model": quality.MODEL, "renditions": [{"name": "1080p", "vmaf": vmaf, "points": points}]}, target)
    with Image.open(target) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 10, "a line, a floor and words"
    assert Fraction(picture.width, picture.height) == Fraction(22, 9)
