"""`headwater tracks`: the subtitles, captions and chapters of a video, listed, added, replaced and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from stack.cli_output import complain, output, print_json, say
from stack.cli_target import DataDir, Json, open_api

tracks = typer.Typer(help="The subtitles, captions and chapters of a video.", no_args_is_help=True)
_Asset = Annotated[str, typer.Argument(metavar="ASSET_ID", help="The video.")]
_Track = Annotated[str, typer.Argument(metavar="TRACK_ID", help="One of its tracks.")]
_File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="SRT, WebVTT, ASS, SSA or TTML.")]


@tracks.command("list")
def list_tracks(asset_id: _Asset, as_json: Json = False, data_dir: DataDir = None) -> None:
    """The tracks of a video."""
    with open_api(data_dir) as api:
        found = api.call("GET", f"/v1/assets/{asset_id}/tracks").json()["data"]
    if as_json:
        print_json(found)
    elif found:
        output().print(_table(found))
    else:
        say("This video has no text yet: `headwater tracks add` adds some.")


@tracks.command()
def add(
    *,
    asset_id: _Asset,
    file: _File,
    language: Annotated[str, typer.Option("--language", "-l", help="A language tag, such as fr or pt-BR.")],
    kind: Annotated[str, typer.Option("--kind", help="subtitles, captions (also what is heard) or chapters.")] = "subtitles",
    name: Annotated[str, typer.Option("--name", help="Shown to viewers; without one, the language's.")] = "",
    default: Annotated[bool, typer.Option("--default", help="Shown without being asked for.")] = False,
    forced: Annotated[bool, typer.Option("--forced", help="Only what must be understood, such as signs.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Add a file to a video. Bad cues are left out and named."""
    query = {"language": language, "kind": kind, "name": name, "default": default, "forced": forced}
    with open_api(data_dir) as api:
        made = api.call("POST", f"/v1/assets/{asset_id}/tracks", params=query, content=file.read_bytes()).json()
    _say(made, file.name, as_json=as_json)


@tracks.command()
def replace(asset_id: _Asset, track_id: _Track, file: _File, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Give a track the text of another file."""
    with open_api(data_dir) as api:
        made = api.call("PUT", f"/v1/assets/{asset_id}/tracks/{track_id}", content=file.read_bytes()).json()
    _say(made, file.name, as_json=as_json)


@tracks.command()
def delete(asset_id: _Asset, track_id: _Track, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Delete a track."""
    with open_api(data_dir) as api:
        api.call("DELETE", f"/v1/assets/{asset_id}/tracks/{track_id}")
    if as_json:
        print_json({"id": track_id, "outcome": "deleted"})
    else:
        say(f"{track_id}  deleted")


def _say(made: Mapping[str, Any], file: str, *, as_json: bool) -> None:
    for problem in made["problems"]:
        where = f"{file}:{problem['line']}" if problem["line"] else file
        complain(f"{where}: {problem['detail']}", "yellow")
    if as_json:
        print_json(made)
    else:
        say(f"{made['id']}  {made['name']} ({made['language']}), {made['cue_count']} cues, {made['status']}")


def _table(rows: Iterable[Mapping[str, Any]]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("id", "kind", "language", "name", "status", "cues", ""):
        table.add_column(heading, header_style="dim", justify="right" if heading == "cues" else "left", no_wrap=heading == "id")
    for row in rows:
        flags = ", ".join(flag for flag in ("default", "forced") if row[flag])
        note = "; ".join(part for part in (flags, escape(row["detail"] or "")) if part)
        table.add_row(row["id"], row["kind"], row["language"], escape(row["name"]), row["status"], str(row["cue_count"]), note)
    return table


def add_to(app: typer.Typer) -> None:
    app.add_typer(tracks, name="tracks")
