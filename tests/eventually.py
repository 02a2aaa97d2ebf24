"""Waiting for something that another process does. No test asserts how long anything takes; the limit only ends a hopeless wait."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], limit_s: float = 60) -> bool:
    """Whether it becomes true."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        if true():
            return True
        time.sleep(0.05)
    return true()
