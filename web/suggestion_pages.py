"""The pages made of suggestions: a viewer's /home, "more like this" below a video, and /studio/suggestions.

Who may see what else there is on /home and below videos is a setting (`browse`): a watch page is for whoever has its address, and
that alone must not tell what other addresses there are. The studio's page is behind its gate (`web.session.PageGate`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from catalog import store as catalog
from kit.errors import HeadwaterError, NotFound
from kit.world import World
from recommend import bundle, store
from recommend.rows import Row
from recommend.serving import Recommender
from web import suggestion_views as views
from web.front_end import FrontEnd, templates
from web.viewers import Viewers

NOBODY = "anon_"  # whoever has watched nothing yet
MORE = 12
_NO_STORE = {"Cache-Control": "no-store"}
# A report is a page of ours that draws with inline styles and nothing else; it may run and fetch nothing.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


class SuggestionPages:
    """The handlers. They are plain functions, so they run in a thread and may ask the database."""

    def __init__(self, world: World, viewers: Viewers, recommender: Recommender, front_end: FrontEnd) -> None:
        self._world, self._viewers, self._recommender = world, viewers, recommender
        self._render = templates(front_end)

    def router(self) -> APIRouter:
        pages = APIRouter(include_in_schema=False)
        routes: tuple[tuple[str, Callable[..., Any]], ...] = (
            ("/home", self.home), ("/studio/suggestions", self.studio), ("/studio/suggestions/report", self.report),
        )  # fmt: skip
        for path, handler in routes:
            pages.add_api_route(path, handler, methods=["GET", "HEAD"], response_model=None)
        return pages

    def home(self, request: Request) -> Response:
        """A viewer's home page; who may not browse is asked to sign in."""
        if not self._viewers.may_browse(request):
            return RedirectResponse(f"/login?next={quote('/home')}", status_code=303, headers=_NO_STORE)
        viewer_id = self._viewers.of(request)
        home = self._recommender.home(viewer_id or NOBODY, request.headers.get("x-request-id", ""))
        told = {
            "model": "Chosen from what you watched on this device.",
            "trending": "What is watched most now, and what is new.",
            "new": "What is new here.",
        }[home.source]
        html = self._render(
            "home.html", heading="Home", told=told if home.rows else "", rows=views.rows(home.rows), studio=self._viewers.is_studio(request)
        )
        return HTMLResponse(html, headers=_NO_STORE)

    def more(self, request: Request, asset_id: str) -> views.RowView | None:
        """The row below a video; None when there is nothing, or nothing that this browser may be shown."""
        if not self._viewers.may_browse(request):
            return None
        found = self._recommender.similar(asset_id, MORE, self._viewers.of(request))
        if found is None:
            return None
        items = found.items or self._other(request, asset_id)
        return views.rows([Row("more", "More like this" if found.items else "More to watch", tuple(items))])[0] if items else None

    def _other(self, request: Request, asset_id: str) -> tuple[Any, ...]:
        answer = self._recommender.recommendations(self._viewers.of(request) or NOBODY, MORE)
        return tuple(item for item in answer.items if item.title.asset_id != asset_id)

    def studio(self, viewer: Annotated[str, Query(max_length=128)] = "") -> HTMLResponse:
        """The model in use, and who gets what for which reason."""
        viewer = viewer.strip() if viewer.isprintable() else ""
        shelf = self._recommender.shelves.now()
        model = shelf.models.get("a")
        with self._world.db.connect() as conn:
            seen = store.seen_by(conn, viewer) if viewer else []
            names = {str(one.id): one.title for one in catalog.slim_assets(conn, [one.asset_id for one in seen[:50]])}
            lately = store.latest_viewers(conn, 20)
        page = self._recommender.preview(viewer) if viewer else ()
        told = "" if not shelf.trouble else _TROUBLE.get(shelf.trouble, "")
        html = self._render(
            "model.html",
            told=told or "What viewers are shown, what it is made from, and why.",
            facts=views.facts(
                model.bundle.facts if model else None, model.bundle.version if model else "", len(shelf.titles),
                len(model.unknown) if model else len(shelf.titles),
            ),
            has_report=bool(model and model.bundle.report),
            viewer=viewer,
            lately=lately,
            history=views.history(seen, names),
            rows=views.rows(page, told=True),
            kept=views.kept(self._kept()),
        )  # fmt: skip
        return HTMLResponse(html, headers=_NO_STORE)

    def _kept(self) -> list[bundle.Published]:
        try:
            return bundle.history(self._world.storage)[:20]
        except HeadwaterError:  # the page says what it can without the store
            return []

    def report(self) -> HTMLResponse:
        """The report that the model in use came with."""
        model = self._recommender.shelves.now().models.get("a")
        if model is None or not model.bundle.report:
            raise NotFound("The model in use has no report.")
        return HTMLResponse(model.bundle.report, headers={**_NO_STORE, "Content-Security-Policy": _REPORT_POLICY})


_TROUBLE = {
    "none": "There is no model yet: pages show what is watched most and what is new.",
    "broken": "The current model cannot be read: pages show what is watched most and what is new.",
    "stale": "The current model is more than a month old: pages show what is watched most and what is new.",
}
