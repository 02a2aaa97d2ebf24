"""Waiting for something that another process does. No test asserts how long anything takes; the limit only ends a hopeless wait.

What has taken long is asked for less often: a question costs both sides CPU that the work itself needs, and one more twentieth of the time
matters to nobody. On a machine that is twice as slow everything is seen as finely.
"""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], limit_s: float = 60) -> bool:
    """Whether it becomes true."""
    began_s = time.monotonic()
    while (waited_s := time.monotonic() - began_s) < limit_s:
        if true():
            return True
        time.sleep(min(0.25, max(0.05, waited_s / 20)))
    return true()
