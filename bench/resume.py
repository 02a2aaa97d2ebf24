"""Uploads that are resumed after the API was killed: `make bench-resume`.

The real API (`headwater api`) on live PostgreSQL and S3 takes in several files at once by tus. Again and again, at a random moment
while most of them are in the middle of a PATCH, it is killed with SIGKILL and started again. Every client then asks for its offset
(HEAD) and goes on from there, as a tus client does. A resumption counts when an upload whose PATCH was broken off goes on below its end.

It fails when an offset is less than what was acknowledged, when the stored source has another SHA-256 than the file, or when in the
end the store holds anything of these uploads but what became a source.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

import ingest.expiry
from accounts.store import create_key
from bench.figures import commit, finish
from kit import settings
from kit.errors import HeadwaterError
from kit.settings import Settings
from kit.storage.s3 import S3Storage, open_storage
from kit.world import World, open_world
from media import keys
from media.ids import AssetId
from stack import servers as stack_servers
from tests.live import LiveServers, live_servers

MIB = 1 << 20
TUS = {"Tus-Resumable": "1.0.0"}
PIECE_BYTES = 128 << 10
FILE_MIB, PATCH_MIB = (6, 20), (1, 14)
LIMIT_S = 120.0  # for anything that has to come
KILL_WITHIN_S = 1.0  # after most uploads are under way, …
MOST, WAIT_S = 0.75, 8.0  # … which is waited for so long


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen."""

    resumptions: int
    wanted: int
    kills: int
    files: int
    sent_mib: int
    sent_again_mib: int  # because the API had not acknowledged it
    offsets_below_acknowledged: int
    wrong_sha256: int
    objects_left: int
    multiparts_left: int
    resumed_after_s_median: float  # from the kill to the HEAD that answers; starting the API is the most of it
    wall_s: float
    machine: str
    commit: str
    python: str

    @property
    def passed(self) -> bool:
        wrong = self.offsets_below_acknowledged + self.wrong_sha256 + self.objects_left + self.multiparts_left
        return wrong == 0 and self.resumptions >= self.wanted


class ApiProcess:
    """`headwater api`, which can be killed and comes back at the same address."""

    def __init__(self, config: Settings, log: Path) -> None:
        self._environment = {"PATH": os.environ["PATH"], **settings.to_environment(config)}
        self._port, self._log = stack_servers.free_ports(1)[0], log
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        words = [sys.executable, "-m", "stack.cli", "api", "--listen", f"127.0.0.1:{self._port}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                words, cwd=Path(__file__).parent.parent, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        until(self._answers, f"the API does not answer; see {self._log}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.options(f"{self.url}/v1/tus", timeout=10, trust_env=False).status_code == 204
        return False


def until(true: Callable[[], bool], failure: str) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > end_s:
            raise AssertionError(failure)
        time.sleep(0.05)


class Tally:
    """What all clients count together."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.resumptions = self.files = self.sent_bytes = self.again_bytes = self.below = self.wrong = 0
        self.after_s: list[float] = []
        self.killed_s = 0.0
        self.sending: set[int] = set()
        self.failed: list[BaseException] = []
        self.lock = threading.Lock()

    @property
    def enough(self) -> bool:
        return self.resumptions >= self.wanted or bool(self.failed)


class Client:
    """Sends one file after the other until enough has been resumed."""

    def __init__(self, number: int, api: ApiProcess, key: str, storage: S3Storage, tally: Tally) -> None:
        self._number, self._storage, self._tally = number, storage, tally
        self._chance = random.Random(number)
        self._http = httpx.Client(base_url=api.url, timeout=60, trust_env=False, headers={"Authorization": f"Bearer {key}"})
        self._position = 0  # up to where the file was handed to the network

    def run(self) -> None:
        try:
            with self._http:
                while not self._tally.enough:
                    self._send(self._chance.randbytes(self._chance.randint(FILE_MIB[0] * MIB, FILE_MIB[1] * MIB)))
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            self._tally.failed.append(error)

    def _send(self, data: bytes) -> None:
        path = self._create(len(data))
        acknowledged, broken = 0, False
        while True:
            offset = self._offset(path)
            with self._tally.lock:
                self._tally.below += offset < acknowledged
                if broken and offset < len(data):
                    self._tally.resumptions += 1
                    self._tally.again_bytes += self._position - offset
                    self._tally.after_s.append(time.monotonic() - self._tally.killed_s)
            if offset == len(data):
                break
            acknowledged, broken = self._patch(path, data, offset)
        self._check(path.split("/")[3], data)

    def _patch(self, path: str, data: bytes, offset: int) -> tuple[int, bool]:
        """What is acknowledged now, and whether the connection broke in the middle of the body."""
        end = min(len(data), offset + self._chance.randint(PATCH_MIB[0] * MIB, PATCH_MIB[1] * MIB))
        self._position = offset
        headers = {
            **TUS,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(end - offset),
        }
        try:
            answer = self._http.patch(path, content=self._body(data, offset, end), headers=headers)
        except httpx.TransportError:
            return offset, self._position > offset
        finally:
            self._tally.sending.discard(self._number)
        if answer.status_code == 204:
            return int(answer.headers["upload-offset"]), False
        if answer.status_code in (423, 503):  # the lease of the request that was killed has not lapsed yet
            time.sleep(0.5)
        elif answer.status_code != 409:
            raise AssertionError(f"PATCH was answered with {answer.status_code}: {answer.text}")
        return offset, False

    def _body(self, data: bytes, offset: int, end: int) -> Iterator[bytes]:
        for start in range(offset, end, PIECE_BYTES):
            piece = data[start : min(end, start + PIECE_BYTES)]
            self._position = start + len(piece)
            self._tally.sending.add(self._number)
            with self._tally.lock:
                self._tally.sent_bytes += len(piece)
            yield piece

    def _asked(self, method: str, path: str, expected: int, **more: dict[str, str]) -> httpx.Response:
        """The answer, however often the API has to come back first."""
        end_s = time.monotonic() + LIMIT_S
        while time.monotonic() < end_s:
            with contextlib.suppress(httpx.TransportError):
                answer = self._http.request(method, path, **more)  # type: ignore[arg-type]
                if answer.status_code == expected:
                    return answer
                if answer.status_code < 500:
                    raise AssertionError(f"{method} was answered with {answer.status_code}: {answer.text}")
            time.sleep(0.05)
        raise AssertionError("the API did not come back")

    def _create(self, size_bytes: int) -> str:
        return str(self._asked("POST", "/v1/tus", 201, headers={**TUS, "Upload-Length": str(size_bytes)}).headers["location"])

    def _offset(self, path: str) -> int:
        return int(self._asked("HEAD", path, 200, headers=TUS).headers["upload-offset"])

    def _check(self, upload_id: str, data: bytes) -> None:
        """The stored source is the file. It is removed then, as a thousand of them would fill the disk."""
        until(lambda: self._asked("GET", f"/v1/uploads/{upload_id}", 200).json()["status"] == "complete", "an upload is never closed")
        key = keys.source(AssetId(self._asked("GET", f"/v1/uploads/{upload_id}", 200).json()["asset_id"]))
        digest = hashlib.sha256()
        for piece in self._storage.stream(key):
            digest.update(piece)
        self._storage.delete(key)
        with self._tally.lock:
            self._tally.files += 1
            self._tally.wrong += digest.digest() != hashlib.sha256(data).digest()


def _sweep(world: World, stop: threading.Event) -> None:
    """What the sweeper does for uploads: among others, close those whose server died before it could."""
    while not stop.is_set():
        with contextlib.suppress(HeadwaterError):
            ingest.expiry.expire(world)
        stop.wait(1.0)


def _kill_often(api: ApiProcess, tally: Tally, uploads: int, seed: int) -> int:
    """Until enough has been resumed. Returns how often."""
    chance, kills = random.Random(seed), 0
    while not tally.enough:
        end_s = time.monotonic() + WAIT_S
        while len(tally.sending) < MOST * uploads and time.monotonic() < end_s and not tally.enough:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, KILL_WITHIN_S))
        if not tally.enough:
            api.kill()
            tally.killed_s = time.monotonic()
            api.start()
            kills += 1
    return kills


def measure(live: LiveServers, folder: Path, count: int, uploads: int, seed: int) -> Figures:
    began_s, tally = time.monotonic(), Tally(count)
    with live.database() as address, contextlib.ExitStack() as stack:
        config = Settings(
            database_url=address, broker_url=live.broker_url, s3_endpoint=live.s3.s3_endpoint, s3_bucket="resume",
            s3_access_key=live.s3.s3_access_key, s3_secret_key=live.s3.s3_secret_key, s3_region=live.s3.s3_region,
            secret_key="a secret of thirty-two characters, or more", scratch_dir=folder / "scratch", requests_per_minute=0,
        )  # fmt: skip
        world, storage = open_world(config), open_storage(config)
        stack.callback(world.db.dispose)
        storage.ensure_bucket()
        with world.db.begin() as conn:
            key = create_key(conn, "bench").secret
        api, stop = ApiProcess(config, folder / "api.log"), threading.Event()
        api.start()
        stack.callback(api.kill)
        sweeper = threading.Thread(target=_sweep, args=(world, stop), daemon=True)
        clients = [threading.Thread(target=Client(number, api, key, storage, tally).run, daemon=True) for number in range(uploads)]
        for thread in (sweeper, *clients):
            thread.start()
        kills = _kill_often(api, tally, uploads, seed)
        for thread in clients:
            thread.join()
        stop.set()
        sweeper.join()
        if tally.failed:
            raise tally.failed[0]
        ingest.expiry.expire(world)
        left = [*storage.list(keys.UPLOADS), *storage.list(keys.SOURCES)]
        strays = list(storage.open_multiparts(""))
    return _figures(tally, kills, len(left), len(strays), time.monotonic() - began_s)


def _figures(tally: Tally, kills: int, objects_left: int, multiparts_left: int, wall_s: float) -> Figures:
    return Figures(
        resumptions=tally.resumptions,
        wanted=tally.wanted,
        kills=kills,
        files=tally.files,
        sent_mib=tally.sent_bytes // MIB,
        sent_again_mib=tally.again_bytes // MIB,
        offsets_below_acknowledged=tally.below,
        wrong_sha256=tally.wrong,
        objects_left=objects_left,
        multiparts_left=multiparts_left,
        resumed_after_s_median=round(statistics.median(tally.after_s), 2),
        wall_s=round(wall_s),
        machine=f"{os.cpu_count()} cores, {platform.machine()}",
        commit=commit(),
        python=platform.python_version(),
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1000, help="resumptions")
    options.add_argument("--uploads", type=int, default=12, help="at the same time")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("bench/out/resume.json"))
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as folder, live_servers() as live:
        figures = measure(live, Path(folder), chosen.count, chosen.uploads, chosen.seed)
    return finish(figures, passed=figures.passed, out=chosen.out)


if __name__ == "__main__":
    sys.exit(main())
