"""The playback addresses, `/v/{playback_id}/…`: public, cacheable, read-only.

A request is parsed (`origin.paths`), looked up in the catalog, decided (`origin.delivery`) and answered here. Where our edge
stands in front (`settings.delivery == "accel"`) an object is answered with an empty body and X-Accel-Redirect: nginx fetches
the bytes from the store by a presigned address that no client ever sees. Without it ("stream") they pass through this process.

Playlists are texts that the packager stored: the multivariant, and the DASH manifest in pieces, in the presentation's row, the others
as objects. They are small, and always come from here, as do I-frames, which are parts of segments (nginx cannot make a 200 of the
store's 206). The origin renders nothing.

Playlists name segments that are not made yet. A request for one asks for it (`catalog.demand`) and waits (`origin.waiting`); after
`settings.segment_wait_s` it is answered with 503 and Retry-After, which players take as "again in a second".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from catalog import demand, downloads, lost, pictures, title_keys, track_store
from catalog import store as catalog
from catalog.asset import PlaybackTarget
from catalog.pictures import Picture
from kit.db import is_away
from kit.errors import HeadwaterError, NotFound, Unavailable
from kit.log import logger
from kit.world import World
from media import keys
from media import pictures as names
from media.grid import place_of_gop
from media.ids import AssetId, PlanDigest
from origin import paths, store
from origin.delivery import (
    CLIENT_METHOD_FIELD,
    METHODS,
    Answer,
    Ask,
    StoredObject,
    decide,
    decide_body,
    decide_key,
    decide_text,
    delegated,
    preflight,
    problem,
)
from origin.file_name import attachment
from origin.iframe import encrypted_iframe
from origin.manifest import joined
from origin.picture import redirection, width_of
from origin.resolution import Remembered
from origin.store import Place, SegmentFacts
from origin.waiting import Waiting

ACCEL_PREFIX = "/_store"
PRESIGNED_S = 300  # from the decision to nginx's request for the object; a transfer that has begun may take longer
_CHUNK_BYTES = 256 * 1024
_NOTHING = "There is nothing at this address."
_NOT_YET = "This part of the video is still being made."
_ALL_METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"]

_log = logger(__name__)


class NotMadeYet(Unavailable):
    """It is planned, and will be there in a moment."""

    code = "not_made_yet"


class StreamedObject(Response):
    """An object's bytes, passed on as they arrive from the store.

    When the store breaks off, the connection is closed before the promised length: a client can tell a broken answer from a
    complete one. When the client goes away, the store's connection is released with the next chunk.
    """

    def __init__(self, answer: Answer, pieces: Iterator[bytes]) -> None:
        super().__init__(status_code=answer.status, headers=dict(answer.headers))
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while piece := await run_in_threadpool(next, self._pieces, b""):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except Unavailable as error:
            _log.warning("broke off in the middle of an object", path=scope["path"], detail=error.detail)
        except OSError:
            pass  # the client went away, which is its right
        finally:
            close = getattr(self._pieces, "close", None)
            if close is not None:
                await run_in_threadpool(close)


@dataclass(frozen=True, slots=True)
class _Awaited:
    """What a request needs is not made yet. `picture`: the group of pictures in the segment whose I-frame is wanted."""

    ask: Ask
    place: Place
    picture: int | None


class Origin:
    """Finds what a path names. One for each process."""

    def __init__(self, world: World, waiting: Waiting) -> None:
        self._world = world
        self._waiting = waiting
        self._targets = Remembered(self._resolve, world.clock)

    def _resolve(self, playback_id: str) -> PlaybackTarget:
        with self._world.db.connect() as conn:
            return catalog.resolve_playback(conn, playback_id)

    async def answer(self, playback_id: str, ask: Ask) -> Response:
        """Raises HeadwaterError: NotFound, Forbidden, Unavailable, NotMadeYet."""
        found = await run_in_threadpool(self._look, playback_id, ask)
        if isinstance(found, Response):
            return found
        facts = await self._waiting.until(found.place, self._world.settings.segment_wait_s)
        if facts is None:
            raise NotMadeYet(_NOT_YET)
        return await run_in_threadpool(self._segment, found, facts)

    def _look(self, playback_id: str, ask: Ask) -> Response | _Awaited:
        """The answer as far as it can be given now."""
        return _LOOKS[ask.wanted.kind](self, self._targets.get(playback_id), ask)

    def _multivariant(self, target: PlaybackTarget, ask: Ask) -> Response:
        return self.respond(decide_text(ask, str(target.presentation.multivariant["playlist"]).encode()))

    def _playlist(self, target: PlaybackTarget, ask: Ask) -> Response:
        key = paths.object_key(ask.wanted, target.asset.id, target.plan_digest)
        return self.respond(decide_text(ask, self._world.storage.get(key)))

    def _init(self, target: PlaybackTarget, ask: Ask) -> Response:
        """An init segment. Raises NotFound."""
        wanted, asset = ask.wanted, target.asset.id
        with self._world.db.connect() as conn:
            init = catalog.load_init(conn, asset, wanted.plan or target.plan_digest, wanted.rendition)
        stored = StoredObject(paths.object_key(wanted, asset, target.plan_digest), init.sha256, init.size_bytes)
        return self.respond(decide(ask, stored, whole=self._delegates))

    def _key(self, target: PlaybackTarget, ask: Ask) -> Response:
        """The content key, for players. Raises NotFound."""
        with self._world.db.connect() as conn:
            found = title_keys.find(conn, target.asset.id, ask.wanted.name, self._world.settings.secret_key)
        if found.protection.scheme == "cbcs" and self._world.settings.cbcs_keys == "service":
            raise NotFound(_NOTHING)
        return self.respond(decide_key(ask, found.key))

    def _moment(self, target: PlaybackTarget, ask: Ask) -> Response:
        """To the thumbnail of that moment."""
        with self._world.db.connect() as conn:
            return self.respond(redirection(catalog.load_plan(conn, target.asset.id), ask.query))

    def _manifest(self, target: PlaybackTarget, ask: Ask) -> Response:
        """For DASH. Raises NotFound."""
        pieces = target.presentation.multivariant.get("dash")
        if not pieces:
            raise NotFound("This video has no DASH manifest.", code="manifest_not_found")
        with self._world.db.connect() as conn:
            has_sheets = bool(pictures.find(conn, target.asset.id, target.plan_digest, [names.STORYBOARD]))
        return self.respond(decide_text(ask, joined(pieces, thumbnails=has_sheets).encode()))

    def _download(self, target: PlaybackTarget, ask: Ask) -> Response:
        """A static rendition, under the title's name. Raises NotFound."""
        with self._world.db.connect() as conn:
            file = downloads.file_of(conn, target.asset.id, target.plan_digest, ask.wanted.name)
        if file.sha256 is None or file.size_bytes is None:
            raise NotFound("This file has not been made yet.", code="download_not_found")
        answer = decide(ask, StoredObject(file.key, file.sha256, file.size_bytes))
        if answer.status in (200, 206):
            disposition = {"Content-Disposition": attachment(target.asset.title, file.name)}
            answer = replace(answer, headers={**answer.headers, **disposition})
        return self.respond(delegated(answer) if self._delegates else answer)

    def _text(self, target: PlaybackTarget, ask: Ask) -> Response:
        """A part of the pack of a text track; of chapters, that of the chapters shown now."""
        digest = ask.wanted.text or target.presentation.multivariant.get("chapters")
        if not digest:
            raise NotFound("This video has no chapters.", code="track_not_found")
        with self._world.db.connect() as conn:
            part = track_store.find_pack(conn, target.asset.id, digest).part(ask.wanted.index)
        if part is None:
            raise NotFound("There is no such text.", code="track_not_found")
        return self.respond(decide_text(ask, self._world.storage.get(keys.text_pack(target.asset.id, digest), start=part[0], end=part[1])))

    @property
    def _delegates(self) -> bool:
        return self._world.settings.delivery == "accel"

    def _picture(self, target: PlaybackTarget, ask: Ask) -> Response:
        """A poster, or a part of the storyboard, or the preview. Raises NotFound."""
        wanted, asset, poster = ask.wanted, target.asset.id, target.presentation.multivariant.get("poster")
        plan = wanted.plan or target.plan_digest
        shown = None if poster is None else Picture(poster.get("name", names.POSTER), poster["sha256"], poster["size_bytes"])
        found = shown if wanted.kind == "poster" else None
        if wanted.kind != "poster":
            with self._world.db.connect() as conn:
                found = pictures.find(conn, asset, plan, [wanted.name]).get(wanted.name)
            if found is None and shown is not None and plan == target.plan_digest and wanted.name == shown.name:
                found = shown  # of a title that was published before pictures were recorded
        if found is None:
            raise NotFound("This video has no such picture.", code="poster_not_found")
        key = keys.picture(asset, plan, found.name)
        if found.name == names.STORYBOARD:
            return self.respond(decide_text(ask, self._world.storage.get(key)))
        return self.respond(decide(ask, StoredObject(key, found.sha256, found.size_bytes), whole=self._delegates))

    def _thumbnail(self, target: PlaybackTarget, ask: Ask) -> Response | _Awaited:
        """Raises NotFound, and NotMadeYet while its key frame has not been made, or when too many are being made for this title."""
        wanted, asset = ask.wanted, target.asset.id
        assert wanted.plan is not None
        place = Place(asset, wanted.plan, wanted.rendition, wanted.index)
        with self._world.db.connect() as conn:
            if facts := store.recorded(conn, [place]).get(place):
                return self._segment(_Awaited(ask, place, None), facts)
            plan = catalog.load_plan(conn, asset)
            width = width_of(wanted.rendition)
            if plan.digest != wanted.plan or width not in names.THUMBNAIL_WIDTHS or not plan.video or wanted.index >= plan.grid.gop_count:
                raise NotFound("There is no such picture.", code="picture_not_found")
            rung = names.rung_for(plan, width, lost.names(conn, asset, plan.digest))
            there = catalog.is_recorded(conn, asset, plan.digest, rung.name, place_of_gop(wanted.index, plan.grid.segment_count)[0])
            if not there or not _is_patient(ask) or pictures.waiting_thumbnails(conn, asset) >= pictures.MOST_WAITING:
                raise NotMadeYet(_NOT_YET)
        return _Awaited(ask, place, None)

    def _media(self, target: PlaybackTarget, ask: Ask) -> Response | _Awaited:
        """A segment, or one of its I-frames. Raises NotFound, and NotMadeYet for who may not wait."""
        wanted, asset = ask.wanted, target.asset.id
        assert wanted.plan is not None
        place, picture = Place(asset, wanted.plan, wanted.rendition, wanted.index), None
        with self._world.db.connect() as conn:
            if wanted.kind == "iframe":
                place, picture = store.place_of_iframe(conn, asset, wanted.plan, wanted.rendition, wanted.index)
            facts = store.recorded(conn, [place]).get(place)
            if facts is None and wanted.kind == "iframe" and wanted.index >= catalog.load_plan(conn, asset).grid.gop_count:
                raise NotFound("There is no such picture.", code="segment_not_found")
            if facts is None and not _is_patient(ask):
                demand.require_planned(conn, asset, place.plan, place.rendition, place.index)
                raise NotMadeYet(_NOT_YET)
        awaited = _Awaited(ask, place, picture)
        return awaited if facts is None else self._segment(awaited, facts)

    def _segment(self, about: _Awaited, facts: SegmentFacts) -> Response:
        if about.ask.wanted.kind == "thumbnail":
            stored_key = paths.object_key(about.ask.wanted, AssetId(about.place.asset), PlanDigest(about.place.plan))
        else:
            place = about.place
            stored_key = keys.media_segment(AssetId(place.asset), PlanDigest(place.plan), place.rendition, place.index)
        if about.picture is None:
            return self.respond(decide(about.ask, StoredObject(stored_key, facts.sha256, facts.size_bytes), whole=self._delegates))
        if about.picture >= len(facts.keyframes):
            raise NotFound("There is no such picture.", code="segment_not_found")
        start, end = facts.keyframes[about.picture]
        if (key := self._key_of_segments(about.place)) is not None:
            stored = self._world.storage.get(stored_key)
            return self.respond(decide_body(about.ask, encrypted_iframe(stored, (start, end), key, about.place, about.ask.wanted.index)))
        tag = hashlib.sha256(f"{facts.sha256} {start}-{end}".encode()).hexdigest()
        return self.respond(decide(about.ask, StoredObject(stored_key, tag, end - start, start)))

    def _key_of_segments(self, place: Place) -> bytes | None:
        """Of a title whose segments are encrypted whole, so that no part of one is of use. Raises NotFound and NotSealedHere."""
        with self._world.db.connect() as conn:
            about = title_keys.protection_of(conn, place.asset)
            if about is None or about.scheme != "aes-128":
                return None
            return title_keys.find(conn, place.asset, about.key_id, self._world.settings.secret_key).key

    def respond(self, answer: Answer) -> Response:
        """The answer as a response, with its bytes or with the order to nginx to fetch them. Raises Unavailable and NotFound."""
        headers = dict(answer.headers)
        if answer.send is None:
            return Response(answer.body, answer.status, headers)
        if answer.send.whole:
            address = urlsplit(self._world.storage.presign_get(answer.send.key, expires_s=PRESIGNED_S))
            headers["X-Accel-Redirect"] = f"{ACCEL_PREFIX}{address.path}?{address.query}"
            headers["Content-Length"] = "0"
            return Response(b"", answer.status, headers)
        part = answer.send
        return StreamedObject(answer, self._world.storage.stream(part.key, start=part.start, end=part.end, chunk_bytes=_CHUNK_BYTES))


_LOOKS: Mapping[paths.Kind, Callable[[Origin, PlaybackTarget, Ask], Response | _Awaited]] = {
    "multivariant": Origin._multivariant,
    "manifest": Origin._manifest,
    "playlist": Origin._playlist,
    "init": Origin._init,
    "segment": Origin._media,
    "iframe": Origin._media,
    "key": Origin._key,
    "text": Origin._text,
    "chapters": Origin._text,
    "poster": Origin._picture,
    "still": Origin._picture,
    "storyboard": Origin._picture,
    "preview": Origin._picture,
    "thumbnail": Origin._thumbnail,
    "moment": Origin._moment,
    "download": Origin._download,
}
"""Who looks for what."""


def _is_patient(ask: Ask) -> bool:
    """Whether this request may start an encode and wait for it. Asking whether something is there may not, also not through our edge,
    which asks with GET so that it can keep the answer."""
    return ask.method == "GET" and ask.headers.get(CLIENT_METHOD_FIELD.lower()) != "HEAD"


def _asked(request: Request, playback_id: str) -> Ask | Answer:
    """The request as a value, or the answer it gets whatever is stored. Raises NotFound."""
    if request.method == "OPTIONS":
        return preflight()
    if request.method not in ("GET", "HEAD"):
        return problem(405, "This address can only be read.", extra={"Allow": METHODS})
    path: str = request.scope["path"]
    raw: bytes = request.scope.get("raw_path") or path.encode()
    wanted = paths.parse(path.partition(f"/{playback_id}/")[2])
    if wanted is None or b"%" in raw or not paths.is_playback_id(playback_id):
        raise NotFound(_NOTHING)
    headers = {name.lower(): value for name, value in request.headers.items()}
    query = request.url.query if wanted.kind == "moment" else ""
    return Ask("HEAD" if request.method == "HEAD" else "GET", wanted, headers, query)


def _said(error: HeadwaterError, request_id: str) -> Answer:
    if isinstance(error, NotFound):  # one body for everything that is not there, so that nobody learns what is
        return problem(404, _NOTHING, code=NotFound.code, request_id=request_id)
    extra = {"Retry-After": "1"} if error.status == 503 else None
    return problem(error.status, error.detail, code=error.code, request_id=request_id, extra=extra)


_DOCUMENTED = {
    "main.m3u8": "HLS multivariant playlist",
    "manifest.mpd": "DASH manifest",
    "download/{name}": "Static rendition",
    "poster.jpg": "Poster",
    "thumbnail.jpg": "Thumbnail",
    "storyboard.vtt": "Storyboard",
    "preview.mp4": "Moving preview",
    "chapters.vtt": "Chapters",
    "key/{key_id}": "Content key",
}


def router(world: World, waiting: Waiting | None = None) -> APIRouter:
    """Mount at `/v`. Whoever stops the process closes `waiting` first."""
    origin = Origin(world, waiting or Waiting(world))
    routes = APIRouter(tags=["playback"])

    async def deliver(request: Request, playback_id: str) -> Response:
        request_id = request.headers.get("x-request-id", "")
        try:
            asked = _asked(request, playback_id)
            return origin.respond(asked) if isinstance(asked, Answer) else await origin.answer(playback_id, asked)
        except HeadwaterError as error:
            return origin.respond(_said(error, request_id))
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            return origin.respond(_said(Unavailable("The catalog cannot be reached now."), request_id))

    for path, summary in _DOCUMENTED.items():
        routes.add_api_route(f"/{{playback_id}}/{path}", deliver, methods=["GET"], summary=summary, response_class=Response)
    routes.add_api_route("/{playback_id}/{rest:path}", deliver, methods=_ALL_METHODS, include_in_schema=False)
    routes.add_api_route("/{playback_id}", deliver, methods=_ALL_METHODS, include_in_schema=False)
    return routes
