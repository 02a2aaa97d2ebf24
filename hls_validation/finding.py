"""What a rule is and what it finds. Pure.

A rule has a number, a level, the clause it comes from, and a check: a function from a read presentation to the places where it does
not hold. A check that cannot be made on what was read says so by raising `NotSeen`; it is then reported as not checked, never as held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hls_validation.presentation import Presentation


class Level(StrEnum):
    """RFC 2119. A presentation that breaks a MUST is wrong; one that breaks a SHOULD had better have a reason."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Issue:
    """One place where a rule does not hold."""

    where: str  # an address, with a line where there is one
    says: str
    level: Level | None = None  # of this place alone; None: the rule's


@dataclass(frozen=True, slots=True)
class Finding:
    """An issue with its rule."""

    rule: str
    level: Level
    clause: str
    where: str
    says: str


class NotSeen(Exception):
    """A rule that cannot be judged from what was read; the argument is the reason, as a sentence."""


Check = Callable[["Presentation"], Iterator[Issue]]


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    level: Level  # the sternest of what it finds
    clause: str
    says: str  # what holds in a right presentation
    check: Check


class Chapter:
    """Collects the rules of one module, in the order in which they are written."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def rule(self, identity: str, level: Level, clause: str, says: str) -> Callable[[Check], Check]:
        def keep(check: Check) -> Check:
            self.rules.append(Rule(identity, level, clause, says, check))
            return check

        return keep
