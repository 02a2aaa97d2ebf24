"""`Idempotency-Key` on POST (IETF draft-ietf-httpapi-idempotency-key-header): asking twice does it once.

The first request with a key runs, and its reply is kept for 24 hours; the same request again gets the same reply, another
request under the same key 422, and one that comes while the first is still running 409. Keys belong to whoever asks. Replies
that say "try again" (409, 429, 5xx) are not kept.

An ASGI middleware, because it has to see the request before any route and the whole reply after it. It buffers both, which
JSON is small enough for; what it makes is noted in the transaction that makes it (`kit.once`), so that a server which dies before
the reply is kept does not make it twice. Upload bytes under such a key are refused, since tus has its own way of being repeated.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accounts.keys import Principal
from kit.errors import BadRequest, Conflict, Forbidden, HeadwaterError, Retry, Unauthorized
from kit.once import Memory, remembering
from kit.world import World
from web import store
from web.body_limit import UPLOADS
from web.store import Begun, Reply

SHOWN_ONCE = frozenset({"/v1/api_keys"})  # replies with a secret: never stored
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SAME = ("content-type", "upload-length", "upload-defer-length", "upload-metadata")  # headers that say what is asked for
_NOT_KEPT = frozenset({"content-length", "set-cookie", "date", "x-request-id"})
_TRY_AGAIN = frozenset({409, 425, 429})


class Mismatch(HeadwaterError):
    status, code, retry = 422, "idempotency_mismatch", Retry.NEVER


class StillRunning(Conflict):
    code = "idempotency_running"


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose key it is, and what it is used for."""

    principal: str
    key: str
    fingerprint: str


def key_of(header: str) -> str:
    """The key: a quoted string, as the draft has it, or bare. Raises BadRequest."""
    key = header.strip()
    if len(key) > 1 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise BadRequest("An Idempotency-Key has 1 to 255 visible ASCII characters.", code="bad_idempotency_key")
    return key


def fingerprint(request: Request, body: bytes) -> str:
    """Equal for equal requests."""
    parts = [request.method, request.url.path, request.url.query, *(request.headers.get(name, "") for name in _SAME)]
    return hashlib.sha256("\n".join(parts).encode() + b"\n\n" + body).hexdigest()


def decide(begun: Begun, wanted: str) -> Reply | None:
    """The reply to repeat, or None when the request is to be carried out. Raises Mismatch and StillRunning. Pure."""
    if begun.fresh:
        return None
    if begun.fingerprint != wanted:
        raise Mismatch("This Idempotency-Key was used for another request.")
    if begun.reply is None:
        raise StillRunning("The first request with this Idempotency-Key has not finished.")
    return begun.reply


async def _read(request: Request) -> bytes:
    """The body, which `web.body_limit` keeps small. Of an upload address only an empty one is read."""
    if not request.url.path.startswith(UPLOADS):
        return await request.body()
    async for chunk in request.stream():
        if chunk:
            raise BadRequest("Upload bytes cannot be sent under an Idempotency-Key.", code="bad_idempotency_key")
    return b""


class _Recorder:
    """Plays a read body to the application, and keeps its reply."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._sent = bytearray()

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            self._sent += message.get("body", b"")

    def reply(self) -> Reply:
        return Reply(self._status, tuple(self._headers), bytes(self._sent))


class Idempotency:
    """The middleware. `identify` tells who asks, and blocks."""

    def __init__(self, app: ASGIApp, world: World, identify: Callable[[Request], Principal]) -> None:
        self._app = app
        self._world = world
        self._identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        header = request.headers.get("idempotency-key")
        if header is None:
            await self._app(scope, receive, send)
            return
        key = key_of(header)
        try:
            principal = await run_in_threadpool(self._identify, request)
        except (Unauthorized, Forbidden):
            await self._app(scope, receive, send)  # which refuses it in its own words
            return
        request.state.principal = principal
        body = await _read(request)
        asked = Asked(principal.id, key, fingerprint(request, body))
        reply = decide(await run_in_threadpool(self._begin, asked), asked.fingerprint)
        if reply is None:
            reply = await self._carry_out(asked, scope, _Recorder(body, receive))
        else:
            reply = Reply(reply.status, (*reply.headers, ("Idempotency-Replayed", "true")), reply.body)
        await _response(reply)(scope, receive, send)

    def _begin(self, asked: Asked) -> Begun:
        with self._world.db.begin() as conn:
            return store.begin(conn, asked.principal, asked.key, asked.fingerprint)

    async def _carry_out(self, asked: Asked, scope: Scope, recorder: _Recorder) -> Reply:
        finished = False
        memory = Memory(
            lambda conn: store.made(conn, asked.principal, asked.key),
            lambda conn, made: store.note_made(conn, asked.principal, asked.key, made),
        )
        try:
            with remembering(memory):
                await self._app(scope, recorder.receive, recorder.send)
            reply = recorder.reply()
            if 0 < reply.status < 500 and reply.status not in _TRY_AGAIN:
                await run_in_threadpool(self._finish, asked, kept(reply, scope["path"]))
                finished = True
            return reply
        finally:
            if not finished:
                await run_in_threadpool(self._release, asked)

    def _finish(self, asked: Asked, reply: Reply) -> None:
        with self._world.db.begin() as conn:
            store.finish(conn, asked.principal, asked.key, reply)

    def _release(self, asked: Asked) -> None:
        with self._world.db.begin() as conn:
            store.release(conn, asked.principal, asked.key)


def kept(reply: Reply, path: str) -> Reply:
    """What is stored of a reply. Of one with a secret, only that it was given."""
    if path in SHOWN_ONCE and reply.status < 300:
        body = b'{"title":"Secret already shown","status":409,"code":"secret_shown_once",'
        body += b'"detail":"The key was created by the first request; its secret is shown only once."}'
        return Reply(409, (("content-type", "application/problem+json"),), body)
    return Reply(reply.status, tuple(pair for pair in reply.headers if pair[0].lower() not in _NOT_KEPT), reply.body)


def _response(reply: Reply) -> Response:
    response = Response(reply.body, status_code=reply.status)
    headers = [pair for pair in reply.headers if pair[0].lower() != "content-length"]
    response.raw_headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return response
