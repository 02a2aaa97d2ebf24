"""/v1/assets: list, import by URL, read, change, delete."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any
from urllib.parse import unquote, urlencode, urlsplit

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from sqlalchemy import Connection

from catalog import pictures, store, views
from catalog.asset import TITLE_LENGTH, Asset, AssetStatus, NewAsset
from catalog.store import AssetFilter
from kit import once
from kit.errors import BadRequest
from kit.world import World
from media.ids import AssetId
from web.parameters import AssetPath
from web.resources import AssetChanges, AssetList, AssetResource, ExternalId, NewImport, Tag, Text, asset_resource

_ETAG = re.compile(r'"v([1-9][0-9]{0,8})"')
_IfMatch = Annotated[str | None, Header(description='The ETag the change is based on, e.g. `"v3"`, or `*`.', examples=['"v3"'])]


def cursor_of(asset_id: str) -> str:
    """An opaque place in a list: just after this asset."""
    return base64.urlsafe_b64encode(f"1{asset_id}".encode()).decode().rstrip("=")


def place_of(cursor: str) -> AssetId:
    """The asset after which the page begins. Raises BadRequest for anything that `cursor_of` did not make."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    if not re.fullmatch(r"1ast_[0-9a-z]{1,40}", text):
        raise BadRequest("This is not a cursor that a list returned.", code="bad_cursor")
    return AssetId(text[1:])


def etag_of(asset: Asset) -> str:
    """Names the version that clients change, so an edit is not refused because a rendition was finished meanwhile."""
    return f'"v{asset.version}"'


def expected_version(if_match: str | None, current: int) -> int | None:
    """The version that `If-Match` (RFC 9110 section 13.1.1) asks for; None when any will do. Raises BadRequest.

    Of a list of tags one has to match. Weak tags never do: the comparison is the strong one.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag.strip() for tag in if_match.split(",")]
    versions = [int(found[1]) for tag in tags if (found := _ETAG.fullmatch(tag.removeprefix("W/")))]
    if len(versions) != len(tags):
        raise BadRequest('If-Match must be an ETag as it was returned, like "v3".', code="bad_if_match")
    strong = [version for version, tag in zip(versions, tags, strict=True) if not tag.startswith("W/")]
    return current if current in strong else -1


def title_of(url: str) -> str:
    """The file name in an address, as a first title."""
    return unquote(urlsplit(url).path.rpartition("/")[2]).replace("\x00", "")[:TITLE_LENGTH]


def present(conn: Connection, world: World, asset: Asset) -> AssetResource:
    return asset_resource(views.load(conn, [asset], world.clock.now())[0])


def _reply(response: Response, asset: Asset) -> None:
    response.headers["ETag"] = etag_of(asset)


def _next_link(request: Request, cursor: str) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    return f'<{request.url.path}?{urlencode([*kept, ("cursor", cursor)])}>; rel="next"'


def router(world: World, authenticate: Any) -> APIRouter:
    """The routes; every one needs a principal."""
    api = APIRouter(tags=["assets"], dependencies=[Depends(authenticate)])
    _add_reading(api, world)
    _add_changing(api, world)
    return api


def _add_reading(api: APIRouter, world: World) -> None:
    @api.get("/v1/assets")
    def list_assets(
        *,
        request: Request,
        response: Response,
        status: Annotated[list[AssetStatus], Query(description="May be repeated. Deleted assets are listed only when asked for.")] = [],  # noqa: B006
        q: Annotated[Text | None, Query(max_length=200, description="Anywhere in title, description, external id or tags.")] = None,
        tag: Annotated[Tag | None, Query(description="Exactly this tag.")] = None,
        external_id: Annotated[ExternalId | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
        cursor: Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")] = None,
    ) -> AssetList:
        """Assets, the newest first. Assets created during a walk do not shift it: each old one appears exactly once."""
        wanted = AssetFilter(tuple(status), q, tag, external_id)
        with world.db.connect() as conn:
            page = store.list_assets(conn, wanted, limit=limit, after=place_of(cursor) if cursor else None)
            shown = views.load(conn, page.assets, world.clock.now())
        following = cursor_of(page.next_after) if page.next_after else None
        if following is not None:
            response.headers["Link"] = _next_link(request, following)
        return AssetList(data=[asset_resource(view) for view in shown], next_cursor=following)

    @api.get("/v1/assets/{asset_id}")
    def get_asset(asset_id: AssetPath, response: Response) -> AssetResource:
        """One asset, with its progress and renditions as they are now."""
        with world.db.connect() as conn:
            asset = store.live_asset(conn, asset_id)
            _reply(response, asset)
            return present(conn, world, asset)


def _add_changing(api: APIRouter, world: World) -> None:
    @api.post("/v1/assets", status_code=201)
    def import_asset(body: NewImport, response: Response) -> AssetResource:
        """Create an asset and fetch its source from `input_url` in the background."""
        from ingest.importing import request_import

        new = NewAsset(
            title=title_of(body.input_url) if body.title is None else body.title,
            description=body.description,
            tags=tuple(dict.fromkeys(body.tags)),
            external_id=body.external_id,
            metadata=body.metadata,
            profile=body.profile,
            encryption=body.encryption,
            normalize_audio=body.normalize_audio,
            playback_policy=body.playback_policy,
        )
        with world.db.begin() as conn:
            made = once.made_before(conn)
            asset = store.create_asset(conn, new) if made is None else store.get_asset(conn, made)
            if made is None:
                once.note(conn, asset.id)
                request_import(conn, asset.id, body.input_url)
            _reply(response, asset)
            response.headers["Location"] = f"/v1/assets/{asset.id}"
            return present(conn, world, store.get_asset(conn, asset.id))

    @api.patch("/v1/assets/{asset_id}")
    def change_asset(asset_id: AssetPath, body: AssetChanges, response: Response, if_match: _IfMatch = None) -> AssetResource:
        """Change the words of an asset, and the moment that its poster shows. `external_id: null` and `poster_time_s: null` take away what
        was set; the others cannot be null."""
        changes = changes_of(body)
        with world.db.begin() as conn:
            expected = None if if_match is None else expected_version(if_match, store.live_asset(conn, asset_id).version)
            asset = store.update_details(conn, asset_id, changes, expected_version=expected)
            if "poster_time_s" in changes:
                pictures.choose_poster(conn, asset)
            _reply(response, asset)
            return present(conn, world, asset)

    @api.delete("/v1/assets/{asset_id}", status_code=204)
    def delete_asset(asset_id: AssetPath, if_match: _IfMatch = None) -> None:
        """Delete an asset: its addresses stop working at once, its work is cancelled, its files are removed soon after."""
        with world.db.begin() as conn:
            asset = store.live_asset(conn, asset_id)
            store.delete_asset(conn, asset_id, expected_version=expected_version(if_match, asset.version))


def changes_of(body: AssetChanges) -> dict[str, Any]:
    """What the body names, and nothing else."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    if "tags" in given:
        given["tags"] = list(dict.fromkeys(given["tags"]))
    return given
