"""The outermost ASGI layer: a request id, security headers, one log line for each reply that went wrong, and metrics.

It is also where an error that nobody expected ends: it is logged with its trace and answered as a problem, without details.
A database that is away is expected, and costs one line. Replies that are already under way are cut off, which tells the
client that they are incomplete.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit import ids
from kit.db import is_away
from kit.errors import HeadwaterError
from kit.log import logger
from kit.metrics import REGISTRY
from kit.world import World
from web.areas import area_of
from web.headers import security_headers
from web.problems import Failure, of_error, response_of

HEADER = "X-Request-ID"
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_UPLOAD_ADDRESS = re.compile(r"^(/v1/tus/[^/]+)/.+")

_log = logger(__name__)

REQUESTS = Counter("headwater_http_requests", "Requests answered by this process.", ["area", "method", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "headwater_http_seconds",
    "Seconds from the request to the first byte of the reply.",
    ["area"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
    registry=REGISTRY,
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def loggable_path(path: str) -> str:
    """The path without the token of an upload address, which is a secret."""
    return _UPLOAD_ADDRESS.sub(r"\1/…", path)


def _request_id(scope: Scope) -> str:
    """The id that a proxy in front gave, when it looks like one; else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value.decode("latin-1")):
            return str(value.decode("latin-1"))
    return f"req_{ids.random_id()}"


class Envelope:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._clock = world.clock
        self._base_url = world.settings.public_url.rstrip("/")
        self._tls = world.settings.tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        area = area_of(scope["path"])
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(scope)
        others = [pair for pair in scope["headers"] if pair[0] != b"x-request-id"]
        scope["headers"] = [*others, (b"x-request-id", request_id.encode("latin-1"))]  # every room can name it
        begun, status = self._clock.monotonic_s(), 0

        async def send_wrapped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[HEADER] = request_id
                for name, value in security_headers(area, tls=self._tls):
                    headers.setdefault(name, value)
                SECONDS.labels(area.value).observe(self._clock.monotonic_s() - begun)
            await send(message)

        try:
            await self._app(scope, receive, send_wrapped)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:  # the edge of the process, where every error ends
            failure = self._failure(error, scope)
            if status == 0:
                await response_of(failure, scope, self._base_url)(scope, receive, send_wrapped)
            else:
                raise
        finally:
            self._note(scope, area.value, status)

    def _failure(self, error: Exception, scope: Scope) -> Failure:
        if isinstance(error, HeadwaterError):
            return of_error(error)
        if is_away(error):
            return Failure(503, "unavailable", "The database does not answer at the moment.")
        if "NUL (0x00)" in str(error) or (isinstance(error, UnicodeEncodeError) and "surrogates" in error.reason):
            return Failure(400, "bad_request", "Text has a character that cannot be stored: a zero byte, or half of a surrogate pair.")
        _log.bug(
            "request failed", error, method=scope["method"], path=loggable_path(scope["path"]), request_id=scope["state"]["request_id"]
        )
        return Failure(500, "internal", "Something went wrong here. The log of the API knows more under this request id.")

    def _note(self, scope: Scope, area: str, status: int) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        REQUESTS.labels(area, method, str(status)).inc()
        problem = scope["state"].get("problem")
        if problem is not None:
            say = _log.warning if status >= 500 else _log.info
            say(
                "request refused",
                method=scope["method"],
                path=loggable_path(scope["path"]),
                status=status,
                problem=problem,
                request_id=scope["state"]["request_id"],
            )
