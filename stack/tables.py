"""Assets as tables for people. Pure: from the API's JSON to something rich can print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_STYLE = {"ready": "green", "errored": "red", "processing": "yellow", "uploading": "yellow"}


def duration(seconds: float | None) -> str:
    """`1:02:03`, `2:03`; empty when unknown."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def state(asset: Mapping[str, Any]) -> Text:
    """The status, and how far it is while it is not finished."""
    name = str(asset["status"])
    part = f" {float(asset.get('progress') or 0):.0%}" if name == "processing" else ""
    also = ", playable" if name == "processing" and asset.get("playable") else ""
    return Text(f"{name}{part}{also}", style=_STYLE.get(name, ""))


def assets(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("id", "title", "status", "length", "size", "created"):
        table.add_column(heading, header_style="dim", no_wrap=heading != "title")
    for row in rows:
        source = row.get("source") or {}
        size = f"{source['width']}×{source['height']}" if source.get("width") else ""
        created = str(row.get("created_at", ""))[:16].replace("T", " ")
        table.add_row(row["id"], escape(str(row.get("title") or "")), state(row), duration(source.get("duration_s")), size, created)
    return table


def asset(row: Mapping[str, Any], watch: str | None) -> RenderableType:
    facts = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column()
    source = row.get("source") or {}
    facts.add_row("id", row["id"])
    facts.add_row("title", escape(str(row.get("title") or "")))
    facts.add_row("status", state(row))
    if row.get("error"):
        facts.add_row("reason", escape(f"{row['error']['detail']} ({row['error']['code']})"))
    if row.get("eta_s") is not None:
        facts.add_row("done in", f"about {duration(row['eta_s'])}")
    if source:
        what = f"{source.get('width')}×{source.get('height')}, {duration(source.get('duration_s'))}, {source.get('video_codec')}"
        facts.add_row("source", f"{what}, {int(source.get('size_bytes') or 0) / 1e6:.1f} MB")
    if watch:
        facts.add_row("watch", watch)
    return Group(facts, Text(), renditions(row["renditions"])) if row.get("renditions") else facts


def renditions(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("rendition", "status", "done", "size", "kbit/s", "codec"):
        table.add_column(heading, header_style="dim", justify="right" if heading in ("done", "kbit/s") else "left")
    for row in rows:
        size = f"{row['width']}×{row['height']}" if row.get("width") else ""
        rate = f"{int(row['bitrate_bps']) / 1000:.0f}" if row.get("bitrate_bps") else ""
        table.add_row(row["name"], row["status"], f"{float(row.get('progress') or 0):.0%}", size, rate, row.get("codec") or "")
    return table
