"""Which title a playback id stands for, remembered for two seconds in each process.

A player that starts asks for several things at once, and an edge that lost its cache asks for many: the answer does not
change in that time. Refusals are not remembered, so a title that was just published appears at once. A deleted title is
therefore served for two seconds more at most.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from kit.clock import Clock

TTL_S = 2.0
CAPACITY = 4096

T = TypeVar("T")


class Remembered(Generic[T]):
    """The last answers of `resolve`, each for `TTL_S` seconds; the oldest go first when there are too many."""

    def __init__(self, resolve: Callable[[str], T], clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._resolve = resolve
        self._clock = clock
        self._capacity = capacity
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> T:
        """Raises what `resolve` raises."""
        with self._lock:
            if (known := self._known.get(name)) is not None and self._clock.monotonic_s() < known[0]:
                return known[1]
        asked_s = self._clock.monotonic_s()  # an answer is as old as its question
        answer = self._resolve(name)
        with self._lock:
            self._known[name] = (asked_s + TTL_S, answer)
            self._known.move_to_end(name)
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return answer
