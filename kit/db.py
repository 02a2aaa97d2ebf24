"""The door to PostgreSQL: one metadata for every table, one way to connect, one way to listen.

Rooms declare their tables on `metadata` in their own store module and write SQL there; this module knows none of them.
Store functions take an open `Connection` and leave beginning and committing to the caller, so that several rooms can take
part in one transaction. Connections speak UTC, so every timestamp that is read is aware and in UTC.

It does not retry: whether a lost connection may be retried is known only to the caller (`is_away` tells it apart from a bug).
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import psycopg
from sqlalchemy import DateTime, Engine, MetaData, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from kit.errors import Unavailable

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ERRORS = (SQLAlchemyError, psycopg.Error)
"""Whatever the database or the way to it may raise; `is_away` tells an outage from a bug."""

Timestamp = DateTime(timezone=True)
Json = JSONB(none_as_null=True)  # Python's None is SQL's NULL, never the JSON word null


def connect(url: str, *, pool_size: int = 5) -> Engine:
    """An engine on `url`. Nothing is opened until the first use, and a connection the server has dropped is replaced unseen.

    Not to be carried across a fork: every process makes its own.
    """
    engine = create_engine(
        url, pool_size=pool_size, max_overflow=10, pool_timeout=10, pool_pre_ping=True, connect_args={"connect_timeout": 5}
    )
    event.listen(engine, "connect", _speak_utc)
    return engine


def _speak_utc(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def is_away(error: BaseException) -> bool:
    """Whether `error` says that the database cannot be reached now, gave up a deadlock or ran out of connections: in each case
    nothing was committed and the same transaction may be tried again."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | psycopg.OperationalError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


class AsyncListener:
    """The same as `Listener` for an event loop, with what was said. An async context manager; raises Unavailable."""

    def __init__(self, engine: Engine, channel: str) -> None:
        self._arguments, self._keywords = engine.dialect.create_connect_args(engine.url)
        self._channel = channel
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def heard(self, timeout_s: float) -> tuple[str, ...]:
        """What was notified since the last call, waiting for the first of it; empty after `timeout_s` seconds without."""
        assert self._connection is not None
        try:
            return tuple([note.payload async for note in self._connection.notifies(timeout=timeout_s, stop_after=1)])
        except psycopg.Error as error:
            raise Unavailable("The database cannot be reached now.") from error

    async def __aenter__(self) -> Self:
        try:
            self._connection = await psycopg.AsyncConnection.connect(*self._arguments, autocommit=True, connect_timeout=5, **self._keywords)
            await self._connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))
        except psycopg.Error as error:
            await self._close()
            raise Unavailable("The database cannot be reached now.") from error
        return self

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._close()


class Listener:
    """A connection of its own that waits for NOTIFY on one channel. A context manager; raises what `is_away` knows."""

    def __init__(self, engine: Engine, channel: str) -> None:
        arguments, keywords = engine.dialect.create_connect_args(engine.url)
        self._connection = psycopg.connect(*arguments, autocommit=True, connect_timeout=5, **keywords)
        self._connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))

    def wait(self, timeout_s: float) -> bool:
        """True as soon as something was notified (also since the last wait), False after `timeout_s` seconds without."""
        return any(True for _ in self._connection.notifies(timeout=timeout_s, stop_after=1))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
