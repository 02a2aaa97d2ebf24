"""What the benches compute from scores and tables."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from bench.platforms import mediacms, peertube
from bench.quality import Encoded, at_bitrate
from tests.unit.worker.test_flow import PLAN

CURVE = [Encoded("720p", bps, vmaf) for bps, vmaf in ((4_000_000, 90.0), (1_000_000, 70.0), (2_000_000, 82.0))]


@pytest.mark.parametrize(
    ("bps", "vmaf"), [(1_000_000, 70.0), (2_000_000, 82.0), (1_414_214, 76.0), (2_828_427, 86.0), (999_999, None), (4_000_001, None)]
)
def test_quality_at_another_bitrate(bps: float, vmaf: float | None) -> None:
    found = at_bitrate(CURVE, bps)
    assert found is vmaf if vmaf is None else found == pytest.approx(vmaf, abs=0.001)


def test_each_platform_makes_each_rung_in_a_process_of_its_own_and_in_its_own_order() -> None:
    here, source = Path("/out"), Path("/in.mp4")
    assert [process.rendition for process in peertube(source, 6e6, PLAN, here)] == ["1080p", "720p", "480p"]
    assert [process.rendition for process in mediacms(source, PLAN, here)] == ["480p", "720p", "1080p"]


def option(arguments: tuple[str, ...], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_rates() -> None:
    here, source = Path("/out"), Path("/in.mp4")
    top = peertube(source, 6e6, PLAN, here)[0].arguments
    assert (option(top, "-maxrate:v"), option(top, "-bufsize:v"), option(top, "-g:v")) == ("4976640", "9953280", "48")
    assert option(peertube(source, 1e6, PLAN, here)[0].arguments, "-maxrate:v") == "1300000"
    top = mediacms(source, PLAN, here)[-1].arguments
    assert (option(top, "-maxrate"), option(top, "-bufsize"), option(top, "-level")) == ("6750k", "6750k", "4.2")


def test_long_sources_are_not_compared() -> None:
    grid = replace(PLAN.grid, frames=301 * 24)
    assert grid.frame_rate == Fraction(24)
    with pytest.raises(ValueError, match="chunks of 240 s"):
        mediacms(Path("/in.mp4"), replace(PLAN, grid=grid), Path("/out"))
