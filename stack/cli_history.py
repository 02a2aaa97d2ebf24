"""`headwater import-history`: viewing history from elsewhere, into the lake and into what viewers are shown."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stack.cli_output import errors, print_json, say
from stack.cli_target import DataDir, Json, local_world

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV or TSV, also .gz, or Parquet.")]


def import_history(file: File, *, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Take in viewing history from elsewhere: a row for each viewing, with a viewer and a title (asset id or external_id)."""
    from recommend import importing

    with local_world(data_dir) as world, errors().status("Reading the history"):
        done = importing.import_history(world, file)
    if as_json:
        print_json(asdict(done))
        return
    say(f"{done.rows:,} viewings of {done.titles:,} titles by {done.viewers:,} viewers on {done.days:,} days are in the lake.")
    if done.dropped:
        say(f"{done.dropped:,} rows were left out: no viewer, no title, no readable time, or there twice.")
    if done.unknown_titles:
        say(f"{done.unknown_titles:,} titles are not in the catalogue: neither asset ids nor external_ids.")


def add_to(app: typer.Typer) -> None:
    app.command("import-history", rich_help_panel="Recommender")(import_history)
