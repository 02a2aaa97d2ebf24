"""The `headwater` command: what a person or a script types. Each command's work is in another module; here are words and options.

Every expected failure is one sentence on standard error and an exit code of `stack.exits`. Results go to standard output, as a
table for people or as JSON with `--json`; progress goes to standard error and only to a terminal. Nothing ever asks a question where
there is no terminal. Imports of the heavy parts happen inside the commands: `headwater --help` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from kit import settings
from kit.errors import HeadwaterError
from stack import (
    cli_assets,
    cli_doctor,
    cli_download,
    cli_history,
    cli_quality,
    cli_recommend,
    cli_services,
    cli_storage,
    cli_tracks,
    cli_upload,
    cli_validate,
)
from stack.cli_output import complain, exit_for
from stack.data_dir import local_data_dir


class Sentences(TyperGroup):
    """Turns an expected failure into its sentence."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except HeadwaterError as error:
            complain(error.detail)
            raise typer.Exit(exit_for(error)) from error


app = typer.Typer(
    name="headwater", cls=Sentences, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich",
    help="A video platform of your own: upload, transcode, package, deliver.", context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

DataDir = Annotated[Path | None, typer.Option("--data-dir", envvar="HEADWATER_DATA_DIR", help="Folder for everything that is kept.")]
Port = Annotated[str, typer.Option("--port", envvar="HEADWATER_PORT", help="Port on 127.0.0.1 that the pages and the API are served at.")]


def _version(wanted: bool) -> None:
    if wanted:
        from stack.release import our_version

        typer.echo(our_version())
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")] = False,
) -> None:
    """A video platform of your own: upload, transcode, package, deliver."""


@app.command()
def up(data_dir: DataDir = None, port: Port = "8080") -> None:
    """Run a whole Headwater on this machine until Ctrl-C."""
    from stack import up as local
    from stack.blueprint import parse_port
    from stack.cli_output import output

    environment = settings.environment()
    options = local.UpOptions(data_dir or local_data_dir(environment), parse_port(port), environment)
    raise typer.Exit(local.up(options, output()))


cli_upload.add_to(app)
cli_assets.add_to(app)
cli_tracks.add_to(app)
cli_download.add_to(app)
cli_validate.add_to(app)
cli_quality.add_to(app)
cli_doctor.add_to(app)
cli_storage.add_to(app)
cli_recommend.add_to(app)
cli_history.add_to(app)
cli_services.add_to(app)


def main() -> None:
    app(prog_name="headwater")


if __name__ == "__main__":
    main()
