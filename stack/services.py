"""Headwater's own processes: what runs in each, and how `headwater up` starts it.

`run_*` is what the commands `headwater api`, `worker`, `sweeper`, `migrate` and `edge` do; docker-compose.yml calls the same ones.
`*_part` describes such a process for the supervisor.
"""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from kit import settings as kit_settings
from kit.errors import Conflict
from kit.settings import Settings
from stack import servers
from stack.child import Part
from stack.data_dir import CannotStart

_TREE = Path(__file__).resolve().parent.parent
_AT_WORK = ("worker ready", "looking for work without it")  # without a broker it works just as well, only a little later
STOPPING_S = 6  # how long a stopping API may take: it waits 3 s for open requests


def run_api(settings: Settings, listen: str) -> None:
    """Serve until SIGTERM. Raises BadSetting, and CannotStart when the address is taken."""
    from web.serve import serve

    try:
        serve(settings, listen)
    except Conflict as error:
        raise CannotStart(error.detail) from error


def socket_serves(path: Path, target: str) -> bool:
    """Whether an HTTP server on a Unix socket answers a GET of `target` with 200."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5.0)
            client.connect(str(path))
            client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in client.recv(64)
    except OSError:
        return False


def _command(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "stack.cli", *words)


def _environment(settings: Settings) -> Mapping[str, str]:
    return {**kit_settings.to_environment(settings), "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}


def api_part(where: servers.Places, settings: Settings) -> Part:
    path = where.run / "api.sock"
    path.unlink(missing_ok=True)
    return Part(
        "api", _command("api", "--listen", f"unix:{path}"), where.logs / "api.log", ready=lambda: socket_serves(path, "/healthz"),
        env=_environment(settings), cwd=_TREE, start_limit_s=60, stop_limit_s=STOPPING_S,
    )  # fmt: skip


def says(log_file: Path, words: tuple[str, ...], settings: Settings) -> Callable[[], bool]:
    """Whether a part has written any of `words` since now. Taken for granted where the log level is too high for it to say so."""
    start = log_file.stat().st_size if log_file.exists() else 0

    def said() -> bool:
        if settings.log_level not in ("debug", "info"):
            return True
        try:
            with log_file.open("rb") as file:
                file.seek(start)
                written = file.read()
                return any(sentence.encode() in written for sentence in words)
        except OSError:
            return False

    return said


def worker_part(where: servers.Places, settings: Settings) -> Part:
    """Stopped quickly: whatever it was doing is taken up again from the database."""
    path = where.logs / "worker.log"
    return Part(
        "worker", _command("worker"), path, ready=says(path, _AT_WORK, settings), env=_environment(settings), cwd=_TREE,
        start_limit_s=60, stop_limit_s=6, orphan_signal=signal.SIGKILL,
    )  # fmt: skip


def sweeper_part(where: servers.Places, settings: Settings) -> Part:
    path = where.logs / "sweeper.log"
    return Part(
        "sweeper", _command("sweeper"), path, ready=says(path, ("sweeper ready",), settings), env=_environment(settings), cwd=_TREE,
        start_limit_s=60, stop_limit_s=6,
    )  # fmt: skip
