"""/v1/api_keys: make, list and revoke API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from accounts import store
from accounts.keys import ApiKey
from kit.world import World


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "website"}]})

    name: Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]


class KeyResource(BaseModel):
    """An API key, without its secret."""

    id: str
    name: str
    hint: str = Field(description="The last four characters of the secret.")
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None


class CreatedKeyResource(KeyResource):
    secret: str = Field(description="Shown this once, and stored only as a hash.", examples=["hw_…"])


class KeyList(BaseModel):
    data: list[KeyResource]
    next_cursor: None = Field(None, description="All keys fit on one page.")


def _resource(key: ApiKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in KeyResource.model_fields}


def router(world: World, authenticate: Any) -> APIRouter:
    """The routes; every one needs a principal."""
    api = APIRouter(tags=["api keys"], dependencies=[Depends(authenticate)])

    @api.get("/v1/api_keys")
    def list_keys() -> KeyList:
        """All keys, the newest first, revoked ones included."""
        with world.db.connect() as conn:
            return KeyList(data=[KeyResource(**_resource(key)) for key in store.list_keys(conn)], next_cursor=None)

    @api.post("/v1/api_keys", status_code=201)
    def create_key(body: NewKey) -> CreatedKeyResource:
        """Make a key. Its secret is in this reply and nowhere else."""
        with world.db.begin() as conn:
            created = store.create_key(conn, body.name)
        return CreatedKeyResource(**_resource(created.key), secret=created.secret)

    @api.delete("/v1/api_keys/{key_id}", status_code=204)
    def revoke_key(key_id: Annotated[str, Path(max_length=64)]) -> None:
        """Revoke a key: from now on it opens nothing, and neither do sessions that were opened with it."""
        with world.db.begin() as conn:
            store.revoke_key(conn, key_id)

    return api
