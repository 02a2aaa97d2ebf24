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

import httpx
import uvicorn
from fastapi import FastAPI, Request

from ingest.api import router
from kit import db, settings
from kit.clock import SystemClock
from kit.errors import Unauthorized
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.storage.s3 import open_storage
from kit.world import World
from web import problems

KEY = "Bearer hw_test"
TOP = Path(__file__).parent.parent


async def authenticate(request: Request) -> str:
    if request.headers.get("authorization") != KEY:
        raise Unauthorized("This needs an API key.")
    return "tester"


def create_app(config: Settings) -> FastAPI:
    world = World(config, SystemClock(), db.connect(config.database_url), open_storage(config), SubprocessRunner())
    app = FastAPI()
    problems.install(app, config.public_url)
    app.include_router(router(world, authenticate))
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

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.options(f"{self.url}/v1/tus", timeout=10).raise_for_status()
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
        return httpx.Client(base_url=self.url, headers={"Authorization": KEY}, timeout=60, trust_env=False)

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


def main() -> None:
    app = create_app(settings.load())
    listening = socket.socket(fileno=int(sys.argv[1]))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
