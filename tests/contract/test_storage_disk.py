"""The store that the crash-point suite uses keeps the contract of the object store."""

from __future__ import annotations

import pytest

from kit.storage import Storage
from tests.contract.storage_suite import StorageSuite
from tests.crash.disk_store import DiskStorage


class TestDiskStorage(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path_factory: pytest.TempPathFactory) -> Storage:
        return DiskStorage(tmp_path_factory.mktemp("store"))
