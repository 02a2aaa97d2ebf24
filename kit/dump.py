"""Tables as files, and back: PostgreSQL's own COPY in one snapshot, so that all tables are of the same moment.

It asks the database what tables there are and how they refer to each other, and knows none of them. Text, gzipped: it can be read,
and loaded, by any PostgreSQL and by no tool of ours.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, Engine, inspect, text

_OF_THE_MIGRATIONS = "alembic_version"
_GZIP = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table and its columns, as the database has them."""

    name: str
    columns: tuple[str, ...]


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database as it is now for as long as it is open, and writes nothing."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as conn, conn.begin():
        yield conn


def tables(conn: Connection) -> list[TableShape]:
    """Every table, those that others refer to first. Generated columns are left out."""
    found = inspect(conn)
    ordered = [name for name, _ in found.get_sorted_table_and_fkc_names() if name is not None and name != _OF_THE_MIGRATIONS]
    return [TableShape(name, tuple(item["name"] for item in found.get_columns(name) if not item.get("computed"))) for name in ordered]


def rows(conn: Connection, name: str) -> int:
    """How many the table has."""
    return int(_driver(conn).execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))).fetchone()[0])


def read(conn: Connection, table: TableShape) -> Iterator[bytes]:
    """The table's rows, gzipped, in pieces."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    with _driver(conn).cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}) TO STDOUT").format(*_named(table))) as copy:
        for piece in copy:
            yield packer.compress(bytes(piece))
    yield packer.flush()


def write(conn: Connection, table: TableShape, pieces: Iterable[bytes]) -> None:
    """Adds what `read` gave to the table, and lets its numbering go on behind it."""
    unpacker = zlib.decompressobj(_GZIP)
    with _driver(conn).cursor() as cursor, cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(*_named(table))) as copy:
        for piece in pieces:
            copy.write(unpacker.decompress(piece))
        copy.write(unpacker.flush())
    for column in _numbered(conn, table):
        last = sql.SQL("SELECT setval(pg_get_serial_sequence({}, {}), greatest(coalesce(max({}), 0), 1), max({}) IS NOT NULL) FROM {}")
        name, field = sql.Identifier(table.name), sql.Identifier(column)
        _driver(conn).execute(last.format(sql.Literal(table.name), sql.Literal(column), field, field, name))


def empty(conn: Connection, names: Sequence[str]) -> None:
    """Removes every row of these tables."""
    for name in names:
        _driver(conn).execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))


def _numbered(conn: Connection, table: TableShape) -> list[str]:
    """The columns that are numbered by a sequence."""
    asked = text("SELECT pg_get_serial_sequence(quote_ident(:name), :field)")
    return [item for item in table.columns if conn.execute(asked, {"name": table.name, "field": item}).scalar_one() is not None]


def _named(table: TableShape) -> tuple[sql.Identifier, sql.Composed]:
    return sql.Identifier(table.name), sql.SQL(", ").join(sql.Identifier(name) for name in table.columns)


def _driver(conn: Connection) -> Any:
    return conn.connection.driver_connection
