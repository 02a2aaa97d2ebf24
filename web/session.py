"""Who makes a request: an API key in `Authorization: Bearer`, or a browser session in a cookie.

The cookie holds a signed statement (which key it was opened with, and when) and nothing secret; it dies with its key. It is
`HttpOnly` and `SameSite=Strict`, and for methods that change something it counts only when the browser says that the request
comes from our own pages (`Sec-Fetch-Site`, or `Origin` in older browsers), so no other site can act in a visitor's name.

With `studio = "open"` (what `headwater up` sets, bound to loopback) pages need no key: the first page hands out a session.
Then the `Host` header must be a loopback name or the configured public one: a hostile page whose name is made to point at
127.0.0.1 (DNS rebinding) would otherwise count as our own origin.

Pages use `Sessions.sign_in` and `Sessions.sign_out`; `PageGate` sends visitors without a session to /login.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Request, Response, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from itsdangerous import BadSignature, URLSafeSerializer
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accounts import store
from accounts.keys import Principal
from kit.errors import Forbidden, NotFound, Unauthorized
from kit.settings import Settings
from kit.world import World
from web.areas import Area, area_of

COOKIE = "hw_session"
LIFETIME = timedelta(days=7)
RENEW_AFTER = timedelta(days=1)
STUDIO = "studio"  # the subject of a session that an open studio handed out
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

BEARER = HTTPBearer(auto_error=False, bearerFormat="hw_…", description="An API key.")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="A browser session of the studio pages.")


def is_loopback(host: str) -> bool:
    """Whether a `Host` header names this machine: `localhost`, a name below it, or a loopback address; with or without port."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:  # neither a name nor an address
        return False


def is_same_origin(request: HTTPConnection, public_url: str) -> bool:
    """Whether the browser says that one of our own pages sent this. Silence (no header at all) is no."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return False
    host = origin.partition("://")[2]
    return origin == public_url.rstrip("/") or (host != "" and host == request.headers.get("host"))


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a session cookie says."""

    subject: str  # an API key's id, or STUDIO
    issued_at: datetime


class Sessions:
    """Reads and writes sessions, and tells who asks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._signer = URLSafeSerializer(world.settings.secret_key, salt="headwater.session")

    @property
    def settings(self) -> Settings:
        return self._world.settings

    def read(self, request: HTTPConnection) -> Ticket | None:
        """The request's session cookie when we signed it, it is not too old and its subject is still a possible one."""
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            return None
        try:
            subject, issued_s = self._signer.loads(cookie)
            ticket = Ticket(str(subject), datetime.fromtimestamp(float(issued_s), UTC))
        except (BadSignature, TypeError, ValueError, OverflowError):
            return None
        if ticket.subject == STUDIO and self.settings.studio != "open":
            return None
        return ticket if self._world.clock.now() - ticket.issued_at < LIFETIME else None

    def hand_out(self, response: Response, subject: str) -> None:
        """Give the browser that gets `response` a session of `subject`."""
        value = self._signer.dumps([subject, int(self._world.clock.now().timestamp())])
        assert isinstance(value, str)
        max_age_s = int(LIFETIME.total_seconds())
        response.set_cookie(COOKIE, value, max_age=max_age_s, path="/", secure=self.settings.tls, httponly=True, samesite="strict")

    def renewed(self, ticket: Ticket | None) -> bool:
        """Whether a page should hand the session out again, so that it ends a week after the last visit, not the first."""
        return ticket is not None and self._world.clock.now() - ticket.issued_at >= RENEW_AFTER

    def sign_in(self, request: HTTPConnection, response: Response, secret: str) -> bool:
        """Open a session with an API key. False, and no cookie, for a wrong key. Raises Forbidden for another site's form."""
        if not is_same_origin(request, self.settings.public_url):
            raise Forbidden("Sign in from this site's own page.", code="cross_origin")
        with self._world.db.begin() as conn:
            key = store.find_key(conn, secret.strip())
        if key is None:
            return False
        self.hand_out(response, key.id)
        return True

    def sign_out(self, response: Response) -> None:
        response.delete_cookie(COOKIE, path="/", secure=self.settings.tls, httponly=True, samesite="strict")

    def host_is_ours(self, request: HTTPConnection) -> bool:
        """The DNS rebinding guard: always true when the studio asks for a key."""
        if self.settings.studio != "open":
            return True
        host = request.headers.get("host", "")
        return is_loopback(host) or host == urlsplit(self.settings.public_url).netloc

    def page_visitor(self, request: HTTPConnection) -> Principal | None:
        """Whoever's session the request carries; None for nobody. Does not look at the method: for showing pages only."""
        ticket = self.read(request)
        if ticket is None:
            return None
        if ticket.subject == STUDIO:
            return Principal(STUDIO, "Studio", "session")
        try:
            with self._world.db.connect() as conn:
                key = store.get_key(conn, ticket.subject)
        except NotFound:
            return None
        return None if key.revoked_at is not None else Principal(key.id, key.name, "session")

    def _by_key(self, header: str) -> Principal:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthorized("Send the API key as “Authorization: Bearer hw_…”.")
        with self._world.db.begin() as conn:
            key = store.find_key(conn, secret.strip())
        if key is None:
            raise Unauthorized("This API key is not known, or was revoked.", code="invalid_key")
        return Principal(key.id, key.name, "key")

    def identify(self, request: HTTPConnection) -> Principal:
        """Who asks. Raises Unauthorized, and Forbidden for a session that is used from somewhere else. Blocks on the database."""
        header = request.headers.get("authorization")
        if header is not None:
            return self._by_key(header)
        visitor = self.page_visitor(request)
        if visitor is None:
            raise Unauthorized("This needs an API key: “Authorization: Bearer hw_…”.")
        if not self.host_is_ours(request):
            raise Forbidden("The open studio answers under loopback names only.", code="wrong_host")
        if request.scope["method"] not in SAFE_METHODS and not is_same_origin(request, self.settings.public_url):
            raise Forbidden("A browser session may change things only from this site's own pages.", code="cross_origin")
        return visitor

    def dependency(self) -> Any:
        """`authenticate` for the routers: a FastAPI dependency that yields the Principal and shows up in the OpenAPI document."""

        def authenticate(
            request: Request,
            _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)] = None,
            _cookie: Annotated[str | None, Security(_COOKIE)] = None,
        ) -> Principal:
            known = getattr(request.state, "principal", None)
            principal = known if isinstance(known, Principal) else self.identify(request)
            request.state.principal = principal
            return principal

        return authenticate


class PageGate:
    """ASGI middleware before the studio's pages: lets sessions in, opens one in an open studio, asks for a key otherwise."""

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or area_of(scope["path"]) not in (Area.STUDIO, Area.SIGN_IN):
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        if not self._sessions.host_is_ours(request):
            raise Forbidden("The open studio answers under loopback names only.", code="wrong_host")
        if area_of(scope["path"]) is Area.SIGN_IN:
            await self._app(scope, receive, send)
            return
        visitor = await run_in_threadpool(self._sessions.page_visitor, request)
        if visitor is None and self._sessions.settings.studio == "login":
            asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            where = "/login" if asked == "/" else f"/login?next={quote(asked)}"
            await RedirectResponse(where, status_code=303, headers={"Cache-Control": "no-store"})(scope, receive, send)
            return
        subject = visitor.id if visitor is not None else STUDIO
        hand_out = visitor is None or self._sessions.renewed(self._sessions.read(request))
        await self._app(scope, receive, self._with_session(send, subject) if hand_out else send)

    def _with_session(self, send: Send, subject: str) -> Send:
        carrier = Response()
        self._sessions.hand_out(carrier, subject)
        cookie = carrier.headers["set-cookie"]

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return send_with_cookie
