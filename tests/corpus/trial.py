"""One case put through the probe, and what must hold of it."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from ingest.checks import REASONS
from ingest.probe import probe
from kit.errors import Rejected
from kit.process import Command, Completed, Runner
from kit.world import World
from tests.corpus import SEED, Case, Seeds, cases
from tests.corpus.canary import listening, watched

CPU_S = 2.1  # of ffprobe, both runs together, and a twentieth of a second for each start
MEMORY_BYTES = 512 << 20
ACCEPTED = "accepted"
CANARY = "canary.ts"


@dataclass(slots=True)
class _Measured:
    """A runner that notes the most memory."""

    inner: Runner
    peak_bytes: int = 0

    def run(self, command: Command, *, on_line: Callable[[str], None] | None = None, cancel: threading.Event | None = None) -> Completed:
        completed = self.inner.run(command, on_line=on_line, cancel=cancel)
        self.peak_bytes = max(self.peak_bytes, completed.peak_rss_bytes)
        return completed


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case ended. `code` is `accepted`, a code of `ingest.checks.REASONS`, or what went wrong with us."""

    case: Case
    code: str
    said: str
    wall_s: float
    cpu_s: float
    peak_bytes: int
    opened: tuple[str, ...]  # other files of its folder

    @property
    def faults(self) -> list[str]:
        """What must not be."""
        found = []
        if self.code not in (*REASONS, ACCEPTED):
            found.append(f"ended with {self.code}: {self.said}")
        if self.code in REASONS and not (self.said.endswith(".") and self.said.isprintable() and len(self.said) < 300):
            found.append(f"said {self.said!r}")
        if self.cpu_s > CPU_S:
            found.append(f"took {self.cpu_s:.1f} s of CPU")
        if self.peak_bytes > MEMORY_BYTES:
            found.append(f"took {self.peak_bytes >> 20} MiB")
        if self.opened:
            found.append(f"opened {', '.join(self.opened)}")
        return found


def _children_cpu_s() -> float:
    """Of all programs that have ended, those that a limit ended included."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Ground:
    """A folder with a canary in it, where one file at a time is tried."""

    def __init__(self, folder: Path, world: World, heard: list[bytes]) -> None:
        self._folder, self._world, self._heard = folder, world, heard

    def tries(self, case: Case) -> Outcome:
        """Raises nothing that the probe raises."""
        path = self._folder / f"{case.name}{case.suffix}".replace("/", "-")
        path.write_bytes(case.data)
        runner = _Measured(self._world.runner)
        began_s, cpu_s = time.monotonic(), _children_cpu_s()
        with watched(self._folder) as opened:
            try:
                probe(replace(self._world, runner=runner), path)
                code, said = ACCEPTED, ""
            except Rejected as refused:
                code, said = refused.code, refused.detail
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
                code, said = type(error).__name__, str(error)
        wall_s, cpu_s = time.monotonic() - began_s, _children_cpu_s() - cpu_s
        path.unlink()
        others = tuple(sorted({name for name in opened if name != path.name}))
        if self._heard:
            others += ("a connection",)
            self._heard.clear()
        return Outcome(case, code, said, wall_s, cpu_s, runner.peak_bytes, others)


@contextmanager
def ground(folder: Path, world: World, clip: Callable[[str], Path], seed: int = SEED) -> Iterator[tuple[Ground, Sequence[Case]]]:
    """Where to try, and all cases."""
    canary = folder / CANARY
    canary.write_bytes(clip("ts").read_bytes())
    with listening() as (port, heard):
        seeds = Seeds(lambda name: clip(name).read_bytes(), canary, port, Random(seed))
        everything = list(cases(seeds))
        assert len({case.name for case in everything}) == len(everything), "two cases have one name"
        yield Ground(folder, world, heard), everything
