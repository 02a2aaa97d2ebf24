"""Reads what FFmpeg says about its progress (`-progress`). Pure.

FFmpeg writes blocks of `key=value` lines, each ended by a line `progress=continue` or `progress=end`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """One block. `media_s` is how much has been encoded, in seconds of the title; `speed` is media seconds for each second."""

    frames: int
    media_s: float
    fps: float
    speed: float
    ended: bool


class ProgressReader:
    """Takes one line at a time, gives a Report at the end of each block."""

    def __init__(self) -> None:
        self._block: dict[str, str] = {}

    def line(self, text: str) -> Report | None:
        key, _, value = text.strip().partition("=")
        self._block[key] = value.strip()
        if key != "progress":
            return None
        block, self._block = self._block, {}
        return Report(
            frames=int(_number(block, "frame")),
            media_s=_number(block, "out_time_us") / 1_000_000,
            fps=_number(block, "fps"),
            speed=_number(block, "speed"),
            ended=value.strip() == "end",
        )


def _number(block: dict[str, str], key: str) -> float:
    """0 where FFmpeg has nothing to say yet ("N/A") or says something odd."""
    try:
        return max(0.0, float(block.get(key, "0").rstrip("x")))
    except ValueError:
        return 0.0
