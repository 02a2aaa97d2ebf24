"""The pages: the library, the watch page, the embedded player, signing in, and the files of the front end.

Pages are rendered here with what the database says now, and then enhanced by their scripts; a page without its script still
shows what there is. Who may see the studio's pages is decided before this (`web.session.PageGate`): the library asks nobody
anything. /watch, /embed and /oembed are public.

Nothing here changes anything but the session cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse

from catalog import store
from catalog import views as asset_views
from catalog.store import AssetFilter
from kit.errors import BadRequest, Forbidden, NotFound
from kit.world import World
from recommend.serving import Recommender
from web import sharing, views
from web.assets_api import cursor_of, place_of
from web.front_end import IMMUTABLE, UNBUILT, FrontEnd, templates
from web.resources import asset_resource
from web.session import Sessions
from web.suggestion_pages import SuggestionPages
from web.viewers import Viewers

CARDS_PER_PAGE = 24
_NO_STORE = {"Cache-Control": "no-store"}
# The player's elements carry their own <style>; the other pages need no such exception.
_STUDIO_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SWITCHES = ("autoplay", "muted", "loop")
_WRONG_KEY = "This key is not known here, or it was revoked."


def router(world: World, sessions: Sessions, front_end: FrontEnd | None, viewers: Viewers, recommender: Recommender) -> APIRouter:
    """All routes of the pages. Without a front end (`web.front_end.load`) every page says in one sentence how to build it."""
    pages = APIRouter(include_in_schema=False, max_body_size=1 << 16)
    if front_end is None:
        _add_unbuilt(pages)
        return pages
    suggested = SuggestionPages(world, viewers, recommender, front_end)
    shown = _Pages(world, sessions, front_end, suggested)
    pages.add_api_route("/", shown.library, methods=["GET", "HEAD"])
    pages.add_api_route("/watch/{playback_id}", shown.watch, methods=["GET", "HEAD"])
    pages.add_api_route("/watch/{playback_id}/state", shown.state, methods=["GET", "HEAD"])
    pages.add_api_route("/embed/{playback_id}", shown.embed, methods=["GET", "HEAD"])
    pages.add_api_route("/oembed", shown.oembed, methods=["GET", "HEAD"])
    pages.add_api_route("/login", shown.login, methods=["GET", "HEAD"])
    pages.add_api_route("/login", shown.sign_in, methods=["POST"])
    pages.add_api_route("/logout", shown.sign_out, methods=["POST"])
    pages.add_api_route("/static/{name}", shown.static, methods=["GET", "HEAD"])
    pages.add_api_route("/favicon.ico", shown.favicon, methods=["GET", "HEAD"])
    pages.add_api_route("/robots.txt", robots, methods=["GET", "HEAD"])
    pages.include_router(suggested.router())
    return pages


def _add_unbuilt(pages: APIRouter) -> None:
    render = templates(None)

    def unbuilt() -> HTMLResponse:
        return HTMLResponse(render("unbuilt.html", sentence=UNBUILT), status_code=503, headers=_NO_STORE)

    for path in ("/", "/home", "/watch/{playback_id}", "/embed/{playback_id}", "/login"):
        pages.add_api_route(path, unbuilt, methods=["GET", "HEAD"])


def robots() -> PlainTextResponse:
    """Watch pages may be found; the studio and the API may not."""
    return PlainTextResponse("User-agent: *\nAllow: /watch/\nAllow: /static/\nDisallow: /\n")


def safe_next(path: str) -> str:
    """Where to go after signing in: a path of ours, never another site ("//evil", "/\\evil")."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def switches_of(query: Mapping[str, str]) -> str:
    """The player's attributes that a query asks for, such as `autoplay=1&muted=1&start=30`; `t` is `start` of shared links."""
    chosen = [name for name in _SWITCHES if query.get(name, "0").lower() in ("", "1", "true", "yes")]
    start = query.get("start") or query.get("t") or ""
    seconds = start.removesuffix("s")
    if seconds.isascii() and seconds.isdigit() and len(seconds) <= 6:
        chosen.append(f"start={int(seconds)}")
    return " ".join(chosen)


class _Pages:
    """The handlers, with what they share. They are plain functions, so they run in a thread and may ask the database."""

    def __init__(self, world: World, sessions: Sessions, front_end: FrontEnd, suggested: SuggestionPages) -> None:
        self._world = world
        self._suggested = suggested
        self._sessions = sessions
        self._front_end = front_end
        self._render = templates(front_end)
        self._public_url = world.settings.public_url.rstrip("/")

    def library(
        self, q: Annotated[str, Query(max_length=200)] = "", cursor: Annotated[str | None, Query(max_length=200)] = None
    ) -> HTMLResponse:
        text = q.strip().replace("\x00", "")
        wanted = AssetFilter(text=text or None)
        with self._world.db.connect() as conn:
            page = store.list_assets(conn, wanted, limit=CARDS_PER_PAGE, after=place_of(cursor) if cursor else None)
            loaded = asset_views.load(conn, page.assets, self._world.clock.now())
        cards = [views.card(asset_resource(view)) for view in loaded]
        following = cursor_of(page.next_after) if page.next_after else None
        html = self._render(
            "library.html",
            cards=cards,
            blank=views.BLANK,
            query=text,
            next_cursor=following,
            more_href=f"/?{urlencode({'q': text, 'cursor': following})}" if following else None,
            count_line="" if following or cursor or not cards else views.count(len(cards)),
            public_url=self._public_url,
        )
        return HTMLResponse(html, headers={**_NO_STORE, "Content-Security-Policy": _STUDIO_POLICY})

    def _view(self, playback_id: str) -> views.WatchView:
        """What is at a playback id now. Raises NotFound, and Forbidden for an id that needs a signed address."""
        with self._world.db.connect() as conn:
            asset = store.asset_of_playback(conn, playback_id)
            (loaded,) = asset_views.load(conn, [asset], self._world.clock.now())
            presentation = store.current_presentation(conn, asset.id)
        if any(item.id == playback_id and item.policy == "signed" for item in loaded.playbacks):
            raise Forbidden("This video needs a signed address.", code="signature_required")
        has_poster = presentation is not None and presentation.has_poster
        has_chapters = presentation is not None and bool(presentation.multivariant.get("chapters"))
        is_published = presentation is not None
        return views.watch(asset_resource(loaded), playback_id, published=is_published, has_poster=has_poster, has_chapters=has_chapters)

    def watch(self, playback_id: str, request: Request) -> HTMLResponse:
        view = self._view(playback_id)
        links = sharing.addresses(view, self._public_url)
        html = self._render(
            "watch.html",
            v=view,
            links=links,
            meta=sharing.meta_tags(view, links),
            video_object=sharing.video_object(view, links),
            switches=switches_of(request.query_params),
            public_url=self._public_url,
            more=self._suggested.more(request, view.asset_id),
        )
        # What else there is depends on who asks, so nobody in between may keep the page for others.
        return HTMLResponse(html, headers={"Cache-Control": "private, no-cache"})

    def embed(self, playback_id: str, request: Request) -> HTMLResponse:
        view = self._view(playback_id)
        links = sharing.addresses(view, self._public_url)
        html = self._render("embed.html", v=view, links=links, switches=f"lazy {switches_of(request.query_params)}")
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    def state(self, playback_id: str) -> JSONResponse:
        """What a page that waits for its video asks every other second; nothing that the page itself does not say."""
        view = self._view(playback_id)
        body = {"state": view.state, "progress": view.percent / 100, "poster": view.poster or None, "detail": view.detail or None}
        return JSONResponse(body, headers=_NO_STORE)

    def oembed(
        self,
        url: Annotated[str, Query(max_length=2000)],
        maxwidth: Annotated[int | None, Query(ge=1, le=8192)] = None,
        maxheight: Annotated[int | None, Query(ge=1, le=8192)] = None,
        form: Annotated[str, Query(alias="format", max_length=10)] = "json",
    ) -> JSONResponse:
        """oEmbed 1.0 for the addresses of watch pages."""
        if form != "json":
            raise HTTPException(501, "Only the JSON form of oEmbed is served.")
        playback_id = sharing.playback_id_of(url, self._public_url)
        if playback_id is None:
            raise NotFound("This address is not one of a video here.", code="playback_not_found")
        view = self._view(playback_id)
        answer = sharing.oembed(view, sharing.addresses(view, self._public_url), maxwidth, maxheight)
        return JSONResponse(answer, headers={"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"})

    def _login_page(self, where: str, problem: str | None, status: int = 200) -> HTMLResponse:
        html = self._render(
            "login.html",
            eyebrow="Headwater studio",
            heading="Sign in to your library.",
            detail="Watching needs no key. Uploading, deleting and everything else in the studio does.",
            reference=None,
            way_out=None,
            next=where,
            problem=problem,
        )
        return HTMLResponse(html, status_code=status, headers={**_NO_STORE, "Content-Security-Policy": _STUDIO_POLICY})

    def login(self, request: Request, asked: Annotated[str, Query(alias="next", max_length=2000)] = "/") -> Response:
        where = safe_next(asked)
        if self._world.settings.studio == "open" or self._sessions.page_visitor(request) is not None:
            return RedirectResponse(where, status_code=303, headers=_NO_STORE)
        return self._login_page(where, None)

    async def sign_in(self, request: Request) -> Response:
        try:
            form = parse_qs((await request.body()).decode("utf-8"), max_num_fields=10)
        except ValueError:
            raise BadRequest("The form cannot be read.") from None
        where = safe_next(form.get("next", ["/"])[0])
        reply = RedirectResponse(where, status_code=303, headers=_NO_STORE)
        if await run_in_threadpool(self._sessions.sign_in, request, reply, form.get("api_key", [""])[0]):
            return reply
        return self._login_page(where, _WRONG_KEY, status=401)

    def sign_out(self) -> Response:
        reply = RedirectResponse("/login", status_code=303, headers=_NO_STORE)
        self._sessions.sign_out(reply)
        return reply

    def static(self, name: str, request: Request) -> Response:
        found = self._front_end.find(name, request.headers.get("accept-encoding", ""))
        if found is None:
            raise NotFound("There is no such file.")
        headers = {"Cache-Control": IMMUTABLE, "Vary": "Accept-Encoding"}
        if found.encoding:
            headers["Content-Encoding"] = found.encoding
        return FileResponse(found.path, media_type=found.media_type, headers=headers)

    def favicon(self) -> Response:
        return RedirectResponse(self._front_end.url("favicon.svg"), status_code=307)
