"""A database in memory: tables of frozen values, transactions that can be undone, a clock that is set by hand.

Transactions run one after the other. That real ones, which overlap, come to the same is the business of the tests on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from catalog.asset import Asset, PublishedPresentation
from catalog.lost import Lost
from kit.job_store import Bell
from kit.jobs import Job
from media.plan import EncodePlan
from media.segments import MeasuredSegment

BEGINNING = datetime(2026, 11, 22, 12, tzinfo=UTC)
_ABSENT: Any = object()

Segment = tuple[str, str, str, int]  # asset, plan, rendition, index
Change = tuple[dict[Any, Any], Any, Any]  # table, key, value before
Trouble = Literal["before", "after"] | None  # does a commit fail before it counts, or is its answer lost?


class Away(Exception):
    """The database does not answer."""


@dataclass
class Clock:
    """Seconds since the beginning. No two readings are the same, as in reality."""

    seconds: float = 0.0
    _readings: int = 0

    def now(self) -> datetime:
        self._readings += 1
        return BEGINNING + timedelta(seconds=self.seconds, microseconds=self._readings)


@dataclass
class Transaction:
    db: Database
    changes: list[Change] = field(default_factory=list)
    speaker: Job | None = None  # the claim whose word it carries

    def write(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self.changes.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def drop(self, table: dict[Any, Any], key: Any) -> None:
        if key in table:
            self.changes.append((table, key, table.pop(key)))

    def undo(self) -> None:
        for table, key, before in reversed(self.changes):
            if before is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = before


@dataclass
class Database:
    clock: Clock = field(default_factory=Clock)
    jobs: dict[str, Job] = field(default_factory=dict)
    by_work: dict[tuple[str, str], str] = field(default_factory=dict)  # kind, subject -> id
    rung_at: dict[str, datetime] = field(default_factory=dict)
    outbox: dict[int, Bell] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    plans: dict[str, EncodePlan] = field(default_factory=dict)  # by asset
    segments: dict[Segment, MeasuredSegment] = field(default_factory=dict)
    presentations: dict[str, PublishedPresentation] = field(default_factory=dict)
    lost: dict[tuple[str, str, str], Lost] = field(default_factory=dict)
    serial: int = 0
    trouble: Callable[[], Trouble] = lambda: None
    committed: Callable[[Transaction], None] = lambda _: None

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Raises Away when it does not answer; whether what was done counts is then not known."""
        conn = Transaction(self)
        try:
            yield conn
            trouble = self.trouble() if conn.changes else None
            if trouble == "before":
                raise Away
        except BaseException:
            conn.undo()
            raise
        if conn.changes:
            self.committed(conn)
        if trouble == "after":
            raise Away

    def next_serial(self) -> int:
        self.serial += 1
        return self.serial


def before(change: Change) -> Any:
    """What was there, or None."""
    return None if change[2] is _ABSENT else change[2]
