"""Processes of an earlier run that did not end with it, found by a mark in their environment.

When `headwater up` is killed, the kernel signals its parts, and they stop by themselves. The next start waits for them, and kills
what does not listen. The mark is the data folder's path, which nothing but a part of that folder has. nginx writes its title over
its environment, so its master is known by its title, which names its folder; its workers end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from kit.clock import Clock
from stack.edge_part import edge_folder
from stack.servers import places

MARK = "HEADWATER_PART_OF"
_WAIT_S = 15.0


def mark(data: Path) -> dict[str, str]:
    """To be put into the environment of every part."""
    return {MARK: str(data)}


def find(data: Path) -> list[int]:
    """Living processes of this folder, other than this one. Needs /proc; elsewhere it finds none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and _belongs(folder, data):
                found.append(int(folder.name))
    return found


def _belongs(process: Path, data: Path) -> bool:
    if _elsewhere(process):
        return False
    title = (process / "cmdline").read_bytes()
    if title.startswith(b"nginx: master process ") and os.fsencode(f" -p {edge_folder(places(data))} ") in title:
        return True
    try:
        return os.fsencode(f"{MARK}={data}") in (process / "environ").read_bytes().split(b"\0")
    except PermissionError:  # another user's, as PostgreSQL's is when root may not look at everything: known by its arguments
        return os.fsencode(f"{data}/postgres") in title.split(b"\0")


def _elsewhere(process: Path) -> bool:
    """Whether it sees other files than we do: a process of a container, whose folder of the same name is another one."""
    try:
        return (process / "ns" / "mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
    except PermissionError:
        return False


def clear(data: Path, clock: Clock, tell: Callable[[str], None]) -> None:
    """Wait until none is left; kill those that stay. Call only while holding the folder's lock."""
    if not find(data):
        return
    tell("Waiting for the parts of an earlier run that was killed.")
    end_s = clock.monotonic_s() + _WAIT_S
    while find(data) and clock.monotonic_s() < end_s:
        clock.sleep(0.1)
    for pid in find(data):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    while find(data) and clock.monotonic_s() < end_s + _WAIT_S:
        clock.sleep(0.05)
