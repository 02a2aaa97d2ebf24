"""Our upload server against the conformance suite of `tus_conformance`: every case that applies to it passes (checklist U1, N17)."""

from __future__ import annotations

from tests.upload_server import KEY, Site, site
from tus_conformance import CASES, Outcome, Target, report, run_cases

__all__ = ["site"]

NOT_ANNOUNCED = {"concatenation", "trailer"}  # chapters of extensions that we leave out


def test_every_case_passes_on_two_processes(site: Site) -> None:
    site.server.start()
    with Target(f"{site.server.url}/v1/tus", {"Authorization": KEY}) as target:
        target.discover()
        results = list(run_cases(target, CASES))
    failed = [report.line(result) for result in results if result.outcome is Outcome.FAILED]
    assert not failed, "\n".join(failed)
    skipped = {result.case.id for result in results if result.outcome is Outcome.SKIPPED}
    assert {name.split(".")[0] for name in skipped} <= NOT_ANNOUNCED | {"checksum"}
    assert len(results) - len(skipped) >= 150
