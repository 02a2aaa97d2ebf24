"""The commands about videos that are there: `status`, `list`, `delete`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kit.errors import HeadwaterError
from kit.settings import BadSetting
from stack.cli_output import exit_for, output, print_json, say
from stack.cli_target import DataDir, Json, open_api
from stack.exits import Exit

_UNFINISHED = ("waiting", "uploading", "processing")


def status(
    asset_id: Annotated[str, typer.Argument(help="An asset; without one, the server and everything unfinished.")] = "",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """How a video, or the whole server, is doing."""
    from stack import tables

    with open_api(data_dir) as api:
        if asset_id:
            asset = api.asset(asset_id)
            watch = api.watch_url(asset)
            if as_json:
                print_json({**asset, "watch_url": watch})
            else:
                output().print(tables.asset(asset, watch))
            return
        api.call("GET", "/readyz")
        unfinished = [asset for name in _UNFINISHED for asset in api.assets(0, status=name)]
        if as_json:
            print_json({"url": api.server.url, "ready": True, "unfinished": unfinished})
        else:
            say(f"{api.server.url} is ready.")
            output().print(tables.assets(unfinished) if unfinished else "Nothing is being processed.")


def list_assets(
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many at most; 0 means all.")] = 25,
    state: Annotated[str, typer.Option("--status", help="Only those of this status.")] = "",
    text: Annotated[str, typer.Option("--search", help="Only those whose title or description contains this.")] = "",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """The videos, the newest first."""
    from stack import tables

    filters = {name: value for name, value in (("status", state), ("q", text)) if value}
    with open_api(data_dir) as api:
        found = list(api.assets(limit, **filters))
    if as_json:
        print_json(found)
    elif found:
        output().print(tables.assets(found))
    else:
        say("There is no video yet: `headwater upload FILE` sends one." if not filters else "No video fits.")


def delete(
    asset_ids: Annotated[list[str], typer.Argument(metavar="ASSET_ID...", help="Assets to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Delete videos, with everything that was made from them."""
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise BadSetting("Nobody can be asked here whether to delete: say --yes.")
        typer.confirm(f"Delete {len(asset_ids)} video{'s' if len(asset_ids) > 1 else ''} for good?", abort=True)
    outcome: dict[str, str] = {}
    worst = Exit.OK
    with open_api(data_dir) as api:
        for asset_id in asset_ids:
            try:
                api.call("DELETE", f"/v1/assets/{asset_id}")
                outcome[asset_id] = "deleted"
            except HeadwaterError as error:
                outcome[asset_id], worst = error.detail, exit_for(error)
    if as_json:
        print_json([{"id": asset_id, "outcome": said} for asset_id, said in outcome.items()])
    else:
        for asset_id, said in outcome.items():
            say(f"{asset_id}  {said}")
    if worst:
        raise typer.Exit(worst)


def add_to(app: typer.Typer) -> None:
    app.command()(status)
    app.command("list")(list_assets)
    app.command()(delete)
