"""The only place that starts processes.

A `Command` is a value that can be printed, compared and pasted into a shell. A `Runner` runs it: in a process group of its
own, with a wall-clock limit and an optional stall limit, handing over progress lines while it runs, and reporting the CPU
seconds and peak memory of the run. Whatever ends the run (limit, cancellation, error here, the program's own exit), the whole
group is killed; and when this process is killed, the kernel kills the program (`kit.launch`). Linux only.

It gives a program nothing: no input, no environment but PATH and what the command names, no descriptor but the three standard ones.
A command with a `Confinement` (`kit.sandbox`), which every command about a stranger's file has, runs within it or not at all. Each
limit that ends a run has a code of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from kit import sandbox
from kit.clock import Clock, SystemClock
from kit.errors import StepFailed, Unavailable
from kit.launch import NOT_STARTED, REFUSED
from kit.sandbox import Confinement, Level


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, with the limits it runs under."""

    argv: tuple[str, ...]
    timeout_s: float
    stall_s: float | None = None  # killed when stdout shows no sign of life for this long
    life: tuple[str, ...] = ()  # how lines begin that are a sign of life when they say something new; by default every line is
    confine: Confinement | None = None  # what it may touch; None for programs that see nothing of a stranger's
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
    peak_rss_bytes: int  # of the largest single process; of runs shorter than a second and smaller than we are, only a lower bound


class ProcessTimeout(StepFailed):
    code = "wall_limit"


class ProcessStalled(StepFailed):
    code = "stall"


class ProcessCancelled(StepFailed):
    code = "cancelled"


class ProcessFlooded(StepFailed):
    code = "output_limit"


class ProcessOutOfCpu(StepFailed):
    code = "cpu_limit"


class ProcessOutOfMemory(StepFailed):
    code = "out_of_memory"


class SandboxTooWeak(Unavailable):
    """This machine may not open a stranger's file; another one may."""

    code = "sandbox_too_weak"


class Runner(Protocol):
    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None, cancel: threading.Event | None = None) -> Completed:
        """Run to the end. A non-zero exit is a result, not an error. Raises ProcessTimeout, ProcessStalled,
        ProcessCancelled (within a second of `cancel` being set), and StepFailed("tool_missing") when the program is not there.
        Of a confined program also ProcessOutOfCpu and ProcessOutOfMemory, when that is why it failed, ProcessFlooded when it wrote too
        large a file, SandboxTooWeak when the machine may not run it, and StepFailed("sandbox_failed").

        `on_line` gets every line of stdout, ended by newline or carriage return; lines beyond 64 KiB come in pieces. Without it
        stdout is collected, and more than the runner's limit raises ProcessFlooded.
        """
        ...


_LAUNCH = "import sys; sys.path.append(sys.argv.pop(1)); import launch; launch.main()"  # at the end: it hides no library
_OUR_FOLDER = str(Path(__file__).parent)
_NOT_CONFINED = re.compile(rb"\S.* cannot be (confined|started): ")  # the words of kit.launch
_NO_MEMORY = re.compile(rb"Cannot allocate memory|std::bad_alloc|MemoryError|Out of memory")  # strerror(ENOMEM), and of C++ and Python
_STDERR_BYTES = 64 << 10
_LINE_BYTES = 64 << 10
_MISCOUNTED_BYTES = 4 << 20  # Linux sums up pages of threads and processors in batches: two looks at one process differ
_TICK_S = 0.1  # how often limits and cancellation are looked at


class SubprocessRunner:
    """`Runner` with real processes. Holds no state, so threads may share it."""

    def __init__(self, clock: Clock | None = None, *, stdout_limit_bytes: int = 256 << 20, least_sandbox: Level = "none") -> None:
        self._clock = clock or SystemClock()
        self._stdout_limit_bytes = stdout_limit_bytes
        self._least_sandbox = least_sandbox

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None, cancel: threading.Event | None = None) -> Completed:
        started_s = self._clock.monotonic_s()
        if command.confine and (said := sandbox.refusal(sandbox.measure().level, self._least_sandbox)):
            raise SandboxTooWeak(said)
        with _started(command) as process:
            watch = _Watch(command, process, self._clock, cancel)
            assert process.stdout is not None and process.stderr is not None
            out = _Lines(on_line, watch.alive, command.life) if on_line else _Whole(self._stdout_limit_bytes, command.argv[0], watch.alive)
            errors = _Tail(_STDERR_BYTES)
            _pump({process.stdout: out, process.stderr: errors}, watch)
            out.finish()
            _kill_group(process.pid)  # before the program is reaped, while the number of its group cannot be given to another
            exit_code, usage = _reaped(process)
        ours, theirs = _high_water_bytes(os.getpid()), usage.ru_maxrss * 1024
        # The kernel also counts the memory this process had when it forked, so a small figure says nothing about the program:
        # then what was seen of it while it ran is nearer to the truth.
        peak = theirs if theirs > ours + _MISCOUNTED_BYTES else watch.peak_bytes
        cpu_s = usage.ru_utime + usage.ru_stime
        completed = Completed(exit_code, out.collected(), errors.collected(), self._clock.monotonic_s() - started_s, cpu_s, peak)
        _raise_limit(command, completed)
        return completed


@contextlib.contextmanager
def _started(command: Command) -> Iterator[subprocess.Popen[bytes]]:
    """The running program; killed with its whole group and reaped when the block is left, however it is left."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), **command.env}
    program = shutil.which(command.argv[0], path=environment["PATH"])
    if program is None:
        raise StepFailed(f"The program {command.argv[0]} is not there or cannot be started.", code="tool_missing")
    absolute = Path(program).absolute()
    words = sandbox.words(command.confine, absolute, sandbox.measure()) if command.confine else []
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _LAUNCH, _OUR_FOLDER, str(os.getpid()), *words, "--", str(absolute), *command.argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=command.cwd,
        env=environment,
        process_group=0,  # not a session: Linux weighs whole sessions against each other, and `nice` would count within one only
        bufsize=0,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
            _reaped(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _raise_limit(command: Command, completed: Completed) -> None:
    """Raises when a limit of its confinement is why the program failed."""
    limits, name = command.confine, Path(command.argv[0]).name
    if limits is None or completed.exit_code == 0:
        return
    if completed.exit_code in (REFUSED, NOT_STARTED) and _NOT_CONFINED.match(completed.stderr):
        raise StepFailed(completed.stderr.decode(errors="replace").strip(), code="sandbox_failed")
    if completed.exit_code == -signal.SIGXCPU or completed.cpu_s > limits.cpu_s - 0.05:
        raise ProcessOutOfCpu(f"{name} was stopped after {limits.cpu_s} s of CPU time, the most it may take.")
    if completed.exit_code == -signal.SIGXFSZ or b"File too large" in completed.stderr:
        raise ProcessFlooded(f"{name} was stopped because it wrote a file of more than {limits.file_bytes} bytes.")
    if _NO_MEMORY.search(completed.stderr):
        raise ProcessOutOfMemory(f"{name} needed more than {limits.memory_bytes >> 20} MiB of memory, the most it may take.")


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _reaped(process: subprocess.Popen[bytes]) -> tuple[int, resource.struct_rusage]:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage


def _has_exited(pid: int) -> bool:
    """Without reaping it: its process group keeps its number until then."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _high_water_bytes(pid: int) -> int:
    """Peak resident memory of a living process, 0 when it cannot be known (any more)."""
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0
    return 0


class _Watch:
    """The limits of one run: `check` raises when one is passed, `alive` is called at every sign of life."""

    def __init__(self, command: Command, process: subprocess.Popen[bytes], clock: Clock, cancel: threading.Event | None) -> None:
        self._command, self._clock, self._cancel = command, clock, cancel
        self.pid = process.pid
        self._started_s = self._alive_s = clock.monotonic_s()
        self._checked_s = 0.0
        self.peak_bytes = 0

    def alive(self) -> None:
        self._alive_s = self._clock.monotonic_s()

    def check(self) -> None:
        """Cheap enough for every piece of output: it looks once a tick."""
        now_s, program = self._clock.monotonic_s(), Path(self._command.argv[0]).name
        if now_s - self._checked_s < _TICK_S / 2:
            return
        self._checked_s = now_s
        if self._cancel is not None and self._cancel.is_set():
            raise ProcessCancelled(f"{program} was stopped because its work is no longer wanted.")
        if now_s - self._started_s > self._command.timeout_s:
            raise ProcessTimeout(f"{program} was stopped after {self._command.timeout_s:g} s, the most it may take.")
        if self._command.stall_s is not None and now_s - self._alive_s > self._command.stall_s:
            raise ProcessStalled(f"{program} was stopped because it made no progress for {self._command.stall_s:g} s.")
        self.peak_bytes = max(self.peak_bytes, _high_water_bytes(self.pid))


class _Sink(Protocol):
    def feed(self, data: bytes) -> None: ...


class _Tail:
    """Keeps the last `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes, self._kept = limit_bytes, bytearray()

    def feed(self, data: bytes) -> None:
        self._kept += data
        del self._kept[: -self._limit_bytes]

    def collected(self) -> bytes:
        return bytes(self._kept)


class _Whole:
    """Keeps everything, up to a limit."""

    def __init__(self, limit_bytes: int, program: str, alive: Callable[[], None]) -> None:
        self._limit_bytes, self._program, self._alive, self._kept = limit_bytes, program, alive, bytearray()

    def feed(self, data: bytes) -> None:
        self._alive()
        self._kept += data
        if len(self._kept) > self._limit_bytes:
            raise ProcessFlooded(f"{Path(self._program).name} was stopped because it wrote more than {self._limit_bytes} bytes.")

    def finish(self) -> None: ...

    def collected(self) -> bytes:
        return bytes(self._kept)


class _Lines:
    """Hands over line by line and keeps nothing."""

    def __init__(self, on_line: Callable[[str], None], alive: Callable[[], None], life: tuple[str, ...]) -> None:
        self._on_line, self._alive, self._rest = on_line, alive, b""
        self._life: dict[str, str] = dict.fromkeys(life, "")

    def feed(self, data: bytes) -> None:
        *lines, self._rest = re.split(rb"[\r\n]+", self._rest + data)
        while len(self._rest) > _LINE_BYTES:
            lines.append(self._rest[:_LINE_BYTES])
            self._rest = self._rest[_LINE_BYTES:]
        self._hand_over(lines)

    def finish(self) -> None:
        self._hand_over([self._rest])

    def collected(self) -> bytes:
        return b""

    def _hand_over(self, lines: list[bytes]) -> None:
        for line in lines:
            if line:
                text = line.decode(errors="replace")
                if self._is_news(text):
                    self._alive()
                self._on_line(text)

    def _is_news(self, text: str) -> bool:
        for beginning, before in self._life.items():
            if text.startswith(beginning):
                self._life[beginning] = text
                return text != before
        return not self._life


def _pump(sinks: Mapping[IO[bytes], _Sink], watch: _Watch) -> None:
    """Feeds the sinks until the program has exited. A grandchild that keeps the pipes open does not hold us up."""
    with selectors.DefaultSelector() as selector, _exit_of(watch.pid) as program:
        for pipe, sink in sinks.items():
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, sink)
        selector.register(program, selectors.EVENT_READ)
        exited = False
        while not exited:
            exited = _has_exited(watch.pid)
            if not exited:
                watch.check()
            # Once it has exited, what it wrote before is in the pipes already: one look without waiting fetches all of it.
            for key, _ in selector.select(0 if exited else _TICK_S):
                if key.fileobj != program:
                    _drain(key, selector, keep_on=exited)


@contextlib.contextmanager
def _exit_of(pid: int) -> Iterator[int]:
    """A descriptor that can be read from once the program has exited (pidfd_open(2), Linux 5.3)."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _drain(key: selectors.SelectorKey, selector: selectors.BaseSelector, *, keep_on: bool) -> None:
    """Reads one piece, or with `keep_on` everything that is there now (of which a flooding grandchild may add no end: 16 MiB)."""
    for _ in range(256 if keep_on else 1):
        try:
            data = os.read(key.fd, 64 << 10)
        except BlockingIOError:
            return
        if not data:
            selector.unregister(key.fileobj)
            return
        key.data.feed(data)
