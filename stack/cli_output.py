"""How the commands speak: results on standard output, sentences and progress on standard error, colour only on terminals."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console

from kit.errors import HeadwaterError, NotFound, Unauthorized, Unavailable
from kit.settings import BadSetting
from stack.data_dir import CannotStart
from stack.exits import Exit

_PLAIN_WIDTH = 200  # columns of a table in a pipe or a file, where nothing is to be folded


def output() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def errors() -> Console:
    return Console(stderr=True)


def say(sentence: str) -> None:
    """A result, as it is: not folded, not coloured."""
    output().print(sentence, soft_wrap=True, highlight=False, markup=False)


def complain(sentence: str, style: str = "red") -> None:
    """What is wrong, or worth knowing beside the result."""
    errors().print(sentence, style=style, soft_wrap=True, highlight=False, markup=False)


def exit_for(error: HeadwaterError) -> Exit:
    """The exit code of an expected failure."""
    if isinstance(error, BadSetting):
        return Exit.USAGE
    if isinstance(error, CannotStart) or error.code in {"tool_missing", "unwritable"}:
        return Exit.CANNOT_START
    if isinstance(error, Unavailable):
        return Exit.UNREACHABLE
    if isinstance(error, NotFound | Unauthorized) or 400 <= error.status < 500:
        return Exit.REFUSED
    return Exit.FAILED


def print_json(value: Any) -> None:
    """One JSON value on standard output and nothing else."""
    Console(soft_wrap=True, force_terminal=False, highlight=False, markup=False, color_system=None).print(json.dumps(value, indent=2))
