"""The light of an HDR10 source: what its master was made on, and how bright it gets. Pure but for the command, which is a value.

Containers can say it (`mdcv` and `clli` boxes, `MasteringMetadata`); where they do not, the first picture does (SEI messages). It
is passed on to HDR renditions unchanged. One that says something impossible counts as one that says nothing.

Sources: SMPTE ST 2086 (mastering display), CTA-861.3 (content light level); x265's `--master-display` and `--max-cll` for the spelling.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

_CHROMATICITY, _LUMINANCE = 50_000, 10_000  # steps in one
_BRIGHTEST = 10_000  # cd/m², where the PQ curve ends
_RATIO = re.compile("([0-9]{1,10})/([0-9]{1,10})")  # of integers of 32 bits


def mastering_display(items: Iterable[Mapping[str, Any]]) -> str:
    """As x265 takes it; empty when it is not said, or not all of it."""
    for item in items:
        if item.get("side_data_type") == "Mastering display metadata":
            points = [
                (_steps(item.get(f"{name}_x"), _CHROMATICITY, 1), _steps(item.get(f"{name}_y"), _CHROMATICITY, 1))
                for name in ("green", "blue", "red", "white_point")
            ]
            most, least = (_steps(item.get(f"{name}_luminance"), _LUMINANCE, _BRIGHTEST) for name in ("max", "min"))
            if most and least is not None and least < most and all(x is not None and y for x, y in points):
                places = [f"{name}({x},{y})" for name, (x, y) in zip(("G", "B", "R", "WP"), points, strict=True)]
                return f"{''.join(places)}L({most},{least})"
    return ""


def content_light(items: Iterable[Mapping[str, Any]]) -> str:
    """ "1000,400"; empty when it is not said."""
    for item in items:
        if item.get("side_data_type") == "Content light level metadata":
            most, average = item.get("max_content"), item.get("max_average")
            if isinstance(most, int) and isinstance(average, int) and 0 < most <= 65_535 and 0 <= average <= 65_535:
                return f"{most},{average}"
    return ""


def of_first_picture(text: str) -> tuple[str, str]:
    """Both, from ffprobe's JSON of one frame; empty where it says nothing."""
    try:
        frames = json.loads(text).get("frames", [])
        items = [item for frame in frames for item in frame.get("side_data_list", []) if isinstance(item, dict)]
    except (ValueError, RecursionError, AttributeError, TypeError):
        return "", ""
    return mastering_display(items), content_light(items)


def _steps(value: Any, steps: int, most: int) -> int | None:
    """A ratio such as "34000/50000" in whole steps; None when it is none, or is negative or above `most`."""
    found = _RATIO.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[2]) == 0:
        return None
    ratio = Fraction(int(found[1]), int(found[2]))
    return round(ratio * steps) if ratio <= most else None
