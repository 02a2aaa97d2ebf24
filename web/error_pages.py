"""An error as a page, for people; programs keep `application/problem+json` (`web.problems`).

`ErrorPages` stands outside of everything else, so that it also meets what a layer in between refused or could not do. It
rewrites a problem document into a page when the address is one of a page and the client names HTML among what it takes.
Everything that was decided about the reply stays: status, headers, request id.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.areas import WITH_PAGES, area_of
from web.front_end import FrontEnd, templates

_PROBLEM = "application/problem+json"
_HEADINGS = {
    400: "That cannot be understood.",
    401: "Please sign in first.",
    403: "This is not open to you.",
    404: "There is nothing at this address.",
    405: "This page does not do that.",
    410: "This is not here any more.",
    429: "That was too often.",
    503: "Headwater is not able to answer just now.",
}
_DETAILS = {
    404: "The link may be mistyped, or what it led to was deleted.",
    503: "It usually takes a few seconds. Reload the page to try again.",
}


def wants_page(scope: Scope) -> bool:
    """Whether a person asks. Pure."""
    if scope["type"] != "http" or area_of(scope["path"]) not in WITH_PAGES:
        return False
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return b"text/html" in accepted


def error_page(render: Callable[..., str], status: int, detail: str, reference: str) -> str:
    """The page of an error. `detail` is the problem's sentence; a 404 and a 503 say what a visitor can do instead."""
    return render(
        "statement.html",
        eyebrow=f"Error {status}",
        heading=_HEADINGS.get(status, "Something went wrong here."),
        detail=_DETAILS.get(status, detail),
        reference=reference,
        way_out=("Go to the library", "/"),
    )


class ErrorPages:
    """ASGI middleware. Without a front end there is nothing to draw a page with, and problems stay what they are."""

    def __init__(self, app: ASGIApp, front_end: FrontEnd | None) -> None:
        self._app = app
        self._render = None if front_end is None else templates(front_end)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._render is None or not wants_page(scope):
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Rewriter(send, self._render))


class _Rewriter:
    """A `send` that holds back a problem document and sends a page in its place."""

    def __init__(self, send: Send, render: Callable[..., str]) -> None:
        self._send = send
        self._render = render
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and MutableHeaders(scope=message).get("content-type", "").startswith(_PROBLEM):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        problem = json.loads(self._body)
        page = error_page(self._render, problem["status"], problem["detail"], problem["request_id"]).encode()
        headers = MutableHeaders(scope=start)
        headers["content-type"] = "text/html; charset=utf-8"
        headers["content-length"] = str(len(page))
        headers["cache-control"] = "no-store"
        await self._send(start)
        await self._send({"type": "http.response.body", "body": page})
