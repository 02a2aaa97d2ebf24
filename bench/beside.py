"""Two pieces of work at the same time, each on a core of its own, so that whatever else the machine does slows both down alike."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable

from bench.transcode import Spent, spent

Work = Callable[[], object]


def beside(one: Work, other: Work, *, swapped: bool) -> tuple[Spent, Spent]:
    """What each spent, in a process of its own. `swapped` gives each the other's core. On a machine of one core they take turns."""
    cores = sorted(os.sched_getaffinity(0))
    first, second = (cores[-1], cores[0]) if swapped else (cores[0], cores[-1])
    if first == second:
        return _started(one, first)(), _started(other, second)()
    waiting = _started(one, first), _started(other, second)
    return waiting[0](), waiting[1]()


def _started(work: Work, core: int) -> Callable[[], Spent]:
    context = multiprocessing.get_context("fork")
    receive, send = context.Pipe(duplex=False)

    def run() -> None:
        os.sched_setaffinity(0, {core})
        before = spent()
        work()
        send.send(spent().since(before))

    process = context.Process(target=run)
    process.start()
    send.close()

    def wait() -> Spent:
        try:
            found: Spent = receive.recv()
        except EOFError:
            raise SystemExit("a measured process ended before its work was done") from None
        finally:
            process.join()
        return found

    return wait
