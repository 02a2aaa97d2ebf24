"""`python -m bench.chaos` (and `make chaos`): exit code 0 when nothing was lost, doubled, orphaned, left unfinished or changed."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.chaos import run
from bench.chaos.report import as_text


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    options.add_argument("--kills", type=int, default=500, help="SIGKILLs that hit a process")
    options.add_argument("--minutes", type=float, default=90, help="the attack ends then at the latest")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--pause-s", type=float, default=2.0, help="between two faults, on average")
    options.add_argument("--clients", type=int, default=3)
    options.add_argument("--plant", choices=run.PLANTS, default="none", help="make one thing wrong at the end: the run must then fail")
    options.add_argument("--keep", action="store_true", help="leave the folder, with all logs")
    options.add_argument("--out", type=Path, default=Path("bench/out/chaos.json"))
    chosen = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headwater-chaos-"))
    run.stop_on_signals()

    def say(sentence: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)

    plan = run.Plan(chosen.seed, chosen.kills, chosen.minutes * 60, chosen.pause_s, chosen.clients, chosen.plant)
    try:
        report = run.run(folder, plan, say)
    finally:
        if chosen.keep:
            say(f"Everything is in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(report, indent=1) + "\n")
    print(as_text(report))
    return 1 if report["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
