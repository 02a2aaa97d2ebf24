"""Results as text for people and as JSON for programs. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from tus_conformance.chapter import Severity
from tus_conformance.run import Outcome, Result
from tus_conformance.target import Capabilities

_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAIL", Outcome.SKIPPED: "skip"}


def line(result: Result) -> str:
    """One line of the table; a case that did not pass says why below it."""
    first = f"{_MARKS[result.outcome]:4}  {result.case.severity:6}  {result.case.id:44}  {result.case.says}"
    if result.outcome is Outcome.PASSED:
        return first
    clause = f"  [{result.case.clause}]" if result.outcome is Outcome.FAILED else ""
    return f"{first}\n              {result.detail}{clause}"


def counts(results: Sequence[Result]) -> dict[str, int]:
    """passed, skipped, and failed by severity."""
    found = Counter(result.outcome for result in results)
    failed = Counter(result.case.severity for result in results if result.outcome is Outcome.FAILED)
    return {
        "cases": len(results),
        "passed": found[Outcome.PASSED],
        "failed_must": failed[Severity.MUST],
        "failed_should": failed[Severity.SHOULD],
        "skipped": found[Outcome.SKIPPED],
    }


def summary(results: Sequence[Result]) -> str:
    said = counts(results)
    return (
        f"{said['cases']} cases: {said['passed']} passed, {said['failed_must']} MUST and {said['failed_should']} SHOULD failed, "
        f"{said['skipped']} skipped"
    )


def as_json(url: str, capabilities: Capabilities, results: Sequence[Result]) -> str:
    """The whole report."""
    cases = [
        {
            "id": result.case.id,
            "clause": result.case.clause,
            "severity": result.case.severity.value,
            "says": result.case.says,
            "outcome": result.outcome.value,
            "detail": result.detail,
            "duration_s": round(result.duration_s, 3),
        }
        for result in results
    ]
    server = {
        "url": url,
        "versions": list(capabilities.versions),
        "extensions": sorted(capabilities.extensions),
        "max_size_bytes": capabilities.max_size_bytes,
        "checksum_algorithms": list(capabilities.algorithms),
    }
    return json.dumps({"protocol": "tus 1.0.0", "server": server, "counts": counts(results), "cases": cases}, indent=1)


def exit_code(results: Sequence[Result], *, strict: bool) -> int:
    """0 when every MUST holds (and, if `strict`, every SHOULD), else 1."""
    said = counts(results)
    return 1 if said["failed_must"] or (strict and said["failed_should"]) else 0
