"""What the comparison of encoders computes, and what it keeps."""

from __future__ import annotations

import json

import pytest

from bench.codecs import CHOSEN, CRFS, RESULTS, ROWS, bd_rate, label, picked

CURVE = [(1_000_000.0, 80.0), (2_000_000.0, 86.0), (4_000_000.0, 92.0)]


def test_half_the_bits_for_the_same_score_are_half_the_rate() -> None:
    assert bd_rate(CURVE, CURVE) == pytest.approx(0.0)
    assert bd_rate(CURVE, [(bps / 2, vmaf) for bps, vmaf in CURVE]) == pytest.approx(-0.5)


def test_some_encoders_can_be_measured_anew_beside_the_one_they_are_compared_with() -> None:
    assert picked("") == ROWS
    assert [label(row) for row in picked("av1 8, hevc veryfast")] == ["h264 veryfast", "hevc veryfast", "av1 8"]


def test_of_what_the_profiles_use_every_encode_is_kept() -> None:
    rows = {row["encoder"]: row for row in json.loads(RESULTS.read_text())["rows"]}
    for encoder in CHOSEN:
        points = rows[label(encoder)]["points"]
        assert len(points) == 2, "two clips"
        for of_clip in points.values():
            assert tuple(point["crf"] for point in of_clip) == CRFS[encoder.codec]
            assert sorted(of_clip, key=lambda point: -point["bps"]) == of_clip == sorted(of_clip, key=lambda point: -point["vmaf"])
