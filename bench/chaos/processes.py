"""Which processes are which: the parts of one stack and what runs below them, read from /proc."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.faults import Target

_PART_WORDS = {
    "stack.cli api": Target.API, "stack.cli worker": Target.WORKER, "stack.cli sweeper": Target.SWEEPER, "valkey-server": Target.BROKER,
    "bin/postgres": Target.DATABASE, "/weed": Target.STORE, "nginx: master": Target.EDGE, "/nginx": Target.EDGE,
}  # fmt: skip
_BELOW = {Target.WORKER: Target.WORKER_PROCESS, Target.DATABASE: Target.BACKEND, Target.EDGE: Target.EDGE_PROCESS}


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    parent: int
    command: str
    state: str = "S"


def table() -> dict[int, Process]:
    """Every process that can be seen now."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            found[int(folder.name)] = Process(int(folder.name), int(parent), command, state)
    return found


def below(processes: Mapping[int, Process], root: int) -> list[Process]:
    """All descendants of `root`, parents before children. Pure."""
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    found, waiting = [], [root]
    while waiting:
        for child in children.get(waiting.pop(0), ()):
            found.append(child)
            waiting.append(child.pid)
    return found


def targets(processes: Mapping[int, Process], roots: Sequence[int]) -> dict[Target, list[Process]]:
    """Who may be hit: the parts are the children of `roots`, the supervisors. Pure."""
    found: dict[Target, list[Process]] = {target: [] for target in Target}
    for part in (process for process in processes.values() if process.parent in roots and process.state != "Z"):
        target = next((target for words, target in _PART_WORDS.items() if words in part.command), None)
        if target is None:
            continue
        found[target].append(part)
        children = [process for process in processes.values() if process.parent == part.pid and process.state != "Z"]
        if target in _BELOW:
            found[_BELOW[target]] += children
        if target is Target.WORKER:
            found[Target.PROGRAM] += [run for child in children for run in below(processes, child.pid) if run.state != "Z"]
    return found


def of_folder(processes: Mapping[int, Process], folder: Path) -> list[Process]:
    """Processes that work in `folder` or name it, other than this one."""
    return [
        process
        for process in processes.values()
        if process.pid != os.getpid() and (str(folder) in process.command or _works_in(process.pid, folder))
    ]


def _works_in(pid: int, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    return False
