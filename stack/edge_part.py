"""nginx as the edge: the part of `headwater up`, and the command `headwater edge` of a deployment."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from kit.settings import BadSetting, Settings
from origin.edge import EdgeSettings
from origin.edge_files import open_files_limit, prepare
from stack import binaries, servers
from stack.child import Part

_GIB = 1 << 30
_RESOLV_CONF = Path("/etc/resolv.conf")


def cache_bytes(free_bytes: int) -> int:
    """How much of a disk the local edge may fill with what can be fetched again: a tenth of what is free, 1 to 10 GiB."""
    return max(_GIB, min(10 * _GIB, free_bytes // 10))


def edge_folder(where: servers.Places) -> Path:
    """Everything that the local edge writes."""
    return where.run / "edge"


def edge_part(where: servers.Places, settings: Settings, port: int) -> Part:
    """The edge on a loopback port, in front of the API's socket."""
    edge = EdgeSettings(
        listen=(f"127.0.0.1:{port}",), api=f"unix:{where.run / 'api.sock'}", store=settings.s3_endpoint, directory=edge_folder(where),
        public_scheme="https" if settings.tls else "http", cache_bytes=cache_bytes(shutil.disk_usage(where.data).free),
        cache_keys_bytes=16 << 20, open_files=open_files_limit(), user="root" if os.geteuid() == 0 else None,
        store_ca_file=_ca_file(settings), wait_s=settings.segment_wait_s,
    )  # fmt: skip
    argv = prepare(edge, binaries.nginx())
    health = f"http://127.0.0.1:{port}/healthz"
    return Part("edge", argv, where.logs / "edge.log", ready=lambda: servers.http_answers(health), stop_signal=signal.SIGTERM)


def _ca_file(settings: Settings) -> Path | None:
    """The certificates this machine trusts, for a store that is reached by TLS."""
    if not settings.s3_endpoint.startswith("https://"):
        return None
    import ssl

    found = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return Path(found)


@dataclass(frozen=True, slots=True)
class EdgeOptions:
    """What `headwater edge` is told beyond the settings."""

    listen: tuple[str, ...]
    api: str  # host:port or unix:/path
    directory: Path
    cache_gib: float
    resolver: str  # address, "auto" or empty
    trusted_proxies: tuple[str, ...]


def name_server(wanted: str, resolv_conf: str) -> str | None:
    """The address nginx asks: the one given, that of this machine for `auto`, or None, which looks names up once at the start."""
    if wanted != "auto":
        return wanted or None
    lines = (line.split() for line in resolv_conf.splitlines())
    found = next((words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"), None)
    return f"[{found}]" if found and ":" in found else found


def run_edge(settings: Settings, options: EdgeOptions) -> None:
    """Become nginx: this process is replaced. Raises BadSetting and PartFailed."""
    resolv_conf = _RESOLV_CONF.read_text() if _RESOLV_CONF.is_file() else ""
    try:
        edge = EdgeSettings(
            listen=options.listen, api=options.api, store=settings.s3_endpoint, directory=options.directory,
            public_scheme="https" if settings.tls else "http", cache_bytes=int(options.cache_gib * _GIB), open_files=open_files_limit(),
            user="root" if os.geteuid() == 0 else None, resolver=name_server(options.resolver, resolv_conf),
            store_ca_file=_ca_file(settings), trusted_proxies=options.trusted_proxies, wait_s=settings.segment_wait_s,
        )  # fmt: skip
    except ValueError as error:
        raise BadSetting(f"The edge cannot be set up: {error}.") from error
    argv = prepare(edge, binaries.nginx())
    os.execv(argv[0], argv)  # noqa: S606 - the edge is nginx from here on, and gets our signals
