"""Progress bars of `headwater upload`: first the bytes, then each rendition. On a terminal only; elsewhere they say nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from kit.clock import Clock
from kit.errors import Unavailable
from stack.client import Api

_POLL_S = 0.5
_FINAL = {"ready", "errored", "deleted"}
_PATIENCE = 60  # polls without an answer before it is given up


class _Bars:
    """A rich progress display that exists on terminals only."""

    def __init__(self, console: Console, *columns: Any) -> None:
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()


class BytesProgress(_Bars):
    """Bytes sent, speed, and time left."""

    def __init__(self, console: Console, name: str, size_bytes: int) -> None:
        super().__init__(
            console,
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        self._task = self._bars.add_task(name, total=size_bytes)

    def sent(self, size_bytes: int) -> None:
        self._bars.update(self._task, completed=size_bytes)


class StageProgress(_Bars):
    """One bar, renamed as the work goes from one stage to the next."""

    def __init__(self, console: Console) -> None:
        super().__init__(console, TextColumn("{task.description:<24}", markup=False), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._task = self._bars.add_task("", total=1.0)

    def show(self, what: str, share: float) -> None:
        self._bars.update(self._task, description=what, completed=share)


class AssetProgress(_Bars):
    """One bar for each rendition."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            console, TextColumn("{task.description:<10}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeRemainingColumn()
        )
        self._tasks: dict[str, TaskID] = {}

    def show(self, asset: dict[str, Any]) -> None:
        for rendition in asset.get("renditions", ()):
            name = rendition["name"]
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=1.0)
            self._bars.update(self._tasks[name], completed=float(rendition.get("progress") or 0.0))

    def follow(self, api: Api, asset_id: str, clock: Clock) -> dict[str, Any]:
        """The asset in its final state. A server that is away for a while is waited for; Unavailable when it stays away."""
        silent = 0
        while True:
            try:
                asset, silent = api.asset(asset_id), 0
                self.show(asset)
                if asset["status"] in _FINAL:
                    return asset
            except Unavailable:
                silent += 1
                if silent > _PATIENCE:
                    raise
            clock.sleep(_POLL_S)
