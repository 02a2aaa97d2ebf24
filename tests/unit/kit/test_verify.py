"""Objects compared with their records, and reading that keeps to a rate."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from kit.clock import SystemClock
from kit.storage.memory import MemoryStorage
from kit.storage.verify import UNKNOWN, Condition, Pace, Recorded, verify

BODY = bytes(range(256)) * 10_000
RECORDED = Recorded("key", len(BODY), hashlib.sha256(BODY).hexdigest(), "owner", "segment")


class Standing(SystemClock):
    """Moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize(
    ("stored", "condition"),
    [
        (BODY, Condition.INTACT),
        (BODY[:-1], Condition.RESIZED),
        (BODY + b"x", Condition.RESIZED),
        (BODY[:-1] + b"x", Condition.CHANGED),
        (None, Condition.MISSING),
    ],
)
def test_each_condition(stored: bytes | None, condition: Condition) -> None:
    storage = MemoryStorage()
    if stored is not None:
        storage.put("key", stored)
    assert verify(storage, RECORDED, Pace(Standing())).condition is condition


def test_without_a_digest_the_size_decides() -> None:
    storage = MemoryStorage()
    storage.put("key", BODY[:-1] + b"x")
    assert verify(storage, replace(RECORDED, sha256=None), Pace(Standing())).intact


@pytest.mark.parametrize(("rate", "seconds"), [(0.0, 0.0), (256_000.0, 10.0), (1e9, 0.00256)])
def test_reading_keeps_to_its_rate(rate: float, seconds: float) -> None:
    storage, clock = MemoryStorage(), Standing()
    storage.put("key", BODY)
    assert verify(storage, RECORDED, Pace(clock, rate)).intact
    assert clock.now_s - 100.0 == pytest.approx(seconds)


def test_what_is_known_in_part_is_judged_by_that_part() -> None:
    storage, pace = MemoryStorage(), Pace(Standing())
    digest = hashlib.sha256(BODY).hexdigest()
    known = Recorded("key", UNKNOWN, digest[:40], "owner", "text")
    assert (RECORDED.is_exact, known.is_exact, replace(known, size_bytes=len(BODY)).is_exact) == (True, False, False)
    for stored, condition in ((BODY, Condition.INTACT), (BODY[:-1] + b"x", Condition.CHANGED), (BODY[:-1], Condition.CHANGED)):
        storage.put("key", stored)
        assert verify(storage, known, pace).condition is condition
