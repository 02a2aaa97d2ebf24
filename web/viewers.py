"""Who watches: a browser without an account is a viewer by a cookie, and nothing but that cookie.

`hw_viewer` holds a random id (130 bits) below the prefix `anon_`. A cookie and not local storage, because the home page is
rendered here and has to know its viewer with the first request; and because `HttpOnly` keeps it from scripts, so that a page can
add to a history and never read whose it is. Ids that a server gives its own viewers cannot be reached through it: only the prefix counts.

A browser that has none yet becomes the viewer of its first session: the id is a keyed hash of the session's random id, so that the
events that come before the cookie does belong to the same viewer. Where cookies are not kept (a player framed by another site),
every session is a viewer of its own, and nobody is followed from site to site.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Annotated

from fastapi import Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from starlette.requests import HTTPConnection

from accounts.keys import Principal
from kit.errors import Unauthorized
from kit.world import World
from recommend.api import Caller
from web.session import BEARER, Sessions, is_same_origin

COOKIE = "hw_viewer"
_COOKIE_S = 400 * 86_400  # the longest that browsers keep
_ANONYMOUS = re.compile(r"anon_[0-9a-f]{32}")


class Viewers:
    """Reads and writes viewers of browsers."""

    def __init__(self, world: World, sessions: Sessions) -> None:
        self._settings = world.settings
        self._sessions = sessions

    def of(self, request: HTTPConnection) -> str | None:
        """The viewer of a browser; None for one that has watched nothing yet."""
        cookie = request.cookies.get(COOKIE, "")
        return cookie if _ANONYMOUS.fullmatch(cookie) else None

    def begin(self, session_id: str) -> str:
        """The viewer that a browser becomes with its first session."""
        digest = hmac.new(self._settings.secret_key.encode(), f"viewer\n{session_id}".encode(), hashlib.sha256)
        return f"anon_{digest.hexdigest()[:32]}"

    def remember(self, response: Response, viewer_id: str) -> None:
        response.set_cookie(COOKIE, viewer_id, max_age=_COOKIE_S, path="/", secure=self._settings.tls, httponly=True, samesite="lax")

    def dependency(self) -> Callable[..., Caller]:
        """For the router: a FastAPI dependency that yields the Caller and shows up in the OpenAPI document."""

        def caller(request: Request, _bearer: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)] = None) -> Caller:
            return self.caller(request)

        return caller

    def caller(self, request: Request) -> Caller:
        """Who sends events. Raises Unauthorized for whoever has no key and is on no page of ours."""
        address = request.headers.get("x-forwarded-for", "").split(",")[0].strip() or (request.client.host if request.client else "")
        if request.headers.get("authorization") is not None:
            known = getattr(request.state, "principal", None)
            principal = known if isinstance(known, Principal) else self._sessions.identify(request)
            request.state.principal = principal
            return Caller(principal, None, address)
        if not is_same_origin(request, self._settings.public_url) or not self._sessions.host_is_ours(request):
            raise Unauthorized("This needs an API key: “Authorization: Bearer hw_…”.")
        return Caller(None, self.of(request), address)

    def is_studio(self, request: HTTPConnection) -> bool:
        """Whether this browser may see the studio."""
        return self._settings.studio == "open" or self._sessions.page_visitor(request) is not None

    def may_browse(self, request: HTTPConnection) -> bool:
        """Whether this browser may be shown what else there is: everyone where `browse` or the studio is open, else a session."""
        return self._settings.browse == "open" or self.is_studio(request)
