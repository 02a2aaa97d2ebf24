"""Asks the broker whether it is alive, in its own words (RESP), so that the API needs no broker library in memory."""

from __future__ import annotations

import contextlib
import socket
import ssl
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from kit.errors import Unavailable


def _connect(url: SplitResult, timeout_s: float) -> socket.socket:
    if url.scheme in ("redis+socket", "unix"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(timeout_s)
        client.connect(unquote(url.path))
        return client
    client = socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379), timeout_s)
    if url.scheme == "rediss":
        return ssl.create_default_context().wrap_socket(client, server_hostname=url.hostname)
    return client


def commands(url: SplitResult) -> tuple[tuple[str, ...], ...]:
    """What is said: AUTH when the address has a password, then PING. Pure."""
    user, password = unquote(url.username or ""), unquote(url.password or parse_qs(url.query).get("password", [""])[0])
    login = ((("AUTH", user, password) if user else ("AUTH", password)),) if password else ()
    return (*login, ("PING",))


def encode(command: tuple[str, ...]) -> bytes:
    """A command as a RESP array of bulk strings."""
    words = [word.encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def ping(broker_url: str, timeout_s: float) -> None:
    """Returns when the broker answers PONG. Raises Unavailable."""
    url = urlsplit(broker_url)
    try:
        with contextlib.closing(_connect(url, timeout_s)) as client, client.makefile("rb") as replies:
            for command in commands(url):
                client.sendall(encode(command))
                line = replies.readline(512)
                if not line.startswith(b"+"):
                    raise Unavailable("The broker refused to answer: wrong password, or not a Redis-protocol server.")
    except OSError as error:
        raise Unavailable("The broker cannot be reached.") from error
