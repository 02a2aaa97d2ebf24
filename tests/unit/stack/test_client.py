"""The command line's HTTP client: which server, which key, and what a refusal becomes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from kit.clock import SystemClock
from kit.errors import Conflict, HeadwaterError, NotFound, Unauthorized, Unavailable
from stack import data_dir
from stack.client import Api, Refused, Server, find_server, raise_for


def test_without_settings_it_is_the_local_one(tmp_path: Path) -> None:
    assert find_server({}, tmp_path) == Server("http://127.0.0.1:8080", "")
    (tmp_path / "api-key").write_text("hw_local\n")
    with data_dir.locked(tmp_path, {"url": "http://127.0.0.1:9999"}, SystemClock()):
        assert find_server({}, tmp_path) == Server("http://127.0.0.1:9999", "hw_local")


def test_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("hw_local")
    environment = {"HEADWATER_URL": "https://video.example/", "HEADWATER_API_KEY": "hw_theirs"}
    assert find_server(environment, tmp_path) == Server("https://video.example", "hw_theirs")


def test_the_local_key_goes_to_no_other_machine(tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("hw_local")
    assert find_server({"HEADWATER_URL": "https://video.example"}, tmp_path).key == ""
    assert find_server({"HEADWATER_URL": "http://localhost.evil.example"}, tmp_path).key == ""
    assert find_server({"HEADWATER_URL": "http://localhost:8080"}, tmp_path).key == "hw_local"


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {}, Unauthorized, "The API key for http://h is wrong: set HEADWATER_API_KEY"),
        (403, {}, Unauthorized, "The API key for http://h is wrong"),
        (404, {"detail": "No such asset."}, NotFound, "No such asset."),
        (410, {}, NotFound, "There is no such thing."),
        (409, {"detail": "It changed."}, Conflict, "It changed."),
        (412, {}, Conflict, "Not now"),
        (503, {"detail": "The database is away."}, Unavailable, "http://h answered 503. The database is away."),
        (502, "<html>", Unavailable, "http://h answered 502."),
        (422, {"title": "Unsupported", "type": "/problems/unsupported_format"}, Refused, "Unsupported"),
        (418, ["odd"], Refused, "http://h answered 418."),
    ],
)
def test_what_a_refusal_becomes(status: int, body: object, kind: type[HeadwaterError], said: str) -> None:
    response = httpx.Response(status, text=body if isinstance(body, str) else json.dumps(body))
    with pytest.raises(kind) as raised:
        raise_for(response, Server("http://h", "key"))
    assert raised.value.detail.startswith(said)


def _api(handler: httpx.MockTransport) -> Api:
    return Api(Server("http://127.0.0.1:1", "hw_key"), handler)


def test_no_answer_is_one_sentence() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with (
        _api(httpx.MockTransport(refuse)) as api,
        pytest.raises(Unavailable, match=r"^No Headwater answers at http://127\.0\.0\.1:1: start one"),
    ):
        api.asset("ast_1")


@pytest.mark.parametrize(("limit", "pages", "count"), [(0, [100, 100, 50], 250), (120, [100, 20], 120), (5, [5], 5)])
def test_lists_are_walked_page_by_page(limit: int, pages: list[int], count: int) -> None:
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer hw_key"
        start, size = int(request.url.params.get("cursor", "0")), int(request.url.params["limit"])
        data = [{"id": str(number)} for number in range(start, min(250, start + size))]
        asked.append(len(data))
        return httpx.Response(200, json={"data": data, "next_cursor": str(start + size) if start + size < 250 else None})

    with _api(httpx.MockTransport(answer)) as api:
        assert [row["id"] for row in api.assets(limit)] == [str(number) for number in range(count)]
    assert asked == pages


def test_only_a_public_address_is_shown() -> None:
    with _api(httpx.MockTransport(lambda _: httpx.Response(200))) as api:
        assert (
            api.watch_url({"playback_ids": [{"id": "a", "policy": "signed"}, {"id": "b", "policy": "public"}]})
            == "http://127.0.0.1:1/watch/b"
        )
        assert api.watch_url({"playback_ids": []}) is None
