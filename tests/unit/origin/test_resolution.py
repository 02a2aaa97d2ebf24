"""What the origin remembers of a playback id, for how long, and how many."""

from __future__ import annotations

import pytest

from kit.errors import NotFound
from origin.resolution import TTL_S, Remembered


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s


class Asked:
    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> str:
        self.names.append(name)
        if name == "missing":
            raise NotFound("no")
        return f"{name}-{len(self.names)}"


def remembered(capacity: int = 10) -> tuple[Remembered[str], Asked, Hands]:
    asked, clock = Asked(), Hands()
    return Remembered(asked, clock, capacity=capacity), asked, clock  # type: ignore[arg-type]


def test_one_question_for_two_seconds() -> None:
    known, asked, clock = remembered()
    assert known.get("a") == known.get("a") == "a-1"
    clock.now_s += TTL_S - 0.01
    assert known.get("a") == "a-1"
    clock.now_s += 0.01
    assert known.get("a") == "a-2"
    assert asked.names == ["a", "a"]


def test_a_refusal_is_not_remembered() -> None:
    known, asked, _ = remembered()
    for _ in range(2):
        with pytest.raises(NotFound):
            known.get("missing")
    assert asked.names == ["missing", "missing"]


def test_the_oldest_goes_first() -> None:
    known, asked, _ = remembered(capacity=2)
    for name in ("a", "b", "c", "b", "a"):
        known.get(name)
    assert asked.names == ["a", "b", "c", "a"]


def test_it_is_at_most_two_seconds_old() -> None:
    assert TTL_S <= 2
