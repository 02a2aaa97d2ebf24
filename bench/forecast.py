"""The remaining time that is told, against what came: `python -m bench.forecast`.

For every run of the whole stack in tests/recordings, replayed: where the remaining time was furthest off, from a fifth of the progress on
(seconds that nobody minds, `tests.lives.LEAST_S`, are left out). Exit code 1 when one of a machine that was left alone (quiet-*) is more
than a quarter off.

`--record NAME` makes a run first, and keeps it as tests/recordings/NAME.json: 120 s of 1080p with grain (of `--clip` or
HEADWATER_BENCH_CLIP, or else a test picture) through a whole local stack, with a worker for each core or as many as `--workers` says. It
takes about three minutes on two cores; run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.stack_run import Recording, as_recording, record
from bench.transcode import make_source
from catalog.progress import AssetProgress
from tests.lives import LEAST_S, RECORDINGS, WITHIN, Told, recorded, told, worst
from tests.media.conftest import world_without_servers

SIZE = "1920x1080"
LOOKS = 200


def keep(name: str, clip: Path | None, seconds: int, workers: int) -> Recording:
    """Runs the stack once, and keeps what happened."""
    with tempfile.TemporaryDirectory(prefix="headwater-bench-forecast-") as place:
        folder = Path(place)
        source = make_source(world_without_servers(folder / "world"), clip, SIZE, seconds, folder)
        run = record(folder / "stack", source.path, {"HEADWATER_WORKER_PROCESSES": str(workers)})
    about = f"{source.description}; {workers} workers, {os.cpu_count()} cores, {run.machine_busy:.0%} of them in use while it was encoded."
    (RECORDINGS / f"{name}.json").write_text(json.dumps(as_recording(run.as_json(), about), separators=(",", ":")) + "\n")
    return run


def said_by_the_api(run: Recording) -> list[Told]:
    """What was really told then."""
    end_s = max(job.ended_s for job in run.encoding)
    return [
        Told(look.at_s, end_s - look.at_s, AssetProgress(look.progress, look.eta_s), 0.0) for look in run.looks if 0 < look.at_s < end_s
    ]


def rows(run: Recording | None) -> Sequence[tuple[str, Told]]:
    replayed = [(path.stem, worst(list(told(recorded(path), LOOKS)))) for path in sorted(RECORDINGS.glob("*.json"))]
    return [("what the API told", worst(said_by_the_api(run))), *replayed] if run is not None else replayed


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", metavar="NAME", help="make a run first, kept under this name: quiet-* on a machine that is left alone")
    parser.add_argument("--clip", type=Path, help="a real clip to make the source from (default: HEADWATER_BENCH_CLIP, or a test picture)")
    parser.add_argument("--seconds", type=int, default=120, help="length of the title")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="worker processes (default: one for each core)")
    found = parser.parse_args()
    named = os.environ.get("HEADWATER_BENCH_CLIP")
    found.clip = found.clip or (Path(named) if named else None)
    return found


def main() -> int:
    arguments = options()
    run = keep(arguments.record, arguments.clip, arguments.seconds, arguments.workers) if arguments.record else None
    table = Table("run", "furthest off", "where")
    missed = False
    for name, furthest in rows(run):
        off = abs(furthest.off) > WITHIN and abs(furthest.off_s) > LEAST_S
        missed = missed or (off and name.startswith("quiet"))
        table.add_row(name, f"{furthest.off:+.0%}", str(furthest))
    Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
