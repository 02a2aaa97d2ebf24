"""/v1/assets/{asset_id}/tracks: list, add, read, change, replace, delete.

The file is the body itself; what the track is called stands in the query. It is read at once, so the reply can say which lines could not be
used, and what viewers are sent changes in the same transaction: there is no moment at which half of a change is visible.
`refresh` does that (`packager.text_refresh.refresh`, given by whoever puts the rooms together).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection

from captions.reading import MAX_BYTES, Read, read
from captions.resources import Language, Name, TrackChanges, TrackList, TrackResource, track_resource
from captions.storing import Refresh, stored
from catalog import store, track_store
from catalog.track import Content, NewTrack
from kit.errors import BadRequest, HeadwaterError, Retry, TooLarge
from kit.world import World
from media.cues import TrackKind
from media.language import name_of

_AssetPath = Annotated[str, Path(description="ast_…", max_length=64)]
_TrackPath = Annotated[str, Path(description="trk_…", max_length=64)]
_TYPES = ("text/vtt", "application/x-subrip", "text/x-ssa", "application/ttml+xml", "text/plain", "application/octet-stream")
_TEXT = {"schema": {"type": "string", "format": "binary", "maxLength": MAX_BYTES}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "SRT, WebVTT, ASS, SSA or TTML, at most 5 MB. What it is is seen from the file, not from the content type.",
        "content": dict.fromkeys(_TYPES, _TEXT),
    }
}
_PROBLEM = "application/problem+json"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": said, "content": {_PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, said in ((409, "The title has too many tracks."), (415, "Not the file itself."), (422, "No cue of the file can be used."))
}


class NotTheFile(HeadwaterError):
    status, code, retry = 415, "unsupported_media_type", Retry.NEVER


async def _file(request: Request) -> bytes:
    """The body. Raises TooLarge and NotTheFile; `web.body_limit` has bounded it already."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(("multipart/", "image/", "video/", "audio/")) or kind in ("application/json", "application/x-www-form-urlencoded"):
        raise NotTheFile("Send the text file itself as the body, and the track's name and language in the query.")
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise TooLarge(f"A text file may have {MAX_BYTES} bytes.", code="body_too_large")
    if not body:
        raise BadRequest("The body is empty: send the text file itself.")
    return body


class _Tracks:
    """What the routes do. Everything here blocks."""

    def __init__(self, world: World, refresh: Refresh) -> None:
        self._world, self._refresh = world, refresh

    def listed(self, asset_id: str) -> TrackList:
        with self._world.db.connect() as conn:
            store.live_asset(conn, asset_id)
            playbacks = store.playbacks_of(conn, [asset_id])[asset_id]
            tracks = track_store.tracks_of(conn, [asset_id])[asset_id]
        return TrackList(data=[track_resource(track, playbacks) for track in tracks])

    def one(self, asset_id: str, track_id: str) -> TrackResource:
        with self._world.db.connect() as conn:
            store.live_asset(conn, asset_id)
            return self._shown(conn, asset_id, track_id)

    def add(self, asset_id: str, new: NewTrack, data: bytes) -> TrackResource:
        with self._world.db.connect() as conn:
            store.live_asset(conn, asset_id)
        content = self._content(asset_id, read(data))
        with self._world.db.begin() as conn:
            store.lock_live_asset(conn, asset_id)
            track_id = track_store.add_track(conn, asset_id, new)
            return self._filled(conn, asset_id, track_id, content)

    def replace(self, asset_id: str, track_id: str, data: bytes) -> TrackResource:
        self.one(asset_id, track_id)
        content = self._content(asset_id, read(data))
        with self._world.db.begin() as conn:
            store.lock_live_asset(conn, asset_id)
            return self._filled(conn, asset_id, track_id, content)

    def change(self, asset_id: str, track_id: str, changes: TrackChanges) -> TrackResource:
        given = {name: getattr(changes, name) for name in changes.model_fields_set}
        with self._world.db.begin() as conn:
            store.lock_live_asset(conn, asset_id)
            if given:
                if given.get("name") == "":
                    given["name"] = name_of(given.get("language") or track_store.get_track(conn, asset_id, track_id).language)
                track_store.change_track(conn, asset_id, track_id, given)
                self._refresh(conn, self._world, asset_id)
            return self._shown(conn, asset_id, track_id)

    def delete(self, asset_id: str, track_id: str) -> None:
        with self._world.db.begin() as conn:
            store.lock_live_asset(conn, asset_id)
            track_store.delete_track(conn, track_store.get_track(conn, asset_id, track_id))
            self._refresh(conn, self._world, asset_id)

    def _content(self, asset_id: str, found: Read) -> Content:
        return stored(self._world, asset_id, found.format, found.cues, found.problems)

    def _filled(self, conn: Connection, asset_id: str, track_id: str, content: Content) -> TrackResource:
        track_store.set_content(conn, track_store.get_track(conn, asset_id, track_id), content)
        self._refresh(conn, self._world, asset_id)
        return self._shown(conn, asset_id, track_id)

    def _shown(self, conn: Connection, asset_id: str, track_id: str) -> TrackResource:
        playbacks = store.playbacks_of(conn, [asset_id])[asset_id]
        return track_resource(track_store.get_track(conn, asset_id, track_id), playbacks)


def router(world: World, authenticate: Any, refresh: Refresh) -> APIRouter:
    """The routes; every one needs a principal."""
    api = APIRouter(tags=["tracks"], dependencies=[Depends(authenticate)])
    tracks = _Tracks(world, refresh)
    _add_reading(api, tracks)
    _add_changing(api, tracks)
    return api


def _add_reading(api: APIRouter, tracks: _Tracks) -> None:
    @api.get("/v1/assets/{asset_id}/tracks")
    def list_tracks(asset_id: _AssetPath) -> TrackList:
        """The text tracks of a title: those of its source, then uploads."""
        return tracks.listed(asset_id)

    @api.get("/v1/assets/{asset_id}/tracks/{track_id}")
    def get_track(asset_id: _AssetPath, track_id: _TrackPath) -> TrackResource:
        """One track, with everything that was wrong with its file."""
        return tracks.one(asset_id, track_id)


def _add_changing(api: APIRouter, tracks: _Tracks) -> None:
    @api.post("/v1/assets/{asset_id}/tracks", status_code=201, openapi_extra=_BODY, responses=_REFUSALS)
    async def add_track(
        *,
        asset_id: _AssetPath,
        request: Request,
        response: Response,
        language: Annotated[Language, Query(description="BCP 47, such as `fr` or `pt-BR`.")],
        kind: Annotated[TrackKind, Query()] = "subtitles",
        name: Annotated[Name, Query(description="Shown to viewers; without one, the language's.")] = "",
        default: Annotated[bool, Query(description="Shown without being asked for; takes that from the others.")] = False,
        forced: Annotated[bool, Query(description="Only what must be understood, such as signs and foreign words.")] = False,
    ) -> TrackResource:
        """Add subtitles, captions or chapters. Bad cues are left out and listed by line; the good ones are kept."""
        new = NewTrack(kind, language, name or ("Chapters" if kind == "chapters" else name_of(language)), default, forced)
        made = await run_in_threadpool(tracks.add, asset_id, new, await _file(request))
        response.headers["Location"] = f"/v1/assets/{asset_id}/tracks/{made.id}"
        return made

    @api.put("/v1/assets/{asset_id}/tracks/{track_id}", openapi_extra=_BODY, responses=_REFUSALS)
    async def replace_track(asset_id: _AssetPath, track_id: _TrackPath, request: Request) -> TrackResource:
        """Replace the text of a track; its name and the rest stay."""
        return await run_in_threadpool(tracks.replace, asset_id, track_id, await _file(request))

    @api.patch("/v1/assets/{asset_id}/tracks/{track_id}")
    def change_track(asset_id: _AssetPath, track_id: _TrackPath, body: TrackChanges) -> TrackResource:
        """Change what a track is called and how it is offered."""
        return tracks.change(asset_id, track_id, body)

    @api.delete("/v1/assets/{asset_id}/tracks/{track_id}", status_code=204)
    def delete_track(asset_id: _AssetPath, track_id: _TrackPath) -> None:
        """Delete a track: viewers are not offered it any more, its files are removed soon after."""
        tracks.delete(asset_id, track_id)
