"""The real worker and sweeper programs, with steps that tests can hold, release and count.

    python -m tests.integration.worker_program worker|pipeline|sweeper     (settings from the environment)

"pipeline" is a worker with the real steps. The step of "worker", test.hold, appends the process id of its worker to the file
`note`, runs a program that ends when the file `gate` exists, and saves its subject and its worker's process id.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, text

from kit.jobs import Job
from kit.process import Command
from kit.settings import load
from kit.step import Beat, Step
from kit.world import World
from worker import main
from worker.flow import VideoFlow
from worker.tasks import Duties

HOLD = "test.hold"
_PROGRAM = """
import os, sys, time
gate, note = sys.argv[1:]
with open(note, "a") as file:
    print("program", os.getpid(), file=file, flush=True)
while not os.path.exists(gate):
    time.sleep(0.05)
"""


def hold(world: World, job: Job, beat: Beat) -> int:
    with Path(job.args["note"]).open("a") as note:
        print("worker", os.getpid(), file=note, flush=True)
    world.runner.run(Command((sys.executable, "-c", _PROGRAM, job.args["gate"], job.args["note"]), timeout_s=120))
    return os.getpid()


def save(conn: Connection, world: World, job: Job, result: int) -> None:
    conn.execute(text("INSERT INTO saved VALUES (:subject, :worker)"), {"subject": job.subject, "worker": result})


def rhythm() -> tuple[float, float, float]:
    """Lease, heartbeat and look, in seconds: short, so that nobody waits for long."""
    lease_s, beat_s, look_s = (
        float(os.environ.get(f"TEST_{name}_S", default)) for name, default in (("LEASE", 2), ("BEAT", 0.3), ("LOOK", 0.5))
    )
    return lease_s, beat_s, look_s


if __name__ == "__main__":
    lease_s, beat_s, look_s = rhythm()
    match sys.argv[1]:
        case "worker":
            main.run_worker(load(), Duties({HOLD: Step(HOLD, hold, save)}, VideoFlow(), lease_s, beat_s, look_s))
        case "pipeline":
            main.run_worker(load(), replace(main.all_duties(), lease_s=lease_s, beat_s=beat_s, look_s=look_s))
        case "sweeper":
            main.run_sweeper(load(), sweep_s=0.5)
