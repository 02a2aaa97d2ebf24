"""`python -m bench.chaos` (and `make chaos`): exit code 0 when nothing was lost, doubled, orphaned, left unfinished or changed.

`attack` is the chaos run itself; `recovery` measures how soon the work of a killed worker goes on; `broker` what it costs to work
without a broker. Without a name all three are done, and their figures kept in bench/results/chaos.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.chaos import measure, run
from bench.chaos.report import as_text
from bench.figures import keep

PARTS = ("attack", "recovery", "broker")


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    options.add_argument("part", nargs="*", choices=[*PARTS, []], help="all of them when none is named")
    options.add_argument("--kills", type=int, default=500, help="SIGKILLs of the attack that hit a process")
    options.add_argument("--minutes", type=float, default=90, help="the attack ends then at the latest")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--pause-s", type=float, default=1.5, help="between two faults, on average")
    options.add_argument("--clients", type=int, default=3)
    options.add_argument("--plant", choices=run.PLANTS, default="none", help="make one thing wrong at the end: the run must then fail")
    options.add_argument("--worker-kills", type=int, default=8, help="of the recovery")
    options.add_argument("--titles", type=int, default=12, help="sent with a broker, and again without")
    options.add_argument("--keep", action="store_true", help="leave the folder, with all logs")
    options.add_argument(
        "--out", type=Path, default=Path("bench/out/chaos.json"), help="the report; parts that are not run stay as they are"
    )
    return options.parse_args()


def say(sentence: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)


def _do(part: str, folder: Path, chosen: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """The part's report, and whether it passed."""
    if part == "attack":
        plan = run.Plan(chosen.seed, chosen.kills, chosen.minutes * 60, chosen.pause_s, chosen.clients, chosen.plant)
        report = run.run(folder, plan, say)
        print(as_text(report))
        return report, not report["findings"]
    report = measure.recovery(folder, chosen.worker_kills) if part == "recovery" else measure.broker_away(folder, chosen.titles)
    print("\n".join(f"{name:<32} {value}" for name, value in report.items()))
    return report, bool(report["passed"])


def main() -> int:
    chosen = _options()
    folder = Path(tempfile.mkdtemp(prefix="headwater-chaos-"))
    run.stop_on_signals()
    kept: dict[str, Any] = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    failed = []
    try:
        for part in chosen.part or PARTS:
            say(f"{part}:")
            (folder / part).mkdir()
            kept[part], passed = _do(part, folder / part, chosen)
            failed += [] if passed else [part]
            keep(kept, chosen.out)
    finally:
        if chosen.keep:
            say(f"Everything is in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"FAILED: {', '.join(failed)}" if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
