"""Keeps request bodies small wherever they are not uploads, whether they announce their length or not.

An ASGI middleware. Upload addresses count their own bytes (`ingest`), because they take as many as the operator allows.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kit.errors import TooLarge

MAX_BODY_BYTES = 1 << 20
UPLOADS = "/v1/tus"


class BodyLimit:
    """Refuses a body of more than `MAX_BODY_BYTES`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == UPLOADS or scope["path"].startswith(UPLOADS + "/"):
            await self._app(scope, receive, send)
            return
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > MAX_BODY_BYTES:
                raise TooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.", code="body_too_large")
        left = MAX_BODY_BYTES

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413)  # the only kind of error that the framework lets through while it reads a body
            return message

        await self._app(scope, counted, send)
