"""Puts the edge's configuration on disk, so that nginx can be started with it. The only effects of the edge outside nginx."""

from __future__ import annotations

import resource
from pathlib import Path

from origin.edge import EdgeSettings, render_nginx

_OPEN_FILES = 16_384


def open_files_limit() -> int:
    """How many files a worker may be told to open: what this process may raise its own limit to, within reason."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)


def prepare(edge: EdgeSettings, nginx: Path) -> tuple[str, ...]:
    """Make the directory ready and return the command that serves from it in the foreground.

    No other nginx may be running on the directory: the inner socket that a killed one leaves behind is removed.
    """
    for folder in (edge.directory, edge.directory / "temp", edge.directory / "cache"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    edge.inner_socket.unlink(missing_ok=True)
    file = edge.directory / "nginx.conf"
    file.write_text(render_nginx(edge))
    return (str(nginx), "-e", "stderr", "-p", str(edge.directory), "-c", str(file))
