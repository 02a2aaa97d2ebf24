"""The edge of whatever has to live on: a thread's or a process's main loop, one round of which may end in any way.

An outage (the database, the broker, the store) is said once, in one line, and so is its end; a bug is reported with its trace each
time. What is done about it, and how long is waited before the next round, is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kit import db
from kit.errors import HeadwaterError
from kit.log import Log

T = TypeVar("T")


class Endurance:
    """One loop, which remembers what it said last."""

    def __init__(self, log: Log, *, away: str = "", back: str = "", broke: str, **fields: Any) -> None:
        """What is said of an outage, of its end and of a bug, and what goes with each line. Nothing is said where there are no words."""
        self._log, self._away, self._back, self._broke, self._fields = log, away, back, broke, fields
        self._said: str | None = None

    def through(self, work: Callable[[], T]) -> T | None:
        """What `work` returns; None when it ended in an error of whatever kind, which has then been said."""
        try:
            done = work()
        except Exception as error:  # noqa: BLE001 - the one place where a loop outlives its rounds
            self._note(error)
            return None
        self.is_well()
        return done

    def is_well(self) -> None:
        """For a round that lasts: an outage is over."""
        if self._said is not None and self._back:
            self._log.info(self._back, **self._fields)
        self._said = None

    def _note(self, error: Exception) -> None:
        code = error.code if isinstance(error, HeadwaterError) else "database_unavailable" if db.is_away(error) else None
        if code is None:
            self._log.bug(self._broke, error, **self._fields)
        elif code != self._said and self._away:
            self._log.warning(self._away, code=code, **self._fields)
        self._said = code
