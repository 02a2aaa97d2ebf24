"""`headwater up` as people use it: it starts, starts again, stops, survives what happens to its parts, and says what is wrong."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack import data_dir, leftovers
from stack.exits import Exit
from tests.eventually import eventually
from tests.local_stack import LocalStack, command


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


def test_it_says_what_it_does_and_leaves_nothing(stack: LocalStack) -> None:
    stack.start()
    said = stack.said()
    for title in ("SeaweedFS, the object store", "PostgreSQL", "Valkey", "database tables", "API", "worker", "sweeper", "edge"):
        assert f"ok {title}" in said
    assert stack.url in said
    assert f"in {stack.data / 'api-key'}" in said
    assert "Traceback" not in said
    assert "arning" not in said
    for name in ("api-key", "secrets.json"):
        assert stat.S_IMODE((stack.data / name).stat().st_mode) == 0o600
    with httpx.Client(base_url=stack.url, trust_env=False) as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/assets").status_code == 401
        assert client.get("/v1/assets", headers={"Authorization": f"Bearer {stack.api_key}"}).json()["data"] == []
    assert stack.stop(signal.SIGINT) == Exit.OK
    assert leftovers.find(stack.data) == []
    assert data_dir.read_note(stack.data) == {}
    assert "Stopped after" in stack.said()


def test_the_second_start_finds_what_the_first_one_kept(stack: LocalStack) -> None:
    stack.start()
    key, secrets = stack.api_key, (stack.data / "secrets.json").read_text()
    with httpx.Client(base_url=stack.url, trust_env=False, headers={"Authorization": f"Bearer {key}"}) as client:
        made = client.post("/v1/uploads", json={"title": "kept"}).json()
        assert stack.stop(signal.SIGTERM) == Exit.OK
        stack.start()
        assert (stack.api_key, (stack.data / "secrets.json").read_text()) == (key, secrets)
        assert client.get(f"/v1/assets/{made['asset_id']}").json()["title"] == "kept"


def test_a_key_file_that_was_lost_is_written_anew(stack: LocalStack) -> None:
    stack.start()
    first = stack.api_key
    stack.stop()
    (stack.data / "api-key").unlink()
    stack.start()
    assert stack.api_key != first
    for key in (first, stack.api_key):
        assert httpx.get(f"{stack.url}/v1/assets", headers={"Authorization": f"Bearer {key}"}, trust_env=False).status_code == 200


def test_killed_without_warning_it_leaves_nothing_and_starts_again(stack: LocalStack) -> None:
    stack.start()
    assert pids(stack, "bin/postgres")
    stack.kill()
    assert eventually(lambda: leftovers.find(stack.data) == []), [command_line(pid) for pid in leftovers.find(stack.data)]
    stack.start()
    assert httpx.get(f"{stack.url}/readyz", trust_env=False).status_code == 200


def test_killed_and_started_again_at_once_it_waits_for_its_own_parts(stack: LocalStack) -> None:
    stack.start()
    for pid in pids(stack, "bin/weed"):
        os.kill(pid, signal.SIGSTOP)  # does not hear the kernel's signal
    stack.kill()
    stack.start()
    assert "Waiting for the parts of an earlier run that was killed." in stack.said()
    assert httpx.get(f"{stack.url}/readyz", trust_env=False).status_code == 200


@pytest.mark.parametrize("words", ["bin/postgres", "valkey-server", "bin/weed", "stack.cli api", "stack.cli sweeper", "nginx: master"])
def test_a_part_that_dies_is_started_again(stack: LocalStack, words: str) -> None:
    stack.start()
    leader = min(pids(stack, words))
    os.kill(leader, signal.SIGKILL)
    assert eventually(lambda: "was ended by SIGKILL and was started again." in stack.said())
    assert eventually(lambda: pids(stack, words) and min(pids(stack, words)) != leader)
    assert eventually(lambda: _status(f"{stack.url}/readyz") == 200), stack.last_logs()
    assert stack.stop() == Exit.OK


def _status(url: str) -> int:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, trust_env=False, timeout=10).status_code
    return 0


def test_a_part_that_keeps_dying_ends_everything_with_a_sentence(stack: LocalStack) -> None:
    stack.start()
    for _ in range(20):
        if stack.process.poll() is not None:
            break
        for pid in pids(stack, "stack.cli sweeper"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: stack.process.poll() is not None or bool(pids(stack, "stack.cli sweeper")))
    assert stack.process.wait(60) == Exit.FAILED
    assert "sweeper was ended by SIGKILL, again and again, so everything was stopped. Its log is " in stack.said()
    assert leftovers.find(stack.data) == []


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
    titles = ("FFmpeg", "ffprobe", "local servers", "data folder", f"port {local_stack.port}", "database tables", "broker", "object store")
    assert {item["check"]: item["outcome"] for item in json.loads(ended.stdout)} == dict.fromkeys((*titles, "edge and API"), "ok")
    assert ended.returncode == Exit.OK


def test_the_doctor_finds_the_local_store_fit(local_stack: LocalStack) -> None:
    ended = local_stack.command("doctor", "storage", "--json")
    assert [item["outcome"] for item in json.loads(ended.stdout)] == ["ok"] * 6, ended.stdout
    assert ended.returncode == Exit.OK
