"""`headwater up`: a whole Headwater on this machine, for as long as the command runs.

Order: checks that need nothing, the lock, servers, tables and bucket, our own processes, the edge; then it watches. Every expected
failure leaves as one sentence and an exit code (`stack.exits`); whatever was started by then is stopped.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from kit.clock import Clock, SystemClock
from stack import data_dir, leftovers, prepare, servers, services
from stack.blueprint import Blueprint, draw
from stack.child import Interrupted, Part
from stack.console import UpConsole
from stack.data_dir import CannotStart
from stack.edge_part import edge_part
from stack.exits import Exit
from stack.release import our_version
from stack.supervise import Supervisor


@dataclass(frozen=True, slots=True)
class UpOptions:
    data_dir: Path
    port: int
    environment: Mapping[str, str]  # HEADWATER_ variables


def check_port(port: int) -> None:
    """Raises CannotStart when somebody else listens there."""
    if port < 1024 and os.geteuid() != 0:
        raise CannotStart(f"Port {port} is reserved for root: choose one above 1023 with --port or HEADWATER_PORT.")
    if not servers.port_is_free(port):
        raise CannotStart(f"Port {port} is taken by another program: stop that one, or choose another port with --port or HEADWATER_PORT.")


@contextmanager
def _signals(supervisor: Supervisor) -> Iterator[None]:
    ours = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, supervisor.on_signal) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _server_stage(plan: Blueprint) -> list[Callable[[], Part]]:
    where, settings, stage = plan.where, plan.settings, list[Callable[[], Part]]()
    if plan.starts_store:
        stage.append(lambda: servers.seaweed(where, plan.store_ports, settings.s3_access_key, settings.s3_secret_key))
    if plan.starts_database:
        stage.append(lambda: servers.postgres(where, plan.secrets.database_password))
    if plan.starts_broker:
        stage.append(lambda: servers.valkey(where))
    return stage


def _start(plan: Blueprint, supervisor: Supervisor, console: UpConsole, clock: Clock) -> None:
    where, settings = plan.where, plan.settings
    supervisor.start(_server_stage(plan))
    for title, ours in (("PostgreSQL", plan.starts_database), ("broker", plan.starts_broker), ("object store", plan.starts_store)):
        if not ours:
            console.given(title)
    began_s = clock.monotonic_s()
    if plan.starts_database:
        prepare.ensure_database(servers.postgres_url(where, plan.secrets.database_password), "headwater")
    prepare.prepare(settings)
    prepare.write_api_key(settings, where.data / "api-key")
    console.migrated(clock.monotonic_s() - began_s)
    parts = (services.api_part, services.worker_part, services.sweeper_part)
    supervisor.start([lambda describe=describe: describe(where, settings) for describe in parts])  # type: ignore[misc]
    supervisor.start([lambda: edge_part(where, settings, plan.port)])


def _run(options: UpOptions, console: UpConsole, clock: Clock) -> None:
    began_s = clock.monotonic_s()
    where = data_dir.open_places(options.data_dir)
    data_dir.enough_space(where.data)
    note = {"pid": os.getpid(), "url": f"http://127.0.0.1:{options.port}"}
    with data_dir.locked(where.data, note, clock):
        check_port(options.port)
        console.begins(our_version(), where.data)
        leftovers.clear(where.data, clock, console.note)
        plan = draw(options.environment, where, data_dir.load_secrets(where.data), data_dir.store_ports(where.data), options.port)
        servers.recover_postgres(where)
        servers.forget_weed_sockets(plan.store_ports)
        supervisor = Supervisor(console, clock, leftovers.mark(where.data))
        with _signals(supervisor):
            try:
                _start(plan, supervisor, console, clock)
                console.address(plan.url, where.data / "api-key", where.logs, clock.monotonic_s() - began_s)
                supervisor.watch()
            except Interrupted:
                pass
            finally:
                supervisor.stop()
                servers.forget_weed_sockets(plan.store_ports)


def up(options: UpOptions, out: Console) -> Exit:
    """Run until asked to stop. OK after Ctrl-C or SIGTERM: stopping is what was asked for. Raises CannotStart, BadSetting, PartFailed
    and Unavailable, when everything that was started is stopped again.
    """
    _run(options, UpConsole(out), SystemClock())
    return Exit.OK
