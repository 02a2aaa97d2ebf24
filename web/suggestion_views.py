"""Rows of suggestions as the templates show them, and the studio's look at the model. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recommend.bundle import Published
from recommend.rows import Row, Suggestion
from recommend.viewing import Seen
from web.views import UNTITLED, clock, day


@dataclass(frozen=True, slots=True)
class TileView:
    """One suggested title. Texts are empty where there is nothing to say."""

    asset_id: str
    playback_id: str
    title: str
    length: str
    poster: str
    watch: str
    why: str
    percent: int  # watched, of a title to go on with; 0 for others
    preview: str = ""


@dataclass(frozen=True, slots=True)
class RowView:
    number: int
    id: str
    title: str
    tiles: tuple[TileView, ...]


@dataclass(frozen=True, slots=True)
class HistoryView:
    title: str
    share: str
    opinion: str
    when: str


@dataclass(frozen=True, slots=True)
class KeptView:
    version: str
    when: str
    use: str


def tile(item: Suggestion, *, told: bool) -> TileView:
    """`told`: with the reason below the title."""
    title = item.title
    percent = int(100 * item.position_s / title.duration_s) if item.position_s and title.duration_s else 0
    left_s = (title.duration_s or 0) - (item.position_s or 0)
    why = f"{clock(left_s)} left" if percent else item.reason.text if told else ""
    return TileView(
        title.asset_id, title.playback_id, title.title or UNTITLED, clock(title.duration_s) if title.duration_s else "",
        item.poster, item.watch, why, min(percent, 100), item.preview,
    )  # fmt: skip


def rows(found: Sequence[Row], *, told: bool = False) -> list[RowView]:
    """The rows of a page. A reason stands below a title where the row's own name does not say it."""
    with_reasons = ("top_picks", "recommendations")
    return [
        RowView(number, row.id, row.title, tuple(tile(item, told=told or row.id in with_reasons) for item in row.items))
        for number, row in enumerate(found)
    ]


def history(seen: Sequence[Seen], titles: Mapping[str, str]) -> list[HistoryView]:
    """What a viewer watched, for the studio. `titles` by asset id; of one that is gone the id is left."""
    return [
        HistoryView(
            titles.get(one.asset_id) or one.asset_id,
            "to the end" if one.completed else f"{one.fraction:.0%}",
            "not interested" if one.not_interested else {True: "liked", False: "disliked"}[one.rating > 0] if one.rating else "",
            moment(datetime.fromtimestamp(one.last_at_s).astimezone()),
        )
        for one in seen[:50]
    ]  # fmt: skip


def moment(at: datetime) -> str:
    """22 Nov 2026, 14:05."""
    return f"{day(at)}, {at:%H:%M}"


def kept(versions: Sequence[Published]) -> list[KeptView]:
    return [KeptView(one.version, moment(one.published_at), "now" if one.current else "") for one in versions]


def facts(loaded: Mapping[str, Any] | None, version: str, titles: int, unknown: int) -> list[tuple[str, str]]:
    """The figures of the model that is in use (`recommend.training`), as far as it has them."""
    if loaded is None:
        return [("Model", "none"), ("Titles to be watched", f"{titles:,}")]
    data, measured = loaded.get("data") or {}, loaded.get("metrics") or {}
    counts = [("Viewings", data.get("rows")), ("Viewers", data.get("users")), ("Titles it knows", data.get("items"))]
    shown = [("Model", version), ("Trained", moment(datetime.fromisoformat(loaded["trained_at"])))]
    shown += [(name, f"{value:,}") for name, value in counts if isinstance(value, int)]
    shown += [("Titles too new for it", f"{unknown:,}"), ("Titles to be watched", f"{titles:,}")]
    popular = (measured.get("baselines") or {}).get("popularity") or {}
    for name, value in list((measured.get("metrics") or {}).items())[:3]:
        beside = f" (popularity {popular[name]:.3f})" if name in popular else ""
        shown.append((name.upper(), f"{value:.3f}{beside}"))
    return shown
