"""An error as a page, for people. Programs get `application/problem+json` (`web.problems`); `wants_page` tells which. Pure."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import HTMLResponse
from starlette.types import Scope

from web.areas import WITH_PAGES, area_of

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
    """Whether a person asks: the address is one of a page, and the client names HTML among what it takes."""
    if area_of(scope["path"]) not in WITH_PAGES or scope["path"].endswith("/state"):
        return False
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return b"text/html" in accepted


def error_page(render: Callable[..., str], status: int, detail: str, reference: str) -> HTMLResponse:
    """`detail` is the problem's sentence; a 404 and a 503 say what a visitor can do instead."""
    heading = _HEADINGS.get(status, "Something went wrong here.")
    page = render(
        "statement.html",
        eyebrow=f"Error {status}",
        heading=heading,
        detail=_DETAILS.get(status, detail),
        reference=reference,
        way_out=("Go to the library", "/"),
    )
    return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store"})
