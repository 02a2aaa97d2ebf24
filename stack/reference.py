"""Renders the reference pages that are drawn from the code: docs/settings.md and docs/cli.md. `python -m stack.reference` writes them.

`tests/unit/stack/test_reference.py` fails while a page differs from what is rendered here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import typer

from kit.settings import PREFIX, Settings
from stack import cli
from stack.exits import MEANING

_DOCS = Path(__file__).resolve().parent.parent / "docs"
_NOT_EDITED = "<!-- Written by `python -m stack.reference` from the code. Do not edit: a test compares the two. -->"

_ABOUT_SETTINGS = f"""\
Every process reads its settings from the environment once, when it starts. A wrong value is said in one sentence, and the process
ends with exit code 2.

`headwater up` sets everything that *must be set* by itself. A setting that you give it stays as you gave it; where you give the
address of a server (`{PREFIX}DATABASE_URL`, `{PREFIX}BROKER_URL`, `{PREFIX}S3_ENDPOINT` with its keys), it starts none of that
kind.

What only one command reads (ports, addresses to listen on, folders) is in [the command line's reference](cli.md)."""

_ABOUT_COMMANDS = """\
Results go to standard output, progress and complaints to standard error. `--json` prints one JSON value and nothing else. Progress
bars and colours appear on terminals only; `NO_COLOR` turns colours off. No command asks a question where there is no terminal.

`upload`, `status`, `list`, `delete` and `tracks` talk to the server at `HEADWATER_URL` with the key `HEADWATER_API_KEY`; without these, to
the one that `headwater up` runs on the local data folder (`.headwater` in a source tree, otherwise the user's data folder), with
its key."""


def _kind(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(hint))
    return {bool: "`yes` or `no`", int: "a whole number", float: "a number", Path: "a path", str: "text"}[hint]


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default is dataclasses.MISSING:
        return "*must be set*"
    if isinstance(item.default, bool):
        return "`yes`" if item.default else "`no`"
    return f"`{item.default}`" if str(item.default) else "empty"


def settings_page() -> str:
    """docs/settings.md."""
    hints = get_type_hints(Settings)
    rows = []
    for item in dataclasses.fields(Settings):
        secret = " Secret: never logged or shown." if item.metadata["secret"] else ""
        rows.append(f"| `{PREFIX}{item.name.upper()}` | {_kind(hints[item.name])} | {_default(item)} | {item.metadata['doc']}{secret} |")
    head = ["# Settings", "", _NOT_EDITED, "", _ABOUT_SETTINGS, "", "| variable | value | without it | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        yield from _commands(command, f"{path} {name}") if hasattr(command, "commands") else ()


def _option_rows(command: Any) -> list[str]:
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_argument = parameter.param_type_name == "argument"
        optional = "" if parameter.required or not is_argument else ", may be left out"
        words = f"{parameter.name.upper()}{optional}" if is_argument else ", ".join(parameter.opts)
        default = parameter.default() if callable(parameter.default) else parameter.default
        shown = "" if default in (None, "", False, ()) else f"`{default}`"
        variable = f"`{parameter.envvar}`" if parameter.envvar else ""
        rows.append(f"| `{words}` | {variable} | {shown} | {parameter.help or ''} |")
    return rows


def cli_page() -> str:
    """docs/cli.md."""
    root = typer.main.get_command(cli.app)
    lines = ["# The `headwater` command", "", _NOT_EDITED, "", _ABOUT_COMMANDS, "", "## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {meaning} |" for code, meaning in MEANING.items()]
    for name, command in _commands(root, "headwater"):
        lines += ["", f"## `{name}`", "", command.help or ""]
        if rows := _option_rows(command):
            lines += ["", "| option | environment | without it | meaning |", "|---|---|---|---|", *rows]
    return "\n".join([*lines, ""])


def main() -> None:
    (_DOCS / "settings.md").write_text(settings_page())
    (_DOCS / "cli.md").write_text(cli_page())


if __name__ == "__main__":
    main()
