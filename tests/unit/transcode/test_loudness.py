"""How loud a track is, and what is done about it."""

from __future__ import annotations

import pytest

from catalog.sounds import Loudness
from kit.errors import StepFailed
from tests.sources import sound, source, video
from transcode.loudness import gain_db, read
from transcode.plan import PlanOptions, make_plan, with_gains

SAID = """[info] Stream mapping:
[Parsed_ebur128_0 @ 0x7f] [info] Summary:

  Integrated loudness:
    I:         {i} LUFS
    Threshold: -31.1 LUFS

  Loudness range:
    LRA:         {lra} LU
    Threshold: -41.1 LUFS
    LRA low:   -21.1 LUFS
    LRA high:  -21.1 LUFS

  True peak:
    Peak:      {peak} dBFS
"""


def said(i: str, lra: str, peak: str) -> str:
    return SAID.format(i=i, lra=lra, peak=peak)


def test_the_figures_are_read() -> None:
    assert read(said("-21.1", "4.5", "-20.3")) == Loudness(-21.1, 4.5, -20.3)
    assert read(said("-9.0", "1.0", "-3.0") + said("-21.1", "4.5", "1.2")) == Loudness(-21.1, 4.5, 1.2)  # the last word counts
    assert read(said("-70.0", "0.0", "-inf")) == Loudness(None, 0.0, None)  # silence
    assert read(said("-inf", "nan", "-91.2")) == Loudness(None, 0.0, -91.2)


@pytest.mark.parametrize("text", ["", "Integrated loudness:", said("loud", "4", "-1")])
def test_without_figures_the_step_fails(text: str) -> None:
    with pytest.raises(StepFailed):
        read(text)


@pytest.mark.parametrize(
    ("integrated", "peak", "gain"),
    [
        (-23.0, -12.0, 5.0),
        (-10.0, 0.3, -8.0),
        (-23.0, -3.0, 2.0),  # its peaks leave no more
        (-18.0, 0.5, -1.5),  # loud enough, but clipping
        (-18.04, -6.0, 0.0),
        (-60.0, -50.0, 24.0),
        (None, None, 0.0),
        (-30.0, None, 12.0),
    ],
)
def test_one_gain_for_the_whole_track(integrated: float | None, peak: float | None, gain: float) -> None:
    assert gain_db(Loudness(integrated, 3.0, peak)) == gain


def test_a_gain_makes_another_plan() -> None:
    plan = make_plan(source(video(640, 360, seconds=10), sound(seconds=10, channels=6)), "digest", PlanOptions(), "encoder")
    louder = with_gains(plan, {"audio": 2.5})
    assert [track.gain_db for track in louder.audio] == [2.5, 0.0]
    assert louder.digest != plan.digest
    assert with_gains(plan, {}) == plan
