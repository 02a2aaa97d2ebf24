"""The live servers that the tests run against: the same parts that `headwater up` starts, with data that is thrown away."""

from __future__ import annotations

import itertools
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import sqlalchemy

from stack import servers
from stack.child import Child, Part

_PASSWORD, _ACCESS_KEY, _SECRET_KEY = "test-database", "test-access-key", "test-secret-key"
_TEMPLATE = "headwater_template"


class LiveServers:
    """Started when first asked for, stopped together. One of each for a whole test session."""

    def __init__(self, folder: Path) -> None:
        self.places = servers.places(folder)
        self._children: dict[str, Child] = {}
        self._ports: tuple[int, ...] = ()
        self._numbers = itertools.count()

    def _start(self, part: Part) -> None:
        child = self._children[part.name] = Child(part)
        child.wait_ready()

    def pids(self) -> dict[str, int]:
        return {name: child.pid for name, child in self._children.items()}

    def stop(self) -> None:
        for child in self._children.values():
            child.ask_to_stop()
        for child in self._children.values():
            child.stop()
        servers.forget_weed_sockets(self._ports)

    @property
    def postgres_url(self) -> str:
        if "postgres" not in self._children:
            self._start(servers.postgres(self.places, _PASSWORD, durable=False))
        return servers.postgres_url(self.places, _PASSWORD)

    @property
    def broker_url(self) -> str:
        if "valkey" not in self._children:
            self._start(servers.valkey(self.places))
        return servers.valkey_url(self.places)

    @property
    def s3(self) -> servers.S3Settings:
        if "seaweedfs" not in self._children:
            self._ports = servers.free_ports(len(servers.WEED_PORTS))
            self._start(servers.seaweed(self.places, self._ports, _ACCESS_KEY, _SECRET_KEY))
        return servers.s3_settings(self._ports, _ACCESS_KEY, _SECRET_KEY)

    def empty_broker(self) -> None:
        """Forget every message, so that a test does not hear the bells of another."""
        if "valkey" in self._children:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.broker_url.removeprefix("redis+socket://"))
                client.sendall(b"FLUSHALL\r\n")
                assert client.recv(64).startswith(b"+OK")

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(self.postgres_url.replace("+psycopg", ""), autocommit=True)

    def database_address(self, name: str) -> str:
        return servers.postgres_url(self.places, _PASSWORD, name) if self.postgres_url else ""

    def _ensure_template(self) -> None:
        from stack import migrate  # Alembic is not for tests that need no server

        with self._admin() as admin:
            if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_TEMPLATE,)).fetchone():
                return
            admin.execute(f"CREATE DATABASE {_TEMPLATE}")
        engine = sqlalchemy.create_engine(self.database_address(_TEMPLATE), poolclass=sqlalchemy.NullPool)
        migrate.tables().create_all(engine)
        engine.dispose()

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """The address of a database of its own: with every table, or with none."""
        if not empty:
            self._ensure_template()
        name = f"test_{next(self._numbers)}"
        source = "template0" if empty else _TEMPLATE
        with self._admin() as admin:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {source} STRATEGY FILE_COPY")
        try:
            yield self.database_address(name)
        finally:
            with self._admin() as admin:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def live_servers() -> Iterator[LiveServers]:
    folder = Path(tempfile.mkdtemp(prefix="headwater-test-"))
    running = LiveServers(folder)
    try:
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)
