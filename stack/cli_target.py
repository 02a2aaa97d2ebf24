"""Which Headwater a command works on, and the options that say so and that every command shares.

`open_api` is for commands that go through the API, as any client could; `local_world` for those that need database and store themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kit import settings
from stack.data_dir import CannotStart, local_data_dir

if TYPE_CHECKING:
    from kit.world import World

Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output and nothing else.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", envvar="HEADWATER_DATA_DIR", help="Folder of the local Headwater.")]


def open_api(data_dir: Path | None) -> Any:
    """A `stack.client.Api` of the server that the environment names, else of the one that runs on the local data folder."""
    from stack.client import Api, find_server

    environment = settings.environment()
    return Api(find_server(environment, data_dir or local_data_dir(environment)))


@contextmanager
def local_world(data_dir: Path | None) -> Iterator[World]:
    """The deployment of the environment, else the running local Headwater. Raises CannotStart when there is neither."""
    from kit.world import open_world
    from stack.blueprint import DEFAULT_PORT
    from stack.doctor import settings_of, subject_of

    environment = settings.environment()
    found = settings_of(subject_of(environment, data_dir or local_data_dir(environment), DEFAULT_PORT))
    if found is None:
        raise CannotStart("No Headwater runs here: start it with `headwater up`, or name its folder with --data-dir.")
    opened = open_world(found)
    try:
        yield opened
    finally:
        opened.db.dispose()
