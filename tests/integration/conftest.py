"""Fixtures of tests on live servers, beside those of tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.world import World
from tests.api_client import Api, open_api, served
from tests.edge_rig import Rig, rig
from tests.upload_server import upload_settings  # noqa: F401  (a fixture)


@pytest.fixture
def api(world: World) -> Api:
    """The application in this process, and a key for it."""
    return open_api(world)


@pytest.fixture
def address(api: Api) -> Iterator[str]:
    """Where that application answers by HTTP."""
    with served(api.app) as found:
        yield found


@pytest.fixture
def edge(world: World, tmp_path: Path) -> Iterator[Rig]:
    """nginx before the playback API, and everything counted that goes to either."""
    with rig(world, tmp_path) as running:
        yield running
        assert "[emerg]" not in running.log()
        assert "[alert]" not in running.log()
