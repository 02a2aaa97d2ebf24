"""The commands that are Headwater's own processes. `headwater up` runs them; so do the containers of docker-compose.yml.

All of them take their settings from the environment (docs/settings.md) and run until SIGTERM.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kit import settings as kit_settings

Listen = Annotated[str, typer.Option("--listen", envvar="HEADWATER_API_LISTEN", help="host:port or unix:/path.")]
KeyFile = Annotated[Path | None, typer.Option("--key-file", envvar="HEADWATER_KEY_FILE", help="Write a first API key there.")]
EdgeListen = Annotated[
    list[str] | None, typer.Option("--listen", envvar="HEADWATER_EDGE_LISTEN", help="host:port, 0.0.0.0:8080 without it; may be repeated.")
]
EdgeApi = Annotated[str, typer.Option("--api", envvar="HEADWATER_EDGE_API", help="The API: host:port or unix:/path.")]
EdgeDir = Annotated[Path, typer.Option("--directory", envvar="HEADWATER_EDGE_DIR", help="For the cache; may be lost at any time.")]
EdgeCache = Annotated[float, typer.Option("--cache-gib", envvar="HEADWATER_EDGE_CACHE_GIB", min=0.1, help="Size of the cache.")]
Resolver = Annotated[
    str,
    typer.Option(
        "--resolver", envvar="HEADWATER_EDGE_RESOLVER", help="Name server to look names up with as they change; auto: this machine's."
    ),
]
Proxies = Annotated[
    list[str] | None,
    typer.Option("--trusted-proxy", envvar="HEADWATER_EDGE_TRUSTED_PROXIES", help="Network of load balancers in front; may be repeated."),
]


def api(listen: Listen = "127.0.0.1:8000") -> None:
    """Serve the API and the pages."""
    from stack.services import run_api

    run_api(kit_settings.load(), listen)


def worker() -> None:
    """Do background work: probe, encode, package."""
    from worker.main import run_worker

    run_worker(kit_settings.load())


def sweeper() -> None:
    """Send messages, take back the work of dead workers, expire uploads, watch incoming/."""
    from worker.main import run_sweeper

    run_sweeper(kit_settings.load())


def migrate(key_file: KeyFile = None) -> None:
    """Bring the database's tables up to date and create the bucket. May run any number of times, also at once."""
    from stack import prepare

    settings = kit_settings.load()
    prepare.prepare(settings)
    if key_file is not None:
        prepare.write_api_key(settings, key_file)


def edge(
    listen: EdgeListen = None,
    api_address: EdgeApi = "127.0.0.1:8000",
    directory: EdgeDir = Path("/tmp/headwater-edge"),  # noqa: S108 - a cache
    *,
    cache_gib: EdgeCache = 10.0,
    resolver: Resolver = "",
    trusted_proxy: Proxies = None,
) -> None:
    """Serve viewers: nginx, with a cache in front of the API and the object store."""
    from stack.edge_part import EdgeOptions, run_edge

    addresses = tuple(listen or ["0.0.0.0:8080"])
    run_edge(kit_settings.load(), EdgeOptions(addresses, api_address, directory, cache_gib, resolver, tuple(trusted_proxy or ())))


def add_to(app: typer.Typer) -> None:
    panel = "Processes of a deployment"
    for command in (api, worker, sweeper, edge, migrate):
        app.command(rich_help_panel=panel)(command)
