"""The HTTP side of uploads: `/v1/uploads` in JSON, and tus 1.0.0 (and plain PUT) on the upload's own address.

It reads requests and writes replies. What a header means is in `ingest.tus`, what may happen to an upload in `ingest.upload`,
and how bytes are taken in, in `ingest.receive`. Refusals are raised and become problem documents in `web`; the route class
here adds the tus headers to every reply of a tus address, refusals included.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from accounts.keys import Principal
from catalog.asset import (
    DESCRIPTION_LENGTH,
    EXTERNAL_ID_LENGTH,
    TAG_COUNT,
    TAG_LENGTH,
    TITLE_LENGTH,
    EncryptionChoice,
    NewAsset,
    PlaybackPolicy,
    Profile,
)
from ingest import address, details, sessions, tus, upload
from ingest.receive import BodyBroken, Receiver
from ingest.tus import Checksum
from ingest.upload import Offer, UploadSession
from kit.errors import HeadwaterError, Retry
from kit.world import World

_NOTES = "headwater.tus"  # where a handler leaves headers for a refusal, in the ASGI scope
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]


class MethodNotAllowed(HeadwaterError):
    status, code, retry = 405, "method_not_allowed", Retry.NEVER


class NewUpload(BaseModel):
    """An upload, and the asset that it will become."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"title": "Big Buck Bunny", "size": 4139823}]})

    title: Annotated[_Text, Field(max_length=TITLE_LENGTH)] = ""
    description: Annotated[_Text, Field(max_length=DESCRIPTION_LENGTH)] = ""
    tags: Annotated[list[Annotated[_Text, Field(min_length=1, max_length=TAG_LENGTH)]], Field(max_length=TAG_COUNT)] = []
    external_id: Annotated[_Text, Field(min_length=1, max_length=EXTERNAL_ID_LENGTH)] | None = None
    playback_policy: PlaybackPolicy = "public"
    profile: Profile = "default"
    encryption: EncryptionChoice = "default"
    normalize_audio: bool | None = Field(None, description="Make all sound as loud as that of others; null: as the operator chose.")
    size: Annotated[int, Field(ge=0, le=2**62)] | None = Field(None, description="Length of the file in bytes, if it is known.")


class UploadError(BaseModel):
    code: str
    detail: str


class UploadResource(BaseModel):
    """An upload as clients see it."""

    id: str
    asset_id: str
    status: Literal["waiting", "receiving", "complete", "errored", "cancelled", "expired"]
    offset: int = Field(description="Bytes that are stored durably.")
    size: int | None = Field(description="Length of the file in bytes; null while the client has not said it.")
    url: str | None = Field(description="Address to send the bytes to, by tus or by one PUT. It needs no API key. Null when it is dead.")
    created_at: datetime
    expires_at: datetime = Field(description="When the address dies, unless bytes arrive before.")
    error: UploadError | None


class _TusRoute(APIRoute):
    """Adds the headers that every tus reply must have, and those that a handler noted before it refused."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        notes: dict[str, str] = tus.every_answer()
        scope[_NOTES] = notes

        async def send_with_notes(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in notes.items():
                    headers[name] = value
            await send(message)

        await super().handle(scope, receive, send_with_notes)


def _note_refusal(request: Request, error: HeadwaterError) -> None:
    notes: dict[str, str] = request.scope[_NOTES]
    if isinstance(error, tus.WrongVersion):
        notes["Tus-Version"] = tus.VERSION


def _owner(request: Request) -> str:
    """Who creates: `authenticate` has noted the principal."""
    principal: Principal = request.state.principal
    return principal.id


def _body_bytes(headers: Mapping[str, str]) -> int | None:
    """How long the body says it is; None when only its end will tell (RFC 9112 section 6.3)."""
    return None if "transfer-encoding" in headers else (tus.parse_whole(headers, "Content-Length") or 0)


async def _body(request: Request) -> AsyncIterator[bytes]:
    try:
        async for data in request.stream():
            if data:
                yield data
    except ClientDisconnect:
        raise BodyBroken("The connection ended before the body did.") from None


class _Uploads:
    """The handlers, with what they work on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._receiver = Receiver(world)
        self._secret = world.settings.secret_key

    def _resource(self, session: UploadSession) -> UploadResource:
        alive = session.state in upload.OPEN
        path = address.path_of(self._secret, session.id)
        failed = session.error_code is not None
        return UploadResource(
            id=session.id,
            asset_id=session.asset_id,
            status=session.state.value,
            offset=session.offset,
            size=session.size_bytes,
            url=f"{self._world.settings.public_url.rstrip('/')}{path}" if alive else None,
            created_at=session.created_at,
            expires_at=session.expires_at,
            error=UploadError(code=session.error_code or "", detail=session.error_detail or "") if failed else None,
        )

    async def create(self, request: Request, body: NewUpload) -> UploadResource:
        new = NewAsset(
            title=body.title,
            description=body.description,
            tags=tuple(body.tags),
            external_id=body.external_id,
            profile=body.profile,
            encryption=body.encryption,
            normalize_audio=body.normalize_audio,
            playback_policy=body.playback_policy,
        )
        return self._resource(
            await self._receiver.row(lambda: sessions.create(self._world, new, owner=_owner(request), size_bytes=body.size))
        )

    async def read(self, upload_id: str) -> UploadResource:
        return self._resource(await self._receiver.row(sessions.read, self._world, upload_id))

    async def tus_options(self) -> Response:
        return Response(status_code=204, headers=tus.capabilities(self._world.settings.max_upload_bytes))

    async def tus_create(self, request: Request) -> Response:
        """Creation, and creation-with-upload when there is a body. What is refused leaves nothing behind."""
        headers = request.headers
        tus.check_version(headers)
        length = tus.parse_creation_length(headers)
        raw = headers.get("upload-metadata", "")
        new = details.new_asset(tus.parse_metadata(raw))
        checksum = tus.parse_checksum(headers.get("upload-checksum"))
        body_bytes = _body_bytes(headers)
        if body_bytes != 0:
            tus.check_content_type(headers)
            if length is not None and body_bytes is not None:
                upload.check_room(body_bytes, length)
        session = await self._receiver.row(
            lambda: sessions.create(self._world, new, owner=_owner(request), size_bytes=length, metadata=raw)
        )
        answer = {"Location": address.path_of(self._secret, session.id)}
        if body_bytes != 0:
            session = await self._first_body(session, Offer(0, body_bytes), request, checksum)
        return Response(status_code=201, headers={**answer, **tus.progress(session)})

    async def _first_body(self, session: UploadSession, offer: Offer, request: Request, checksum: Checksum | None) -> UploadSession:
        try:
            return await self._receiver.receive(session.id, offer, _body(request), checksum=checksum)
        except HeadwaterError:
            await self._receiver.store(sessions.cancel, self._world, session.id)  # the client never learns the address
            raise

    async def tus_head(self, request: Request, upload_id: str) -> Response:
        tus.check_version(request.headers)
        session = await self._receiver.row(sessions.read_live, self._world, upload_id)
        return Response(status_code=200, headers=tus.description(session))

    async def tus_patch(self, request: Request, upload_id: str) -> Response:
        headers = request.headers
        tus.check_version(headers)
        tus.check_content_type(headers)
        offer = Offer(
            offset=tus.parse_required(headers, "Upload-Offset"),
            body_bytes=_body_bytes(headers),
            length=tus.parse_whole(headers, "Upload-Length"),
        )
        checksum = tus.parse_checksum(headers.get("upload-checksum"))
        session = await self._receiver.receive(upload_id, offer, _body(request), checksum=checksum)
        return Response(status_code=204, headers=tus.progress(session))

    async def tus_delete(self, request: Request, upload_id: str) -> Response:
        tus.check_version(request.headers)
        await self._receiver.store(sessions.cancel, self._world, upload_id)
        return Response(status_code=204)

    async def put(self, request: Request, upload_id: str) -> Response:
        """The whole file in one request. It begins anew whatever was sent before; a broken one may be continued by tus."""
        body_bytes = _body_bytes(request.headers)
        offer = Offer(offset=0, body_bytes=body_bytes, length=body_bytes, restart=True)
        checksum = tus.parse_checksum(request.headers.get("upload-checksum"))
        session = await self._receiver.receive(upload_id, offer, _body(request), checksum=checksum)
        return Response(self._resource(session).model_dump_json(), media_type="application/json", headers=tus.progress(session))

    async def collection(self, request: Request) -> Response:
        """`/v1/tus`, whatever the method."""
        try:
            tus.check_said_once(request.headers.keys())
            method = tus.method(request.method, request.headers)
            if method == "OPTIONS":
                return await self.tus_options()
            if method == "POST":
                return await self.tus_create(request)
            raise MethodNotAllowed(f"{method} is not possible here; POST creates an upload.")
        except HeadwaterError as error:
            _note_refusal(request, error)
            raise

    async def member(self, request: Request, upload_id: str, token: str) -> Response:
        """`/v1/tus/{id}/{token}`, whatever the method."""
        acts: dict[str, Callable[[Request, str], Awaitable[Response]]] = {
            "HEAD": self.tus_head,
            "PATCH": self.tus_patch,
            "DELETE": self.tus_delete,
            "PUT": self.put,
        }
        try:
            tus.check_said_once(request.headers.keys())
            method = tus.method(request.method, request.headers)
            if method == "OPTIONS":
                return await self.tus_options()
            if method not in acts:
                raise MethodNotAllowed(f"{method} is not possible here; HEAD, PATCH, PUT and DELETE are.")
            return await acts[method](request, address.check(self._secret, upload_id, token))
        except HeadwaterError as error:
            _note_refusal(request, error)
            raise


_MEMBER_METHODS = {
    "HEAD": (200, "How many bytes of an upload are stored (tus)"),
    "PATCH": (204, "Send bytes from the stored offset on (tus)"),
    "DELETE": (204, "Give an upload up (tus)"),
    "PUT": (200, "Send the whole file in one request"),
    "OPTIONS": (204, "What this tus server can do"),
    "POST": (204, "One of the above, named by X-HTTP-Method-Override"),
}


def router(world: World, authenticate: Callable[..., Any]) -> APIRouter:
    """All upload routes. `authenticate` is a dependency that raises Unauthorized; upload addresses do without it."""
    handlers = _Uploads(world)
    routes = APIRouter(tags=["uploads"])
    needs_key = [Depends(authenticate)]
    routes.add_api_route(
        "/v1/uploads", handlers.create, methods=["POST"], status_code=201, dependencies=needs_key,
        summary="Create an upload", response_model=UploadResource, operation_id="create_upload",
    )  # fmt: skip
    routes.add_api_route(
        "/v1/uploads/{upload_id}", handlers.read, methods=["GET"], dependencies=needs_key,
        summary="How far an upload is", response_model=UploadResource, operation_id="get_upload",
    )  # fmt: skip
    resumable = APIRouter(tags=["uploads"], route_class=_TusRoute)
    resumable.add_api_route(
        address.PREFIX, handlers.collection, methods=["POST"], status_code=201, dependencies=needs_key,
        summary="Create an upload (tus)", response_class=Response, operation_id="tus_create",
    )  # fmt: skip
    resumable.add_api_route(
        address.PREFIX, handlers.collection, methods=["OPTIONS"], status_code=204,
        summary="What this tus server can do", response_class=Response, operation_id="tus_capabilities",
    )  # fmt: skip
    for method, (status, summary) in _MEMBER_METHODS.items():
        resumable.add_api_route(
            address.PREFIX + "/{upload_id}/{token}", handlers.member, methods=[method], status_code=status,
            summary=summary, response_class=Response, operation_id=f"tus_{method.lower()}",
        )  # fmt: skip
    routes.include_router(resumable)
    return routes
