"""The whole HTTP application for tests: in this process through ASGI, or behind a real socket with uvicorn in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from accounts import store as accounts_store
from kit.world import World
from web.app import create_app

BASE = "http://127.0.0.1:8080"


@dataclass(frozen=True)
class Api:
    """Requests to an application in this process. `key` is an API key; each call may bring its own headers instead."""

    app: FastAPI
    key: str

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, signed: bool = True, **more: Any) -> httpx.Response:
        given = {"Authorization": f"Bearer {self.key}"} if signed else {}

        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                return await client.request(method, path, headers={**given, **(headers or {})}, **more)

        return asyncio.run(call())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.send("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.send("POST", path, **more)

    def patch(self, path: str, **more: Any) -> httpx.Response:
        return self.send("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> httpx.Response:
        return self.send("DELETE", path, **more)


def open_api(world: World) -> Api:
    with world.db.begin() as conn:
        secret = accounts_store.create_key(conn, "test").secret
    return Api(create_app(world), secret)


def is_problem(reply: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Asserts that the reply is a whole problem document, and returns it."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"{BASE}/v1/problems/{code}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == reply.headers["x-request-id"]
    return body


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application behind a real socket; yields its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    ready = threading.Event()
    while not server.started:
        assert thread.is_alive()
        ready.wait(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        app.state.feed.close()
        server.should_exit = True
        thread.join()
