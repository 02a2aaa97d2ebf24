"""/v1/assets/{asset_id}/downloads: ask for static renditions of a title, see how far they are, delete them.

The files themselves are below `/v/{playback_id}/download/` (`origin.api`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from catalog import downloads, lost, store
from catalog.asset import Asset, AssetStatus
from catalog.downloads import File
from kit.world import World
from web.parameters import AssetPath

_NAME = r"^[0-9a-z][0-9a-z_-]{0,63}\.(mp4|webm|m4a)$"
_NamePath = Annotated[str, Path(description="Such as 720p.mp4.", max_length=70)]
_EXAMPLE: dict[str, Any] = {
    "name": "720p.mp4", "status": "ready", "progress": 1.0, "size_bytes": 41298230, "error": None,
    "url": "/v/7h2kq9vw3m1x5tz8c4pd/download/720p.mp4", "created_at": "2026-11-22T14:03:00Z",
}  # fmt: skip


class DownloadError(BaseModel):
    code: str
    detail: str


class DownloadResource(BaseModel):
    """A file of the whole title."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    status: Literal["waiting", "making", "ready", "failed"]
    progress: float = Field(description="0 to 1.")
    size_bytes: int | None
    error: DownloadError | None = Field(description="Why it could not be made; asking again tries again.")
    url: str | None = Field(description="The file, once it is there.")
    created_at: datetime


class DownloadList(BaseModel):
    data: list[DownloadResource]
    available: list[str] = Field(description="The files that can be asked for.")


class NewDownload(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "720p.mp4"}]})

    name: str = Field(pattern=_NAME, max_length=70, description="A rendition, and `.mp4` or `.webm`; of sound without pictures, `.m4a`.")


def _shown(conn: Connection, file: File) -> DownloadResource:
    public = next((item.id for item in store.playbacks_of(conn, [file.asset_id])[file.asset_id] if item.policy == "public"), None)
    error = None if file.error_code is None else DownloadError(code=file.error_code, detail=file.error_detail or "")
    url = f"/v/{public}/download/{file.name}" if public and file.status == "ready" else None
    return DownloadResource(
        name=file.name, status=file.status, progress=file.progress, size_bytes=file.size_bytes, error=error, url=url,
        created_at=file.created_at,
    )  # fmt: skip


def _found(conn: Connection, asset: Asset, name: str) -> File:
    """Raises NotFound."""
    return downloads.file_of(conn, asset.id, asset.plan_digest or "", name)


def router(world: World, authenticate: Any) -> APIRouter:
    """The routes; every one needs a principal."""
    api = APIRouter(tags=["downloads"], dependencies=[Depends(authenticate)])

    @api.get("/v1/assets/{asset_id}/downloads")
    def list_downloads(asset_id: AssetPath) -> DownloadList:
        """The files that were asked for, and those that can be."""
        with world.db.connect() as conn:
            asset = store.live_asset(conn, asset_id)
            made = [_shown(conn, file) for file in downloads.files_of(conn, asset)]
            if asset.status is not AssetStatus.READY or asset.plan_digest is None:
                return DownloadList(data=made, available=[])
            names = downloads.names_of(store.load_plan(conn, asset_id), lost.names(conn, asset_id, asset.plan_digest))
            return DownloadList(data=made, available=list(names))

    @api.get("/v1/assets/{asset_id}/downloads/{name}")
    def get_download(asset_id: AssetPath, name: _NamePath) -> DownloadResource:
        """How far a file is."""
        with world.db.connect() as conn:
            return _shown(conn, _found(conn, store.live_asset(conn, asset_id), name))

    @api.post("/v1/assets/{asset_id}/downloads", status_code=202)
    def ask_for_download(asset_id: AssetPath, body: NewDownload, response: Response) -> DownloadResource:
        """Have a file of a title that is ready made. Asking twice makes one file; one that failed is tried again."""
        with world.db.begin() as conn:
            asset = store.lock_live_asset(conn, asset_id)
            gone = lost.names(conn, asset_id, asset.plan_digest) if asset.plan_digest else frozenset()
            file = downloads.ask(conn, asset, body.name, gone)
            response.headers["Location"] = f"/v1/assets/{asset_id}/downloads/{file.name}"
            return _shown(conn, file)

    @api.delete("/v1/assets/{asset_id}/downloads/{name}", status_code=204)
    def delete_download(asset_id: AssetPath, name: _NamePath) -> None:
        """Delete a file, or take the wish for it back."""
        with world.db.begin() as conn:
            file = _found(conn, store.lock_live_asset(conn, asset_id), name)
            downloads.forget(conn, file)
        world.storage.delete(file.key)

    return api
