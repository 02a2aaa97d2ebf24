"""Builds the HTTP application from a world. Decides nothing itself: it says which rooms answer where, and in which layers.

From the outside in: error pages, the envelope (request ids, headers, unexpected errors), the limit of bodies, idempotency, the
gate before the studio's pages, and the routes. It starts nothing; the event feed begins with its first listener.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from starlette.middleware import Middleware

from accounts import api as keys_api
from captions import api as tracks_api
from ingest import api as ingest_api
from kit.world import World
from origin import api as origin_api
from origin.waiting import Waiting
from packager.text_refresh import refresh
from recommend import api as recommend_api
from recommend.serving import Recommender
from web import (
    assets_api,
    content_keys_api,
    downloads_api,
    events_api,
    front_end,
    health,
    openapi,
    pages,
    problems,
    problems_api,
    quality_api,
)
from web.body_limit import BodyLimit
from web.envelope import Envelope
from web.error_pages import ErrorPages
from web.feed import Feed
from web.idempotency import Idempotency
from web.limits import RateLimit
from web.parameters import refuse_unknown
from web.session import PageGate, Sessions
from web.viewers import Viewers

_DESCRIPTION = "Upload video, get an address that plays everywhere. Errors are RFC 9457 problem documents; see /v1/problems."


def _api(world: World, sessions: Sessions, feed: Feed, viewers: Viewers, recommender: Recommender) -> APIRouter:
    """Everything below /v1. The order matters: /v1/assets/events before /v1/assets/{asset_id}."""
    authenticate = sessions.dependency()
    rate = RateLimit(world.settings.requests_per_minute, world.clock)
    api = APIRouter(dependencies=[Depends(rate.dependency()), Depends(refuse_unknown)])
    api.include_router(events_api.router(world, feed, authenticate))
    api.include_router(assets_api.router(world, authenticate))
    api.include_router(quality_api.router(world, authenticate))
    api.include_router(tracks_api.router(world, authenticate, refresh))
    api.include_router(downloads_api.router(world, authenticate))
    api.include_router(content_keys_api.router(world, authenticate))
    api.include_router(ingest_api.router(world, authenticate))
    api.include_router(keys_api.router(world, authenticate))
    api.include_router(recommend_api.router(world, authenticate, viewers, recommender))
    api.include_router(problems_api.router())
    return api


def create_app(world: World) -> FastAPI:
    """The application. `app.state` holds `sessions` for the pages, and `feed` and `waiting` for whoever stops the process."""
    sessions, feed, built = Sessions(world), Feed(world), front_end.load()
    waiting = Waiting(world)
    viewers, recommender = Viewers(world, sessions), Recommender(world)
    app = FastAPI(
        title="Headwater",
        version="1",
        description=_DESCRIPTION,
        servers=[{"url": world.settings.public_url}],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(ErrorPages, front_end=built),
            Middleware(Envelope, world=world),
            Middleware(BodyLimit),
            Middleware(Idempotency, world=world, identify=sessions.identify),
            Middleware(PageGate, sessions=sessions),
        ],
    )
    app.state.sessions, app.state.feed, app.state.waiting = sessions, feed, waiting
    app.state.recommender = recommender
    app.include_router(_api(world, sessions, feed, viewers, recommender))
    app.include_router(origin_api.router(world, waiting), prefix="/v")
    app.include_router(health.router(world))

    @app.get("/v1/openapi.json", include_in_schema=False)
    async def document() -> JSONResponse:
        return JSONResponse(openapi.describe(app))

    app.include_router(pages.router(world, sessions, built, viewers, recommender))
    problems.install(app, world.settings.public_url.rstrip("/"))
    return app
