"""What the edge costs, and what it saves: `make bench-origin`.

Cost: the throughput of a warm segment and of a warm playlist through the edge, divided by that of a plain nginx (the same
program, a minimal configuration) that serves the same bytes from a file. Both run all the time and are measured in turn, edge,
file, a second server of the same files, and round again; the figure is the median of the ratios of neighbouring runs, because
other work on the machine moves all of them, and the file's rate is the mean of its two servers. The target is 0.97. The ratio
of the two plain servers is the control: as far as it is from 1, so far off the figure may be.

The plain servers' segments are hard links to the files of the edge's cache (which hold a kilobyte of headers before the body),
so that both send the same pages of memory: where a file happens to lie there moves the figure by more than nginx does.

Players ask for playlists with gzip, so that is how they are measured; the plain nginx compresses as it sends, as servers of
files do. The uncompressed form is measured too, without a target: a few kilobytes cost so little to send that looking them up
in a cache instead of opening a file shows. How much of that is nginx's own is told by one that does nothing but cache.

Savings: 1,000 concurrent requests for one cold segment must reach the origin once and the store once; 1,000 requests that
differ in their CMCD query must be one cache entry.

Needs `wrk` for the first part (Debian: apt-get install wrk; macOS: brew install wrk). Writes bench/results/origin.json.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.figures import keep, machine
from kit.clock import SystemClock
from kit.db import connect
from kit.process import SubprocessRunner
from kit.settings import Settings
from kit.storage.s3 import open_storage
from kit.world import World
from stack import binaries
from stack.servers import free_ports
from tests.edge_rig import Rig, rig, running_nginx
from tests.live import live_servers
from tests.published import Published, published

TARGET = 0.97
CROWD = 1000
CONNECTIONS = 32
SEGMENT_BYTES = 1_500_000  # 6 s at 2 Mbit/s
SEGMENTS = 24  # asked for in turn: where a single file happens to lie in memory would show in the figure
PLAYLIST_SEGMENTS = 300  # half an hour
RESULTS = Path(__file__).parent / "results" / "origin.json"

_PLAIN = """\
daemon off;
{user}
worker_processes auto;
worker_rlimit_nofile 16384;
pid {folder}/plain.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    types {{ application/vnd.apple.mpegurl m3u8; video/iso.segment m4s; }}
    gzip on;
    gzip_types application/vnd.apple.mpegurl;
    {server}
}}
"""
_FILES = "server {{ listen 127.0.0.1:{port}; root {folder}/files; }}"
_CACHE = """\
proxy_cache_path {folder}/cache keys_zone=bare:1m;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {origin}; proxy_cache bare; proxy_cache_valid 1h; }} }}"""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Requests per second of neighbouring runs, and the least processor time of the server that one request took."""

    what: str
    size_bytes: int
    edge_per_s: list[float]
    file_per_s: list[float]
    edge_cpu_us: float
    file_cpu_us: float
    ratio: float  # median of the ratios of neighbouring runs
    control: float  # one plain server against the other
    target: float | None

    @property
    def verdict(self) -> str:
        if self.target is None:
            return "no target"
        return f"target {self.target}: {'met' if self.ratio >= self.target else 'MISSED'}"


@dataclass(frozen=True, slots=True)
class Savings:
    """What reached the origin and the store."""

    crowd: int
    crowd_answers_right: int
    crowd_origin_requests: int
    crowd_store_reads: int
    cmcd_queries: int
    cmcd_origin_requests: int
    cmcd_cache_entries: int

    @property
    def exact(self) -> bool:
        return (
            self.crowd_answers_right == self.crowd
            and self.crowd_origin_requests == self.crowd_store_reads == 1
            and self.cmcd_origin_requests == self.cmcd_cache_entries == 1
        )


@contextmanager
def bench_world(folder: Path) -> Iterator[World]:
    with live_servers() as servers, servers.database() as database_url:
        s3 = servers.s3
        settings = Settings(
            database_url=database_url, broker_url="", s3_endpoint=s3.s3_endpoint, s3_bucket="bench", s3_access_key=s3.s3_access_key,
            s3_secret_key=s3.s3_secret_key, s3_region=s3.s3_region, secret_key="x" * 32, scratch_dir=folder / "scratch",
        )  # fmt: skip
        storage = open_storage(settings)
        storage.ensure_bucket()
        engine = connect(database_url)
        try:
            yield World(settings, SystemClock(), engine, storage, SubprocessRunner())
        finally:
            engine.dispose()


@contextmanager
def plain_nginx(folder: Path, files: dict[str, bytes | Path]) -> Iterator[Server]:
    """A server of these files, by name: of their bytes, or of the very file at a path."""
    (folder / "files").mkdir(parents=True)
    for name, data in files.items():
        if isinstance(data, Path):
            (folder / "files" / name).hardlink_to(data)
        else:
            (folder / "files" / name).write_bytes(data)
    with _nginx(folder, _FILES) as server:
        yield server


@contextmanager
def bare_cache(folder: Path, origin: Server) -> Iterator[Server]:
    """What nginx's cache costs by itself: a server that does nothing but keep what the other one has sent."""
    folder.mkdir(parents=True)
    with _nginx(folder, _CACHE, origin=origin.address) as server:
        yield server


@contextmanager
def _nginx(folder: Path, server: str, **values: str) -> Iterator[Server]:
    (port,) = free_ports(1)
    conf, user = folder / "plain.conf", "user root;" if os.geteuid() == 0 else ""
    conf.write_text(_PLAIN.format(folder=folder, user=user, server=server.format(folder=folder, port=port, **values)))
    argv = (str(binaries.nginx()), "-e", "stderr", "-p", str(folder), "-c", str(conf))
    with running_nginx(argv, port, folder / "plain.log") as process:
        yield Server(f"http://127.0.0.1:{port}", process.pid)


@dataclass(frozen=True, slots=True)
class Server:
    """An nginx under test: where it listens, and its master process."""

    address: str
    pid: int

    def cpu_s(self) -> float:
        """Processor seconds that its workers have used so far."""
        workers = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in workers]
        return sum(int(found[11]) + int(found[12]) for found in fields) / os.sysconf("SC_CLK_TCK")


_IN_TURN = """\
local paths, turn = {{ {paths} }}, 0
request = function()
  turn = turn % #paths + 1
  return wrk.format("GET", paths[turn])
end
"""


def one_run(wrk: str, server: Server, script: Path, coding: str, seconds: int) -> tuple[float, float]:
    """Requests per second, and microseconds of processor time for each. Raises SystemExit when an answer was not a 200."""
    argv = [wrk, "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), "-H", f"Accept-Encoding: {coding}", server.address]
    before_s = server.cpu_s()
    said = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 30, check=True).stdout
    used_s = server.cpu_s() - before_s
    rate, count = re.search(r"^Requests/sec:\s+([0-9.]+)$", said, re.MULTILINE), re.search(r"(\d+) requests in", said)
    if rate is None or count is None or "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"wrk did not measure what it should: {said}")
    return float(rate[1]), used_s / max(1, int(count[1])) * 1e6


@dataclass(frozen=True, slots=True)
class Case:
    """`paths` at the edge and `files` of the plain server are the same objects."""

    what: str
    paths: list[str]
    files: list[str]
    coding: str
    target: float | None


def compare(wrk: str, case: Case, servers: dict[str, Server], *, size_bytes: int, folder: Path, options: argparse.Namespace) -> Throughput:
    """`servers`: edge, file and control."""
    scripts = {}
    for side, server in servers.items():
        paths = case.paths if side == "edge" else [f"/{name}" for name in case.files]
        scripts[side] = folder / f"{side}.lua"
        scripts[side].write_text(_IN_TURN.format(paths=", ".join(f'"{path}"' for path in paths)))
        one_run(wrk, server, scripts[side], case.coding, 1)  # the cache is filled and the files are in memory before anything counts
    runs: dict[str, list[tuple[float, float]]] = {side: [] for side in servers}
    sides = list(servers)
    for turn in range(options.rounds):
        for side in sides[turn % 3 :] + sides[: turn % 3]:
            runs[side].append(one_run(wrk, servers[side], scripts[side], case.coding, options.seconds))
    rates = {side: [rate for rate, _ in found] for side, found in runs.items()}
    least = {side: round(min(cpu for _, cpu in found), 2) for side, found in runs.items()}
    both = [(one + other) / 2 for one, other in zip(rates["file"], rates["control"], strict=True)]
    ratio = statistics.median(one / other for one, other in zip(rates["edge"], both, strict=True))
    control = statistics.median(one / other for one, other in zip(rates["control"], rates["file"], strict=True))
    return Throughput(
        case.what, size_bytes, rates["edge"], both, least["edge"], least["file"], round(ratio, 3), round(control, 3), case.target
    )


async def _one_of_a_crowd(port: int, path: str, start: asyncio.Event) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await start.wait()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read(-1)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return body if head.startswith(b"HTTP/1.1 200 ") else b""


async def crowd(port: int, path: str) -> list[bytes]:
    """The bodies that `CROWD` clients get who are all connected before the first of them asks."""
    start = asyncio.Event()
    clients = [asyncio.create_task(_one_of_a_crowd(port, path, start)) for _ in range(CROWD)]
    await asyncio.sleep(3)
    start.set()
    return await asyncio.gather(*clients)


def savings(edge: Rig, title: Published) -> Savings:
    cold, data = title.segment(1), title.title.bodies["480p"][1]
    bodies = asyncio.run(crowd(edge.port, cold))
    right = sum(hashlib.sha256(body).digest() == hashlib.sha256(data).digest() for body in bodies)
    asked, read = edge.origin.requests.count(("GET", cold)), edge.relay.reads("480p/00001.m4s")
    entries, other = edge.cache_entries(), title.segment(2)
    for number in range(CROWD):
        edge.http.get(f"{other}?CMCD=bl%3D{number}%2Cmtp%3D{number * 100}%2Csid%3D%22{number}%22").raise_for_status()
    return Savings(CROWD, right, asked, read, CROWD, edge.origin.requests.count(("GET", other)), edge.cache_entries() - entries)


def throughputs(edge: Rig, segment: Published, playlist: Published, folder: Path, options: argparse.Namespace) -> list[Throughput]:
    wrk = shutil.which("wrk")
    if wrk is None:
        print(
            "wrk is not installed, so throughput was not measured. Debian: apt-get install wrk; macOS: brew install wrk.", file=sys.stderr
        )
        return []
    media, text = [segment.segment(index) for index in range(SEGMENTS)], [playlist.of_plan("480p/index.m3u8")]
    names = [f"{index}.m4s" for index in range(SEGMENTS)]
    cases = [
        Case("warm segment", media, names, "identity", TARGET),
        Case("warm playlist, gzip", text, ["playlist.m3u8"], "gzip", TARGET),
        Case("warm playlist, plain", text, ["playlist.m3u8"], "identity", None),
    ]
    for path in media:
        edge.http.get(path).raise_for_status()
    playlist_bytes = edge.http.get(text[0]).raise_for_status().content
    kept = [path for path in sorted((edge.edge.directory / "cache").rglob("*")) if path.is_file() and path.stat().st_size > SEGMENT_BYTES]
    files: dict[str, bytes | Path] = {**dict(zip(names, kept, strict=True)), "playlist.m3u8": playlist_bytes}
    served = Server(edge.address, int((edge.edge.directory / "nginx.pid").read_text()))
    with (
        plain_nginx(folder / "plain", files) as plain,
        plain_nginx(folder / "again", files) as again,
        bare_cache(folder / "bare", plain) as bare,
    ):
        servers = {"edge": served, "file": plain, "control": again}
        sizes = {case.what: SEGMENT_BYTES if case.paths is media else len(playlist_bytes) for case in cases}
        found = [compare(wrk, case, servers, size_bytes=sizes[case.what], folder=folder, options=options) for case in cases]
        alone = Case("nginx's cache alone", ["/playlist.m3u8"], ["playlist.m3u8"], "identity", None)
        return [*found, compare(wrk, alone, servers | {"edge": bare}, size_bytes=len(playlist_bytes), folder=folder, options=options)]


def about() -> dict[str, str]:
    """The machine, and the server that it has."""
    version = subprocess.run([binaries.nginx(), "-v"], capture_output=True, text=True, check=True).stderr.strip()
    return machine(nginx=version.rpartition("/")[2])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=1, choices=range(1, 6), help="of each run")
    options = parser.parse_args()
    facts = about()
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-"))
    try:
        with bench_world(folder) as world:
            segment = published(world, seed=1, rungs=("480p",), least=SEGMENT_BYTES, most=SEGMENT_BYTES, segments=SEGMENTS)
            playlist = published(world, seed=2, rungs=("480p",), least=500, most=900, segments=PLAYLIST_SEGMENTS)
            with rig(world, folder, user="root" if os.geteuid() == 0 else None) as edge:
                saved = savings(edge, segment)
                measured = throughputs(edge, segment, playlist, folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    keep({"machine": facts, "throughput": [asdict(one) for one in measured], "savings": asdict(saved)}, RESULTS)
    for name, value in facts.items():
        print(f"{name:<20} {value}")
    for one in measured:
        cpu = f"cpu {one.edge_cpu_us:.1f} and {one.file_cpu_us:.1f} us"
        rates = f"edge {statistics.median(one.edge_per_s):,.0f}/s, file {statistics.median(one.file_per_s):,.0f}/s"
        print(
            f"{one.what:<20} {one.size_bytes:>9,} bytes: {rates}, {cpu}, ratio {one.ratio:.3f} ({one.verdict}; control {one.control:.3f})"
        )
    print(f"cold crowd           {saved.crowd} requests, {saved.crowd_answers_right} right: {saved.crowd_origin_requests} at the origin, "
          f"{saved.crowd_store_reads} at the store")  # fmt: skip
    print(
        f"cmcd           {saved.cmcd_queries} queries: {saved.cmcd_origin_requests} at the origin, {saved.cmcd_cache_entries} cache entry"
    )
    return 0 if saved.exact and not any("MISSED" in one.verdict for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
