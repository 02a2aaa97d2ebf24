"""An upload that can be broken anywhere. The server here is a few lines that keep exactly what tus 1.0.0 says, and break on order."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from kit.errors import Unavailable
from stack.client import Api, Refused, Server
from stack.tus_client import Upload, keep_ticket, note_path, read_ticket, upload


class Ticking:
    """A clock whose waiting takes no time."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return sum(self.slept_s)

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


class TusServer:
    """Keeps bytes in memory. `breaks` is asked before each PATCH how many of its bytes arrive before the line breaks; None: all."""

    def __init__(self, breaks: Callable[[], int | None] = lambda: None) -> None:
        self.stored, self.size, self.known, self.created, self.breaks = bytearray(), 0, False, 0, breaks

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.created, self.known, self.stored = self.created + 1, True, bytearray()
            return httpx.Response(201, json={"asset_id": "ast_1", "url": "http://127.0.0.1:1/v1/tus/upl_1/token"})
        assert request.headers["Tus-Resumable"] == "1.0.0"
        if not self.known:
            return httpx.Response(404)
        if request.method == "PATCH":
            return self._patch(request)
        return httpx.Response(200, headers={"Upload-Offset": str(len(self.stored))})

    def _patch(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Content-Type"] == "application/offset+octet-stream"
        if int(request.headers["Upload-Offset"]) != len(self.stored):
            return httpx.Response(409)
        body, arrives = request.read(), self.breaks()
        assert int(request.headers["Content-Length"]) == len(body)
        self.stored += body if arrives is None else body[:arrives]
        if arrives is not None:
            raise httpx.WriteError("broken pipe", request=request)
        return httpx.Response(204, headers={"Upload-Offset": str(len(self.stored))})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(os.urandom(300_000))
    return path


def send(server: TusServer, file: Path, note: Path, clock: Ticking | None = None) -> bool:
    with Api(Server("http://127.0.0.1:1", "k"), httpx.MockTransport(server)) as api:
        return upload(Upload(api, file, clock or Ticking(), lambda _: None), note, {"title": "t"})[1]


def test_a_file_arrives_whole_and_leaves_no_note(file: Path, tmp_path: Path) -> None:
    server = TusServer()
    assert send(server, file, tmp_path / "notes" / "n") is False
    assert server.stored == file.read_bytes()
    assert not (tmp_path / "notes" / "n").exists()


def test_broken_lines_lose_and_repeat_nothing(file: Path, tmp_path: Path) -> None:
    breaks = iter([1000, 0, 99_000, 0, 0, 3])
    server, clock = TusServer(lambda: next(breaks, None)), Ticking()
    send(server, file, tmp_path / "n", clock)
    assert server.stored == file.read_bytes()
    assert clock.slept_s == [0.5, 0.5, 1], "it waits only after attempts that brought nothing"


def test_a_server_that_stays_away_is_given_up_and_gone_on_with_later(file: Path, tmp_path: Path) -> None:
    breaks = iter([120_000])
    server = TusServer(lambda: next(breaks, 0))
    with pytest.raises(Unavailable, match="Run the same command again to go on where it stopped"):
        send(server, file, tmp_path / "n")
    assert read_ticket(tmp_path / "n") is not None
    server.breaks = lambda: None
    assert send(server, file, tmp_path / "n") is True
    assert (server.stored, server.created) == (file.read_bytes(), 1)


def test_an_upload_that_expired_is_begun_anew(file: Path, tmp_path: Path) -> None:
    server = TusServer(lambda: 1000 if not server.created else None)
    with Api(Server("http://127.0.0.1:1", "k"), httpx.MockTransport(server)) as api:
        ticket = Upload(api, file, Ticking(), lambda _: None).create({})
    keep_ticket(tmp_path / "n", ticket)
    server.known = False
    assert send(server, file, tmp_path / "n") is False
    assert (server.stored, server.created) == (file.read_bytes(), 2)


def test_a_file_that_shrinks_is_an_error_not_a_hang(file: Path, tmp_path: Path) -> None:
    with Api(Server("http://127.0.0.1:1", "k"), httpx.MockTransport(TusServer())) as api:
        work = Upload(api, file, Ticking(), lambda _: None)
        file.write_bytes(b"short")
        with pytest.raises(Refused, match="became shorter"):
            upload(work, tmp_path / "n", {})


def test_another_file_another_server_another_note(file: Path, tmp_path: Path) -> None:
    first = note_path(tmp_path, Server("http://a", "k"), file)
    assert note_path(tmp_path, Server("http://a", "other key"), file) == first
    assert note_path(tmp_path, Server("http://b", "k"), file) != first
    file.write_bytes(b"changed")
    assert note_path(tmp_path, Server("http://a", "k"), file) != first
