"""Where the pipeline's effects go through: a store, an engine and a runner that tell `tests.crash.points` of each."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from sqlalchemy import Connection, Engine, event

from kit.process import Command, Completed, ProcessCancelled, Runner
from kit.storage import ObjectInfo, OpenMultipart, Storage, StoredPart
from tests.crash.points import Points

T = TypeVar("T")


class WatchedStorage:
    """`kit.storage.Storage` that tells of every call: of a read once, of anything else before and after it."""

    def __init__(self, inner: Storage, points: Points) -> None:
        self._inner, self._points = inner, points

    def _write(self, verb: str, work: Callable[[], T]) -> T:
        self._points.reach(verb, "before")
        done = work()
        self._points.reach(verb, "after")
        return done

    def _read(self, verb: str, work: Callable[[], T]) -> T:
        self._points.reach(verb, "at")
        return work()

    def put(self, key: str, data: bytes | BinaryIO | Path, *, content_type: str = "application/octet-stream") -> None:
        self._write("put", lambda: self._inner.put(key, data, content_type=content_type))

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self._read("get", lambda: self._inner.get(key, start=start, end=end))

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        return self._read("stream", lambda: self._inner.stream(key, start=start, end=end, chunk_bytes=chunk_bytes))

    def download(self, key: str, target: Path) -> None:
        self._read("download", lambda: self._inner.download(key, target))

    def stat(self, key: str) -> ObjectInfo:
        return self._read("stat", lambda: self._inner.stat(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._read("list", lambda: self._inner.list(prefix))

    def delete(self, key: str) -> None:
        self._write("delete", lambda: self._inner.delete(key))

    def copy(self, source_key: str, target_key: str) -> None:
        self._write("copy", lambda: self._inner.copy(source_key, target_key))

    def create_multipart(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        return self._write("create_multipart", lambda: self._inner.create_multipart(key, content_type=content_type))

    def put_part(self, key: str, upload_id: str, number: int, data: bytes | BinaryIO) -> StoredPart:
        return self._write("put_part", lambda: self._inner.put_part(key, upload_id, number, data))

    def complete_multipart(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        self._write("complete_multipart", lambda: self._inner.complete_multipart(key, upload_id, parts))

    def abort_multipart(self, key: str, upload_id: str) -> None:
        self._write("abort_multipart", lambda: self._inner.abort_multipart(key, upload_id))

    def open_multiparts(self, prefix: str) -> Iterator[OpenMultipart]:
        return self._read("open_multiparts", lambda: self._inner.open_multiparts(prefix))

    def presign_get(self, key: str, *, expires_s: int) -> str:
        return self._inner.presign_get(key, expires_s=expires_s)


def watch_commits(engine: Engine, points: Points) -> None:
    """Tells of every commit of a transaction that wrote something, before it and after it."""
    committing = threading.local()
    really_commit = engine.dialect.do_commit

    def executed(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE"}:
            connection.info["wrote"] = True

    def commits(connection: Connection) -> None:
        committing.wrote = connection.info.pop("wrote", False)
        if committing.wrote:
            points.reach("commit", "before")

    def do_commit(connection: Any) -> None:
        really_commit(connection)
        if getattr(committing, "wrote", False):
            committing.wrote = False
            points.reach("commit", "after")

    event.listen(engine, "before_cursor_execute", executed)
    event.listen(engine, "commit", commits)
    event.listen(engine, "rollback", lambda connection: connection.info.pop("wrote", None))
    engine.dialect.do_commit = do_commit  # type: ignore[assignment, method-assign]


@dataclass(frozen=True, slots=True)
class Take:
    """What a program did: what it said, and the files it left, by path below its folder."""

    completed: Completed
    lines: tuple[str, ...]
    files: dict[str, bytes]


class ReplayRunner:
    """`kit.process.Runner` that runs a command once and from then on does what the program did: the encoder is not what is tried here.

    Its output appears in two pieces, with what it says in between, as that of a program that is at work.
    """

    def __init__(self, takes: Path, real: Runner, points: Points) -> None:
        self._takes, self._real, self._points = takes, real, points
        self._lasts = self._stops = False

    def stop(self) -> None:
        """The next run is broken off."""
        self._stops = True

    def last(self) -> None:
        """The next run takes until a heartbeat has been sent."""
        self._lasts = True

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None, cancel: threading.Event | None = None) -> Completed:
        self._points.reach("run", "before")
        if self._stops:
            self._stops = False
            raise ProcessCancelled("The program was ended because its worker stops.")
        path = self._takes / _name(command, listens=on_line is not None)
        if not path.exists():
            self._record(command, path, listens=on_line is not None, cancel=cancel)
        take: Take = pickle.loads(path.read_bytes())
        folder = command.confine.writes[0] if command.confine and command.confine.writes else None
        for share in (0.5, 1.0):
            for name, data in take.files.items():
                assert folder is not None
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data[: int(len(data) * share)])
            if share < 1 and on_line is not None:
                for line in take.lines:
                    on_line(line)
        if self._lasts:
            self._lasts = False
            self._points.wait_for("heartbeat")
        self._points.reach("run", "after")
        return take.completed

    def _record(self, command: Command, path: Path, *, listens: bool, cancel: threading.Event | None) -> None:
        folder = command.confine.writes[0] if command.confine and command.confine.writes else None
        lines: list[str] = []
        completed = self._real.run(command, on_line=lines.append if listens else None, cancel=cancel)
        made = [] if folder is None else [file for file in folder.rglob("*") if file.is_file()]
        files = {str(file.relative_to(folder)): file.read_bytes() for file in made if folder is not None}
        for file in made:
            file.unlink()
        aside = path.with_name(f"{path.name}.{threading.get_ident()}")
        aside.write_bytes(pickle.dumps(Take(completed, tuple(lines), files)))
        shutil.move(aside, path)


def _name(command: Command, *, listens: bool) -> str:
    """The same for the same work, wherever it is done."""
    words = "\0".join(command.argv)
    digest = hashlib.sha256(b"listens" if listens else b"")
    if command.confine is not None:
        for number, place in enumerate(command.confine.writes):
            words = words.replace(str(place), f"<out {number}>")
        for number, place in enumerate(command.confine.reads):
            words = words.replace(str(place), f"<in {number}>")
            with place.open("rb") as file:
                digest.update(file.read(2000) + str(place.stat().st_size).encode())
    digest.update(words.encode())
    return digest.hexdigest()[:32]


def ringing(points: Points) -> Callable[[str], None]:
    """A broker that hears every bell and forgets it."""

    def ring(_job_id: str) -> None:
        points.reach("ring", "before")
        points.reach("ring", "after")

    return ring
