"""How the steps of this room run FFmpeg."""

from __future__ import annotations

from collections.abc import Callable

from kit import log
from kit.process import Command, Completed
from kit.world import World
from transcode.failures import explain, technical
from transcode.progress import ProgressReader, Report

ENCODED = 0.95  # the share of a step's progress that FFmpeg's own end stands for

_log = log.logger(__name__)


def run(world: World, command: Command, on_report: Callable[[Report], None] | None = None) -> Completed:
    """Run FFmpeg to its end. Raises what `transcode.failures` makes of a bad one, and what `Runner.run` raises."""
    reader = ProgressReader()

    def on_line(line: str) -> None:
        report = reader.line(line)
        if report is not None and on_report is not None:
            on_report(report)

    completed = world.runner.run(command, on_line=on_line)
    if completed.exit_code != 0:
        error = explain(completed)
        _log.warning("FFmpeg failed", code=error.code, said=technical(completed), command=str(command))
        raise error
    return completed
