"""/healthz, /readyz and /metrics, with each dependency taken away in turn."""

from __future__ import annotations

import dataclasses
import re
import socket
import sys
import types
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kit import db, job_store
from kit.jobs import Job, NewJob
from kit.process import Command, SandboxTooWeak
from kit.sandbox import Confinement
from kit.step import Beat, Step, run_step
from kit.storage.s3 import open_storage
from kit.world import World
from tests.api_client import Api
from web import health
from web.app import create_app
from web.broker_ping import ping
from worker.flow import VideoFlow

NOBODY = "127.0.0.1:9"  # the discard port: nothing listens there


def ready(world: World) -> tuple[int, dict[str, Any]]:
    reply = Api(create_app(world), "").get("/readyz", signed=False)
    return reply.status_code, reply.json()


def with_settings(world: World, **changed: Any) -> World:
    return dataclasses.replace(world, settings=dataclasses.replace(world.settings, **changed))


def test_everything_is_there(world: World) -> None:
    status, body = ready(world)
    assert (status, body["status"]) == (200, "ready")
    assert {name: check["ok"] for name, check in body["checks"].items()} == dict.fromkeys(
        ("database", "storage", "broker", "scratch", "media", "stored"), True
    )


def without_database(world: World) -> World:
    return dataclasses.replace(world, db=db.connect(f"postgresql+psycopg://x:x@{NOBODY}/x"))


def without_storage(world: World) -> World:
    return dataclasses.replace(world, storage=open_storage(dataclasses.replace(world.settings, s3_endpoint=f"http://{NOBODY}")))


def with_wrong_storage_keys(world: World) -> World:
    return dataclasses.replace(world, storage=open_storage(dataclasses.replace(world.settings, s3_secret_key="wrong")))


def without_broker(world: World) -> World:
    return with_settings(world, broker_url=f"redis://{NOBODY}/0")


def without_scratch(world: World) -> World:
    return with_settings(world, scratch_dir=Path("/proc/nothing"))


@pytest.mark.parametrize(
    ("name", "break_it"),
    [
        ("database", without_database),
        ("storage", without_storage),
        ("storage", with_wrong_storage_keys),
        ("broker", without_broker),
        ("scratch", without_scratch),
    ],
)
def test_each_dependency_is_missed_by_name(world: World, name: str, break_it: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LIMIT_S", 20.0)  # boto3 tries more than once before it gives up
    status, body = ready(break_it(world))
    assert (status, body["status"]) == (503, "not ready")
    assert [check for check, found in body["checks"].items() if not found["ok"]] == [name]
    assert body["checks"][name]["detail"].endswith(".")


def test_workers_that_refuse_media_are_said_and_viewers_are_kept(world: World) -> None:
    """Checklist line F4, with a job that a worker really refused."""

    def step(refusing: World, job: Job, beat: Beat) -> None:
        command = Command((sys.executable, "-c", "pass"), timeout_s=30, confine=Confinement(memory_bytes=1 << 28, cpu_s=5))
        refusing.runner.run(command)

    def too_weak(*_: object, **__: object) -> None:
        raise SandboxTooWeak("Landlock is missing.")

    with world.db.begin() as conn:
        job_store.enqueue(conn, NewJob("ingest.probe", "one", "ast_1"))
    runner = types.SimpleNamespace(run=too_weak)
    assert run_step(dataclasses.replace(world, runner=runner), {"ingest.probe": Step("ingest.probe", step, too_weak)}, VideoFlow(), "a")
    with world.db.connect() as conn:
        [job] = job_store.jobs_of_asset(conn, "ast_1")
    assert (job.state, job.attempt, job.error_code) == ("queued", 0, "sandbox_too_weak")
    status, body = ready(world)
    assert (status, body["status"]) == (200, "degraded")
    assert [check for check, found in body["checks"].items() if not found["ok"]] == ["media"]
    assert "HEADWATER_SANDBOX" in body["checks"]["media"]["detail"]


def test_a_database_without_tables_is_not_ready(world: World, empty_database_url: str) -> None:
    engine = db.connect(empty_database_url)
    status, body = ready(dataclasses.replace(world, db=engine))
    engine.dispose()
    assert status == 503
    assert "headwater migrate" in body["checks"]["database"]["detail"]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_a_dependency_that_says_nothing_does_not_hold_the_answer_up(world: World, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LIMIT_S", 0.3)
    _, body = ready(with_settings(world, broker_url=f"redis://127.0.0.1:{silent}/0"))
    assert not body["checks"]["broker"]["ok"]


def test_alive_does_not_depend_on_anybody(world: World) -> None:
    reply = Api(create_app(without_database(world)), "").get("/healthz", signed=False)
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


def test_the_broker_is_asked_in_its_own_words(broker_url: str) -> None:
    ping(broker_url, 3.0)


def test_metrics_tell_of_jobs_and_requests(api: Api, world: World) -> None:
    with world.db.begin() as conn:
        job_store.enqueue(conn, NewJob("transcode.encode", "a", "ast_1"))
    api.get("/v1/assets")
    reply = api.get("/metrics", signed=False)
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/plain")
    assert 'headwater_jobs{kind="transcode.encode",state="queued"} 1.0' in reply.text
    assert re.search(r'headwater_http_requests_total\{area="api",method="GET",status="200"\} [1-9]', reply.text)
    assert "ast_1" not in reply.text


def test_metrics_stay_few_whatever_is_asked(api: Api) -> None:
    before = api.get("/metrics", signed=False).text.count("\n")
    for number in range(20):
        api.get(f"/nothing/{number}")
        api.send(f"METHOD{number}", "/nothing")
    assert api.get("/metrics", signed=False).text.count("\n") - before < 30
