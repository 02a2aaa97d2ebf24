"""The whole suite in several pytest processes at once, which `make test` runs: `python -m tests.shares`.

Most tests of live servers wait as long as they compute, so two processes on two cores take little more than half as long as one. Each is a
plain session with servers of its own, and none knows of the others. They take shares from one heap: a file of tests is a share, and all
files that need the running Headwater are one share together, because its start and the films for it cost more than sharing would gain.
What is taken is marked by a file that only one of them can create. The long shares go first, so that all end at about the same time.

The first process says what it does as it does it; what the others said follows when all have ended. In the end it is counted whether every
test was run. HEADWATER_TEST_PROCESSES says how many processes there are; without it there are two, or one on a single core.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

FOLDER = "HEADWATER_TEST_SHARES"  # names the heap's folder to the processes
PROCESSES = "HEADWATER_TEST_PROCESSES"
STACK = "the running Headwater"
WITH_SERVERS = ("tests/integration/", "tests/contract/", "tests/media/")  # whose files take longest


def file_of(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def shares(items: Iterable[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """Every test in one share, the long shares first; otherwise in the order in which they come."""
    every = list(items)
    stacked = {file_of(item) for item in every if "local_stack" in getattr(item, "fixturenames", ())}
    found: dict[str, list[pytest.Item]] = {}
    for item in every:
        file = file_of(item)
        found.setdefault(STACK if file in stacked else file, []).append(item)
    return {share: found[share] for share in sorted(found, key=_rank)}


def _rank(share: str) -> int:
    return 0 if share == STACK else 1 if share.startswith(WITH_SERVERS) else 2


class Heap:
    """Shares that have not been taken yet, known to all processes by `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, share: str) -> bool:
        """Whether nobody else has."""
        try:
            (self._folder / share.replace("/", "|")).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def taken(heap: Heap, found: dict[str, list[pytest.Item]], ran: list[str]) -> Iterator[pytest.Item]:
    for share, items in found.items():
        if heap.take(share):
            ran += [item.nodeid for item in items]
            yield from items


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """pytest's own loop over the shares that are still to be had."""
    if FOLDER not in os.environ or session.testsfailed or session.config.option.collectonly:
        return None
    folder, ran = Path(os.environ[FOLDER]), list[str]()
    left = taken(Heap(folder / "taken"), shares(session.items), ran)
    item = next(left, None)
    while item is not None:
        following = next(left, None)  # what it has in common with this one is kept for it
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    (folder / f"ran-{os.getpid()}.json").write_text(json.dumps({"ran": ran, "collected": [item.nodeid for item in session.items]}))
    return True


def told(folder: Path) -> tuple[set[str], set[str]]:
    """The tests that were run, and those that somebody saw and nobody ran."""
    every = [json.loads(path.read_text()) for path in folder.glob("ran-*.json")]
    ran = {name for one in every for name in one["ran"]}
    return ran, {name for one in every for name in one["collected"]} - ran


def run(words: Sequence[str], count: int) -> int:
    """The exit code of the worst. A SIGTERM is passed on as the interruption that makes pytest stop its servers."""
    with tempfile.TemporaryDirectory(prefix="headwater-shares-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "taken").mkdir()
        logs = [folder / f"{number}.log" for number in range(2, count + 1)]
        argv = [sys.executable, "-m", "pytest", "-p", "tests.shares", *words]
        environment = os.environ | {FOLDER: name}
        outputs = [None, *(stack.enter_context(log.open("wb")) for log in logs)]
        processes = [subprocess.Popen(argv, env=environment, stdout=output, stderr=output and subprocess.STDOUT) for output in outputs]
        signal.signal(signal.SIGTERM, lambda *_: [process.send_signal(signal.SIGINT) for process in processes])
        signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C reaches them too, and they end by it
        codes = [process.wait() for process in processes]
        for number, log in enumerate(logs, start=2):
            print(f"\nProcess {number} of {count}:\n{log.read_text(errors='replace')}", end="", flush=True)
        ran, forgotten = told(folder)
    print(f"{len(ran)} tests were run in {count} processes.")
    for name in sorted(forgotten):
        print(f"not run: {name}", file=sys.stderr)
    return next((code for code in codes if code), 1 if forgotten else 0)


def main() -> int:
    count = int(os.environ.get(PROCESSES) or min(2, len(os.sched_getaffinity(0))))
    return run(sys.argv[1:], count)


if __name__ == "__main__":
    sys.exit(main())
