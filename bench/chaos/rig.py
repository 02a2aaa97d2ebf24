"""A whole Headwater that may be hurt: `headwater up`, and beside it the object store behind a proxy, under the same supervision.

The store is kept by a `stack.supervise.Supervisor` of our own, because a store that is ours to slow down is one that is given. The
workers' space is a small disk of its own (tmpfs) where we may mount one, so that it can be filled; elsewhere its budget is small.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from bench.chaos.processes import Process, table
from bench.chaos.proxy import SlowProxy
from kit import db, settings
from kit.clock import SystemClock
from stack import data_dir, leftovers, servers
from stack.child import Part
from stack.supervise import Supervisor
from tests.local_stack import LocalStack

MIB = 1 << 20
_DISK_MIB = 620  # what `kit.scratch` leaves free, and a hundred MiB to work with
_KEYS = ("chaos-access-key", "chaos-secret-key")
_LEASE_OF_EVERYTHING = {"HEADWATER_WORKER_PROCESSES": "2", "HEADWATER_CHUNK_S": "6", "HEADWATER_REQUESTS_PER_MINUTE": "0"}


@dataclass(slots=True)
class _Told:
    """`stack.supervise.Teller`: remembers."""

    up: threading.Event = field(default_factory=threading.Event)
    restarts: list[str] = field(default_factory=list)

    def ready(self, part: Part, seconds: float) -> None:
        del part, seconds
        self.up.set()

    def restarted(self, part: Part, sentence: str) -> None:
        del part
        self.restarts.append(sentence)

    def stopping(self) -> None: ...

    def stopped(self, seconds: float) -> None:
        del seconds


class Store:
    """The object store, started again when it dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.places = servers.places(folder)
        *self._ports, self.proxy_port = servers.free_ports(len(servers.WEED_PORTS) + 1)
        self.told = _Told()
        self._supervisor = Supervisor(self.told, SystemClock(), leftovers.mark(self.places.data))
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()
        if not self.told.up.wait(120):
            raise SystemExit("The object store did not start.")
        self.proxy = SlowProxy(self.proxy_port, self._ports[0])

    def settings(self) -> dict[str, str]:
        address = f"http://127.0.0.1:{self.proxy_port}"
        return {"HEADWATER_S3_ENDPOINT": address, "HEADWATER_S3_ACCESS_KEY": _KEYS[0], "HEADWATER_S3_SECRET_KEY": _KEYS[1]}

    def _run(self) -> None:
        try:
            self._supervisor.start([lambda: servers.seaweed(self.places, self._ports, *_KEYS)])
            self._supervisor.watch()
        finally:
            self._supervisor.stop()

    def stop(self) -> None:
        self._supervisor.on_signal(signal.SIGTERM, None)
        self._thread.join(60)
        self.proxy.stop()
        servers.forget_weed_sockets(self._ports)


class Rig:
    """Everything together."""

    def __init__(self, folder: Path, stack: LocalStack, store: Store, scratch: Path, *, own_disk: bool) -> None:
        self.folder, self.stack, self.store, self.scratch, self.own_disk = folder, stack, store, scratch, own_disk

    @property
    def roots(self) -> list[int]:
        """The processes whose children are the parts."""
        return [self.stack.process.pid, os.getpid()]

    def processes(self) -> dict[int, Process]:
        """All there are, but for those that this process has started for somebody else: the run may be a guest in a test's process."""
        ours, folder = self.stack.process.pid, str(self.folder)
        return {
            pid: process for pid, process in table().items() if process.parent != os.getpid() or pid == ours or folder in process.command
        }

    def fallen(self) -> str:
        """What `headwater up` said when it ended by itself; empty while it runs."""
        return "" if self.stack.process.poll() is None else f"headwater up ended: {self.stack.said()[-500:]}"

    def settings(self) -> settings.Settings:
        where, secrets = servers.places(self.stack.data), data_dir.load_secrets(self.stack.data)
        given = {"HEADWATER_DATABASE_URL": servers.postgres_url(where, secrets.database_password, "headwater")}
        return settings.load({**given, "HEADWATER_BROKER_URL": "", "HEADWATER_SECRET_KEY": secrets.secret_key, **self.store.settings()})

    def engine(self) -> Engine:
        return db.connect(self.settings().database_url)

    def fill_disk(self) -> bool:
        """Take all room of the workers' space. False when it has no disk of its own."""
        if self.own_disk:
            free = shutil.disk_usage(self.scratch).free
            with contextlib.suppress(OSError), (self.scratch / "filler").open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, free - 64 * 1024))
        return self.own_disk

    def free_disk(self) -> None:
        (self.scratch / "filler").unlink(missing_ok=True)


@contextmanager
def _disk(place: Path) -> Iterator[bool]:
    """A small file system at `place` where this user may mount one. Yields whether there is."""
    place.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m,mode=0700", "headwater-chaos", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(words, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


@contextmanager
def rig(folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Rig]:
    """Started, and stopped at the end, when whoever is frozen has been woken."""
    scratch = folder / "scratch"
    with _disk(scratch) as own_disk:
        store = Store(folder / "store")
        try:
            room = {"HEADWATER_SCRATCH_DIR": str(scratch), "HEADWATER_SCRATCH_BUDGET_BYTES": str(24 * MIB)}
            stack = LocalStack(folder / "data", settings={**_LEASE_OF_EVERYTHING, **room, **store.settings(), **(more or {})})
            stack.start()
            try:
                yield Rig(folder, stack, store, scratch, own_disk=own_disk)
            finally:
                stack.stop()
        finally:
            store.stop()
