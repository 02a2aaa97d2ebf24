"""Fixtures that every test may use. Servers start when a test first needs them, and stop with the session.

`postgres_url`, `broker_url`, `s3_settings`: live servers. `settings`: Settings on these, with a database of its own and an
empty broker for each test. `world`: a World on `settings`. `clips` (tests/clips.py): small video clips by name.
"""

from __future__ import annotations

import os
import resource
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from kit.settings import Settings
from kit.world import World
from stack.servers import S3Settings
from tests import chromium as browsers
from tests import spark_session
from tests.clips import clips  # noqa: F401  (a fixture)
from tests.live import LiveServers, live_servers
from tests.local_stack import LocalStack
from tests.local_stack import local_stack as running_stack

# Tests are a thousand clients at once, and a login often allows one process no more than 1,024 open files.
_OPEN, _MOST = resource.getrlimit(resource.RLIMIT_NOFILE)
_WANTED = 4096 if _MOST == resource.RLIM_INFINITY else min(4096, _MOST)
if _OPEN != resource.RLIM_INFINITY and _OPEN < _WANTED:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_WANTED, _MOST))

# How long an example takes says how busy the machine is, not whether the code is right.
hypothesis_settings.register_profile("headwater", deadline=None)
hypothesis_settings.load_profile("headwater")

LIVE = (Path(__file__).parent / "integration", Path(__file__).parent / "browser")


@pytest.fixture(scope="session")
def servers() -> Iterator[LiveServers]:
    with live_servers() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_url(servers: LiveServers) -> str:
    """An address of the server, database `postgres`; for a database with tables use `database_url`."""
    return servers.postgres_url


@pytest.fixture(scope="session")
def broker_url(servers: LiveServers) -> str:
    return servers.broker_url


@pytest.fixture(scope="session")
def s3_settings(servers: LiveServers) -> S3Settings:
    return servers.s3


@pytest.fixture(scope="session")
def s3_bucket(s3_settings: S3Settings) -> str:
    """One bucket for the session."""
    from kit.storage.s3 import open_storage

    name = f"test-{secrets.token_hex(4)}"
    open_storage(_settings("", "", s3_settings, name, Path("/nowhere"))).ensure_bucket()
    return name


def _settings(database_url: str, broker_url: str, s3: S3Settings, bucket: str, scratch_dir: Path) -> Settings:
    return Settings(
        database_url=database_url, broker_url=broker_url, s3_endpoint=s3.s3_endpoint, s3_bucket=bucket, s3_access_key=s3.s3_access_key,
        s3_secret_key=s3.s3_secret_key, s3_region=s3.s3_region, secret_key="a secret of thirty-two characters, or more",
        scratch_dir=scratch_dir,
    )  # fmt: skip


@pytest.fixture
def database_url(servers: LiveServers) -> Iterator[str]:
    """A database of this test's own, with every table and no row."""
    with servers.database() as address:
        yield address


@pytest.fixture
def empty_database_url(servers: LiveServers) -> Iterator[str]:
    """A database of this test's own without any table."""
    with servers.database(empty=True) as address:
        yield address


@pytest.fixture
def settings(servers: LiveServers, database_url: str, broker_url: str, s3_settings: S3Settings, s3_bucket: str, tmp_path: Path) -> Settings:
    servers.empty_broker()
    return _settings(database_url, broker_url, s3_settings, s3_bucket, tmp_path / "scratch")


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    from kit import db
    from kit.clock import SystemClock
    from kit.process import SubprocessRunner
    from kit.storage.s3 import open_storage

    engine = db.connect(settings.database_url)
    yield World(settings, SystemClock(), engine, open_storage(settings), SubprocessRunner())
    engine.dispose()


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with running_stack(tmp_path_factory.mktemp("stack") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def stack_url(local_stack: LocalStack) -> str:
    return local_stack.url


@pytest.fixture(scope="session")
def api_key(local_stack: LocalStack) -> str:
    return local_stack.api_key


@pytest.fixture(scope="session")
def chromium() -> Path:
    found = browsers.find()
    if found is None and os.environ.get("CI"):
        pytest.fail(browsers.REMEDY)
    if found is None:
        pytest.skip(browsers.REMEDY)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In `make test`, a test on live servers or in a browser that failed is run once more, and named as such in the summary: on a
    machine that others use too, one in some thousands of them meets a stall that is nobody's fault. One that fails twice has failed.
    Tests of pure code have no such excuse, and a test that is run alone has none either.

    Those on live servers come first: they take long, and two processes that share the files end together when short ones come last.
    """
    items.sort(key=lambda item: not _is_live(item))
    if os.environ.get("HEADWATER_TEST_AGAIN"):
        for item in filter(_is_live, items):
            item.add_marker(pytest.mark.flaky(reruns=1))


def _is_live(item: pytest.Item) -> bool:
    return any(item.path.is_relative_to(folder) for folder in LIVE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Nothing is left out silently: every test that did not run for want of a browser or of Spark is named."""
    for what, remedy in (("a browser", browsers.REMEDY), ("Spark", spark_session.REMEDY)):
        missed = [report.nodeid for report in terminalreporter.getreports("skipped") if remedy in str(report.longrepr)]
        if missed:
            terminalreporter.section(f"tests that need {what} and did not run")
            for name in sorted(missed):
                terminalreporter.line(name)
            terminalreporter.line(remedy)
