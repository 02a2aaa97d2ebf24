"""The pipeline killed at its crash points, on a live database (checklist U3, J1; see `tests.crash`).

Every effect at every place is tried here at least once, in one scenario of those that come by. `make crash-points` tries all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import coverage, suite
from tests.live import LiveServers

SEED = 4
PROCESSES = 2
LEAST = 300  # points that there are


@pytest.mark.timeout(1800)  # it waits for nothing; a busy machine makes it slow
def test_the_pipeline_recovers_from_death_at_any_point(servers: LiveServers, tmp_path: Path) -> None:
    with suite.testers(servers, tmp_path / "run", PROCESSES) as found:
        every = suite.all_places(found)
        report = suite.try_places(found, suite.sample(every, 0, SEED), every)
    print(report)
    assert len(every) >= LEAST
    unseen = set(coverage.functions(suite.TOP)) - coverage.reached(place.name for place in every) - coverage.ELSEWHERE.keys()
    assert unseen == set(), "these have effects, and no scenario in tests/crash/scenarios.py comes by"
    assert report.bad == [], str(report)
    assert len(report.missed) * 20 <= len(report.results), str(report)  # a run that was to die and did not shows nothing


@pytest.mark.parametrize(
    ("fault", "scenario", "where", "said"),
    [
        ("late-objects", "put", r"commit after kit.step.succeeded \[transcode.encode\]", "recorded, but not stored like that"),
        ("unseen-strays", "put", r"create_multipart after ingest.sessions.open_multipart", "an open multipart upload"),
    ],
)
def test_a_planted_fault_is_found(servers: LiveServers, tmp_path: Path, fault: str, scenario: str, where: str, said: str) -> None:
    """Segments that are stored only after the commit that names them; multipart uploads that nobody asks the store for."""
    with suite.testers(servers, tmp_path / "run", 1, fault) as found:
        every = suite.all_places(found, [scenario])
        report = suite.try_places(found, suite.matching(every, where), every)
    assert any(said in problem for result in report.bad for problem in result.problems), str(report)
