"""The API as a process of its own: its socket, its console, its end, its memory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from accounts import store as accounts_store
from kit.errors import Conflict
from kit.settings import BadSetting, Settings, to_environment
from kit.world import World
from tests.assets import an_asset
from web.serve import serve

TOP = Path(__file__).parents[2]
PROGRAM = "import sys; from kit import settings; from web.serve import serve; serve(settings.load(), sys.argv[1])"


@contextmanager
def running(settings: Settings, listen: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**to_environment(settings), "PATH": os.environ["PATH"], "PYTHONPATH": str(TOP)}
    with log.open("wb") as output:
        child = subprocess.Popen([sys.executable, "-c", PROGRAM, listen], env=environment, stdout=output, stderr=output, cwd=log.parent)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.wait()


def wait_for(child: subprocess.Popen[bytes], address: tuple[str, int] | str) -> None:
    pause = threading.Event()
    while True:
        assert child.poll() is None, "the API ended"
        with closing(socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)) as client:
            if client.connect_ex(address) == 0:
                return
        pause.wait(0.05)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def memory_mib(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def test_on_a_unix_socket_quietly_small_and_gone_when_told(world: World, tmp_path: Path) -> None:
    path, log = tmp_path / "api.sock", tmp_path / "log"
    with closing(socket.socket(socket.AF_UNIX)) as stale:
        stale.bind(str(path))  # what a killed process leaves behind must not be in the way
    with world.db.begin() as conn:
        key, asset_id = accounts_store.create_key(conn, "x").secret, an_asset(conn).id
    headers = {"Authorization": f"Bearer {key}"}
    with (
        running(world.settings, f"unix:{path}", log) as child,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=30) as client,
    ):
        wait_for(child, str(path))
        assert client.get("/readyz").json()["status"] == "ready"
        for _ in range(20):
            assert client.get("/v1/assets", headers=headers).status_code == 200
        if sys.platform == "linux":
            assert memory_mib(child.pid) < 140
        with client.stream("GET", f"/v1/assets/{asset_id}/events", headers=headers) as stream:
            lines = stream.iter_lines()
            while not next(lines).startswith("data:"):
                pass
            child.send_signal(signal.SIGTERM)
            assert list(lines) is not None, "the stream ends by itself"
        assert child.wait(30) in (0, -signal.SIGTERM)
    said = log.read_text().splitlines()
    assert len(said) == 1, said
    assert f"the API answers listen=unix:{path}" in said[0]


def test_on_a_port(world: World, tmp_path: Path) -> None:
    port = free_port()
    with (
        running(world.settings, f"127.0.0.1:{port}", tmp_path / "log") as child,
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        wait_for(child, ("127.0.0.1", port))
        assert client.get("/healthz").json() == {"status": "ok"}
        child.send_signal(signal.SIGINT)
        assert child.wait(30) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_taken_port_is_said_in_one_sentence(settings: Settings) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, pytest.raises(Conflict) as caught:
        serve(settings, f"127.0.0.1:{taken.getsockname()[1]}")
    assert "Address already in use" in caught.value.detail


def test_a_socket_that_is_served_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(Conflict, match="another process"):
            serve(settings, f"unix:{path}")
    assert path.exists()


@pytest.mark.parametrize("listen", ["", "8000", ":8000", "unix:", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000", "192.0.2.1:0"])
def test_an_address_that_is_none(settings: Settings, listen: str) -> None:
    with pytest.raises((BadSetting, Conflict)):
        serve(settings, listen)


def test_the_api_holds_no_library_of_the_workers() -> None:
    """Nor what training and the lake need. NumPy it has: suggestions are scored in it."""
    others = {"celery", "minio", "ffmpeg", "redis", "scipy", "sklearn", "implicit", "pyarrow", "duckdb"}
    code = f"import sys, web.app; print(sorted({others!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
