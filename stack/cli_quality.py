"""`headwater quality`: how good the renditions of a video look, measured, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stack.cli_output import complain, errors, output, print_json
from stack.cli_target import DataDir, Json, open_api

_POLL_S = 1.0


def quality(
    asset_id: Annotated[str, typer.Argument(metavar="ASSET_ID", help="A video that is ready.")],
    *,
    full: Annotated[bool, typer.Option("--full", help="Measure every segment, not five that are spread over the video.")] = False,
    png: Annotated[Path | None, typer.Option("--png", help="Draw it over time into this file.", dir_okay=False)] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Measure how good each rendition looks (VMAF), unless that has been done, and show it."""
    if png is not None:
        from stack.quality_plot import require_library

        require_library()
    with open_api(data_dir) as api:
        found = _measured(api, asset_id, "full" if full else "sampled")
    if png is not None:
        from stack.quality_plot import draw

        draw(found, png)
    if as_json:
        print_json(found)
        return
    output().print(_table(found))
    _say(found, png)


def _measured(api: Any, asset_id: str, extent: str) -> dict[str, Any]:
    """The figures, once the last segment has been scored."""
    from kit.clock import SystemClock
    from stack.progress import StageProgress

    clock, path = SystemClock(), f"/v1/assets/{asset_id}/quality"
    found = dict(api.call("POST", path, params={"extent": extent}).json())
    most = max(1, found["pending"])
    with StageProgress(errors()) as shown:
        while found["pending"]:
            shown.show("measuring", 1 - min(most, found["pending"]) / most)
            clock.sleep(_POLL_S)
            found = dict(api.call("GET", path).json())
    return found


def _table(found: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("rendition", "mean", "5 %", "worst", "segments", "floor", ""):
        table.add_column(heading, header_style="dim", justify="left" if heading in ("rendition", "") else "right")
    for item in found["renditions"]:
        vmaf = item["vmaf"]
        floor = "-" if vmaf["floor"] is None else f"{vmaf['floor']:g}"
        note = "[red]below its floor[/red]" if vmaf["below_floor"] else ""
        figures = (f"{vmaf[name]:.1f}" for name in ("mean", "p5", "min"))
        table.add_row(item["name"], *figures, str(vmaf["segments"]), floor, note)
    return table


def _say(found: Mapping[str, Any], png: Path | None) -> None:
    said = [f"{found['model']}, {found['pooling']}.", f"Compared: {found['reference']}."]
    said += [f"{item['name']} is left out: {item['reason']}" for item in found["left_out"]]
    said += [f"{found['failed']} segments could not be scored."] if found["failed"] else []
    said += [f"Drawn into {png}."] if png is not None else []
    for sentence in said:
        complain(sentence, "dim")


def add_to(app: typer.Typer) -> None:
    app.command()(quality)
