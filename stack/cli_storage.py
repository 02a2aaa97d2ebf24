"""`headwater scrub`, `backup` and `restore`: whether what is stored is still what was stored, and a second place for it.

They work on the Headwater whose settings the environment has, or else on the one that runs on the local data folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kit.settings import BadSetting
from stack.cli_output import complain, errors, output, print_json, say
from stack.cli_target import DataDir, Json, local_world
from stack.exits import Exit

if TYPE_CHECKING:
    from catalog.scrub import Report
    from kit.storage import ObjectInfo
    from kit.world import World


_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}


def parse_percent(text: str) -> float:
    """`5%`, `0.5`. Raises BadSetting."""
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%?", text.strip())
    if found is None or not 0 < float(found[1]) <= 100:
        raise BadSetting(f"--sample is {text!r}, but must be a share such as 5%.")
    return float(found[1])


def parse_rate(text: str) -> float:
    """`20M` is 20,000,000 bytes a second; empty means no limit. Raises BadSetting."""
    if not text:
        return 0.0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)b?(?:/s)?", text.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise BadSetting(f"--rate is {text!r}, but must be a number of bytes a second such as 20M.")
    return float(found[1]) * _UNITS[found[2]]


def scrub(
    asset: Annotated[str, typer.Option("--asset", help="Only the objects of this asset.")] = "",
    sample: Annotated[
        str, typer.Option("--sample", help="Read only this share of the objects, such as 5%; other ones each time.")
    ] = "100%",
    repair: Annotated[
        bool, typer.Option("--repair", help="Have what is damaged made again from its source. Needs a running worker.")
    ] = False,
    rate: Annotated[str, typer.Option("--rate", help="Read no more than this many bytes a second, such as 20M.")] = "",
    orphans: Annotated[
        Literal["list", "delete", "ignore"], typer.Option("--orphans", help="Objects that no row names and that are older than a day.")
    ] = "list",
    *,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on where the last one stopped.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Read every stored object and compare it with what was recorded when it was made. Interrupted, it goes on where it stopped."""
    from catalog import scrub_store
    from catalog.scrub import Options
    from catalog.scrub import scrub as check
    from recommend.recorded import recorded
    from stack.progress import BytesProgress

    options = Options(asset, parse_percent(sample), repair, parse_rate(rate))
    with local_world(data_dir) as world:
        with world.db.connect() as conn:
            total = round(scrub_store.bytes_recorded(conn, asset) * options.percent / 100)
        others = [] if asset else recorded(world.storage)
        with BytesProgress(errors(), "Reading", total) as shown:
            report = check(world, options, others=others, told=lambda so_far: shown.sent(so_far.size_bytes), restart=restart)
        strays = _orphans(world, orphans) if not asset else []
    if as_json:
        print_json(_as_json(report, strays, orphans))
    else:
        _say(report, strays, orphans)
    if report.left:
        raise typer.Exit(Exit.FAILED)


def _orphans(world: World, what: Literal["list", "delete", "ignore"]) -> list[ObjectInfo]:
    """The orphans, or those that were deleted."""
    from catalog import orphans
    from ingest.store import is_unfreed

    if what == "ignore":
        return []
    found = list(orphans.find(world, is_unfreed))
    return found if what == "list" else [item for item in found if orphans.remove(world, item, is_unfreed)]


def _as_json(report: Report, strays: list[ObjectInfo], what: str) -> dict[str, Any]:
    from dataclasses import asdict

    listed = [{"key": item.key, "size_bytes": item.size_bytes, "modified_at": item.modified_at.isoformat()} for item in strays]
    return {**asdict(report), "intact": not report.left, "orphans": listed, "orphans_deleted": what == "delete"}


def _say(report: Report, strays: list[ObjectInfo], what: str) -> None:
    from stack import tables_storage

    say(tables_storage.summary(report))
    if report.damaged:
        output().print(tables_storage.damage(report.damaged))
    if strays:
        verb = "were deleted" if what == "delete" else "can be removed with --orphans delete"
        size = sum(item.size_bytes for item in strays)
        say(f"{len(strays)} objects ({size} bytes) that nothing names {verb}:")
        for item in strays[:20]:
            say(f"  {item.key}")
        if len(strays) > 20:
            say(f"  and {len(strays) - 20} more: --json lists all.")


def backup(
    target: Annotated[str, typer.Argument(help="A folder, or s3://bucket/prefix of the object store in use.")],
    objects: Annotated[bool, typer.Option("--objects", help="Copy the objects too: sources, segments and everything else.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Write the database of this moment and the inventory of the object store to another place. Broken off, it goes on when run again."""
    from dataclasses import asdict

    from catalog import scrub_store
    from kit.archive import open_archive
    from stack.backup import backup as make
    from stack.progress import BytesProgress

    with local_world(data_dir) as world:
        archive = open_archive(target, world.settings)
        with world.db.connect() as conn:
            total = scrub_store.bytes_recorded(conn)
        with BytesProgress(errors(), "Copying" if objects else "Listing", total) as shown:
            made = make(world, archive, with_objects=objects, told=shown.sent)
    if as_json:
        print_json(asdict(made))
    else:
        rows = sum(table.rows for table in made.tables)
        kept = "with them" if objects else "without them: keep the bucket too, or say --objects"
        listed = f"{made.objects} objects ({made.object_bytes} bytes) listed, {kept}."
        say(f"{target}: {rows} rows of {len(made.tables)} tables, {listed}")
    _complain("were missing or damaged and are not in the backup", made.lost)
    if made.lost:
        raise typer.Exit(Exit.FAILED)


def restore(
    target: Annotated[str, typer.Argument(help="Where `headwater backup` wrote it: a folder, or s3://bucket/prefix.")],
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Bring a backup back into a new, empty Headwater, and list what is missing."""
    from dataclasses import asdict

    from kit.archive import open_archive
    from stack.progress import BytesProgress
    from stack.restore import examine
    from stack.restore import restore as bring

    with local_world(data_dir) as world:
        archive = open_archive(target, world.settings)
        with BytesProgress(errors(), "Restoring", examine(archive).object_bytes) as shown:
            done = bring(world, archive, told=shown.sent)
    if as_json:
        print_json({**asdict(done), "whole": not (done.missing or done.damaged)})
    else:
        found = f"{done.objects} of {done.manifest.objects} objects"
        say(f"The Headwater of {done.manifest.taken_at[:19]} is back: {done.rows} rows, and {found}.")
    _complain("that the database names are not in the object store", done.missing)
    _complain("are damaged in the backup", done.damaged)
    if done.missing or done.damaged:
        raise typer.Exit(Exit.FAILED)


def _complain(what: str, names: Sequence[str]) -> None:
    if names:
        shown = "".join(f"\n  {name}" for name in names[:20]) + (f"\n  and {len(names) - 20} more" if len(names) > 20 else "")
        complain(f"{len(names)} objects {what}:{shown}")


def add_to(app: typer.Typer) -> None:
    for command in (scrub, backup, restore):
        app.command(rich_help_panel="Storage")(command)
