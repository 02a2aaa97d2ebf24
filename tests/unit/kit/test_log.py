"""A log line is one line, whatever it is given."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from kit import log


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure("info", stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_has_time_level_name_message_and_fields(written: io.StringIO) -> None:
    log.logger("worker.tasks").info("step done", kind="transcode.encode", wall_s=8.25, error=None, title="two words")
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info    worker  step done kind=transcode.encode wall_s=8.25 title="two words"\n',
        written.getvalue(),
    )


def test_nobody_forges_a_line(written: io.StringIO) -> None:
    log.logger("web").warning("refused\n2026 error", title="a\r\nb\x1b[31m")
    assert written.getvalue().count("\n") == 1
    assert r"title=a\x0d\x0ab\x1b[31m" in written.getvalue()


def test_third_parties_are_heard_from_warnings_up(written: io.StringIO) -> None:
    logging.getLogger("botocore.retries").info("chatter")
    logging.getLogger("botocore.retries").warning("worth knowing")
    logging.getLogger("kit.step").debug("below the level")
    assert written.getvalue().count("\n") == 1
    assert "botocore  worth knowing" in written.getvalue()


def test_only_a_bug_brings_a_stack_trace(written: io.StringIO) -> None:
    try:
        raise KeyError("surprise")
    except KeyError as error:
        log.logger("worker").error("step failed", code="stall")
        assert "Traceback" not in written.getvalue()
        log.logger("worker").bug("step broke", error)
    assert "Traceback" in written.getvalue()
