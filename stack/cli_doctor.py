"""`headwater doctor` and `headwater doctor storage`: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from kit import settings
from stack.cli_output import output, print_json
from stack.cli_target import DataDir, Json
from stack.exits import Exit

Port = Annotated[str, typer.Option("--port", envvar="HEADWATER_PORT", help="Port that `headwater up` would serve at.")]

doctor_app = typer.Typer(invoke_without_command=True, no_args_is_help=False)


@doctor_app.callback(invoke_without_command=True)
def doctor(ctx: typer.Context, data_dir: DataDir = None, port: Port = "8080", as_json: Json = False) -> None:
    """Check FFmpeg, the disk, the port, the servers and the tables. Every failure comes with its remedy."""
    from stack import doctor as checks
    from stack.blueprint import parse_port
    from stack.data_dir import local_data_dir

    environment = settings.environment()
    subject = checks.subject_of(environment, data_dir or local_data_dir(environment), parse_port(port))
    if ctx.invoked_subcommand is None:
        _report(checks.examine(subject), as_json)
    ctx.obj = subject


@doctor_app.command()
def storage(ctx: typer.Context, as_json: Json = False) -> None:
    """Try everything that Headwater expects of an object store, on the one in use."""
    from stack import doctor as checks
    from stack.doctor_storage import examine

    _report(examine(checks.storage_of(ctx.obj)), as_json)


def _report(findings: Iterable[Any], as_json: bool) -> None:
    from stack.findings import Outcome

    console, seen = output(), []
    for finding in findings:
        seen.append(finding)
        if not as_json:
            mark = {Outcome.OK: "[green]ok[/]  ", Outcome.FAILED: "[red]FAIL[/]", Outcome.NOT_NOW: "[dim]–[/]   "}[finding.outcome]
            console.print(f"{mark} {finding.title:<34} ", end="", highlight=False)
            console.print(finding.said, markup=False, highlight=False, soft_wrap=True)
            if finding.remedy:
                console.print(f"     {finding.remedy}", markup=False, highlight=False, soft_wrap=True, style="bold")
    if as_json:
        print_json([{"check": item.title, "outcome": item.outcome.value, "said": item.said, "remedy": item.remedy} for item in seen])
    if any(item.outcome is Outcome.FAILED for item in seen):
        raise typer.Exit(Exit.FAILED)


def add_to(app: typer.Typer) -> None:
    app.add_typer(doctor_app, name="doctor")
