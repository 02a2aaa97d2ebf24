"""Tripwires: who opens files of a folder, and who connects to a port."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """The names of files below `folder` that anyone opens meanwhile (inotify(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    assert handle >= 0
    assert libc.inotify_add_watch(handle, str(folder).encode(), 0x20) >= 0  # IN_OPEN
    opened: list[str] = []
    try:
        yield opened
        while select.select([handle], [], [], 0)[0]:
            data, at = os.read(handle, 65_536), 0
            while at < len(data):
                _, _, _, size = struct.unpack_from("iIII", data, at)
                opened.append(data[at + 16 : at + 16 + size].rstrip(b"\0").decode())
                at += 16 + size
    finally:
        os.close(handle)


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A port on loopback, and a line for everyone who connected to it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        stop = threading.Event()

        def listen() -> None:
            while not stop.is_set():
                try:
                    peer, _ = server.accept()
                except TimeoutError:
                    continue
                with peer:
                    heard.append(b"connected")

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            stop.set()
            thread.join()
