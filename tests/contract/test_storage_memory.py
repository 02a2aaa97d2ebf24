"""The dictionary keeps the contract of the object store."""

from __future__ import annotations

import pytest

from kit.storage import Storage
from kit.storage.memory import MemoryStorage
from tests.contract.storage_suite import StorageSuite


class TestMemoryStorage(StorageSuite):
    @pytest.fixture
    def storage(self) -> Storage:
        return MemoryStorage()
