"""A connection on which a request is written by hand: cut off, mis-announced, malformed or slow. An HTTP library would not do it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from typing import Self
from urllib.parse import urlsplit

_PLAIN_PORT, _TLS_PORT = 80, 443


class Wire:
    """One TCP (or TLS) connection. Use it as a context manager."""

    def __init__(self, url: str, headers: Mapping[str, str], patience_s: float) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._host = parts.netloc
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = dict(headers)
        plain = socket.create_connection((host, parts.port or (_TLS_PORT if parts.scheme == "https" else _PLAIN_PORT)), patience_s)
        self._socket = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if parts.scheme == "https" else plain

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def begin(self, method: str, *lines: str) -> None:
        """The request line and the headers, `lines` as they are."""
        ours = [f"{name}: {value}" for name, value in self._headers.items()]
        head = [f"{method} {self._path} HTTP/1.1", f"Host: {self._host}", *ours, *lines, "", ""]
        self.send("\r\n".join(head).encode("latin-1"))

    def send(self, data: bytes) -> None:
        """A server that has ended the connection meanwhile is no error here: `answer` tells what it said before, if anything."""
        with suppress(OSError):
            self._socket.sendall(data)

    def end_sending(self) -> None:
        """Nothing more will come from here; answers still may."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Breaks the connection with a reset instead of an orderly end."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._socket.close()

    def answer(self, method: str) -> tuple[int, dict[str, str]] | None:
        """Status and headers (lower case) of the next final answer; None when the server has closed without one, or sent
        something that is not HTTP."""
        response = HTTPResponse(self._socket, method=method)
        with suppress(OSError, HTTPException):
            response.begin()
            response.read()
            return response.status, {name.lower(): value for name, value in response.getheaders()}
        return None

    def interim(self) -> int | None:
        """The status of the next answer as it comes, 100 included; None when the connection is closed."""
        line = b""
        with suppress(OSError):
            while not line.endswith(b"\r\n\r\n"):
                piece = self._socket.recv(1)
                if not piece:
                    return None
                line += piece
            return int(line.split(maxsplit=2)[1])
        return None
