"""Processes that fetch parts of a source into the cache of a machine are killed; the next one goes on from what is there."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from random import Random
from subprocess import PIPE, Popen

from kit import sparse
from tests.unit.kit.test_sparse import SIZE, Origin, made, right

PROGRAM = """
import sys, time
from pathlib import Path
from kit import sparse
from tests.unit.kit.test_sparse import Origin, SIZE
def slow(start, end):
    for piece in Origin()(start, end):
        time.sleep(0.002)
        yield piece
print("on", flush=True)
sparse.fill(Path(sys.argv[1]), [(0, SIZE)], slow)
"""


def test_killed_at_any_moment_nothing_wrong_is_believed(tmp_path: Path) -> None:
    """Processes that fetch are killed one after another; what is noted is right, and the last one only fetches the rest."""
    path, dice = made(tmp_path), Random(7)
    for _ in range(4):
        with Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=PIPE, cwd=Path(__file__).parents[3]) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"on\n"
            threading.Event().wait(dice.uniform(0.0, 0.08))
            os.kill(process.pid, signal.SIGKILL)
        assert right(path, sparse.filled(path))
    before, origin = sparse.filled(path), Origin()
    sparse.fill(path, [(0, SIZE)], origin)
    assert sparse.united(origin.asked) == sparse.without([(0, SIZE)], before)
    assert right(path, [(0, SIZE)])
