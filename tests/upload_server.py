"""A real HTTP server with the upload routes, in a process of its own that tests may kill.

The listening socket belongs to the test and is inherited, so the address stays the same when the server is killed and
started again, and several servers may answer at one address.

Run as a program: `python -m tests.upload_server DESCRIPTOR`, with the settings in the environment.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from accounts.keys import Principal
from ingest import sessions
from ingest.api import router
from ingest.upload import UploadSession
from kit import db, settings
from kit.clock import SystemClock
from kit.errors import Unauthorized
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.storage.s3 import open_storage
from kit.world import World
from stack.servers import S3Settings
from tests.live import LiveServers
from tests.plain_http import NO_TLS
from web import problems

KEY = "Bearer hw_test"
TOP = Path(__file__).parent.parent


async def authenticate(request: Request) -> Principal:
    """Any key that begins like KEY, so that a test can be somebody else."""
    given = request.headers.get("authorization", "")
    if not given.startswith(KEY):
        raise Unauthorized("This needs an API key.")
    request.state.principal = Principal(given, "tester", "key")
    return request.state.principal


def open_world(config: Settings) -> World:
    return World(config, SystemClock(), db.connect(config.database_url), open_storage(config), SubprocessRunner())


def create_app(config: Settings) -> FastAPI:
    app = FastAPI()
    problems.install(app, config.public_url)
    app.include_router(router(open_world(config), authenticate))
    return app


class UploadServer:
    """One address, and any number of server processes behind it."""

    def __init__(self, config: Settings) -> None:
        self._settings = config
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._processes: list[subprocess.Popen[bytes]] = []
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def start(self) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], **settings.to_environment(self._settings)}
        descriptor = self._socket.fileno()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.upload_server", str(descriptor)], cwd=TOP, env=environment, pass_fds=[descriptor]
        )
        self._processes.append(process)
        return process

    @property
    def running(self) -> int:
        """How many processes answer."""
        return len(self._processes)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.options(f"{self.url}/v1/tus", timeout=10, verify=NO_TLS).raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the upload server did not start")

    def kill(self) -> None:
        """SIGKILL for every process: nothing is flushed, nothing is said."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
        self._processes.clear()

    def close(self) -> None:
        self.kill()
        self._socket.close()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": KEY}, timeout=60, trust_env=False, verify=NO_TLS)

    def rss_bytes(self) -> int:
        """Resident memory of the first process."""
        return int(Path(f"/proc/{self._processes[0].pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def upload_server(config: Settings, processes: int = 1) -> Iterator[UploadServer]:
    server = UploadServer(config)
    try:
        for _ in range(processes):
            server.start()
        server.wait_ready()
        yield server
    finally:
        server.close()


class Site:
    """A server for all tests of a module, and what they need to look behind it."""

    def __init__(self, world: World, server: UploadServer) -> None:
        self.world, self.server = world, server
        self.http = server.client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def restart(self) -> None:
        """The server comes back after a kill."""
        self.http.close()
        self.server.start()
        self.server.wait_ready()
        self.http = self.server.client()

    def create(self, length: int | None = None, **headers: str) -> str:
        """A new tus upload; returns its path."""
        size = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
        answer = self.http.post("/v1/tus", headers={"Tus-Resumable": "1.0.0", **size, **headers})
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def head(self, path: str, status: int = 200) -> httpx.Response:
        answer = self.http.head(path, headers={"Tus-Resumable": "1.0.0", "Authorization": ""})
        assert answer.status_code == status
        return answer

    def offset(self, path: str) -> int:
        return int(self.head(path).headers["upload-offset"])

    def patch(self, path: str, offset: int, data: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
        said = {
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Authorization": "",
        }
        return self.http.patch(path, content=data, headers={**said, **{name.replace("_", "-"): value for name, value in headers.items()}})

    def session(self, path: str) -> UploadSession:
        return sessions.read(self.world, path.split("/")[3])

    def source(self, path: str) -> bytes:
        """The stored source object."""
        return self.world.storage.get(f"sources/{self.session(path).asset_id}/source")

    def leftovers(self, path: str) -> list[str]:
        """Objects of an upload that are not its source."""
        return [found.key for found in self.world.storage.list(f"uploads/{self.session(path).id}/")]

    def sql(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        from sqlalchemy import text

        with self.world.db.begin() as conn:
            found = conn.execute(text(statement), values)
            return [tuple(row) for row in found] if found.returns_rows else []


@pytest.fixture(scope="module")
def upload_settings(
    servers: LiveServers, broker_url: str, s3_settings: S3Settings, s3_bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings on a database of the module's own."""
    with servers.database() as address:
        yield Settings(
            database_url=address, broker_url=broker_url, s3_endpoint=s3_settings.s3_endpoint, s3_bucket=s3_bucket,
            s3_access_key=s3_settings.s3_access_key, s3_secret_key=s3_settings.s3_secret_key, s3_region=s3_settings.s3_region,
            secret_key="a secret of thirty-two characters, or more", scratch_dir=tmp_path_factory.mktemp("scratch"),
            max_upload_bytes=200_000_000,
        )  # fmt: skip


@pytest.fixture(scope="module")
def site(upload_settings: Settings) -> Iterator[Site]:
    """A running upload server for all tests of a module."""
    world = open_world(upload_settings)
    with upload_server(upload_settings) as server, Site(world, server) as running:
        yield running
    world.db.dispose()


def main() -> None:
    app = create_app(settings.load())
    listening = socket.socket(fileno=int(sys.argv[1]))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
