"""What a measurement of quality asks for and how its answers are read. Pure.

`least` is the floor of a rendition: the VMAF below which it is worse than its profile promises. A rung that is smaller than the
picture it stands for cannot come near it, however many bits it gets, so the floor falls with its share of the lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any

from catalog.quality import EVERY, SHORT_SIDE
from kit.errors import StepFailed
from media.plan import EncodePlan
from media.rendition import VideoRendition
from transcode.verify import MissingFrames

# By share of lines: five points and more below the least that was measured of H.264 in five excerpts of 6 s of two real clips, which is
# little to go by (docs/benchmarks.md, "Quality on record"). HEVC and AV1 rungs, which scored higher, are held to the same.
FLOORS: tuple[tuple[float, float], ...] = ((0.95, 75.0), (0.6, 75.0), (0.4, 70.0))
FINE_FLOOR = 90.0  # of the whole size, where a profile encodes for keeping: four and more below two excerpts of one clip
FINE_CRF = 18.0


def display_size(plan: EncodePlan) -> tuple[int, int]:
    """Width and height at which everything is compared: the shape of the title, `SHORT_SIDE` on its short side."""
    top = max((rung for rung in plan.video if rung.video_range == "SDR"), key=_lines)
    scale = SHORT_SIDE / _lines(top)
    return 2 * round(top.width * scale / 2), 2 * round(top.height * scale / 2)


def _lines(rung: VideoRendition) -> int:
    return min(rung.width, rung.height)


def least(plan: EncodePlan, rung: VideoRendition) -> float | None:
    """The mean VMAF that is expected of `rung`; None where nothing is."""
    whole = min(SHORT_SIDE, max(_lines(other) for other in plan.video))
    share = min(1.0, _lines(rung) / whole)
    if share >= FLOORS[0][0] and rung.codec == "h264" and rung.crf <= FINE_CRF:
        return FINE_FLOOR
    return next((floor for smallest, floor in FLOORS if share >= smallest), None)


def read_report(text: str, pictures: int) -> tuple[float, ...]:
    """The scores of libvmaf's report on `pictures` pictures. Raises MissingFrames when there are not as many,
    and StepFailed when some are no numbers."""
    report: Mapping[str, Any] = json.loads(text) if text else {}
    numbers = [frame["frameNum"] for frame in report.get("frames", ())]
    scores = [float(frame["metrics"]["vmaf"]) for frame in report.get("frames", ())]
    if numbers != list(range(0, pictures, EVERY)) or len(scores) != ceil(pictures / EVERY):
        raise MissingFrames(f"Of {ceil(pictures / EVERY)} pictures {len(scores)} were scored.")
    if not all(isfinite(score) for score in scores):
        raise StepFailed("Some scores are not numbers.", code="encode_failed")
    return tuple(round(score, 2) for score in scores)
