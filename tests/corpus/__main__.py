"""`python -m tests.corpus`: try the whole corpus, or a part of it, and print a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.clips import Clips, shared_folder
from tests.corpus import SEED
from tests.corpus.trial import Outcome, ground
from tests.media.conftest import world_without_servers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every case; the default is those whose name has --only in it")
    parser.add_argument("--only", default="", help="a part of the names")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", type=Path, help="write the files into this folder and try nothing")
    parser.add_argument("--verbose", action="store_true", help="a line for each case")
    given = parser.parse_args()
    if not (given.all or given.only or given.write):
        parser.error("say --all, --only PART or --write FOLDER")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "uploads"
        folder.mkdir()
        with ground(folder, world_without_servers(Path(name)), Clips(shared_folder()), given.seed) as (place, everything):
            chosen = [case for case in everything if given.only in case.name]
            if given.write:
                given.write.mkdir(parents=True, exist_ok=True)
                for case in chosen:
                    (given.write / f"{case.name}{case.suffix}").write_bytes(case.data)
                print(f"{len(chosen)} files in {given.write}")
                return 0
            outcomes = []
            for case in chosen:
                outcomes.append(place.tries(case))
                if given.verbose or outcomes[-1].faults:
                    print(_line(outcomes[-1]), flush=True)
    print(table(outcomes))
    return 1 if any(outcome.faults for outcome in outcomes) else 0


def _line(outcome: Outcome) -> str:
    figures = f"{outcome.wall_s:6.2f} s {outcome.cpu_s:6.2f} s {outcome.peak_bytes >> 20:4} MiB"
    return f"{outcome.case.name:<44} {outcome.code:<20} {figures}  {'; '.join(outcome.faults)}"


def table(outcomes: list[Outcome]) -> str:
    """How the cases of each kind ended, and the largest figures."""
    lines = [f"{'kind':<18} {'cases':>6} {'faults':>7}  {'time max':>8} {'CPU max':>8} {'memory max':>10}  endings"]
    for kind in dict.fromkeys(outcome.case.kind for outcome in outcomes):
        of_kind = [outcome for outcome in outcomes if outcome.case.kind == kind]
        lines.append(_row(kind, of_kind))
    slowest, largest = max(outcomes, key=lambda one: one.cpu_s), max(outcomes, key=lambda one: one.peak_bytes)
    return "\n".join([*lines, _row("all", outcomes), f"most CPU: {slowest.case.name}; most memory: {largest.case.name}"])


def _row(kind: str, outcomes: list[Outcome]) -> str:
    endings = ", ".join(f"{code} {count}" for code, count in Counter(outcome.code for outcome in outcomes).most_common())
    cpu_s, peak = max(outcome.cpu_s for outcome in outcomes), max(outcome.peak_bytes for outcome in outcomes) >> 20
    faults, wall_s = sum(bool(outcome.faults) for outcome in outcomes), max(outcome.wall_s for outcome in outcomes)
    return f"{kind:<18} {len(outcomes):>6} {faults:>7}  {wall_s:>6.2f} s {cpu_s:>6.2f} s {peak:>6} MiB  {endings}"


if __name__ == "__main__":
    sys.exit(main())
