"""API keys: shown once, stored as a hash, revocable."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from accounts import store
from accounts.keys import digest
from kit.world import World
from tests.api_client import Api, is_problem


def test_a_key_is_shown_once_and_stored_as_a_hash(api: Api, world: World) -> None:
    made = api.post("/v1/api_keys", json={"name": "website"})
    assert made.status_code == 201
    key = made.json()
    assert key["secret"].startswith("hw_")
    assert key["hint"] == key["secret"][-4:]
    listed = api.get("/v1/api_keys").json()["data"]
    assert [item["name"] for item in listed] == ["website", "test"]
    assert "secret" not in listed[0]
    with world.db.connect() as conn:
        rows = conn.execute(select(store.api_keys)).mappings().all()
    assert digest(key["secret"]) in {row["secret_sha256"] for row in rows}
    assert all(key["secret"] not in str(dict(row)) for row in rows)


def test_a_new_key_opens_and_a_revoked_one_does_not(api: Api) -> None:
    key = api.post("/v1/api_keys", json={"name": "x"}).json()
    headers = {"Authorization": f"Bearer {key['secret']}"}
    assert api.get("/v1/assets", headers=headers).status_code == 200
    assert api.delete(f"/v1/api_keys/{key['id']}").status_code == 204
    is_problem(api.get("/v1/assets", headers=headers), 401, "invalid_key")
    assert api.delete(f"/v1/api_keys/{key['id']}").status_code == 204
    assert api.get("/v1/api_keys").json()["data"][0]["revoked_at"] is not None
    is_problem(api.delete("/v1/api_keys/key_nothing"), 404, "not_found")


def test_the_last_use_is_noted_and_not_written_at_every_request(api: Api, world: World) -> None:
    api.get("/v1/assets")
    first = api.get("/v1/api_keys").json()["data"][0]["last_used_at"]
    assert first is not None
    assert api.get("/v1/api_keys").json()["data"][0]["last_used_at"] == first
    with world.db.begin() as conn:
        conn.execute(text("UPDATE api_keys SET last_used_at = now() - interval '2 minutes'"))
    api.get("/v1/assets")
    assert api.get("/v1/api_keys").json()["data"][0]["last_used_at"] > first


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": "x", "role": "admin"}, {"name": "a\x00"}])
def test_input_that_does_not_fit(api: Api, body: dict[str, str]) -> None:
    is_problem(api.post("/v1/api_keys", json=body), 422, "validation_failed")
