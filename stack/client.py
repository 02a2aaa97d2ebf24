"""Headwater's HTTP API, as the command line uses it.

`find_server` says which server and with which key: the environment's, else the one that runs on the local data folder. Every answer
that is not a success becomes an expected error with the server's own sentence (RFC 9457's `detail`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from kit.errors import Conflict, HeadwaterError, NotFound, Unauthorized, Unavailable
from stack.blueprint import DEFAULT_PORT
from stack.data_dir import read_note

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_PAGE = 100


class Refused(HeadwaterError):
    """The server answered with an error; `code` is the last part of the problem's type."""

    status, code = 400, "refused"


@dataclass(frozen=True, slots=True)
class Server:
    """Where to send requests. `key` is empty when none is known."""

    url: str
    key: str

    @property
    def is_local(self) -> bool:
        return (urlsplit(self.url).hostname or "") in {"127.0.0.1", "localhost", "::1"}


def find_server(environment: Mapping[str, str], data: Path) -> Server:
    """HEADWATER_URL and HEADWATER_API_KEY, else what `headwater up` wrote into its folder `data`, whose key goes to no other machine."""
    url = environment.get("HEADWATER_URL") or str(read_note(data).get("url") or f"http://127.0.0.1:{DEFAULT_PORT}")
    server = Server(url.rstrip("/"), environment.get("HEADWATER_API_KEY", ""))
    key_file = data / "api-key"
    if not server.key and server.is_local and key_file.is_file():
        return Server(server.url, key_file.read_text().strip())
    return server


def _sentence(response: httpx.Response) -> tuple[str, str]:
    """What a refusal says, and its code."""
    try:
        problem = response.json()
        detail = str(problem.get("detail") or problem.get("title") or "")
        return detail, str(problem.get("type") or "refused").rstrip("/").rsplit("/", 1)[-1].rsplit("#", 1)[-1]
    except (ValueError, AttributeError):
        return "", "refused"


def raise_for(response: httpx.Response, server: Server) -> httpx.Response:
    """The response itself when it is a success. Raises Unauthorized, NotFound, Conflict, Unavailable or Refused."""
    if response.is_success:
        return response
    detail, code = _sentence(response)
    if response.status_code in (401, 403):
        held = "wrong" if server.key else "missing"
        raise Unauthorized(f"The API key for {server.url} is {held}: set HEADWATER_API_KEY, or HEADWATER_DATA_DIR to the folder it is in.")
    if response.status_code in (404, 410):
        raise NotFound(detail or "There is no such thing.")
    if response.status_code in (409, 412, 423):
        raise Conflict(detail or "Not now: something else is going on with it.")
    if response.status_code >= 500:
        raise Unavailable(f"{server.url} answered {response.status_code}. {detail}".strip())
    raise Refused(detail or f"{server.url} answered {response.status_code}.", code=code)


class Api:
    """One connection to a server. A context manager."""

    def __init__(self, server: Server, transport: httpx.BaseTransport | None = None) -> None:
        self.server = server
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        self.http = httpx.Client(
            base_url=server.url,
            headers=headers,
            timeout=_TIMEOUT,
            trust_env=not server.is_local,
            follow_redirects=False,
            transport=transport,
        )

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Raises what `raise_for` raises; Unavailable when nothing answers."""
        try:
            return raise_for(self.http.request(method, path, **arguments), self.server)
        except httpx.TransportError as error:
            raise Unavailable(f"No Headwater answers at {self.server.url}: start one with `headwater up`, or set HEADWATER_URL.") from error

    def asset(self, asset_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/v1/assets/{asset_id}").json())

    def assets(self, limit: int, **filters: str) -> Iterator[dict[str, Any]]:
        """The newest first; at most `limit`, all of them when it is 0."""
        given, cursor = 0, ""
        while True:
            page = _PAGE if limit == 0 else min(_PAGE, limit - given)
            parameters = {"limit": str(page), **filters} | ({"cursor": cursor} if cursor else {})
            answer = self.call("GET", "/v1/assets", params=parameters).json()
            yield from answer["data"]
            given, cursor = given + len(answer["data"]), answer.get("next_cursor") or ""
            if not cursor or (limit and given >= limit):
                return

    def watch_url(self, asset: Mapping[str, Any]) -> str | None:
        """The page to watch an asset at, when it has a public address."""
        public = [item["id"] for item in asset.get("playback_ids", ()) if item.get("policy") == "public"]
        return f"{self.server.url}/watch/{public[0]}" if public else None
