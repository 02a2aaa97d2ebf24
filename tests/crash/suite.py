"""Which points are tried, by how many processes, and what is said of it.

All of them by `make crash-points`. The test suite tries a sample: each effect at each place at least once, and then as many more as it
was told, drawn with a seed that is said.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import random
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit import settings
from kit.settings import Settings
from tests.clips import Clips, shared_folder
from tests.crash.scenarios import SCENARIOS
from tests.crash.trial import Result
from tests.live import LiveServers
from tests.web_host import WebHost, body

TOP = Path(__file__).parent.parent.parent
NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One point of one scenario."""

    scenario: str
    name: str
    ordinal: int

    def __str__(self) -> str:
        return f"{self.scenario}: {self.name} #{self.ordinal}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was tried of what there is."""

    points: int  # that there are
    names: int  # different ones of them, whatever the scenario
    results: tuple[Result, ...]

    @property
    def bad(self) -> list[Result]:
        return [result for result in self.results if result.problems]

    @property
    def missed(self) -> list[Result]:
        """Not reached by the run that was to die there: the run ended well, and so did the recovery of nothing."""
        return [result for result in self.results if not result.reached and not result.problems]

    def __str__(self) -> str:
        killed = sum(result.reached for result in self.results)
        said = [
            f"{self.points} crash points of {self.names} names in {len(SCENARIOS)} scenarios; {len(self.results)} tried, "
            f"killed at {killed}, {len(self.bad)} did not recover, {len(self.missed)} were not reached again"
        ]
        said += [f"not reached: {result.scenario}: {result.point}" for result in self.missed]
        for result in self.bad:
            said.append(f"NOT RECOVERED {result.scenario}: {result.point}")
            said += [f"    {problem}" for problem in result.problems]
        return "\n".join(said)


def sample(places: Sequence[Place], count: int, seed: int) -> list[Place]:
    """At least one place of each name, and at least `count`; the same for the same seed."""
    chance = random.Random(seed)
    shuffled = chance.sample(places, len(places))
    first: dict[str, Place] = {}
    for place in shuffled:
        first.setdefault(place.name, place)
    more = (place for place in shuffled if first[place.name] != place)
    return sorted([*first.values(), *itertools.islice(more, max(0, count - len(first)))])


class Tester:
    """One process of `tests.crash.trial`, asked line by line."""

    def __init__(self, folder: Path, environment: Mapping[str, str], words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.trial", str(folder), *words],
            cwd=TOP, env={"PATH": os.environ["PATH"], **environment}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, **question: object) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise AssertionError(f"the tester ended with {self._process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def testers(servers: LiveServers, folder: Path, count: int, fault: str = "") -> Iterator[list[Tester]]:
    """So many processes, each with a database of its own."""
    clip = Clips(shared_folder())("stamp")
    takes = folder / "takes"
    takes.mkdir(parents=True)
    with ExitStack() as stack:
        host = stack.enter_context(WebHost())
        host.answers["/clip.mp4"] = body(clip.read_bytes())
        words = ["--clip", str(clip), "--url", host.url("/clip.mp4"), "--takes", str(takes), "--plant", fault]
        found = []
        for number in range(count):
            own = folder / str(number)
            config = Settings(
                database_url=stack.enter_context(servers.database()), broker_url=NOWHERE, s3_endpoint=NOWHERE, s3_access_key="none",
                s3_secret_key="none", secret_key="a secret of thirty-two characters, or more", scratch_dir=own / "scratch",
                import_private_addresses=True, chunk_s=6.0,
            )  # fmt: skip
            tester = Tester(own, settings.to_environment(config), words)
            stack.callback(tester.close)
            found.append(tester)
        yield found


def all_places(found: Sequence[Tester], names: Sequence[str] = tuple(SCENARIOS)) -> list[Place]:
    """Every point that the undisturbed runs reach."""

    def of(tester: Tester, scenario: str) -> list[Place]:
        return [Place(scenario, **point) for point in tester.ask(scenario=scenario)]

    return sorted(place for places in _shared(found, names, of) for place in places)


def try_places(
    found: Sequence[Tester], places: Sequence[Place], every: Sequence[Place], tell: Callable[[Result], None] = lambda _: None
) -> Report:
    """`tell` hears of each result, from several threads."""

    def of(tester: Tester, place: Place) -> Result:
        answer = tester.ask(scenario=place.scenario, name=place.name, ordinal=place.ordinal)
        result = Result(**{**answer, "problems": tuple(answer["problems"])})
        tell(result)
        return result

    results = sorted(_shared(found, places, of), key=lambda result: (result.scenario, result.point))
    return Report(len(every), len({place.name for place in every}), tuple(results))


def _shared(found: Sequence[Tester], questions: Sequence[Any], of: Any) -> list[Any]:
    """The answers to all questions, from whichever tester is free. The first failure is raised."""
    left: queue.SimpleQueue[Any] = queue.SimpleQueue()
    for question in questions:
        left.put(question)
    answers: list[Any] = []
    failed: list[BaseException] = []

    def ask(tester: Tester) -> None:
        try:
            while not failed:
                answers.append(of(tester, left.get_nowait()))
        except queue.Empty:
            pass
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(tester,)) for tester in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return answers


def matching(places: Sequence[Place], pattern: str) -> list[Place]:
    return [place for place in places if re.search(pattern, str(place))]
