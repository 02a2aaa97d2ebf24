"""What the pictures of a title cost beside its ladder: `make bench-pictures`.

One title through a whole local stack. CPU seconds (user + system) of the programs that its jobs ran, by kind of job, and their ratio to
what the ladder took (chunks, opening, sound): poster and storyboard together should be at most 2 %. What the worker's own processes
used while storyboard and preview were made (fetching key frames, mostly) is measured beside it and added to them.

The source is made of a real clip (`--clip` or HEADWATER_BENCH_CLIP) in 1080p with grain, or else a test picture. CPU seconds vary little
with what else the machine does. Writes bench/results/pictures.json. Exit code 1 when the target is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import keep
from bench.stack_run import client_of, command_line, open_database, upload
from bench.transcode import about, make_source
from catalog import pictures
from catalog.kinds import AUDIO, ENCODE, POSTER, SEGMENT
from kit import job_store
from stack import leftovers
from tests.local_stack import LocalStack, local_stack
from tests.media.conftest import world_without_servers

RESULTS = Path(__file__).parent / "results" / "pictures.json"
LADDER = (SEGMENT, ENCODE, AUDIO)
TARGET = 0.02
LIMIT_S = 1800.0


def worker_cpu_s(stack: LocalStack) -> float:
    """CPU seconds that the worker's living processes have used themselves, without the programs that they ran."""
    ticks = 0
    for pid in leftovers.find(stack.data):
        if b"worker" in command_line(pid):
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, source: Path) -> tuple[dict[str, float], float]:
    """CPU seconds of programs by kind of job, and those of the worker itself from ready to the last picture."""
    with local_stack(folder, {}) as stack, client_of(stack) as api:
        engine = open_database(stack)
        asset_id, began_s = upload(api, source), time.monotonic()
        ready_cpu_s: float | None = None
        while True:
            asset = api.get(f"/v1/assets/{asset_id}").raise_for_status().json()
            if asset["status"] == "errored" or time.monotonic() > began_s + LIMIT_S:
                raise SystemExit(f"The title is {asset['status']}: {asset['error']}")
            if asset["status"] == "ready" and ready_cpu_s is None:
                ready_cpu_s = worker_cpu_s(stack)
            if len(asset["pictures"]) == 2:
                break
            time.sleep(0.2)
        own_s = worker_cpu_s(stack) - (ready_cpu_s or 0.0)
        with engine.connect() as conn:
            jobs = job_store.jobs_of_asset(conn, asset_id)
        engine.dispose()
        spent: dict[str, float] = {}
        for job in jobs:
            spent[job.kind] = round(spent.get(job.kind, 0.0) + float(job.stats.get("cpu_s", 0.0)), 3)
        return spent, round(own_s, 3)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--clip", type=Path, default=os.environ.get("HEADWATER_BENCH_CLIP"))
    options.add_argument("--seconds", type=int, default=60)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="headwater-bench-") as name:
        folder = Path(name)
        world = world_without_servers(folder / "world")
        source = make_source(world, given.clip and Path(given.clip), "1920x1080", given.seconds, folder)
        spent, own_s = measure(folder / "stack", source.path)
    ladder_s = sum(spent.get(kind, 0.0) for kind in LADDER)
    pictures_s = spent[POSTER] + spent[pictures.STORYBOARD]
    ratio, with_worker = pictures_s / ladder_s, (pictures_s + own_s) / ladder_s
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": about(world), "source": source.description,
        "cpu_s": spent, "worker_own_cpu_s": own_s, "ladder_cpu_s": round(ladder_s, 2),
        "poster_and_storyboard_ratio": round(ratio, 5), "with_the_worker_itself_ratio": round(with_worker, 5), "target": TARGET,
    }  # fmt: skip
    keep(report, RESULTS)
    for kind, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"{kind:24} {seconds:8.2f} CPU s")
    print(f"worker itself, from ready to the last picture: {own_s:.2f} CPU s")
    print(f"poster + storyboard ÷ ladder: {ratio:.2%}; with the worker itself: {with_worker:.2%} (target {TARGET:.0%})")
    return 0 if with_worker <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
