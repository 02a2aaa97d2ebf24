"""What has to be in place before the first process of ours starts: the database, its tables, the bucket, the first API key.

All of it may run again at any time, and from several machines at once.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.exc import OperationalError

from kit import db
from kit.errors import Unavailable
from kit.settings import Settings
from kit.storage.s3 import open_storage
from stack import migrate
from stack.data_dir import write_private


def ensure_database(server_url: str, name: str) -> None:
    """Create the database `name` on a server where it is missing."""
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as admin:
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def prepare(settings: Settings) -> None:
    """Tables up to date, and the bucket there. Raises Unavailable and StorageRefused."""
    migrate.upgrade(settings.database_url)
    open_storage(settings).ensure_bucket()


def write_api_key(settings: Settings, path: Path) -> None:
    """A file with an API key that works. A key is made when there is no file, or when what it holds opens nothing in this database."""
    from accounts import store

    engine = db.connect(settings.database_url)
    try:
        with engine.begin() as conn:
            if path.is_file() and store.find_key(conn, path.read_text().strip()) is not None:
                return
            # The file is written before the key is committed: a crash between the two leaves a file that is replaced next time,
            # never a key that nobody has seen.
            write_private(path, store.create_key(conn, "local").secret + "\n")
    except OperationalError as error:
        raise Unavailable("The database does not answer.") from error
    finally:
        engine.dispose()
