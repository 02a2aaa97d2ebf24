"""Exit codes of the `headwater` command. `docs/cli.md` lists them; a test keeps the two equal."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    CANNOT_START = 3
    UNREACHABLE = 4
    REFUSED = 5
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "Done.",
    Exit.FAILED: "It was tried and did not work: a video cannot be published, a check of `doctor` failed, a part kept ending.",
    Exit.USAGE: "Called wrongly: an unknown option, a missing argument, a file that is not there, a setting that makes no sense.",
    Exit.CANNOT_START: (
        "This machine is not ready: the port is taken, the disk is full, the data folder cannot be written or is in use, "
        "a program is missing."
    ),
    Exit.UNREACHABLE: "No Headwater answers at the address, or a server that it needs does not answer.",
    Exit.REFUSED: "Headwater answered no: the API key is missing or wrong, or what was asked for does not exist.",
    Exit.INTERRUPTED: "Stopped by Ctrl-C. An interrupted upload goes on where it was when the command is run again.",
}
