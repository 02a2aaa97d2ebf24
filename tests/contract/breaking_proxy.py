"""A TCP proxy on loopback that breaks connections on purpose: the network of a bad day."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class BreakingProxy:
    """Forwards every connection to `target`, and cuts those it is told to cut. The knobs may be turned while it runs."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None and parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = 0
        self.cut_before_answer: Callable[[int], bool] = lambda _connection: False
        self.cut_answer_after_bytes: int | None = None
        self.on_the_way: Callable[[bytes], bytes] = lambda data: data  # what becomes of a request's bytes

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connections += 1
                server = socket.create_connection(self._target)
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, self._connections), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                server.sendall(self.on_the_way(data))
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket, connection: int) -> None:
        sent = 0
        with server, client, suppress(OSError):
            while data := server.recv(65536):
                limit = self.cut_answer_after_bytes
                if self.cut_before_answer(connection) or (limit is not None and sent + len(data) > limit):
                    client.shutdown(socket.SHUT_RDWR)
                    server.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)
                sent += len(data)
