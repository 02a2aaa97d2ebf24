"""A part of the stack as a value, and the process that it becomes.

`Part` says what to start, how to see that it is ready, and how to stop it; `Child` is one that runs. Every child leads a
process group of its own, so that Ctrl-C at the terminal reaches only us and stopping reaches all of its descendants, and is
told by the kernel when we are gone (`stack.launch`).

It does not decide what to do about a part that ends: `stack.supervise` does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kit.clock import SystemClock
from kit.errors import HeadwaterError
from kit.settings import environment as own_environment

_CLOCK = SystemClock()
_LAUNCH = Path(__file__).with_name("launch.py")


class PartFailed(HeadwaterError):
    """A part did not start, or ended. `detail` is one sentence with the remedy or the log to read."""

    code = "part_failed"


class Interrupted(HeadwaterError):
    """Somebody asked to stop while a part was starting."""

    code = "interrupted"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a program runs as that refuses to be root. `stack.launch` says what the two ways around closed folders are."""

    user: int
    group: int
    passage: bool = False  # its data lie below a folder that this user cannot enter
    namespace: bool = False  # the program does: it stays root, under another name

    def options(self) -> list[str]:
        """For `stack.launch`."""
        if self.namespace:
            return ["--namespace"]
        return ["--user", str(self.user), "--group", str(self.group), *(["--passage"] if self.passage else [])]


@dataclass(frozen=True, slots=True)
class Part:
    """One program of the stack."""

    name: str
    argv: tuple[str, ...]
    log: Path
    ready: Callable[[], bool]  # cheap, never raises, asked every 20 ms
    env: Mapping[str, str] = field(default_factory=dict)  # added to PATH, HOME, LANG and the temporary folder; nothing else is inherited
    cwd: Path | None = None
    owner: Owner | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGTERM  # what the kernel sends it when we are gone
    start_limit_s: float = 30.0
    stop_limit_s: float = 10.0
    umask: int = 0o077


_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """What a part sees: a few plain variables of ours, and `extra`. Nobody's HEADWATER_ setting leaks in unasked."""
    ours = own_environment()
    return {name: ours[name] for name in _INHERITED if name in ours} | dict(extra)


def _launcher(part: Part) -> list[str]:
    shim = [sys.executable, "-I", "-S", str(_LAUNCH), "--parent", str(os.getpid()), "--death-signal", str(int(part.orphan_signal))]
    if part.owner is not None:
        shim += part.owner.options()
    return [*shim, "--", *part.argv]


def _last_words(log: Path, offset: int) -> str:
    """The last line that a part wrote since `offset`, cut to a readable length."""
    with contextlib.suppress(OSError), log.open("rb") as written:
        written.seek(offset)
        lines = [line.strip() for line in written.read()[-4096:].decode(errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1][-300:]
    return ""


class Child:
    """A running part. Use from the thread that started it: the kernel watches that thread, not the process."""

    def __init__(self, part: Part, marks: Mapping[str, str] | None = None) -> None:
        self.part = part
        self._started_s = _CLOCK.monotonic_s()
        part.log.parent.mkdir(parents=True, exist_ok=True)
        self._log_start = part.log.stat().st_size if part.log.exists() else 0
        with part.log.open("ab") as log:
            self._process = subprocess.Popen(
                _launcher(part), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=environment({**part.env, **(marks or {})}), cwd=part.cwd, process_group=0, umask=part.umask,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        return _last_words(self.part.log, self._log_start)

    def wait_ready(self, give_up: Callable[[], bool] = lambda: False) -> float:
        """Seconds since its start. Raises PartFailed when the part ends before, or takes longer than its limit, and Interrupted."""
        while not self.part.ready():
            waited_s = _CLOCK.monotonic_s() - self._started_s
            if give_up():
                raise Interrupted(f"Stopped while {self.part.name} was starting.")
            if self.exit_code is not None:
                raise PartFailed(
                    f"{self.part.name} ended while starting: {self.last_words() or 'it said nothing'}. Its log is {self.part.log}."
                )
            if waited_s > self.part.start_limit_s:
                self.stop()
                raise PartFailed(f"{self.part.name} was not ready after {waited_s:.0f} s. Its log is {self.part.log}.")
            _CLOCK.sleep(0.02)
        return _CLOCK.monotonic_s() - self._started_s

    def wait_exit(self, limit_s: float) -> None:
        """Until it has ended by itself, or the limit is reached."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(limit_s)

    def ask_to_stop(self) -> None:
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.part.stop_signal)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Ask, wait (not when in a hurry), and kill the whole group in the end, also when the leader is gone and left someone behind."""
        self.ask_to_stop()
        end_s = _CLOCK.monotonic_s() + self.part.stop_limit_s
        while self.exit_code is None and _CLOCK.monotonic_s() < end_s and not hurry():
            self.wait_exit(0.05)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
