"""The database's tables, brought up to date by Alembic's revisions in `stack/migrations`.

`tables()` is what the code declares; `tests/integration/test_migrations.py` proves that the revisions make exactly that. Several
processes may migrate at the same time: an advisory lock lets one work while the others wait and then find nothing to do.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import OperationalError

from kit import db
from kit.errors import Unavailable

TABLE_MODULES = (
    "kit.job_store",
    "catalog.tables",
    "catalog.track_tables",
    "catalog.lost",
    "catalog.sounds",
    "catalog.quality",
    "catalog.downloads",
    "catalog.title_keys",
    "ingest.store",
    "accounts.store",
    "recommend.tables",
    "web.store",
)
_LOCK = 0x4857_4D49  # "HWMI", for pg_advisory_lock


def tables() -> MetaData:
    """Every declared table."""
    for name in TABLE_MODULES:
        importlib.import_module(name)
    return db.metadata


def _config(connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config


def newest() -> str:
    """The revision that this code wants."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = db.connect(url, pool_size=2)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else "no reason given"
        raise Unavailable(f"The database cannot be used: {reason}") from error
    finally:
        engine.dispose()


def current(url: str) -> str | None:
    """The revision that the database has; None for a new one. Raises Unavailable."""
    with _connection(url) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _alone(url: str, change: str, target: str) -> None:
    with _connection(url) as guard, _connection(url) as connection:
        guard.execution_options(isolation_level="AUTOCOMMIT").execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        getattr(command, change)(_config(connection), target)
        connection.commit()


def upgrade(url: str, target: str = "head") -> None:
    """Each revision in a transaction of its own: it happens, or nothing of it does. Raises Unavailable."""
    if current(url) != newest() or target != "head":
        _alone(url, "upgrade", target)


def downgrade(url: str, target: str) -> None:
    """Back to `target` (`base` removes every table and what is in it). Raises Unavailable."""
    _alone(url, "downgrade", target)
