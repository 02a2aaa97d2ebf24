"""Every error is a problem document whose request id is in the log, and nothing is open that should not be."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kit import db
from kit.world import World
from tests.api_client import Api, is_problem
from web.app import create_app
from web.envelope import loggable_path
from web.problem_codes import PROBLEMS

PUBLIC = {
    "/healthz", "/readyz", "/metrics", "/v1/problems", "/v1/problems/{code}", "/v1/tus/{upload_id}/{token}",
}  # fmt: skip
PLAYBACK = "/v/{playback_id}/"  # what viewers ask for


@pytest.fixture
def broken(api: Api) -> Api:
    """The same application with a route that has a bug."""

    @api.app.get("/v1/bug")
    def bug() -> None:
        raise RuntimeError("a secret detail")

    return api


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for path, item in document["paths"].items():
        yield from ((path, method) for method in item if method in ("get", "post", "put", "patch", "delete", "head", "options"))


def test_every_operation_needs_a_key_but_the_public_ones(api: Api) -> None:
    asked = set()
    for path, method in operations(api.get("/v1/openapi.json", signed=False).json()):
        if path in PUBLIC or path.startswith(PLAYBACK) or (method == "options" and path == "/v1/tus"):
            continue
        reply = api.send(method.upper(), re.sub(r"\{\w+\}", "x", path), signed=False)
        body = is_problem(reply, 401, "unauthorized")
        assert "Bearer" in reply.headers["www-authenticate"], body
        asked.add(path)
    assert {
        "/v1/assets",
        "/v1/assets/{asset_id}",
        "/v1/assets/{asset_id}/events",
        "/v1/assets/events",
        "/v1/uploads",
        "/v1/api_keys",
    } <= asked
    assert {"/v1/tus", "/v1/uploads/{upload_id}", "/v1/api_keys/{key_id}"} <= asked


def test_a_wrong_key_opens_nothing(api: Api) -> None:
    is_problem(api.get("/v1/assets", signed=False, headers={"Authorization": "Bearer hw_wrong"}), 401, "invalid_key")
    for header in ("Basic abc", "Bearer", "Bearer ", api.key):
        is_problem(api.get("/v1/assets", signed=False, headers={"Authorization": header}), 401, "unauthorized")


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/nothing", "/v1/assets/"])
def test_an_address_without_anything(api: Api, path: str) -> None:
    is_problem(api.get(path), 404, "no_route")


def test_a_method_that_an_address_does_not_know(api: Api) -> None:
    reply = api.send("PUT", "/v1/assets/ast_x")
    is_problem(reply, 405, "method_not_allowed")
    assert set(reply.headers["allow"].split(", ")) == {"GET", "PATCH", "DELETE"}


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b'{"input_url": }'])
def test_a_body_that_is_no_json(api: Api, content: bytes) -> None:
    reply = api.post("/v1/assets", content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    is_problem(reply, reply.status_code, reply.json()["code"])


def test_a_body_of_another_type(api: Api) -> None:
    assert api.post("/v1/assets", content=b"input_url=x", headers={"Content-Type": "text/plain"}).status_code in (415, 422)


def test_a_body_that_is_too_large(api: Api) -> None:
    is_problem(api.post("/v1/assets", json={"input_url": "x" * (1 << 20)}), 413, "body_too_large")

    def endless() -> Iterator[bytes]:
        yield b'{"input_url": "'
        for _ in range(20):
            yield b"x" * (1 << 16)

    async def stream() -> Any:
        for piece in endless():
            yield piece

    is_problem(api.post("/v1/assets", content=stream(), headers={"Content-Type": "application/json"}), 413, "body_too_large")


def test_a_zero_byte_is_no_server_error(api: Api) -> None:
    for path in ("/v1/assets/a%00b", "/v1/assets?q=%00", "/v1/assets?tag=%00", "/v1/uploads/%00"):
        assert api.get(path).status_code in (400, 404, 422), path


def test_half_a_surrogate_pair_is_no_server_error(api: Api) -> None:
    content = b'{"input_url": "https://example.com/x", "title": "\\ud800"}'
    assert api.post("/v1/assets", content=content, headers={"Content-Type": "application/json"}).status_code in (400, 422)


def test_a_bug_is_told_without_details_and_logged_with_its_trace(broken: Api, caplog: pytest.LogCaptureFixture) -> None:
    body = is_problem(broken.get("/v1/bug"), 500, "internal")
    assert "secret detail" not in str(body)
    (line,) = [record for record in caplog.records if record.exc_info]
    assert line.__dict__["fields"]["request_id"] == body["request_id"]
    assert "a secret detail" in str(line.exc_info)


def test_a_refusal_is_in_the_log_under_its_request_id(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    body = is_problem(api.get("/v1/assets/ast_nothing"), 404, "asset_not_found")
    (line,) = [record for record in caplog.records if record.name == "web.envelope"]
    assert line.exc_info is None
    assert line.__dict__["fields"]["request_id"] == body["request_id"]
    assert line.__dict__["fields"]["status"] == 404


def test_a_request_id_from_the_proxy_is_kept_when_it_looks_like_one(api: Api) -> None:
    assert api.get("/healthz", headers={"X-Request-ID": "edge-12345678"}).headers["x-request-id"] == "edge-12345678"
    for odd in ("short", "x" * 65, "a b c d e f g h", "<script>alert(1)"):
        assert api.get("/healthz", headers={"X-Request-ID": odd}).headers["x-request-id"].startswith("req_")


def test_a_database_that_is_away_is_a_503_without_a_trace(world: World, caplog: pytest.LogCaptureFixture) -> None:
    lost = dataclasses.replace(world, db=db.connect("postgresql+psycopg://nobody:x@127.0.0.1:9/none"))
    reply = Api(create_app(lost), "hw_x").get("/v1/assets")
    is_problem(reply, 503, "unavailable")
    assert int(reply.headers["retry-after"]) > 0
    assert not [record for record in caplog.records if record.exc_info]


def test_upload_tokens_stay_out_of_the_log() -> None:
    assert loggable_path("/v1/tus/upl_1/secret-token") == "/v1/tus/upl_1/…"
    assert loggable_path("/v1/assets/ast_1") == "/v1/assets/ast_1"


def test_every_code_has_an_entry_at_its_address(api: Api) -> None:
    listed = api.get("/v1/problems", signed=False).json()["data"]
    assert {item["code"] for item in listed} == set(PROBLEMS)
    assert api.get("/v1/problems/validation_failed", signed=False).json()["status"] == 422
    is_problem(api.get("/v1/problems/nonsense", signed=False), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "framed"),
    [("/v1/problems", False), ("/healthz", False), ("/login", False), ("/nothing", False)],
)
def test_security_headers(api: Api, path: str, framed: bool) -> None:
    headers = api.get(path, signed=False).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy
