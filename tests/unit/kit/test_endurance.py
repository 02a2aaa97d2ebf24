"""A loop outlives its rounds, and says of each outage once that it began and once that it ended."""

from __future__ import annotations

import logging

import pytest

from kit.endurance import Endurance
from kit.errors import Unavailable
from kit.log import OneLine, logger

LOG = "kit.test_endurance"


def away(code: str) -> None:
    raise Unavailable("Nobody answers.", code=code)


def broken() -> None:
    raise ZeroDivisionError("a bug")


@pytest.fixture
def endurance() -> Endurance:
    return Endurance(logger(LOG), away="it is away", back="it is back", broke="it broke", what="test")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [OneLine().format(record).partition("kit ")[2].strip().splitlines()[0] for record in caplog.records]


def test_what_a_round_yields_is_passed_on(endurance: Endurance) -> None:
    assert endurance.through(lambda: 7) == 7
    assert endurance.through(broken) is None
    assert endurance.through(lambda: 8) == 8


def test_an_outage_and_its_end_are_said_once(endurance: Endurance, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOG)
    for code in ("a", "a", "b", "b"):
        endurance.through(lambda code=code: away(code))
    endurance.is_well()
    endurance.through(lambda: None)
    assert said(caplog) == ["it is away code=a what=test", "it is away code=b what=test", "it is back what=test"]


def test_a_bug_is_reported_each_time_with_its_trace(endurance: Endurance, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        endurance.through(broken)
    endurance.is_well()
    assert said(caplog) == ["it broke what=test"] * 2
    assert all(record.exc_info for record in caplog.records)


def test_whom_somebody_else_speaks_for_is_silent_but_for_bugs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOG)
    silent = Endurance(logger(LOG), broke="it broke")
    silent.through(lambda: away("a"))
    silent.is_well()
    silent.through(broken)
    assert said(caplog) == ["it broke"]


def test_what_ends_a_process_ends_the_loop(endurance: Endurance) -> None:
    def stop() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        endurance.through(stop)
