"""The JSON of viewing: what replies contain."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from recommend.rows import Home, Reason, Suggestion

Source = Literal["model", "trending", "new"]


class ReasonResource(BaseModel):
    kind: Literal["because_you_watched", "trending", "new", "tag", "similar", "explore", "continue", "popular"]
    text: str = Field(description="For people.", examples=["Because you watched Spring"])
    asset_id: str | None = Field(description="The title that is the reason, where one is.")


class SuggestionResource(BaseModel):
    """One suggested title, with what is needed to show it."""

    asset_id: str
    playback_id: str
    title: str
    duration_s: float | None
    poster: str | None = Field(description="Path of a picture; null while there is none.")
    watch: str = Field(description="Path of the watch page.")
    score: float = Field(description="Only the order within one answer means something.")
    reason: ReasonResource
    position_s: float | None = Field(description="Where to go on, in continue watching.")


class RowResource(BaseModel):
    id: str = Field(examples=["continue_watching", "top_picks", "because:ast_…", "trending", "new", "tag:animation"])
    title: str
    items: list[SuggestionResource]


class HomeResource(BaseModel):
    """No title is in two rows; no row is empty."""

    viewer_id: str
    request_id: str = Field(description="Names this answer in the impression log.")
    model_version: str | None
    variant: str = Field(description="`a`, or `b` when the viewer is answered from the second model.")
    source: Source
    rows: list[RowResource]


class SuggestionList(BaseModel):
    data: list[SuggestionResource]
    next_cursor: None = Field(None, description="Suggestions come on one page.")
    model_version: str | None
    source: Source = Field(description="`model`, or what stood in for it.")


class HistoryEntry(BaseModel):
    asset_id: str
    watched_fraction: float
    completed: bool
    resume_at_s: float | None = Field(description="Null at the beginning, and when the end was reached.")
    rating: float | None
    not_interested: bool
    last_at: datetime


class HistoryResource(BaseModel):
    data: list[HistoryEntry]
    next_cursor: None = None


def _reason(reason: Reason) -> ReasonResource:
    return ReasonResource(kind=reason.kind, text=reason.text, asset_id=reason.asset_id)


def suggestion_resource(item: Suggestion) -> SuggestionResource:
    title = item.title
    return SuggestionResource(
        asset_id=title.asset_id, playback_id=title.playback_id, title=title.title, duration_s=title.duration_s,
        poster=item.poster or None, watch=item.watch, score=round(item.score, 6), reason=_reason(item.reason), position_s=item.position_s,
    )  # fmt: skip


def home_resource(home: Home) -> HomeResource:
    rows = [RowResource(id=row.id, title=row.title, items=[suggestion_resource(item) for item in row.items]) for row in home.rows]
    return HomeResource(
        viewer_id=home.viewer_id, request_id=home.request_id, model_version=home.model_version or None, variant=home.variant,
        source=home.source, rows=rows,
    )  # fmt: skip
