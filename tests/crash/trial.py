"""Tries points: each run of a scenario is a process, forked from a warm one, that dies at its point; another one picks up the pieces.

Runs as `python -m tests.crash.trial` with a database of its own, and says one JSON object for each point on stdout. The process that
forks has made the undisturbed runs, so that nothing has to be read in or compiled again; it has no threads and no connections left.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from kit import settings
from tests.crash import faults, inventory, scenarios
from tests.crash.inventory import Inventory
from tests.crash.points import Point
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.stage import Place, Stage

LIMIT_S = 300  # of one process, on however slow a machine
KILLED = -signal.SIGKILL
NOWHERE = Point("nowhere", 0)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one point. `reached` is False when the run came to its end without passing it."""

    scenario: str
    point: str
    reached: bool
    problems: tuple[str, ...]


class Trial:
    def __init__(self, place: Place, fault: str) -> None:
        self._place = place
        self._stage = Stage(place, faults.FAULTS.get(fault))
        self._quiet: dict[str, tuple[list[Point], Inventory]] = {}

    def quiet_run(self, scenario: Scenario) -> tuple[list[Point], Inventory]:
        """The points that an undisturbed run reaches, and what it leaves. Runs here, so that what is forked later is warm."""
        if scenario.name not in self._quiet:
            stage = self._stage
            stage.clear()
            stage.points.begin()
            scenarios.run(stage, scenario)
            reached = stage.points.sure()
            stage.settle()
            self._quiet[scenario.name] = (reached, self._take())
            stage.leave()
            gc.collect()
            gc.freeze()
        return self._quiet[scenario.name]

    def try_point(self, scenario: Scenario, point: Point) -> Result:
        _, quiet = self.quiet_run(scenario)
        ended = self._forked(lambda: self._run(scenario, point))
        if ended not in (0, KILLED):
            return Result(scenario.name, str(point), reached=False, problems=(f"the run broke:\n{self._said()}",))
        left = self._place.folder / "left.pickle"
        if self._forked(lambda: left.write_bytes(pickle.dumps(self._recover(scenario)))) != 0:
            return Result(scenario.name, str(point), ended == KILLED, (f"recovery broke:\n{self._said()}",))
        found = inventory.problems(pickle.loads(left.read_bytes()), quiet, scenario.ends, scenario.either)
        return Result(scenario.name, str(point), ended == KILLED, tuple(found))

    def _run(self, scenario: Scenario, point: Point) -> None:
        self._stage.clear()
        self._stage.points.begin(point)
        scenarios.run(self._stage, scenario)

    def _recover(self, scenario: Scenario) -> Inventory:
        """The sweeper and a worker first, then the client, then whatever else time brings."""
        stage = self._stage
        stage.come_back()
        stage.points.begin(NOWHERE)
        stage.pass_time(600)
        stage.sweep()
        stage.work()
        scenarios.run(stage, scenario)
        stage.settle()
        return self._take()

    def _take(self) -> Inventory:
        return inventory.take(self._stage.admin, self._stage.unseen, self._place.settings.scratch_dir)

    def _forked(self, work: Callable[[], object]) -> int:
        """How the process ended, as `os.waitstatus_to_exitcode` says."""
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                with (self._place.folder / "said").open("wb") as said:
                    os.dup2(said.fileno(), 1)
                    os.dup2(said.fileno(), 2)
                gc.disable()
                faulthandler.dump_traceback_later(LIMIT_S, exit=True)
                work()
                code = 0
            except BaseException:  # noqa: BLE001 - the edge of this process
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _said(self) -> str:
        return (self._place.folder / "said").read_text(errors="replace")[-3000:]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--clip", type=Path, required=True)
    options.add_argument("--url", required=True)
    options.add_argument("--takes", type=Path, required=True)
    options.add_argument("--plant", default="")
    chosen = options.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    trial = Trial(Place(settings.load(), chosen.folder, chosen.takes, chosen.clip, chosen.url), chosen.plant)
    with scenarios.small_parts():
        for line in sys.stdin:
            asked = json.loads(line)
            scenario = SCENARIOS[asked["scenario"]]
            if "name" in asked:
                answer: object = asdict(trial.try_point(scenario, Point(asked["name"], asked["ordinal"])))
            else:
                answer = [asdict(point) for point in trial.quiet_run(scenario)[0]]
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
