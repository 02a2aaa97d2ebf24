"""Runs inside a new process, just before the program it is meant for: ties its life to the process that started it.

    python -I -S kit/launch.py <pid of the starter> <program> <argument> …

Linux kills this process (SIGKILL, which the program inherits across exec) when the thread that started it is gone, so nothing
goes on encoding after its worker was killed. Doing this here, in a process of its own, needs no Python code between fork and
exec in the starter, which would be unsafe there as it has threads. Elsewhere than on Linux the program is simply started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    starter, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != starter:  # it died before the line above
            sys.exit(1)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - this is the one place that turns into another program
    except OSError as error:
        sys.stderr.write(f"{argv[0]} cannot be started: {error.strerror}\n")
        sys.exit(126)


if __name__ == "__main__":
    main()
