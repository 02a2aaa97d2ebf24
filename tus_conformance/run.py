"""Puts cases to a target and notes how each ended."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import httpx

from tus_conformance.chapter import Case
from tus_conformance.target import Failed, Skipped, Target


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """How one case ended; `detail` says why it did not pass."""

    case: Case
    outcome: Outcome
    detail: str
    duration_s: float


def chosen(cases: Iterable[Case], only: Iterable[str]) -> tuple[Case, ...]:
    """The cases whose id is, or begins with, one of `only` (at a dot); all of them when it is empty."""
    wanted = tuple(only)
    return tuple(case for case in cases if not wanted or any(f"{case.id}.".startswith(f"{name.rstrip('.')}.") for name in wanted))


def run_cases(target: Target, cases: Iterable[Case]) -> Iterator[Result]:
    """One result for each case, in order. The target must have been asked what it can do (`Target.discover`)."""
    for case in cases:
        begun_s = time.monotonic()
        outcome, detail = _put(target, case)
        yield Result(case, outcome, detail, time.monotonic() - begun_s)


def _put(target: Target, case: Case) -> tuple[Outcome, str]:
    missing = case.needs - target.capabilities.extensions
    if missing:
        return Outcome.SKIPPED, f"the server does not announce {', '.join(sorted(missing))}"
    try:
        case.ask(target)
    except Skipped as skipped:
        return Outcome.SKIPPED, str(skipped)
    except Failed as failed:
        return Outcome.FAILED, str(failed)
    except (httpx.HTTPError, OSError) as error:
        return Outcome.FAILED, f"the connection failed: {type(error).__name__}: {error}"
    return Outcome.PASSED, ""
