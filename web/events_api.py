"""Server-Sent Events: /v1/assets/{id}/events for one asset, /v1/assets/events for all.

Every event carries the whole public JSON of an asset, so a client keeps nothing and misses nothing: it shows what arrived
last. `id` names the state; a client that comes back with it (`Last-Event-ID`) is not told the same state again, and a listener
to all assets is told what changed meanwhile. The format is the HTML standard's, section 9.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from accounts.keys import Principal
from catalog import store
from kit.world import World
from web.feed import AssetState, Feed, ResumePoint, follow, resume_point
from web.parameters import AssetPath
from web.session import STUDIO

HEARTBEAT_S = 15.0  # shorter than the idle limits of common proxies (nginx: 60 s)
RETRY_MS = 2000
_LastEvent = Annotated[str | None, Header(alias="Last-Event-ID", description="The `id` of the last event seen.", max_length=100)]
_CONTENT = {"text/event-stream": {"schema": {"type": "string"}}}
_STREAM = {200: {"description": "A stream of events; `data` is an asset.", "content": _CONTENT}}


class EventStream(StreamingResponse):
    media_type = "text/event-stream"


def event(state: AssetState, now: datetime) -> bytes:
    """One event on the wire. JSON has no line breaks, so one data line is enough."""
    return f"id: {ResumePoint(state.digest, now).spelled()}\ndata: {state.body}\n\n".encode()


def router(world: World, feed: Feed, authenticate: Any) -> APIRouter:
    """The two streams. The database is asked before the reply begins, so an unknown asset is an ordinary 404."""
    api = APIRouter(tags=["events"], dependencies=[Depends(authenticate)])

    def stream(request: Request, asset_id: str | None, last_event_id: str | None) -> EventStream:
        principal: Principal = request.state.principal
        listener = feed.listen(asset_id, resume_point(last_event_id), None if principal.id == STUDIO else principal.id)

        async def body() -> AsyncIterator[bytes]:
            yield f"retry: {RETRY_MS}\n\n".encode()
            async for state in follow(feed, listener, HEARTBEAT_S):
                yield b": heartbeat\n\n" if state is None else event(state, world.clock.now())

        return EventStream(body(), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    def check(asset_id: str) -> None:
        with world.db.connect() as conn:
            store.live_asset(conn, asset_id)

    @api.get("/v1/assets/events", response_class=EventStream, responses=_STREAM)  # type: ignore[arg-type]
    async def all_events(request: Request, last_event_id: _LastEvent = None) -> EventStream:
        """Every change of every asset. First the assets at work, and after a break what changed during it."""
        return stream(request, None, last_event_id)

    @api.get("/v1/assets/{asset_id}/events", response_class=EventStream, responses=_STREAM)  # type: ignore[arg-type]
    async def asset_events(request: Request, asset_id: AssetPath, last_event_id: _LastEvent = None) -> EventStream:
        """Every change of one asset, its state now first. Ends when the asset is deleted, or the key revoked."""
        await run_in_threadpool(check, asset_id)
        return stream(request, asset_id, last_event_id)

    return api
