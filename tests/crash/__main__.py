"""`python -m tests.crash`: kills the pipeline at every point, or at a sample of them, and says how it recovered."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.crash import suite
from tests.crash.faults import FAULTS
from tests.crash.trial import Result
from tests.live import live_servers


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=0, help="a sample of so many points, each name at least once; 0: all of them")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", default="", help="points whose words match this expression")
    options.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--plant", default="", choices=["", *FAULTS], help="a fault to be found")
    options.add_argument("--list", action="store_true", help="only name the points")
    chosen = options.parse_args()
    began_s, done = time.monotonic(), itertools.count(1)

    def tell(result: Result) -> None:
        number = next(done)
        if result.problems or number % 100 == 0:
            print(number, result.scenario, result.point, *result.problems, sep="\n    " if result.problems else " ", flush=True)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headwater-crash-")))
        servers = stack.enter_context(live_servers())
        found = stack.enter_context(suite.testers(servers, folder / "run", chosen.jobs, chosen.plant))
        every = suite.all_places(found)
        places = suite.matching(every, chosen.only)
        if chosen.list:
            print("\n".join(map(str, places)))
            return 0
        report = suite.try_places(found, suite.sample(places, chosen.count, chosen.seed) if chosen.count else places, every, tell)
    print(report)
    print(f"seed {chosen.seed}, {time.monotonic() - began_s:.0f} s")
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
