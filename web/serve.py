"""Runs the HTTP application in this process until it is told to stop: `headwater api`.

Listens on a Unix socket (behind the edge on the same machine) or on TCP. Forwarding headers are believed only from whoever can
reach the socket, or from loopback. The console stays quiet: one line when it answers, one for each reply that went wrong.
Event streams would keep a stopping server waiting for ever, and viewers of unfinished segments for seconds: both are sent away first.
"""

from __future__ import annotations

import logging
import socket
from contextlib import closing, suppress
from pathlib import Path

import uvicorn

from kit import log
from kit.errors import Conflict
from kit.settings import BadSetting, Settings
from kit.world import open_world
from origin.waiting import Waiting
from web.app import create_app
from web.feed import Feed

GRACE_S = 3  # for replies under way when the process is told to stop
KEEP_ALIVE_S = 75  # longer than nginx keeps an idle connection, so that nginx is the one that closes
BACKLOG = 2048
UNIX = "unix:"

_log = log.logger(__name__)


def parse_listen(text: str) -> tuple[str, int] | Path:
    """`host:port` or `unix:/path`. Raises BadSetting."""
    if text.startswith(UNIX) and len(text) > len(UNIX):
        return Path(text.removeprefix(UNIX))
    host, _, port = text.rpartition(":")
    if host and port.isascii() and port.isdigit() and int(port) <= 65_535:
        return host.strip("[]"), int(port)
    raise BadSetting(f"HEADWATER_API_LISTEN is {text!r}, but must be host:port or unix:/path.")


class _Server(uvicorn.Server):
    """uvicorn, which sends those away who wait for something before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, feed: Feed, waiting: Waiting, where: str) -> None:
        super().__init__(config)
        self._feed, self._waiting = feed, waiting
        self._where = where

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _log.info("the API answers", listen=self._where)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._feed.close()
        self._waiting.close()
        await super().shutdown(sockets)


def _answers(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
        return True


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Conflict when the address is taken, BadSetting when it is not one of this machine."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG)
    except (PermissionError, socket.gaierror) as error:
        raise BadSetting(f"{host}:{port} cannot be listened on: {error.strerror}. Choose another HEADWATER_API_LISTEN.") from error
    except OSError as error:
        raise Conflict(f"{host}:{port} cannot be listened on: {error.strerror}. Stop the other program, or choose another port.") from error


def serve(settings: Settings, listen: str) -> None:
    """Serve until SIGTERM or SIGINT. Raises BadSetting, and Conflict when the address is taken."""
    log.configure(settings.log_level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its progress reports are not news
    where = parse_listen(listen)
    if isinstance(where, Path) and _answers(where):
        raise Conflict(f"{where} is served by another process already.")
    sockets = None if isinstance(where, Path) else [_bound(*where)]
    app = create_app(open_world(settings))
    config = uvicorn.Config(
        app,
        uds=str(where) if isinstance(where, Path) else None,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips="*" if isinstance(where, Path) else "127.0.0.1,::1",
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    with suppress(KeyboardInterrupt):  # uvicorn passes Ctrl-C on when everything has ended
        _Server(config, app.state.feed, app.state.waiting, listen).run(sockets)
