"""A visitor of an ASGI application in this process, for tests of pages: asks, keeps its cookies, follows nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
from fastapi import FastAPI

ORIGIN = "http://127.0.0.1:8080"
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Visitor:
    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._cookies = httpx.Cookies()

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None, **more: object) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=self._cookies) as client:
                reply = await client.request(method, path, headers={**HTML, **(headers or {})}, **more)  # type: ignore[arg-type]
                self._cookies = client.cookies
                return reply

        return asyncio.run(ask())

    def get(self, path: str, *, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self._ask("GET", path, headers, params=params)

    def post(self, path: str, *, data: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self._ask("POST", path, headers, data=data)
