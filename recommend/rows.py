"""A page of rows, as values: what a suggestion is, how rows become a page, and who is answered from which model. Pure.

A page shows no title twice and no row without titles, or a tag with a single one; rows come in the order they are given, so
the same history gives the same page.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from recommend.store import Impression, Title

ReasonKind = Literal["because_you_watched", "trending", "new", "tag", "similar", "explore", "continue", "popular"]
Source = Literal["model", "trending", "new"]
ROWS_MAX = 10
_SHORTEST, _LONGEST = 4, 20  # titles of a row


@dataclass(frozen=True, slots=True)
class Reason:
    kind: ReasonKind
    text: str
    asset_id: str | None = None  # the title that is the reason


@dataclass(frozen=True, slots=True)
class Suggestion:
    title: Title
    score: float
    reason: Reason
    propensity: float = 1.0  # how probable this title was at this place
    position_s: float | None = None  # where to go on

    @property
    def watch(self) -> str:
        at_s = int(self.position_s or 0)
        return f"/watch/{self.title.playback_id}" + (f"?t={at_s}" if at_s > 0 else "")

    @property
    def poster(self) -> str:
        return f"/v/{self.title.playback_id}/poster.jpg" if self.title.has_poster else ""

    @property
    def preview(self) -> str:
        return f"/v/{self.title.playback_id}/preview.mp4" if self.title.has_preview else ""


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    title: str
    items: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Home:
    viewer_id: str
    request_id: str
    model_version: str  # empty: no model had a part in it
    variant: str
    source: Source
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A flat list."""

    items: tuple[Suggestion, ...]
    model_version: str
    source: Source


def row_length(titles: int) -> int:
    """Titles of one row in a catalogue of that size: in a small one, the first row must not swallow all there is."""
    return max(_SHORTEST, min(_LONGEST, math.ceil(titles / 3)))


def assemble(rows: Sequence[Row], length: int) -> tuple[Row, ...]:
    """The page: every title where it comes first, rows cut to `length`, empty ones left out. Continue watching is never cut short."""
    shown: set[str] = set()
    page = []
    for row in rows:
        fresh: dict[str, Suggestion] = {}
        for item in row.items:
            if item.title.asset_id not in shown:
                fresh.setdefault(item.title.asset_id, item)
        items = tuple(fresh.values())[: _LONGEST if row.id == "continue_watching" else length]
        if len(items) >= (2 if row.id.startswith("tag:") else 1):
            shown |= {item.title.asset_id for item in items}
            page.append(replace(row, items=items))
    return tuple(page[:ROWS_MAX])


def impressions_of(rows: Sequence[Row]) -> list[Impression]:
    """Every slot of a page, for the log. Replaying them in order gives the page again."""
    return [
        Impression(row.id, number, position, item.title.asset_id, item.score, item.propensity)
        for number, row in enumerate(rows)
        for position, item in enumerate(row.items)
    ]


def _share(*parts: str) -> float:
    """A number in [0, 1) that these texts always give."""
    return int.from_bytes(hashlib.sha256("\n".join(parts).encode()).digest()[:7], "big") / (1 << 56)


def variant_of(viewer_id: str, experiment: str, share_b: float) -> str:
    """`a` or `b`: the same viewer always gets the same, and another experiment divides anew."""
    return "b" if experiment and _share(experiment, viewer_id) < share_b else "a"


def explored(viewer_id: str, day: str, pool: Sequence[str]) -> tuple[str, float] | None:
    """One title of a pool of little known ones for this viewer and day, and its probability: each is as probable as the others."""
    if not pool:
        return None
    return pool[int(_share("explore", viewer_id, day) * len(pool))], 1.0 / len(pool)
