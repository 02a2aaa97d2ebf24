"""Keeps headers small everywhere, and bodies wherever they are not uploads, whether they announce their length or not.

An ASGI middleware. Upload addresses count their own bytes (`ingest`), because they take as many as the operator allows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.errors import HeadwaterError, Retry, TooLarge

MAX_BODY_BYTES = 1 << 20
MAX_HEADER_BYTES = 64 << 10  # the edge takes less; this is for an API that is reached without it
MAX_HEADERS = 200
UPLOADS = "/v1/tus"
MAX_TEXT_BYTES = 5 << 20  # of a subtitle file (`captions.reading`)
_TEXTS = re.compile(r"/v1/assets/[^/]+/tracks(?:/[^/]+)?")


class HeadersTooLarge(HeadwaterError):
    status, code, retry = 431, "headers_too_large", Retry.NEVER


def check_headers(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Raises HeadersTooLarge."""
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
        raise HeadersTooLarge(f"A request may have {MAX_HEADERS} headers, and {MAX_HEADER_BYTES} bytes of them.")


def limit_of(path: str) -> int:
    """The most bytes that a body may have there."""
    return MAX_TEXT_BYTES if _TEXTS.fullmatch(path) else MAX_BODY_BYTES


class BodyLimit:
    """Refuses a body that is larger than `limit_of` says, and headers of more than `MAX_HEADER_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            check_headers(scope["headers"])
        if scope["type"] != "http" or scope["path"] == UPLOADS or scope["path"].startswith(UPLOADS + "/"):
            await self._app(scope, receive, send)
            return
        left = limit = limit_of(scope["path"])
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                raise TooLarge(f"The body is larger than {limit} bytes.", code="body_too_large")

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)  # the only kind of error that the framework lets through while it reads a body
            return message

        await self._app(scope, counted, send)
