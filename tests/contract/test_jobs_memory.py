"""The simulation's store of jobs keeps the contract."""

from __future__ import annotations

import pytest

from tests.contract.job_suite import Bench, JobContract, in_memory


class TestMemory(JobContract):
    @pytest.fixture
    def bench(self) -> Bench:
        return in_memory()
