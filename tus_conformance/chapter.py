"""What a case is, and how the cases of one chapter are written down. Knows no HTTP.

A case is a function of a target that returns when the server did as the protocol says, raises `Failed` when it did not, and
raises `Skipped` when the server cannot be asked. Its docstring is the sentence that a report shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tus_conformance.target import Target


class Severity(StrEnum):
    """The protocol's own word for how much a clause binds (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Case:
    """One question to a server."""

    id: str  # chapter.name, stable
    clause: str  # where the protocol says it
    severity: Severity
    needs: frozenset[str]  # extensions that the server must announce
    says: str
    ask: Callable[[Target], None]


Ask = Callable[[Target], None]
AskAbout = Callable[[Target, Any], None]


def _sentence(function: Callable[..., None]) -> str:
    return " ".join((function.__doc__ or "").split())


class Chapter:
    """Collects the cases of one part of the protocol, in the order in which they are written."""

    def __init__(self, name: str, clause: str, needs: Iterable[str] = ()) -> None:
        self._name, self._clause, self._needs = name, clause, frozenset(needs)
        self.cases: list[Case] = []

    def _add(self, name: str, severity: Severity, says: str, ask: Ask, *, needs: Iterable[str], clause: str) -> None:
        self.cases.append(Case(f"{self._name}.{name}", clause or self._clause, severity, self._needs | frozenset(needs), says, ask))

    def case(self, severity: Severity, name: str, *, needs: Iterable[str] = (), clause: str = "") -> Callable[[Ask], Ask]:
        """A single case."""

        def note(function: Ask) -> Ask:
            self._add(name, severity, _sentence(function), function, needs=needs, clause=clause)
            return function

        return note

    def must(self, name: str, *, needs: Iterable[str] = (), clause: str = "") -> Callable[[Ask], Ask]:
        return self.case(Severity.MUST, name, needs=needs, clause=clause)

    def should(self, name: str, *, needs: Iterable[str] = (), clause: str = "") -> Callable[[Ask], Ask]:
        return self.case(Severity.SHOULD, name, needs=needs, clause=clause)

    def each(
        self, severity: Severity, name: str, values: Mapping[str, Any], *, needs: Iterable[str] = (), clause: str = ""
    ) -> Callable[[AskAbout], AskAbout]:
        """One case for each value; its key ends the id and follows the sentence."""

        def note(function: AskAbout) -> AskAbout:
            for key, value in values.items():

                def ask(target: Target, value: Any = value) -> None:
                    function(target, value)

                self._add(f"{name}.{key}", severity, f"{_sentence(function)} ({key})", ask, needs=needs, clause=clause)
            return function

        return note
