"""/v1/events, and what comes of them: a viewer's home, suggestions, history, and titles like another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from accounts.keys import Principal
from kit.errors import BadRequest, NotFound
from kit.ids import random_id
from kit.world import World
from recommend import forgetting, store
from recommend.events import MAX_EVENTS, Fault, Kind, Sender, clock_ahead_s
from recommend.intake import Intake
from recommend.resources import HistoryEntry, HistoryResource, HomeResource, SuggestionList, home_resource, suggestion_resource
from recommend.serving import Recommender
from recommend.viewing import Seen, resume_at_s

_EXAMPLE: dict[str, Any] = {
    "event_id": "7d0f6a58-5a1c-4a1e-9d0e-0c4f2f6a1b11", "viewer_id": "user-42", "asset_id": "ast_01m3g6p8dwn4x7k2v9q5c8r1ht",
    "session_id": "s-1", "kind": "heartbeat", "position_s": 61.5, "watched_s": 58.0, "at": "2026-11-22T14:00:41Z",
}  # fmt: skip
_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event_id": {"type": "string", "maxLength": 128, "description": "The same id of the same viewer counts once."},
        "viewer_id": {"type": "string", "maxLength": 128, "description": "Your own id of whoever watches."},
        "asset_id": {"type": "string"},
        "playback_id": {"type": "string", "description": "In place of `asset_id`."},
        "session_id": {"type": "string", "maxLength": 128, "description": "One sitting."},
        "kind": {"type": "string", "enum": [str(kind) for kind in Kind]},
        "position_s": {"type": "number", "description": "Where in the video."},
        "watched_s": {"type": "number", "description": "Seconds watched in this session so far, in total."},
        "value": {"type": "number", "minimum": -1, "maximum": 1, "description": "Of a rating."},
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["kind"],
    "examples": [_EXAMPLE],
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends events: somebody with a key, who names viewers, or a browser on one of our pages."""

    principal: Principal | None
    viewer_id: str | None  # of the browser's cookie
    address: str


class Visitors(Protocol):
    """Who browsers are (`web.viewers`)."""

    def dependency(self) -> Callable[..., Caller]: ...

    def begin(self, session_id: str) -> str: ...

    def remember(self, response: Response, viewer_id: str) -> None: ...


class EventBatch(BaseModel):
    """Up to 1000 events. One event by itself, or a bare list, is taken too. `sent_at` puts right what a wrong clock wrote."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"events": [_EXAMPLE]}]})

    events: Annotated[list[Any], Field(max_length=MAX_EVENTS, json_schema_extra={"items": _EVENT_SCHEMA})]
    sent_at: Any = Field(None, description="When the sender sent it, by its own clock.", json_schema_extra={"format": "date-time"})

    @model_validator(mode="before")
    @classmethod
    def _any_shape(cls, given: Any) -> Any:
        if isinstance(given, list):
            return {"events": given}
        if isinstance(given, Mapping) and "kind" in given and "events" not in given:
            return {"events": [given]}
        return given


class DroppedEvent(BaseModel):
    index: int = Field(description="Place in the batch, from 0.")
    reason: Fault


class TakenResource(BaseModel):
    """What became of a batch."""

    accepted: int
    duplicates: int = Field(description="Known by their `event_id`; they count once.")
    adjusted: int = Field(description="Accepted with a number or a time put right.")
    dropped: list[DroppedEvent]


_Viewer = Annotated[str, Path(max_length=128, description="Your own id of a viewer.")]
_Asset = Annotated[str, Path(max_length=64, description="ast_…")]
_Limit = Annotated[int, Query(ge=1, le=100)]


def router(world: World, authenticate: Any, visitors: Visitors, recommender: Recommender) -> APIRouter:
    """The routes. Every one needs a principal, but for events of our own pages."""
    api = APIRouter(tags=["viewing"])
    _add_events(api, world, visitors, visitors.dependency())
    viewing = APIRouter(tags=["viewing"], dependencies=[Depends(authenticate)])
    _add_history(viewing, world)
    _add_suggestions(viewing, recommender)
    api.include_router(viewing)
    return api


def _add_events(api: APIRouter, world: World, visitors: Visitors, caller_of: Callable[..., Caller]) -> None:
    intake = Intake(world)

    @api.post("/v1/events", status_code=202, responses={429: {"description": "Too many events; repeat after Retry-After seconds."}})
    def take_events(batch: EventBatch, response: Response, caller: Caller = Depends(caller_of)) -> TakenResource:
        """Take in view events. With a key they name any viewer and asset; without one they are this browser's, on our own pages only.

        A batch is never refused for what one of its events says: that one is dropped, and counted."""
        ahead_s = clock_ahead_s(batch.sent_at, world.clock.now().timestamp())
        if caller.principal is not None:
            taken = intake.take(batch.events, Sender(None, may_name_assets=True, clock_ahead_s=ahead_s))
        else:
            intake.check_pace(caller.address, len(batch.events))
            viewer_id = caller.viewer_id or visitors.begin(_first_session(batch))
            taken = intake.take(batch.events, Sender(viewer_id, may_name_assets=False, clock_ahead_s=ahead_s))
            if caller.viewer_id is None and taken.accepted:
                visitors.remember(response, viewer_id)
        dropped = [DroppedEvent(index=place, reason=fault) for place, fault in taken.dropped]
        return TakenResource(accepted=taken.accepted, duplicates=taken.duplicates, adjusted=taken.adjusted, dropped=dropped)


def _first_session(batch: EventBatch) -> str:
    for event in batch.events:
        if isinstance(event, Mapping) and isinstance(event.get("session_id"), str) and len(event["session_id"]) >= 16:
            return str(event["session_id"])
    return random_id()


def _plain(viewer_id: str) -> str:
    if not viewer_id.isprintable():
        raise BadRequest("A viewer id has printable characters only.")
    return viewer_id


def _entry(title: Seen) -> HistoryEntry:
    return HistoryEntry(
        asset_id=title.asset_id, watched_fraction=round(title.fraction, 4), completed=title.completed, rating=title.rating,
        resume_at_s=resume_at_s(title), not_interested=title.not_interested, last_at=datetime.fromtimestamp(title.last_at_s, UTC),
    )  # fmt: skip


def _add_history(api: APIRouter, world: World) -> None:
    @api.get("/v1/viewers/{viewer_id}/history")
    def history(viewer_id: _Viewer, limit: _Limit = 25) -> HistoryResource:
        """What a viewer watched, the latest first, with the place to go on at."""
        with world.db.connect() as conn:
            titles = store.seen_by(conn, _plain(viewer_id))[:limit]
        return HistoryResource(data=[_entry(title) for title in titles], next_cursor=None)

    @api.delete("/v1/viewers/{viewer_id}/history", status_code=204)
    def forget(viewer_id: _Viewer) -> None:
        """Forget everything a viewer did. The next answer shows it; the lake and the models follow in the background."""
        with world.db.begin() as conn:
            forgetting.forget(conn, _plain(viewer_id))


def _add_suggestions(api: APIRouter, recommender: Recommender) -> None:
    @api.get("/v1/viewers/{viewer_id}/home")
    def home(viewer_id: _Viewer, request: Request) -> HomeResource:
        """The rows of a viewer's home page: continue watching, top picks, because you watched X, trending, new, by tag."""
        return home_resource(recommender.home(_plain(viewer_id), request.headers.get("x-request-id", "")))

    @api.get("/v1/viewers/{viewer_id}/recommendations")
    def recommendations(viewer_id: _Viewer, request: Request, limit: _Limit = 20) -> SuggestionList:
        """Titles for a viewer, the best first, each with a score and a reason. What was finished or is unwanted never appears."""
        answer = recommender.recommendations(_plain(viewer_id), limit, request.headers.get("x-request-id", ""))
        shown = [suggestion_resource(item) for item in answer.items]
        return SuggestionList(data=shown, next_cursor=None, model_version=answer.model_version or None, source=answer.source)

    @api.get("/v1/assets/{asset_id}/similar")
    def similar(asset_id: _Asset, limit: _Limit = 20) -> SuggestionList:
        """Titles like this one, by who watches both and by words, the best first."""
        answer = recommender.similar(asset_id, limit)
        if answer is None:
            raise NotFound(f"There is no asset {asset_id}.", code="asset_not_found")
        shown = [suggestion_resource(item) for item in answer.items]
        return SuggestionList(data=shown, next_cursor=None, model_version=answer.model_version or None, source=answer.source)
