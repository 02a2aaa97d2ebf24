"""The last moment before a part becomes its own program: `python -I -S launch.py OPTIONS -- PROGRAM ARGUMENT...`.

Runs in the child, does what has to be done there, and replaces itself by the program:

* asks the kernel to signal the program when the process that started it is gone (Linux), so that a stack that is killed
  with SIGKILL leaves nothing running;
* gives up root for programs that refuse to be root (PostgreSQL). When their data lie below a folder that only root may enter, it
  keeps the one right to pass through folders, instead of opening that folder to everybody. When the program itself lies there (a
  clone in /root), that does not help, since it asks with access(2) whether it may run itself: then it stays who it is, and is
  called something else inside a user namespace of its own.

A program of its own rather than a function between fork and exec, because our own process has threads by then. Nothing but
the standard library, and no import from this repository: it starts in about ten milliseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys

_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CLONE_NEWUSER, _NAMED = 0x1000_0000, 1000
_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _keep_passage(libc: ctypes.CDLL, header: _CapHeader) -> None:
    """After the change of user: keep exactly one right across exec. Reading suffices; containers often grant only the wider one."""
    held = (_CapData * 2)()
    libc.capget(ctypes.byref(header), held)
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if held[0].permitted & (1 << capability):
            wanted = (_CapData * 2)()
            wanted[0].effective = wanted[0].permitted = wanted[0].inheritable = 1 << capability
            libc.capset(ctypes.byref(header), wanted)
            libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
            return


def _become(user: int, group: int, *, passage: bool) -> None:
    libc = _libc()
    if passage:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    if passage:
        _keep_passage(libc, _CapHeader(_CAPABILITY_VERSION_3, 0))


def _rename() -> None:
    """Be called user 1000 from here on, while the rights stay those of the user that we are."""
    user, group = os.geteuid(), os.getegid()
    if _libc().unshare(_CLONE_NEWUSER) != 0:
        sys.exit(
            f"PostgreSQL refuses to run as root, and nobody else may enter the folder it is in ({os.strerror(ctypes.get_errno())} "
            "for a user namespace): move Headwater to a folder that all may enter, such as /opt, or run it as an ordinary user"
        )
    for name, text in (("uid_map", f"{_NAMED} {user} 1"), ("setgroups", "deny"), ("gid_map", f"{_NAMED} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib would take a tenth of the time that this program lives
            file.write(text)


def main(argv: list[str]) -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--parent", type=int, required=True)
    options.add_argument("--death-signal", type=int, default=0)
    options.add_argument("--user", type=int, default=-1)
    options.add_argument("--group", type=int, default=-1)
    options.add_argument("--passage", action="store_true")
    options.add_argument("--namespace", action="store_true")
    options.add_argument("program", nargs=argparse.REMAINDER)
    chosen = options.parse_args(argv)
    program: list[str] = chosen.program[1:] if chosen.program[:1] == ["--"] else chosen.program
    if chosen.user >= 0:
        _become(chosen.user, chosen.group, passage=chosen.passage)
    if chosen.namespace:
        _rename()
    if chosen.death_signal and sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, chosen.death_signal, 0, 0, 0)  # after the change of user, which clears it
        if os.getppid() != chosen.parent:  # the parent ended before we could ask
            sys.exit(1)
    try:
        os.execv(program[0], program)  # noqa: S606
    except OSError as error:
        sys.exit(f"{program[0]} could not be started: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
