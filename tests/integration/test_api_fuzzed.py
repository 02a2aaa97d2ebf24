"""Requests made from the published OpenAPI document, right ones and wrong ones, against the whole application on a real socket:
nothing fails with 5xx, and every status is one that the document names for the operation (checklist N19).

Seeded and bounded: the same requests every time. `make fuzz`, or `HEADWATER_FUZZ_EXAMPLES` in the environment, asks for more of them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Self

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from kit.world import World
from tests.api_client import Api
from tests.assets import an_asset

EXAMPLES = int(os.environ.get("HEADWATER_FUZZ_EXAMPLES", "3"))
ENDLESS = {"/v1/assets/events", "/v1/assets/{asset_id}/events"}  # streams: tests/integration/test_api_events.py asks these
TIMEOUT_S = 30


@pytest.fixture
def known(api: Api, world: World) -> dict[str, str]:
    """Ids that exist, so that requests get further than “not found”."""
    with world.db.begin() as conn:
        asset_id = an_asset(conn).id
    upload = api.post("/v1/uploads", json={"size": 5}).json()
    key = api.post("/v1/api_keys", json={"name": "to be revoked"}).json()
    return {
        "asset_id": asset_id, "upload_id": upload["id"], "token": upload["url"].rsplit("/", 1)[1], "key_id": key["id"],
        "viewer_id": "viewer-1", "code": "not_found",
    }  # fmt: skip


class Fuzzer:
    """Sends generated requests and notes what must not be."""

    def __init__(self, api: Api, address: str, document: dict[str, Any]) -> None:
        self._key, self._address, self._document = api.key, address, document
        self._session = requests.Session()
        self.sent, self.faults = 0, list[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def send(self, case: Any, ids: dict[str, str]) -> None:
        case.path_parameters = {**(case.path_parameters or {}), **{name: ids[name] for name in case.path_parameters or {} if name in ids}}
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {self._key}"}
        try:
            reply = case.call(base_url=self._address, session=self._session, timeout=TIMEOUT_S)
        except (requests.exceptions.InvalidHeader, UnicodeError, requests.exceptions.InvalidURL):
            return  # the client itself will not write such a request
        self.sent += 1
        operation = self._document["paths"][case.operation.path][case.operation.method.lower()]
        where = f"{case.operation.method.upper()} {case.operation.path} -> {reply.status_code}: {reply.text[:200]} for {case.body!r}"
        if reply.status_code >= 500:
            self.faults.append(f"failed: {where}")
        elif str(reply.status_code) not in operation["responses"]:
            self.faults.append(f"not documented: {where}")


def fuzz(fuzzer: Fuzzer, operation: Any, mode: GenerationMode, ids: dict[str, str], examples: int) -> None:
    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def one(case: Any) -> None:
        fuzzer.send(case, ids)

    with suppress(Unsatisfiable):  # there is no wrong request to an operation without parameters
        one()


def test_no_generated_request_fails_or_surprises(api: Api, address: str, known: dict[str, str]) -> None:
    document = api.get("/v1/openapi.json", signed=False).json()
    schema = schemathesis.openapi.from_dict(document)
    asked = [found.ok() for found in schema.get_all_operations()]
    asked = [operation for operation in asked if operation.path not in ENDLESS]
    assert len(asked) >= 20
    with Fuzzer(api, address, document) as fuzzer:
        for operation in asked:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                for ids in ({}, known):
                    if ids or "{" in operation.path:
                        fuzz(fuzzer, operation, mode, ids, EXAMPLES)
    assert fuzzer.sent >= len(asked) * EXAMPLES
    assert sorted(set(fuzzer.faults)) == []
