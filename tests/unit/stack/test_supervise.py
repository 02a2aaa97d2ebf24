"""What happens to a part that ended, and to a log that grew."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.child import Part
from stack.supervise import ending, may_restart, rotate

PART = Part("worker", ("/bin/true",), Path("/logs/worker.log"), ready=lambda: True)


@pytest.mark.parametrize(
    ("earlier_s", "now_s", "again"),
    [
        ([], 0, True),
        ([1, 2, 3], 4, True),
        ([1, 2, 3, 4], 5, False),
        ([1, 2, 3, 4], 121.5, True),  # the first of them is more than two minutes ago
        ([1, 2, 3, 4], 120.5, False),
    ],
)
def test_a_part_is_started_again_unless_it_keeps_ending(earlier_s: list[float], now_s: float, again: bool) -> None:
    assert may_restart(earlier_s, now_s) is again


@pytest.mark.parametrize(
    ("code", "words", "sentence"),
    [
        (-9, "", "worker was ended by SIGKILL"),
        (1, "", "worker ended with exit code 1"),
        (1, "No space left on device.", "worker ended with exit code 1 saying: No space left on device"),
    ],
)
def test_how_a_part_ended(code: int, words: str, sentence: str) -> None:
    assert ending(PART, code, words) == sentence


def test_a_log_is_moved_aside_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    with log.open("a") as writer:
        writer.write("old line\n" * 20)
        writer.flush()
        rotate(log, limit_bytes=1000)
        assert log.stat().st_size == 180, "small enough to stay"
        rotate(log, limit_bytes=90)
        writer.write("new line\n")
    assert log.read_text() == "new line\n"
    assert (tmp_path / "part.log.1").read_text() == "old line\n" * 10


def test_a_log_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    rotate(tmp_path / "none.log")
