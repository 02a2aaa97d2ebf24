"""/healthz, /readyz and /metrics: for the people and programs that keep the service running. No key is needed, but /metrics
answers only whoever is inside (`web.limits.is_inside`), unless a setting opens it.

/healthz says that this process answers, and asks nobody else: a supervisor that restarts on it must not restart the API
because the database is away. /readyz asks every dependency, at the same time and with a limit, and names the ones that do
not answer; it says nothing that a stranger should not read. What keeps uploads waiting, but no viewer, and what another server would not
do better (stored objects that are damaged), is "degraded" and still 200: a balancer that reads it must not take the viewers' server away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import anyio.to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from catalog import scrub_store
from catalog.tables import assets
from kit import job_store, metrics
from kit.clock import Clock
from kit.errors import Forbidden, HeadwaterError, NotFound
from kit.log import logger
from kit.process import SandboxTooWeak
from kit.world import World
from web.broker_ping import ping
from web.limits import is_inside

LIMIT_S = 3.0

_log = logger(__name__)


class Alive(BaseModel):
    status: str


class Check(BaseModel):
    ok: bool
    ms: float
    detail: str | None = None


class Readiness(BaseModel):
    status: str
    checks: dict[str, Check]


class StoredDamage(HeadwaterError):
    """Said by a probe, and in no reply of its own."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to one dependency: `ask` blocks, and raises when the answer is no."""

    ask: Callable[[], None]
    remedy: str
    needed: bool = True  # for the server to be of use


def probes(world: World) -> Mapping[str, Probe]:
    """One for each dependency."""

    def database() -> None:
        with world.db.connect() as conn:
            conn.execute(select(assets.c.id).limit(1))

    def storage() -> None:
        try:
            world.storage.stat("health/nothing-is-ever-stored-here")
        except NotFound:
            return

    def broker() -> None:
        ping(world.settings.broker_url, LIMIT_S)

    def scratch() -> None:
        world.settings.scratch_dir.mkdir(parents=True, exist_ok=True)
        mark = world.settings.scratch_dir / ".writable"
        mark.write_bytes(b"")
        mark.unlink(missing_ok=True)

    def media() -> None:
        with suppress(SQLAlchemyError), world.db.connect() as conn:  # a database that is away is another check's finding
            if job_store.waits_because(conn, SandboxTooWeak.code):
                raise SandboxTooWeak("The workers' sandbox is weaker than HEADWATER_SANDBOX asks for.")

    def stored() -> None:
        with suppress(SQLAlchemyError), world.db.connect() as conn:
            if count := scrub_store.count_damage(conn):
                raise StoredDamage(f"{count} stored objects are damaged.")

    damaged = "Stored objects were found damaged: “headwater doctor” names them, “headwater scrub --repair” has them made again."
    weak = "The workers refuse uploads, because their sandbox is weaker than HEADWATER_SANDBOX asks for: run “headwater doctor” there."
    return {
        "database": Probe(database, "PostgreSQL does not answer, or has no tables: run “headwater migrate”."),
        "storage": Probe(storage, "The object store does not answer, or refuses our keys."),
        "broker": Probe(broker, "The broker does not answer."),
        "scratch": Probe(scratch, "The scratch folder cannot be written to."),
        "media": Probe(media, weak, needed=False),
        "stored": Probe(stored, damaged, needed=False),
    }


async def _check(name: str, probe: Probe, clock: Clock) -> Check:
    begun_s = clock.monotonic_s()
    try:
        async with asyncio.timeout(LIMIT_S):
            await anyio.to_thread.run_sync(probe.ask, abandon_on_cancel=True)
        ok, detail = True, None
    except (HeadwaterError, SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
        said = error.detail if isinstance(error, HeadwaterError) else type(error).__name__
        _log.warning("not ready", dependency=name, reason=said)
        ok, detail = False, probe.remedy
    return Check(ok=ok, ms=round(1000 * (clock.monotonic_s() - begun_s), 1), detail=detail)


def router(world: World) -> APIRouter:
    api = APIRouter(tags=["operation"])
    asked = probes(world)

    @api.get("/healthz")
    async def healthz() -> Alive:
        """This process answers."""
        return Alive(status="ok")

    @api.get("/readyz", responses={503: {"model": Readiness, "description": "At least one dependency does not answer."}})
    async def readyz(response: Response) -> Readiness:
        """Every dependency answers."""
        found = await asyncio.gather(*(_check(name, probe, world.clock) for name, probe in asked.items()))
        checks = dict(zip(asked, found, strict=True))
        ready = all(checks[name].ok for name, probe in asked.items() if probe.needed)
        response.status_code = 200 if ready else 503
        whole = all(check.ok for check in found)
        return Readiness(status="ready" if whole else "degraded" if ready else "not ready", checks=checks)

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
    def figures(request: Request) -> Response:
        """Prometheus text, for this machine and its private network unless a setting opens it to everyone."""
        if world.settings.metrics == "inside" and not is_inside(request):
            raise Forbidden("Figures are for this machine and its network only.", code="inside_only")
        with world.db.connect() as conn:
            body = metrics.exposition(job_store.figures(conn), damaged=scrub_store.count_damage(conn))
        return Response(body, media_type=metrics.CONTENT_TYPE)

    return api
