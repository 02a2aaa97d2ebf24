"""`headwater validate`: any HLS presentation, ours or not, judged by the rules of RFC 8216bis and of Apple (`hls_validation`)."""

from __future__ import annotations

from typing import Annotated

import typer

from stack.cli_output import complain, print_json, say
from stack.cli_target import Json
from stack.exits import Exit


def validate(
    place: Annotated[str, typer.Argument(metavar="URL|FILE", help="A multivariant or media playlist.")],
    as_json: Json = False,
    segments: Annotated[str, typer.Option("--segments", help="How many of each playlist are read: all, first or a number.")] = "all",
    strict: Annotated[bool, typer.Option("--strict", help="A SHOULD that does not hold counts as well.")] = False,
) -> None:
    """Judge an HLS presentation: playlists, segments, bit rates. Exit code 1 when a MUST does not hold."""
    from hls_validation import NotFetched, report, run
    from hls_validation.__main__ import wanted_segments

    try:
        count = wanted_segments(segments)
    except ValueError:
        complain(f"--segments is all, first or a number, not {segments}.")
        raise typer.Exit(Exit.USAGE) from None
    try:
        found = run.validate(place, segments=count)
    except NotFetched as error:
        complain(f"{error}.")
        raise typer.Exit(Exit.UNREACHABLE) from error
    if as_json:
        print_json(report.as_value(found))
    else:
        say(report.as_text(found))
    raise typer.Exit(Exit(report.exit_code(found, strict=strict)))


def add_to(app: typer.Typer) -> None:
    app.command()(validate)
