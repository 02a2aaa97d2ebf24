"""The only place that asks what time it is, and the only one that waits."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Now, elapsed time, and waiting. Tests pass their own."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds that only ever grow, for measuring."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
