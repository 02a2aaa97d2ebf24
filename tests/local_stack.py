"""A whole Headwater for end-to-end tests: the `headwater up` command itself, on a folder and a port of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from kit.clock import SystemClock
from stack import servers

TOP = Path(__file__).parent.parent
START_LIMIT_S, STOP_LIMIT_S = 120.0, 60.0
_PLAIN = {"HEADWATER_INCOMING_POLL_S": "0.5", "HEADWATER_CHUNK_S": "6", "HEADWATER_IMPORT_PRIVATE_ADDRESSES": "yes"}


def command(*words: str, environment: Mapping[str, str] | None = None, limit_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run one `headwater` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "stack.cli", *words], cwd=TOP, env=plain_environment() | dict(environment or {}), capture_output=True,
        text=True, timeout=limit_s, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def plain_environment() -> dict[str, str]:
    """Ours without any setting of a Headwater that the developer uses."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HEADWATER_")}


class LocalStack:
    """One `headwater up`. `start` may be called again after it ended."""

    def __init__(self, data: Path, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.data, self.port = data, port or servers.free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {**_PLAIN, **(settings or {})}
        self._clock = SystemClock()
        self._process: subprocess.Popen[bytes] | None = None
        self.console = data.with_name(data.name + ".console")

    @property
    def api_key(self) -> str:
        return (self.data / "api-key").read_text().strip()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def said(self) -> str:
        return self.console.read_text()

    def _argv(self) -> Sequence[str]:
        return (sys.executable, "-m", "stack.cli", "up", "--data-dir", str(self.data), "--port", str(self.port))

    def launch(self) -> None:
        """Begin to start."""
        with self.console.open("wb") as console:
            self._process = subprocess.Popen(
                self._argv(), cwd=TOP, env=plain_environment() | self._settings, stdin=subprocess.DEVNULL, stdout=console,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        """Until it is ready. Fails with what it said when it is not."""
        self.launch()
        end_s = self._clock.monotonic_s() + START_LIMIT_S
        while "Ready after" not in self.said():
            if self.process.poll() is not None or self._clock.monotonic_s() > end_s:
                self.kill()
                raise AssertionError(f"headwater up did not become ready:\n{self.said()}\n{self.last_logs()}")
            self._clock.sleep(0.05)

    def stop(self, ask: signal.Signals = signal.SIGINT) -> int:
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(ask)
        return self.process.wait(STOP_LIMIT_S)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_LIMIT_S)

    def last_logs(self) -> str:
        """The end of every log, for the message of a test that fails."""
        logs = sorted((self.data / "logs").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)

    def command(self, *words: str, limit_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """A `headwater` command that talks to this one."""
        state = {"XDG_STATE_HOME": str(self.data.with_name(self.data.name + ".state"))}
        return command(*words, environment={"HEADWATER_DATA_DIR": str(self.data), **state}, limit_s=limit_s)


@contextmanager
def local_stack(data: Path, settings: Mapping[str, str] | None = None) -> Iterator[LocalStack]:
    running = LocalStack(data, settings=settings)
    running.start()
    try:
        yield running
    finally:
        running.stop()
