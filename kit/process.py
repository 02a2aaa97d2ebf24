"""The only place that starts processes.

A `Command` is a value that can be printed, compared and pasted into a shell. A `Runner` runs it: in a process group of its
own, with a wall-clock limit and an optional stall limit, handing over progress lines while it runs, and reporting the CPU
seconds and peak memory of the run. Whatever ends the run (limit, cancellation, error here), the whole group is killed.
"""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kit.errors import StepFailed


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, with the limits it runs under."""

    argv: tuple[str, ...]
    timeout_s: float
    stall_s: float | None = None  # killed when no line arrives on stdout for this long
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)  # the whole environment: nothing is inherited but PATH

    def __str__(self) -> str:
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a run ended. `exit_code` is negative for a signal, as in `subprocess`."""

    exit_code: int
    stdout: bytes  # empty when `on_line` consumed it
    stderr: bytes  # the last 64 KiB
    wall_s: float
    cpu_s: float  # user + system of the process and the children it waited for
    peak_rss_bytes: int


class ProcessTimeout(StepFailed):
    code = "wall_limit"


class ProcessStalled(StepFailed):
    code = "stall"


class ProcessCancelled(StepFailed):
    code = "cancelled"


class Runner(Protocol):
    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None, cancel: threading.Event | None = None) -> Completed:
        """Run to the end. A non-zero exit is a result, not an error. Raises ProcessTimeout, ProcessStalled,
        ProcessCancelled (within a second of `cancel` being set), and StepFailed("tool_missing") when the program is not there.
        """
        ...
