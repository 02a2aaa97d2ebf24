"""The folder that holds everything of a local Headwater, and the one process that may use it.

    api-key        the first API key (0600)
    secrets.json   passwords and keys of the local servers, made once (0600)
    ports.json     the loopback ports of the object store, kept so that it finds itself again
    lock           held while `headwater up` runs; its text says who and where
    logs/  run/    logs; sockets and rendered configuration
    postgres/ objects/ edge/ scratch/    data of the parts; scratch and edge may be lost

Nothing here starts anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO

from kit.clock import Clock
from kit.errors import HeadwaterError
from kit.ids import token
from stack import servers

GIB = 1 << 30
LEAST_FREE_BYTES = 2 * GIB
_LOCK_WAIT_S = 1.0


class CannotStart(HeadwaterError):
    """This machine is not ready. `detail` names the remedy."""

    code = "cannot_start"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Made once for a data folder and never changed."""

    database_password: str = field(default_factory=token)
    s3_access_key: str = field(default_factory=lambda: token(12))
    s3_secret_key: str = field(default_factory=lambda: token(32))
    secret_key: str = field(default_factory=lambda: token(48))


def default_data_dir(package_dir: Path, home: Path, xdg_data_home: str | None) -> Path:
    """`.headwater` in a source tree, the user's data folder when Headwater is installed."""
    tree = package_dir.parent
    if (tree / "pyproject.toml").is_file() and (tree / "Makefile").is_file():
        return tree / ".headwater"
    return (Path(xdg_data_home) if xdg_data_home else home / ".local" / "share") / "headwater"


def local_data_dir(environment: Mapping[str, str]) -> Path:
    """Where this installation keeps its data when nobody says otherwise."""
    return default_data_dir(Path(__file__).resolve().parent, Path.home(), environment.get("XDG_DATA_HOME"))


def write_private(path: Path, text: str) -> None:
    """The whole file or nothing, readable by its owner only."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def open_places(data_dir: Path) -> servers.Places:
    """The folders, made and tried. Raises CannotStart."""
    try:
        where = servers.places(data_dir)
        probe = where.data / "writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        remedy = "choose another folder with --data-dir or HEADWATER_DATA_DIR"
        raise CannotStart(f"{data_dir} cannot be written ({reason}): {remedy}.") from error
    return where


def enough_space(folder: Path, free_bytes: int | None = None) -> None:
    """Raises CannotStart when the disk of `folder` is nearly full."""
    free = shutil.disk_usage(folder).free if free_bytes is None else free_bytes
    if free < LEAST_FREE_BYTES:
        raise CannotStart(
            f"The disk of {folder} has {free / GIB:.1f} GiB free and Headwater needs at least {LEAST_FREE_BYTES // GIB} GiB: "
            "make room, or choose another disk with --data-dir."
        )


def load_secrets(data: Path) -> Secrets:
    """Those of this folder; made when it is new. Raises CannotStart when the file is damaged, since new ones would not fit the data."""
    path = data / "secrets.json"
    try:
        known = json.loads(path.read_text())
        return Secrets(**{item.name: known[item.name] for item in fields(Secrets)})
    except FileNotFoundError:
        secrets = Secrets()
        write_private(path, json.dumps(asdict(secrets), indent=1))
        return secrets
    except (ValueError, KeyError, TypeError) as error:
        raise CannotStart(f"{path} is damaged: restore it from a backup, or move {data} away to begin anew.") from error


def store_ports(data: Path) -> tuple[int, ...]:
    """The object store's ports: the ones it had, or new ones when somebody else listens there now."""
    known = known_store_ports(data)
    if known and all(servers.port_is_free(port) for port in known):
        return known
    ports = servers.free_ports(len(servers.WEED_PORTS))
    write_private(data / "ports.json", json.dumps(ports))
    return ports


def known_store_ports(data: Path) -> tuple[int, ...]:
    """Those of the last start; none when there was none."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        known = tuple(int(port) for port in json.loads((data / "ports.json").read_text()))
        if len(known) == len(servers.WEED_PORTS):
            return known
    return ()


@contextlib.contextmanager
def locked(data: Path, note: Mapping[str, object], clock: Clock) -> Iterator[None]:
    """Hold the folder. Raises CannotStart, naming the holder, when another process does. The kernel lets go when we end, however."""
    with (data / "lock").open("a+") as file:
        end_s = clock.monotonic_s() + _LOCK_WAIT_S
        while not _try_lock(file, fcntl.LOCK_EX):
            if clock.monotonic_s() > end_s:
                raise CannotStart(_held_sentence(data, read_note(data)))
            clock.sleep(0.1)  # somebody may just be looking (`read_note`)
        file.truncate(0)
        file.write(json.dumps(note))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _try_lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def read_note(data: Path) -> dict[str, object]:
    """What the running `headwater up` of this folder says about itself; empty when none runs."""
    with contextlib.suppress(OSError, ValueError), (data / "lock").open() as file:
        if _try_lock(file, fcntl.LOCK_SH):  # nobody holds it: what it says is of somebody who was killed
            return {}
        note = json.loads(file.read())
        return note if isinstance(note, dict) else {}
    return {}


def _held_sentence(data: Path, note: Mapping[str, object]) -> str:
    who = f" as process {note['pid']}" if "pid" in note else ""
    where = f" at {note['url']}" if "url" in note else ""
    return f"Headwater already runs on {data}{who}{where}: use that one, stop it first, or choose another folder with --data-dir."
