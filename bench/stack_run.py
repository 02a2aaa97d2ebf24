"""One title through a whole local stack (`headwater up`), watched: what every job took, and what was said about the title meanwhile.

`pinned`: the worker, and all that it starts, may use one core only; the servers around it may use all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine

from catalog.kinds import PLAN, PROBE
from catalog.progress import WORK
from kit import db, job_store
from kit.jobs import Job, State
from stack import data_dir, leftovers, servers
from tests.local_stack import LocalStack, local_stack

LIMIT_S = 3600.0
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job. Seconds since the first job was made, and the progress that it had at the moments of `Recording.looks`."""

    kind: str
    renditions: tuple[str, ...]
    weight: float
    priority: int
    made_s: float
    began_s: float
    ended_s: float
    cpu_s: float
    crew: int  # workers on its machine; 0 where it does not say
    progress: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What the API said."""

    at_s: float
    progress: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class Recording:
    jobs: tuple[JobRecord, ...]
    looks: tuple[Look, ...]
    playable_s: float  # from the last byte
    ready_s: float  # likewise
    machine_busy: float  # share of all cores in use by anything, over the encode phase

    @property
    def encoding(self) -> tuple[JobRecord, ...]:
        return tuple(job for job in self.jobs if job.kind in WORK)

    @property
    def encode_s(self) -> float:
        """Wall seconds from the begin of the first chunk to the end of the last."""
        return max(job.ended_s for job in self.encoding) - min(job.began_s for job in self.encoding)

    @property
    def encode_cpu_s(self) -> float:
        return sum(job.cpu_s for job in self.encoding)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def record(folder: Path, source: Path, settings: Mapping[str, str], *, pinned: bool = False) -> Recording:
    """Start a stack in `folder`, upload `source`, and watch until it is ready."""
    with local_stack(folder, {"HEADWATER_CHUNK_S": "24", **settings}) as stack:
        if pinned:
            pin_worker(stack)
        engine = open_database(stack)
        try:
            with client_of(stack) as api:
                return watch(api, engine, upload(api, source))
        finally:
            engine.dispose()


def open_database(stack: LocalStack) -> Engine:
    where = servers.places(stack.data)
    return db.connect(servers.postgres_url(where, data_dir.load_secrets(stack.data).database_password, "headwater"))


def client_of(stack: LocalStack) -> httpx.Client:
    return httpx.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.api_key}"}, trust_env=False, timeout=600)


def upload(api: httpx.Client, source: Path, **details: str) -> str:
    """By one plain PUT. The asset's id."""
    made = api.post("/v1/uploads", json={"title": source.stem, **details}).raise_for_status().json()
    with source.open("rb") as file:
        size = str(source.stat().st_size)
        api.put(made["url"], content=iter(lambda: file.read(1 << 20), b""), headers={"Content-Length": size}).raise_for_status()
    asset_id: str = made["asset_id"]
    return asset_id


def wait_until_ready(api: httpx.Client, asset_id: str, limit_s: float = LIMIT_S) -> dict[str, Any]:
    """The asset as it is then."""
    end_s = time.monotonic() + limit_s
    while True:
        asset: dict[str, Any] = api.get(f"/v1/assets/{asset_id}").raise_for_status().json()
        if asset["status"] == "ready":
            return asset
        if asset["status"] == "errored" or time.monotonic() > end_s:
            raise SystemExit(f"{asset_id} is {asset['status']}: {asset['error']}")
        time.sleep(0.5)


def pin_worker(stack: LocalStack) -> None:
    """The worker's processes, and whatever they start from now on, to the first core that we may use."""
    core = min(os.sched_getaffinity(0))
    found = [pid for pid in leftovers.find(stack.data) if b"worker" in command_line(pid)]
    if not found:
        raise SystemExit("There is no worker to pin.")
    for pid in found:
        with suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})


def command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def watch(api: httpx.Client, engine: Engine, asset_id: str) -> Recording:
    looks: list[Look] = []
    seen: dict[str, list[float]] = {}
    busy: list[tuple[float, float]] = []  # while chunks are encoded
    began_s = time.time()
    while True:
        asset = api.get(f"/v1/assets/{asset_id}").raise_for_status().json()
        with engine.connect() as conn:
            jobs = job_store.jobs_of_asset(conn, asset_id)
        at_s = time.time()
        looks.append(Look(at_s, asset["progress"], asset["eta_s"]))
        for job in jobs:
            seen.setdefault(job.id, [0.0] * (len(looks) - 1)).append(round(job.progress, 4))
        if any(job.kind in WORK and job.state is State.RUNNING for job in jobs):
            busy.append(processor_s())
        if asset["status"] in ("ready", "errored"):
            break
        if at_s - began_s > LIMIT_S:
            raise SystemExit(f"{asset_id} is still {asset['status']} after {LIMIT_S:.0f} s.")
        time.sleep(LOOK_S)
    if asset["status"] != "ready":
        raise SystemExit(f"{asset_id} failed: {asset['error']}")
    return _recording(jobs, looks, seen, asset, busy)


def _recording(
    jobs: Sequence[Job],
    looks: Sequence[Look],
    seen: Mapping[str, Sequence[float]],
    asset: Mapping[str, Any],
    busy: Sequence[tuple[float, float]],
) -> Recording:
    zero_s = min(job.created_at.timestamp() for job in jobs)

    def since(moment: datetime | None) -> float:
        return -1.0 if moment is None else round(moment.timestamp() - zero_s, 3)

    def one(job: Job) -> JobRecord:
        moments = since(job.created_at), since(job.started_at), since(job.finished_at)
        names, cpu_s, crew = tuple(job.args.get("renditions", ())), float(job.stats.get("cpu_s", 0.0)), int(job.stats.get("crew", 0))
        return JobRecord(job.kind, names, round(job.weight, 4), job.priority, *moments, cpu_s, crew, tuple(seen[job.id]))

    records = [one(job) for job in jobs if job.finished_at is not None and job.started_at is not None]
    timings = {name: _seconds(asset["timings"][name]) for name in ("received_at", "playable_at", "ready_at")}
    used, all_of_it = (busy[-1][index] - busy[0][index] for index in (0, 1)) if len(busy) > 1 else (0.0, 1.0)
    return Recording(
        tuple(records), tuple(Look(round(look.at_s - zero_s, 3), look.progress, look.eta_s) for look in looks),
        timings["playable_at"] - timings["received_at"], timings["ready_at"] - timings["received_at"], used / max(all_of_it, 1e-9),
    )  # fmt: skip


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def processor_s() -> tuple[float, float]:
    """Seconds in use, and all seconds, of all cores together since the machine started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    tick = os.sysconf("SC_CLK_TCK")
    return (sum(fields) - idle) / tick, sum(fields) / tick


def as_recording(kept: Mapping[str, Any], about: str) -> dict[str, Any]:
    """What `tests.lives` replays, out of a `Recording` as kept in bench/results/ladder.json: of each job when its progress rose."""
    looks = [look["at_s"] for look in kept["looks"]]
    names = ("kind", "weight", "made_s", "began_s", "ended_s")
    jobs = [job for job in kept["jobs"] if job["kind"] in (*WORK, PROBE, PLAN)]

    def told(job: Mapping[str, Any]) -> list[tuple[float, float]]:
        rises = zip(looks, job["progress"], (0.0, *job["progress"]), strict=False)
        return [(at_s, now) for at_s, now, before in rises if now > before and at_s < job["ended_s"]]

    crew = max((job.get("crew", 0) for job in jobs), default=0)
    return {"about": about, "crew": crew, "jobs": [{**{name: job[name] for name in names}, "told": told(job)} for job in jobs]}
