"""`headwater up` as people use it: it starts, starts again, stops, survives what happens to its parts, and says what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from stack import data_dir, leftovers
from stack.exits import Exit
from stack.servers import port_is_free
from tests.eventually import eventually
from tests.live import LiveServers
from tests.local_stack import LocalStack, command
from tests.local_stack import local_stack as local_stack_of
from tests.plain_http import NO_TLS


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """One of this test's own, not started."""
    own = LocalStack(tmp_path / "data")
    yield own
    with contextlib.suppress(AssertionError):
        own.kill()
    assert eventually(lambda: leftovers.find(own.data) == [])


def pids(stack: LocalStack, words: str) -> list[int]:
    """Processes of this stack whose command line contains `words`."""
    return [pid for pid in leftovers.find(stack.data) if words in command_line(pid)]


def command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def assert_it_said_everything(stack: LocalStack) -> None:
    said = stack.said()
    for title in ("SeaweedFS, the object store", "PostgreSQL", "Valkey", "database tables", "API", "worker", "sweeper", "edge"):
        assert f"ok {title}" in said
    assert stack.url in said
    assert f"in {stack.data / 'api-key'}" in said
    assert "Traceback" not in said
    assert "arning" not in said


def assert_nothing_is_left(stack: LocalStack) -> None:
    assert eventually(lambda: leftovers.find(stack.data) == []), [command_line(pid) for pid in leftovers.find(stack.data)]
    assert port_is_free(stack.port)
    assert data_dir.read_note(stack.data) == {}


def client(stack: LocalStack, key: str) -> httpx.Client:
    return httpx.Client(base_url=stack.url, trust_env=False, headers={"Authorization": f"Bearer {key}"})


def test_a_life_of_three_starts(stack: LocalStack) -> None:
    """Stopped by Ctrl-C, killed without warning, stopped by SIGTERM; what was stored outlives all of it."""
    stack.start()
    assert_it_said_everything(stack)
    for name in ("api-key", "secrets.json"):
        assert stat.S_IMODE((stack.data / name).stat().st_mode) == 0o600
    first_key, secrets = stack.api_key, (stack.data / "secrets.json").read_text()
    with client(stack, first_key) as api:
        assert api.get("/readyz").status_code == 200
        assert api.get("/v1/assets", headers={"Authorization": "Bearer hw_wrong"}).status_code == 401
        made = api.post("/v1/uploads", json={"title": "kept"}).json()
    assert stack.stop(signal.SIGINT) == Exit.OK
    assert_nothing_is_left(stack)
    assert "Stopped after" in stack.said()

    (stack.data / "api-key").unlink()  # a key file that was lost is written anew
    stack.start()
    assert stack.api_key != first_key
    assert (stack.data / "secrets.json").read_text() == secrets
    for key in (first_key, stack.api_key):
        with client(stack, key) as api:
            assert api.get(f"/v1/assets/{made['asset_id']}").json()["title"] == "kept"
    stack.kill()
    assert_nothing_is_left(stack)

    second_key = stack.api_key
    stack.start()
    assert_it_said_everything(stack)
    assert stack.api_key == second_key
    with client(stack, second_key) as api:
        assert api.get(f"/v1/assets/{made['asset_id']}").json()["title"] == "kept"
    assert stack.stop(signal.SIGTERM) == Exit.OK
    assert_nothing_is_left(stack)


def test_parts_that_die_are_started_again_until_one_keeps_dying(stack: LocalStack) -> None:
    stack.start()
    for turn, words in enumerate(("bin/postgres", "valkey-server", "bin/weed", "stack.cli api", "stack.cli worker", "nginx: master")):
        leader = min(pids(stack, words))
        os.kill(leader, signal.SIGKILL)
        assert eventually(lambda turn=turn: stack.said().count("was ended by SIGKILL and is started again.") == turn + 1), words
        assert eventually(lambda words=words, leader=leader: any(pid != leader for pid in pids(stack, words))), words
        assert eventually(lambda: _status(f"{stack.url}/readyz") == 200), f"{words}\n{stack.last_logs()}"

    while stack.process.poll() is None:
        for pid in pids(stack, "stack.cli sweeper"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)  # it ends by itself, as far as anybody can tell
        eventually(lambda: stack.process.poll() is not None or bool(pids(stack, "stack.cli sweeper")))
    assert stack.process.wait() == Exit.FAILED
    assert "sweeper was ended by SIGUSR1, again and again, so everything was stopped. Its log is " in stack.said()
    assert_nothing_is_left(stack)


def _status(url: str) -> int:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False, timeout=10, verify=NO_TLS).status_code
    return 0


class Hasty:
    """A clock on which a minute passes with every look."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        self._now_s += 1
        return self._now_s

    def sleep(self, seconds: float) -> None:
        time.sleep(0.01)


def test_a_part_of_an_earlier_run_that_does_not_listen_is_killed_and_no_other(tmp_path: Path) -> None:
    deaf = ("/bin/sh", "-c", "trap '' TERM INT HUP; sleep 1000")
    ours = subprocess.Popen(deaf, env=leftovers.mark(tmp_path), process_group=0)
    other = subprocess.Popen(deaf, env=leftovers.mark(tmp_path / "other"), process_group=0)
    try:
        said: list[str] = []
        assert ours.pid in leftovers.find(tmp_path)
        leftovers.clear(tmp_path, Hasty(), said.append)
        assert ours.wait(60) == -signal.SIGKILL
        assert other.poll() is None
        assert said == ["Waiting for the parts of an earlier run that was killed."]
        assert leftovers.find(tmp_path) == []
    finally:
        for process in (ours, other):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_servers_that_are_given_are_used_and_left_alone(tmp_path: Path, servers: LiveServers) -> None:
    bucket = f"given-{secrets.token_hex(4)}"  # of its own: files that another test dropped would become titles here
    with servers.database(empty=True) as database_url:
        given = {
            "HEADWATER_DATABASE_URL": database_url, "HEADWATER_BROKER_URL": servers.broker_url,
            "HEADWATER_S3_ENDPOINT": servers.s3.s3_endpoint, "HEADWATER_S3_ACCESS_KEY": servers.s3.s3_access_key,
            "HEADWATER_S3_SECRET_KEY": servers.s3.s3_secret_key, "HEADWATER_S3_BUCKET": bucket,
        }  # fmt: skip
        with local_stack_of(tmp_path / "data", given) as stack:
            for title in ("PostgreSQL", "broker", "object store"):
                assert re.search(rf"ok {title} +yours", stack.said())
            assert [pids(stack, words) for words in ("bin/postgres", "valkey-server", "bin/weed")] == [[], [], []]
            with client(stack, stack.api_key) as api:
                assert api.get("/readyz").status_code == 200
                assert api.post("/v1/uploads", json={"title": "elsewhere"}).status_code == 201
        assert not (tmp_path / "data" / "postgres").exists()
        with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT title FROM assets").fetchall() == [("elsewhere",)]
    assert servers.s3.s3_endpoint


def test_a_second_one_on_the_same_folder_is_sent_away(local_stack: LocalStack) -> None:
    ended = command("up", "--data-dir", str(local_stack.data), "--port", "19999")
    assert ended.returncode == Exit.CANNOT_START
    expected = f"Headwater already runs on {local_stack.data} as process {local_stack.process.pid} at {local_stack.url}: "
    assert ended.stderr == expected + "use that one, stop it first, or choose another folder with --data-dir.\n"


def test_a_taken_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = command("up", "--data-dir", str(tmp_path / "d"), "--port", str(port))
    assert ended.returncode == Exit.CANNOT_START
    assert ended.stderr == (
        f"Port {port} is taken by another program: stop that one, or choose another port with --port or HEADWATER_PORT.\n"
    )
    assert ended.stdout == ""


def test_a_server_that_is_given_but_away_is_said_in_one_sentence(tmp_path: Path) -> None:
    away = {"HEADWATER_DATABASE_URL": f"postgresql+psycopg://u@/n?host={tmp_path}"}
    ended = command("up", "--data-dir", str(tmp_path / "d"), "--port", str(_free_port()), environment=away)
    assert ended.returncode == Exit.UNREACHABLE
    assert ended.stderr.startswith("The database cannot be used: ")
    assert ended.stderr.count("\n") == 1
    assert leftovers.find(tmp_path / "d") == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_doctor_finds_a_running_one_well(local_stack: LocalStack) -> None:
    ended = local_stack.command("doctor", "--json", "--port", str(local_stack.port))
    programs = ("FFmpeg", "ffprobe", "FFmpeg release", "ffprobe release", "sandbox")
    local = ("local servers", "data folder", f"port {local_stack.port}", "database tables", "stored objects")
    services = ("broker", "object store", "edge and API")
    assert {item["check"]: item["outcome"] for item in json.loads(ended.stdout)} == dict.fromkeys((*programs, *local, *services), "ok")
    assert ended.returncode == Exit.OK


def test_the_doctor_finds_the_local_store_fit(local_stack: LocalStack) -> None:
    ended = local_stack.command("doctor", "storage", "--json")
    found = {item["check"]: item["outcome"] for item in json.loads(ended.stdout)}
    assert found.pop("conditional writes") in ("ok", "not now")  # who wins that race is the store's affair: nothing depends on it
    assert set(found.values()) == {"ok"}, ended.stdout
    assert ended.returncode == Exit.OK
