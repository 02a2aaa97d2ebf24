"""Sending a file so that it can be interrupted anywhere: tus 1.0.0 over HTTP, with a note of every unfinished upload.

The note (a small JSON file in the user's state folder) is keyed by server and file, so that running the same command again goes on
where the server's offset is. A file that has changed since is another file: its size and time are part of the key.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from kit.clock import Clock
from kit.errors import Conflict, NotFound, Unavailable
from stack.client import Api, Refused, Server, raise_for
from stack.data_dir import write_private

_TUS = {"Tus-Resumable": "1.0.0"}
_REQUEST_BYTES = 1 << 30  # of one PATCH; the server keeps what arrived of a broken one
_PIECE_BYTES = 1 << 18
_PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30, 30)  # between attempts that bring nothing; then it is given up


@dataclass(frozen=True, slots=True)
class Ticket:
    """An upload that the server knows."""

    asset_id: str
    url: str  # empty when nothing can be sent, because there is nothing to send


def state_dir(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "headwater" / "uploads"


def note_path(folder: Path, server: Server, file: Path) -> Path:
    """Where the note of this file's upload to this server is."""
    stat = file.stat()
    key = f"{server.url}\n{file.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}"
    return folder / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.json"


def read_ticket(note: Path) -> Ticket | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Ticket(**json.loads(note.read_text()))
    return None


def keep_ticket(note: Path, ticket: Ticket) -> None:
    note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(note, json.dumps({"asset_id": ticket.asset_id, "url": ticket.url}))


class Upload:
    """One file on its way."""

    def __init__(self, api: Api, file: Path, clock: Clock, sent: Callable[[int], None]) -> None:
        """`sent` hears the number of bytes that have left us, which may step back after a broken connection."""
        self._api, self._file, self._clock, self._sent = api, file, clock, sent
        self._size = file.stat().st_size

    def create(self, details: Mapping[str, Any]) -> Ticket:
        """Ask for an upload. Raises what `Api.call` raises."""
        answer = self._api.call("POST", "/v1/uploads", json={"size": self._size, **details}).json()
        return Ticket(answer["asset_id"], answer["url"] or "")

    def offset(self, ticket: Ticket) -> int:
        """How many bytes the server has. Raises NotFound when it no longer knows the upload, Unavailable when it does not answer."""
        try:
            answer = raise_for(self._api.http.head(ticket.url, headers=_TUS), self._api.server)
        except httpx.TransportError as error:
            raise Unavailable(f"No Headwater answers at {self._api.server.url}.") from error
        return int(answer.headers["Upload-Offset"])

    def send(self, ticket: Ticket) -> None:
        """Everything that the server does not have yet. Raises NotFound, Refused, and Unavailable when it stays away for long."""
        idle, offset = 0, self.offset(ticket)
        while offset < self._size:
            self._sent(offset)
            try:
                reached = self._patch(ticket, offset)
            except (httpx.TransportError, Unavailable, Conflict):
                reached = self._offset_after_trouble(ticket, offset)
            idle = 0 if reached > offset else idle + 1
            if idle:
                self._pause(idle)
            offset = reached
        self._sent(offset)

    def _pause(self, idle: int) -> None:
        if idle > len(_PAUSES_S):
            raise Unavailable(
                f"{self._api.server.url} does not take the file any more. Run the same command again to go on where it stopped."
            )
        self._clock.sleep(_PAUSES_S[idle - 1])

    def _offset_after_trouble(self, ticket: Ticket, before: int) -> int:
        try:
            return self.offset(ticket)
        except (Unavailable, Conflict):
            return before

    def _patch(self, ticket: Ticket, offset: int) -> int:
        end = min(self._size, offset + _REQUEST_BYTES)
        headers = _TUS | {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(end - offset),
        }
        timeout = httpx.Timeout(300.0, connect=10.0)  # of one read or write, not of the whole
        answer = self._api.http.patch(ticket.url, headers=headers, content=self._pieces(offset, end), timeout=timeout)
        return int(raise_for(answer, self._api.server).headers["Upload-Offset"])

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        with self._file.open("rb") as file:
            file.seek(start)
            position = start
            while position < end:
                piece = file.read(min(_PIECE_BYTES, end - position))
                if not piece:
                    raise Refused(f"{self._file} became shorter while it was being sent.", code="file_changed")
                yield piece
                position += len(piece)
                self._sent(position)


def upload(work: Upload, note: Path, details: Mapping[str, Any]) -> tuple[Ticket, bool]:
    """Send the file: begun earlier, or anew. Returns the ticket and whether it was begun earlier."""
    ticket, resumed = read_ticket(note), True
    try:
        if ticket is not None:
            work.send(ticket)
    except NotFound:
        ticket = None
    if ticket is None:
        ticket, resumed = work.create(details), False
        if ticket.url:
            keep_ticket(note, ticket)
            work.send(ticket)
    note.unlink(missing_ok=True)
    return ticket, resumed
