"""The four servers of the local stack as `Part` values: PostgreSQL, Valkey (Redis protocol), SeaweedFS (S3) and nginx.

Each listens on a Unix socket in a folder that only its user may enter, or, where it has to, on loopback with a key. Functions
here prepare a server's data folder (`initdb`, key files) and describe the program; starting, watching and stopping is
`stack.child` and `stack.supervise`. Used by `headwater up` and by the tests, which therefore run against the same servers.

Not here: tuning for a machine of its own. A deployment brings its own servers (docker-compose.yml, or one address per server).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kit.ids import token
from stack import binaries
from stack.child import Child, Owner, Part, PartFailed

_SOCKET_PATH_LIMIT_BYTES = 107  # sun_path of a Unix socket, without its final zero
_LONGEST_SOCKET_NAME = "/postgres/.s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one stack."""

    data: Path
    logs: Path
    run: Path  # sockets and rendered configuration; short enough for a socket path


def places(data_dir: Path) -> Places:
    """The folders below `data_dir`, made when missing. Sockets move to the temporary folder when `data_dir` is too long a path for them."""
    data = data_dir.resolve()
    run = data / "run"
    if len(os.fsencode(f"{run}{_LONGEST_SOCKET_NAME}")) > _SOCKET_PATH_LIMIT_BYTES:
        run = Path(tempfile.gettempdir()) / f"headwater-{os.getuid()}-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}"
    mode = 0o711 if os.geteuid() == 0 else 0o700  # root's PostgreSQL runs as another user and has to pass through
    for folder in (data, run):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    (data / "logs").mkdir(mode=0o700, exist_ok=True)
    if run.stat().st_uid != os.getuid():
        raise PartFailed(f"{run} belongs to somebody else; remove it, or choose another folder with --data-dir.", code="unwritable")
    return Places(data, data / "logs", run)


def free_ports(count: int) -> tuple[int, ...]:
    """Loopback ports below the ephemeral range that nobody listens on at this moment."""
    found: list[int] = []
    start = 20_000 + zlib.crc32(token().encode()) % 10_000
    for port in (20_000 + (start + step) % 10_000 for step in range(10_000)):
        if len(found) == count:
            break
        if port_is_free(port):
            found.append(port)
    return tuple(found)


def port_is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free for a listener
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _socket_answers(path: Path, say: bytes, expect: bytes) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            client.connect(str(path))
            client.sendall(say)
            return client.recv(64).startswith(expect)
    except OSError:
        return False


def http_answers(address: str) -> bool:
    """Whether a plain GET gets a status below 500. Loopback only, so no proxy is asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=1.0):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


# PostgreSQL


def _enterable_by_all(path: Path) -> bool:
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents)


def _unprivileged(program: Path, *data: Path) -> Owner | None:
    """Who PostgreSQL runs as: ourselves, or `nobody` when we are root, since it refuses to be root."""
    if os.geteuid() != 0:
        return None
    if not _enterable_by_all(program):
        return Owner(os.getuid(), os.getgid(), namespace=True)
    account = pwd.getpwnam("nobody")
    return Owner(account.pw_uid, account.pw_gid, passage=not all(_enterable_by_all(path) for path in data))


def _postgres_folder(folder: Path, owner: Owner | None) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner is not None and folder.stat().st_uid != owner.user:
        for path in (folder, *folder.rglob("*")):
            os.lchown(path, owner.user, owner.group)


def _initdb(folder: Path, owner: Owner | None, password: str, log: Path) -> None:
    """A new cluster, made beside its place and moved there whole, so that an interrupted one is never taken for complete."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    _postgres_folder(fresh, owner)
    secret = fresh.with_name(folder.name + ".password")
    secret.write_text(password)
    secret.chmod(0o600)
    if owner is not None:
        os.chown(secret, owner.user, owner.group)
    argv = (
        str(binaries.postgres_program("initdb")), "--pgdata", str(fresh), "--username", "headwater", "--pwfile", str(secret),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions",
    )  # fmt: skip
    try:
        child = Child(Part("postgres", argv, log, ready=lambda: False, owner=owner, start_limit_s=120, env=_postgres_env()))
        try:
            child.wait_exit(120)
        finally:
            child.stop()
        if child.exit_code != 0:
            raise PartFailed(f"PostgreSQL could not make its data folder: {child.last_words()}. Its log is {log}.")
    finally:
        secret.unlink(missing_ok=True)
    fresh.rename(folder)


def _postgres_env() -> dict[str, str]:
    return {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PGTZ": "UTC"}


def postgres_url(where: Places, password: str, database: str = "postgres") -> str:
    return f"postgresql+psycopg://headwater:{quote(password)}@/{database}?host={quote(str(where.run / 'postgres'))}"


def postgres(where: Places, password: str, *, durable: bool = True) -> Part:
    """PostgreSQL on a Unix socket, data in `postgres/`. `durable=False` gives up crash safety for speed: tests only."""
    folder, sockets, log = where.data / "postgres", where.run / "postgres", where.logs / "postgres.log"
    program = binaries.postgres_program("postgres")
    owner = _unprivileged(program, folder, sockets)
    _postgres_folder(sockets, owner)
    if (folder / "PG_VERSION").exists():
        _postgres_folder(folder, owner)  # it may run as somebody else than last time
    else:
        _initdb(folder, owner, password, log)
    options = {
        "listen_addresses": "", "unix_socket_directories": str(sockets), "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": "64MB", "timezone": "UTC", "log_timezone": "UTC", "log_min_messages": "warning", "log_checkpoints": "off",
        "dynamic_shared_memory_type": "mmap", "max_wal_size": "256MB", "jit": "off", "max_parallel_workers_per_gather": "0",
    }  # fmt: skip
    if not durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    argv = (str(program), "-D", str(folder), *(word for name, value in options.items() for word in ("-c", f"{name}={value}")))
    url = postgres_url(where, password)

    return Part(
        "postgres", argv, log, ready=lambda: _postgres_answers(url), env=_postgres_env(), owner=owner,
        stop_signal=signal.SIGINT, orphan_signal=signal.SIGINT,  # "fast": clean, without waiting for clients to leave
        start_limit_s=60, stop_limit_s=15,
    )  # fmt: skip


def _postgres_answers(url: str) -> bool:
    import psycopg

    try:
        psycopg.connect(url.replace("+psycopg", ""), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def recover_postgres(where: Places) -> None:
    """Remove the pid file of a server that is gone; PostgreSQL itself refuses when another process has got that number meanwhile."""
    pid_file = where.data / "postgres" / "postmaster.pid"
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int(pid_file.read_text().splitlines()[0])
        if not _is_program(pid, "postgres"):
            pid_file.unlink()


def _is_program(pid: int, name: str) -> bool:
    try:
        return Path(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0])).name.startswith(name)
    except OSError:
        return False


# Valkey


def valkey_url(where: Places) -> str:
    return f"redis+socket://{where.run / 'valkey.sock'}"


def valkey(where: Places) -> Part:
    """Valkey on a Unix socket. It keeps nothing on disk: every message can be sent again from the database."""
    path = where.run / "valkey.sock"
    argv = (
        str(binaries.valkey_server()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--save", "",
        "--appendonly", "no", "--set-proc-title", "no", "--daemonize", "no", "--dir", str(where.run), "--loglevel", "warning",
        "--maxmemory", "256mb", "--maxmemory-policy", "noeviction",
    )  # fmt: skip
    return Part("valkey", argv, where.logs / "valkey.log", ready=lambda: _socket_answers(path, b"PING\r\n", b"+PONG"))


# SeaweedFS


@dataclass(frozen=True, slots=True)
class S3Settings:
    """What a client needs. Fields are named like those of `kit.settings.Settings`."""

    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    s3_region: str = "us-east-1"


WEED_PORTS = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
              "filer.port.grpc", "admin.port", "admin.port.grpc")  # fmt: skip


def s3_settings(ports: Sequence[int], access_key: str, secret_key: str) -> S3Settings:
    return S3Settings(f"http://127.0.0.1:{ports[0]}", access_key, secret_key)


def seaweed(where: Places, ports: Sequence[int], access_key: str, secret_key: str) -> Part:
    """SeaweedFS with an S3 gateway on `ports[0]`, all of it on loopback, one identity, nothing reported to anyone."""
    folder = where.data / "objects"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "mini.options").unlink(missing_ok=True)  # the options of its last start, which would win over ours
    options: dict[str, object] = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.telemetry": "false", "webdav": "false", "admin.ui": "false",
        "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.iam": "false", "volume.preStopSeconds": 0,
        "filer.localSocket": where.run / "filer.sock", "s3.localSocket": where.run / "s3.sock",
    }  # fmt: skip
    numbered: dict[str, object] = dict(zip(WEED_PORTS, ports, strict=True))
    argv = (str(binaries.weed()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in (options | numbered).items()))
    health = f"http://127.0.0.1:{ports[0]}/healthz"
    return Part(
        "seaweedfs", argv, where.logs / "seaweedfs.log", ready=lambda: http_answers(health), cwd=where.run, start_limit_s=60,
        env={
            "AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key,  # the only identity; nobody else may do anything
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",  # a bucket starts with two volumes instead of seven: room for it on a small disk
        },
    )  # fmt: skip


def forget_weed_sockets(ports: Sequence[int]) -> None:
    """SeaweedFS leaves its gRPC sockets in the temporary folder, named by port; ours are removed when it has stopped."""
    for port in ports:
        for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock"):  # noqa: S108
            path.unlink(missing_ok=True)
