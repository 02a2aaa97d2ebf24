"""What happens to a part that ended, and to a log that grew."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.child import Part
from stack.supervise import End, ending, next_step, rotate

PART = Part("worker", ("/bin/true",), Path("/logs/worker.log"), ready=lambda: True)


def ends(*at_s: float, in_vain: bool) -> list[End]:
    return [End(moment_s, in_vain) for moment_s in at_s]


@pytest.mark.parametrize(
    ("ended", "now_s", "pause_s"),
    [
        (ends(0, in_vain=False), 0, 0.4),
        (ends(1, 2, 3, in_vain=False), 3, 1.6),
        (ends(*range(50), in_vain=False), 49, 5.0),  # it worked each time: it is started again for ever, slowly
        (ends(1, 2, 3, 4, in_vain=True), 4, 3.2),
        (ends(1, 2, 3, 4, 5, in_vain=True), 5, None),
        (ends(1, 2, 3, 4, in_vain=True) + ends(5, in_vain=False), 5, 5.0),
        (ends(1, 2, 3, 4, 121.5, in_vain=True), 121.5, 3.2),  # the first of them is more than two minutes ago
        (ends(1, 2, 3, 4, 120.5, in_vain=True), 120.5, None),
    ],
)
def test_a_part_is_started_again_unless_it_cannot_start(ended: list[End], now_s: float, pause_s: float | None) -> None:
    assert next_step(ended, now_s) == pause_s


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
