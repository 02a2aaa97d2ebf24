"""What `headwater up` says: one line for each part as it becomes ready, then where to go. Calm afterwards.

On a terminal with colour and ticks, elsewhere plain text, one line per event, as service managers want it. NO_COLOR is honoured.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from stack.child import Part

TITLES = {
    "postgres": "PostgreSQL",
    "valkey": "Valkey",
    "seaweedfs": "SeaweedFS, the object store",
    "api": "API",
    "worker": "worker",
    "sweeper": "sweeper",
    "edge": "edge",
}
_WIDTH = 30


class UpConsole:
    """A `stack.supervise.Teller`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tick = "[green]✓[/]" if console.is_terminal else "ok"

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)

    def begins(self, version: str, data: Path) -> None:
        self._line(f"[bold]Headwater {version}[/], data in {escape(str(data))}")

    def _row(self, title: str, seconds: float) -> None:
        self._line(f"  {self._tick} {title:<{_WIDTH}}{seconds:6.1f} s")

    def ready(self, part: Part, seconds: float) -> None:
        self._row(TITLES.get(part.name, part.name), seconds)

    def migrated(self, seconds: float) -> None:
        self._row("database tables", seconds)

    def note(self, sentence: str) -> None:
        self._line(escape(sentence))

    def given(self, title: str) -> None:
        self._line(f"  {self._tick} {title:<{_WIDTH}}  yours")

    def address(self, url: str, key_file: Path, logs: Path, seconds: float) -> None:
        self._line(f"\n  Open       [bold]{url}[/]")
        self._line(f"  API key    in {escape(str(key_file))}")
        self._line(f"  Logs       in {escape(str(logs))}")
        self._line(f"\nReady after {seconds:.1f} s. Ctrl-C stops it.")

    def restarted(self, part: Part, sentence: str) -> None:  # noqa: ARG002 - the sentence names the part
        self._line(f"[yellow]{escape(sentence)}[/]")

    def stopping(self) -> None:
        self._line("Stopping.")

    def stopped(self, seconds: float) -> None:
        self._line(f"Stopped after {seconds:.1f} s.")
