"""How much memory the API needs while a large file is uploaded and other requests go on: `make bench-memory`.

A 2 GiB sparse file goes through the edge by tus in one upload, while 32 connections ask for other paths all the time. The API's resident
memory is read every 50 ms, and its own high-water mark at the end. The limit is 200 MiB; more than that, and the command fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.figures import finish
from bench.stack_run import command_line
from kit.clock import SystemClock
from stack import leftovers
from stack.client import Api, Server
from stack.tus_client import Upload, upload
from tests.local_stack import LocalStack, local_stack

MIB, GIB = 1 << 20, 1 << 30
LIMIT_MIB = 200
READERS = 32
PAUSE_S = 0.1  # between the requests of one reader: the upload shares our processor with them
PATHS = ("/v1/assets", "/healthz", "/", "/v1/assets?limit=5", "/v1/problems", "/readyz")


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. Memory in MiB."""

    file_mib: float
    upload_s: float
    upload_mib_per_s: float
    other_requests: int
    other_failures: int
    idle_rss_mib: float
    peak_rss_mib: float
    limit_mib: int
    machine: str
    python: str

    @property
    def passed(self) -> bool:
        return self.peak_rss_mib < self.limit_mib and self.other_failures == 0 and self.other_requests > 0


def api_pid(stack: LocalStack) -> int:
    for pid in leftovers.find(stack.data):
        if b"stack.cli\0api" in command_line(pid):
            return pid
    raise SystemExit("The API's process was not found.")


def memory_mib(pid: int, field: str) -> float:
    found = re.search(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found.group(1)) / 1024


def read_others(stack: LocalStack, stop: threading.Event, seen: Counter[int]) -> None:
    """One connection that asks for one path after the other."""
    with httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.api_key}"}, trust_env=False, timeout=60) as client:
        turn = 0
        while not stop.is_set():
            seen[client.get(PATHS[turn % len(PATHS)]).status_code] += 1
            turn += 1
            stop.wait(PAUSE_S)


def measure(stack: LocalStack, file: Path) -> Figures:
    pid, seen, stop = api_pid(stack), Counter[int](), threading.Event()
    idle = memory_mib(pid, "VmRSS")
    readers = [threading.Thread(target=read_others, args=(stack, stop, seen), daemon=True) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    began_s = time.monotonic()
    with Api(Server(stack.url, stack.api_key)) as api:
        upload(Upload(api, file, SystemClock(), lambda _: None), file.with_suffix(".note"), {"title": "memory"})
    took_s = time.monotonic() - began_s
    stop.set()
    for reader in readers:
        reader.join()
    size_mib = file.stat().st_size / MIB
    failures = sum(count for status, count in seen.items() if status >= 400)
    return Figures(
        file_mib=size_mib, upload_s=round(took_s, 1), upload_mib_per_s=round(size_mib / took_s, 1), other_requests=seen.total(),
        other_failures=failures, idle_rss_mib=round(idle, 1), peak_rss_mib=round(memory_mib(pid, "VmHWM"), 1), limit_mib=LIMIT_MIB,
        machine=f"{os.cpu_count()} cores, {platform.machine()}", python=platform.python_version(),
    )  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--gib", type=float, default=2.0, help="size of the file")
    options.add_argument("--out", type=Path, default=Path("bench/out/memory.json"))
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headwater-bench-"))
    try:
        file = folder / "sparse.mp4"
        with file.open("wb") as sparse:
            sparse.truncate(int(chosen.gib * GIB))
        with local_stack(folder / "data", {"HEADWATER_WORKER_PROCESSES": "1"}) as stack:
            figures = measure(stack, file)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return finish(figures, passed=figures.passed, out=chosen.out)


if __name__ == "__main__":
    sys.exit(main())
