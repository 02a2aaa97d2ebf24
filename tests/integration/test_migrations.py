"""Migrated = declared, there and back, and from several processes at once. On a live PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, inspect, text

from kit.errors import Unavailable
from stack import binaries, migrate, prepare
from stack.child import environment
from tests.live import LiveServers

TOP = Path(__file__).parent.parent.parent


@contextmanager
def engine(url: str) -> Iterator[Engine]:
    opened = create_engine(url, poolclass=NullPool)
    try:
        yield opened
    finally:
        opened.dispose()


def table_names(url: str) -> set[str]:
    with engine(url) as opened:
        return set(inspect(opened).get_table_names())


def schema(url: str) -> list[str]:
    """Every statement that would make this database, in a comparable order: PostgreSQL's own view, with all constraints and indexes."""
    argv = [str(binaries.postgres_program("pg_dump")), "--schema-only", "--no-owner", url.replace("+psycopg", "")]
    lines = subprocess.run(argv, check=True, capture_output=True, text=True, env=environment({})).stdout.splitlines()
    return sorted(line.strip().rstrip(",") for line in lines if line.strip() and not line.startswith(("--", "\\", "SET ", "SELECT ")))


def test_migrated_is_declared(empty_database_url: str, database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    with engine(empty_database_url) as opened, opened.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, migrate.tables()) == []
    migrated = [
        line
        for line in schema(empty_database_url)
        if "alembic_version" not in line and line != "version_num character varying(32) NOT NULL"
    ]
    declared = schema(database_url)
    assert sorted(set(migrated) ^ set(declared)) == [], "these lines are in one of the two only"


def test_every_module_that_declares_a_table_is_listed() -> None:
    declaring = {
        ".".join(path.relative_to(TOP).with_suffix("").parts)
        for path in TOP.glob("[a-z]*/*.py")
        if "from kit.db import" in path.read_text() and "Table(" in path.read_text()
    }
    assert declaring <= set(migrate.TABLE_MODULES)


def test_upgrading_again_changes_nothing(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    before = schema(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert schema(empty_database_url) == before
    assert migrate.current(empty_database_url) == migrate.newest()


def test_every_revision_can_be_taken_back_and_made_again_with_rows_in_the_tables(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    whole = schema(empty_database_url)
    with engine(empty_database_url) as opened, opened.begin() as connection:
        connection.execute(text("INSERT INTO api_keys (id, name, secret_sha256, hint) VALUES ('key_1', 'n', 's', 'h')"))
        connection.execute(text("INSERT INTO assets (id, title) VALUES ('ast_1', 't')"))
        connection.execute(text("INSERT INTO playback_ids (id, asset_id, policy) VALUES ('p', 'ast_1', 'public')"))
    migrate.downgrade(empty_database_url, "base")
    assert table_names(empty_database_url) <= {"alembic_version"}
    migrate.upgrade(empty_database_url)
    assert schema(empty_database_url) == whole


def test_many_may_migrate_at_once(empty_database_url: str) -> None:
    script = "import sys; from stack import migrate; migrate.upgrade(sys.argv[1])"
    running = [
        subprocess.Popen([sys.executable, "-c", script, empty_database_url], cwd=TOP, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    complaints = [process.communicate(timeout=120)[1] for process in running]
    assert complaints == [""] * 4
    assert migrate.current(empty_database_url) == migrate.newest()


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="The database cannot be used: ") as raised:
        migrate.upgrade(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    assert "\n" not in raised.value.detail


def test_a_database_is_created_where_it_is_missing(servers: LiveServers, postgres_url: str) -> None:
    prepare.ensure_database(postgres_url, "made_by_test")
    prepare.ensure_database(postgres_url, "made_by_test")
    assert table_names(servers.database_address("made_by_test")) == set()
