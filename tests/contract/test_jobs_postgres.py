"""PostgreSQL's store of jobs keeps the contract, and does what the one in memory does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from kit import db, job_store
from tests.contract.job_suite import Bench, JobContract

_TIMES = ("lease_until", "not_before", "created_at", "started_at", "finished_at", "rung_at")
_EARLIER = text(f"UPDATE jobs SET {', '.join(f'{name} = {name} - make_interval(secs => :seconds)' for name in _TIMES)}")


class TestPostgres(JobContract):
    @pytest.fixture
    def bench(self, database_url: str) -> Iterator[Bench]:
        engine = db.connect(database_url)

        def pass_s(seconds: float) -> None:
            """Everything stored becomes older."""
            with engine.begin() as conn:
                conn.execute(_EARLIER, {"seconds": seconds})

        yield Bench(job_store, engine.begin, pass_s)
        engine.dispose()
