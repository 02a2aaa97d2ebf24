"""/v1/assets/{asset_id}/keys: the key of an encrypted title, for a DRM service that hands it to its own players.

Only an API key may ask: a browser session is not enough. Each time is logged, with who asked and without what was answered, and no cache
may keep the reply. Viewers of "aes-128" ask elsewhere (`origin.api`).
"""

from __future__ import annotations

import base64
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from accounts.keys import Principal
from catalog import store, title_keys
from kit import log
from kit.errors import Forbidden
from kit.world import World
from media.protection import Scheme
from web.parameters import AssetPath

_EXAMPLE: dict[str, Any] = {
    "scheme": "aes-128", "key_id": "00112233445566778899aabbccddeeff", "kid": "00112233-4455-6677-8899-aabbccddeeff",
    "key": "ffeeddccbbaa99887766554433221100", "key_base64": "/+7dzLuqmYh3ZlVEMyIRAA==",
}  # fmt: skip

_log = log.logger(__name__)


class ContentKey(BaseModel):
    """What a title is encrypted with."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    scheme: Scheme
    key_id: str = Field(description="32 hexadecimal digits.")
    kid: str = Field(description="The same as a UUID, as DASH and DRM systems spell it.")
    key: str = Field(description="32 hexadecimal digits.")
    key_base64: str


class ContentKeyList(BaseModel):
    data: list[ContentKey]


def _shown(found: title_keys.TitleKey) -> ContentKey:
    about = found.protection
    encoded = base64.b64encode(found.key).decode()
    return ContentKey(scheme=about.scheme, key_id=about.key_id, kid=about.uuid, key=found.key.hex(), key_base64=encoded)


def router(world: World, authenticate: Any) -> APIRouter:
    """The route; it needs a principal."""
    api = APIRouter(tags=["assets"], dependencies=[Depends(authenticate)])

    @api.get("/v1/assets/{asset_id}/keys")
    def list_content_keys(asset_id: AssetPath, request: Request, response: Response) -> ContentKeyList:
        """The key of an encrypted title, for DRM services. Needs an API key; browser sessions get nothing. Empty for a title that is not
        encrypted, or not planned yet."""
        principal: Principal = request.state.principal
        if principal.via != "key":
            raise Forbidden("Content keys are handed to programs with an API key only.", code="key_required")
        response.headers["Cache-Control"] = "no-store"
        with world.db.connect() as conn:
            store.live_asset(conn, asset_id)
            about = title_keys.protection_of(conn, asset_id)
            found = None if about is None else title_keys.find(conn, asset_id, about.key_id, world.settings.secret_key)
        if found is None:
            return ContentKeyList(data=[])
        _log.info("handed out a content key", asset=asset_id, key_id=found.protection.key_id, to=principal.id)
        return ContentKeyList(data=[_shown(found)])

    return api
