"""What a check found: a value with its remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    OK = "ok"
    FAILED = "failed"
    NOT_NOW = "not now"  # there is nothing to check at this moment, and that is fine


@dataclass(frozen=True, slots=True)
class Finding:
    title: str
    outcome: Outcome
    said: str = ""
    remedy: str = ""  # one sentence; only a failure has one


def ok(title: str, said: str = "") -> Finding:
    return Finding(title, Outcome.OK, said)


def failed(title: str, said: str, remedy: str) -> Finding:
    return Finding(title, Outcome.FAILED, said, remedy)


def not_now(title: str, said: str) -> Finding:
    return Finding(title, Outcome.NOT_NOW, said)
