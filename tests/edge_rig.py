"""The delivery path on loopback, with a counter at each end: edge (nginx) → origin (our API) → object store.

`CountingRelay` stands between everything of ours and the store and notes each request that passes; `CountingOrigin` is the API
in a thread of this process. Tests and `bench.origin` drive it.
"""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kit.storage.s3 import open_storage
from kit.world import World
from origin.api import router
from origin.edge import EdgeSettings
from origin.edge_files import open_files_limit, prepare
from origin.waiting import Waiting
from stack import binaries
from stack.servers import free_ports

USER = "root" if os.geteuid() == 0 else None  # that nginx's workers are: what a test writes is nobody else's to read
_REQUEST = re.compile(rb"(GET|HEAD|PUT|POST|DELETE) (/[^ ]*) HTTP/1\.1\r\n")


class CountingRelay:
    """Forwards connections to the store and notes the request lines that go there."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None and parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.requests: list[tuple[str, str]] = []  # method, path with query

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def reads(self, needle: str) -> int:
        """How often an object whose key contains `needle` was read."""
        return sum(1 for method, path in self.requests if method == "GET" and needle in path)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, noted: bool) -> None:
        with source, suppress(OSError):
            while data := source.recv(1 << 18):
                if noted:
                    self.requests += [(found[0].decode(), found[1].decode()) for found in _REQUEST.findall(data)]
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


class _Server(uvicorn.Server):
    """uvicorn, which sends away those who wait when it is told to stop, as ours does."""

    def __init__(self, config: uvicorn.Config, waiting: Waiting) -> None:
        super().__init__(config)
        self._waiting = waiting

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._waiting.close()
        await super().shutdown(sockets)


class CountingOrigin:
    """The playback API on a loopback port, in a thread. Requests it gets are noted in `requests` (method, path)."""

    def __init__(self, world: World) -> None:
        app, waiting = FastAPI(), Waiting(world)
        app.include_router(router(world, waiting), prefix="/v")
        app.add_api_route("/probe/body", self._take, methods=["POST"])
        app.add_api_route("/probe/events", self._tell, methods=["GET"])
        self.received_bytes = 0
        self.go_on = threading.Event()
        self.requests: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.port = free_ports(1)[0]
        config = uvicorn.Config(
            self._counted(app), host="127.0.0.1", port=self.port, log_config=None, lifespan="off", backlog=2048, timeout_graceful_shutdown=1
        )
        self._server = _Server(config, waiting)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def _counted(self, app: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.requests.append((scope["method"], scope["path"]))
            self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
            await app(scope, receive, send)

        return counted

    async def _take(self, request: Request) -> Response:
        """Notes how much of a body has arrived."""
        async for piece in request.stream():
            self.received_bytes += len(piece)
        return Response()

    def _tell(self) -> StreamingResponse:
        """An event, and another one when `go_on` is set."""

        def events() -> Iterator[str]:
            yield "data: 1\n\n"
            self.go_on.wait(30)
            yield "data: 2\n\n"

        return StreamingResponse(events(), media_type="text/event-stream")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        _wait_for_port(self.port)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)


def _wait_for_port(port: int) -> None:
    for _ in range(200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@contextmanager
def running_nginx(argv: tuple[str, ...], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as errors:
        process = subprocess.Popen(argv, stdout=errors, stderr=errors)
    try:
        _wait_for_port(port)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=10)


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything that runs, and a client of the edge."""

    world: World  # its storage goes through the relay
    relay: CountingRelay
    origin: CountingOrigin
    edge: EdgeSettings
    port: int
    http: httpx.Client

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cache_entries(self) -> int:
        return sum(1 for path in (self.edge.directory / "cache").rglob("*") if path.is_file())

    def log(self) -> str:
        return (self.edge.directory.parent / "edge.log").read_text()


@contextmanager
def rig(world: World, folder: Path, *, user: str | None = USER) -> Iterator[Rig]:
    """The whole path. `world` reaches the store directly; what runs here goes through the relay instead."""
    with CountingRelay(world.settings.s3_endpoint) as relay:
        through_relay = dataclasses.replace(world.settings, s3_endpoint=relay.address, delivery="accel")
        counted = dataclasses.replace(world, settings=through_relay, storage=open_storage(through_relay))
        origin = CountingOrigin(counted)
        origin.start()
        (port,) = free_ports(1)
        edge = EdgeSettings(
            listen=(f"127.0.0.1:{port}",), api=f"127.0.0.1:{origin.port}", store=relay.address, directory=folder / "edge",
            open_files=open_files_limit(), user=user, cache_keys_bytes=1 << 20, wait_s=world.settings.segment_wait_s,
        )  # fmt: skip
        try:
            with (
                running_nginx(prepare(edge, binaries.nginx()), port, folder / "edge.log"),
                httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, headers={"Accept-Encoding": "identity"}) as http,
            ):
                yield Rig(counted, relay, origin, edge, port, http)
        finally:
            origin.stop()
