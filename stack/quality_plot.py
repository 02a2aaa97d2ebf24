"""Draws the quality of a video over time, one line for each rendition, with matplotlib, which is only loaded when somebody asks for it.

A line runs where every picture in a row was looked at and breaks where segments were left out, so a sample never looks like the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from math import nan
from pathlib import Path
from typing import Any

from kit.errors import HeadwaterError

_SIZE_INCHES = (11.0, 4.5)
_DPI = 110


class NoDrawing(HeadwaterError):
    """The library that draws is an extra."""

    code = "tool_missing"


def require_library() -> None:
    """Raises NoDrawing."""
    if find_spec("matplotlib") is None:
        raise NoDrawing("Drawing needs matplotlib: install headwater with its extra “plot”.")


def draw(found: Mapping[str, Any], target: Path) -> None:
    """A PNG of what `GET /v1/assets/{asset_id}/quality` answered. Raises NoDrawing."""
    require_library()
    # The classes, and not pyplot, which would look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for item in found["renditions"]:
        times, scores = series(item["points"])
        vmaf = item["vmaf"]
        (line,) = axes.plot(times, scores, linewidth=1.2, label=f"{item['name']}: mean {vmaf['mean']:.1f}, 5 % {vmaf['p5']:.1f}")
        if vmaf["below_floor"]:
            axes.axhline(vmaf["floor"], linewidth=0.8, linestyle=":", color=line.get_color())
    axes.set(xlabel="seconds", ylabel=f"VMAF ({found['model']})", ylim=(0, 101))
    axes.margins(x=0.01)
    axes.grid(alpha=0.25)
    if found["renditions"]:
        axes.legend(loc="lower right", fontsize="small")
    figure.savefig(target, format="png")


def series(points: list[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Times and scores in order, with a gap where segments were left out. Pure."""
    drawn = list(_drawn(points))
    return [time for time, _ in drawn], [score for _, score in drawn]


def _drawn(points: list[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    before: int | None = None
    for point in sorted(points, key=lambda item: int(item["index"])):
        if before is not None and point["index"] != before + 1:
            yield point["start_s"], nan
        step = point["duration_s"] / len(point["scores"])
        yield from ((point["start_s"] + place * step, score) for place, score in enumerate(point["scores"]))
        before = point["index"]
