"""Assets as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console, RenderableType

from stack import tables

ASSET: dict[str, Any] = {
    "id": "ast_1", "title": "A [bold] clip", "status": "processing", "playable": True, "progress": 0.424, "eta_s": 75.0, "error": None,
    "source": {"width": 1920, "height": 1080, "duration_s": 3723.4, "video_codec": "h264", "size_bytes": 4_139_823},
    "renditions": [
        {"name": "1080p", "status": "encoding", "progress": 0.4, "width": 1920, "height": 1080, "bitrate_bps": 4_210_000, "codec": "avc1"},
    ],
    "created_at": "2026-11-22T10:11:12Z",
}  # fmt: skip


def printed(what: RenderableType) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


@pytest.mark.parametrize(("seconds", "text"), [(None, ""), (0, "0:00"), (59.6, "1:00"), (3723.4, "1:02:03")])
def test_durations(seconds: float | None, text: str) -> None:
    assert tables.duration(seconds) == text


def test_a_list() -> None:
    text = printed(tables.assets([ASSET, {"id": "ast_2", "title": None, "status": "errored", "source": None}]))
    for words in ("ast_1", "A [bold] clip", "processing 42%, playable", "1:02:03", "1920×1080", "2026-11-22 10:11", "ast_2", "errored"):
        assert words in text


def test_one_asset() -> None:
    text = printed(tables.asset(ASSET, "http://h/watch/p"))
    for words in ("http://h/watch/p", "about 1:15", "4.1 MB", "1080p", "encoding", "40%", "4210"):
        assert words in text


def test_a_refused_asset_says_why() -> None:
    asset = {**ASSET, "status": "errored", "error": {"code": "truncated", "detail": "The file ends too early."}, "renditions": []}
    assert "The file ends too early. (truncated)" in printed(tables.asset(asset, None))
