"""What `scrub`, `backup` and `restore` print for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from catalog.scrub import Damage, Report


def summary(report: Report) -> str:
    """One or two sentences."""
    before = " With what an earlier run had read." if report.resumed else ""
    unknown = f" {report.by_size_only} of them by their size only: their SHA-256 is not known yet." if report.by_size_only else ""
    repaired = len(report.damaged) - len(report.left)
    damaged = f"{len(report.damaged)} damaged" if report.damaged else "all intact"
    mended = f", {repaired} made again" if repaired else ""
    return f"{report.objects} objects, {report.size_bytes} bytes: {damaged}{mended}.{unknown}{before}"


def damage(found: Sequence[Damage]) -> Table:
    """A row for each damaged object."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("found", "what", "object", "said"):
        table.add_column(heading, header_style="dim", overflow="fold")
    for item in found:
        sizes = f" ({item.found_bytes} of {item.recorded_bytes} bytes)" if item.condition == "resized" else ""
        table.add_row(*(Text(text) for text in (item.condition + sizes, item.what, item.key, item.said)))
    return table
