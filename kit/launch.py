"""Runs inside a new process, just before the program it is meant for: gives away what the program may not have, and becomes it.

    sys.argv = ["-c", <pid of the starter>, <word>, …, "--", <program>, <argument>, …]

Always: Linux kills this process (SIGKILL, which the program inherits across exec) when the thread that started it is gone, so
nothing goes on encoding after its worker was killed. The words, which `kit.sandbox.words` makes, add a confinement. Each of them
is obeyed, or the program is not started (exit code 125):

    landlock:ABI           nothing may be opened but r: w: x: below, no TCP port used, no process outside signalled (landlock(7))
    r:PATH w:PATH x:PATH   may be read; may be read, written and filled with files; may be read and executed
    seccomp:HEX            the filter, as `struct sock_filter[]` (seccomp(2))
    data: space: cpu: file: files: nice:   setrlimit(2) and nice(2)

Confined, it also loses every capability, gains none by exec, and is the first to go when the machine runs out of memory.

Doing this here, in a process of its own, needs no Python code between fork and exec in the starter, which would be unsafe there as
it has threads. It runs before every FFmpeg, so it imports next to nothing (`signal` alone would cost 3 ms), and it is started by
a statement that imports it, so that it is found compiled.
"""

from __future__ import annotations

import ctypes
import os
import resource
import stat
import sys

REFUSED = 125
NOT_STARTED = 126

_SIGKILL = 9
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38  # prctl(2)
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522  # capset(2)
_FIRST_TO_GO = b"600"  # of 1000; proc_pid_oom_score_adj(5)

# landlock(7). The numbers of its calls are the same on every machine.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _RULE_PATH_BENEATH = 444, 445, 446, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_RIGHTS = {
    "r": _READ_FILE | _READ_DIR,
    "w": _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _MAKE_REG | _REMOVE_FILE,
    "x": _READ_FILE | _EXECUTE,
}
_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many each ABI knows of; 16 since ABI 5
_ALL_TCP, _ALL_SCOPES = 0b11, 0b11  # bind and connect, since ABI 4; abstract sockets and signals, since ABI 6

_LIMITS = {
    "data": resource.RLIMIT_DATA,
    "space": resource.RLIMIT_AS,
    "cpu": resource.RLIMIT_CPU,
    "file": resource.RLIMIT_FSIZE,
    "files": resource.RLIMIT_NOFILE,
}

_libc = ctypes.CDLL(None, use_errno=True)


class _Rule(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def _checked(what: str, returned: int) -> int:
    if returned < 0:
        raise OSError(ctypes.get_errno(), what)
    return returned


def _syscall(what: str, *arguments: object) -> int:
    return _checked(what, _libc.syscall(*(ctypes.c_long(item) if isinstance(item, int) else item for item in arguments)))


def _prctl(what: str, option: int, *arguments: object) -> None:
    padded = (option, *arguments, 0, 0, 0, 0)[:5]
    _checked(what, _libc.prctl(*(ctypes.c_ulong(item) if isinstance(item, int) else item for item in padded)))


def _native(number: int) -> bytes:
    return number.to_bytes(8, sys.byteorder)


def _deny_files(abi: int, paths: list[tuple[str, str]]) -> None:
    """Every file but those of `paths`."""
    known = (1 << _FS_RIGHTS.get(abi, 16)) - 1
    handled = _native(known) + (_native(_ALL_TCP) if abi >= 4 else b"") + (_native(_ALL_SCOPES) if abi >= 6 else b"")
    rules = _syscall("landlock_create_ruleset", _CREATE_RULESET, handled, len(handled), 0)
    for kind, path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # what is not there cannot be opened anyway
        allowed = _RIGHTS[kind] & known
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= _OF_A_FILE
        rule = _Rule(allowed, descriptor)
        _syscall("landlock_add_rule", _ADD_RULE, rules, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(descriptor)
    _syscall("landlock_restrict_self", _RESTRICT_SELF, rules, 0)
    os.close(rules)


def _deny_calls(filter_bytes: bytes) -> None:
    program = _Program(len(filter_bytes) // 8, filter_bytes)
    _prctl("seccomp", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program))


def _drop_capabilities() -> None:
    header = _CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4)
    _checked("capset", _libc.capset(header, bytes(24)))


def _limit(name: str, value: int) -> None:
    """At the soft limit of CPU time the program gets a signal that it may ignore, a second later one that it cannot."""
    _, hard = resource.getrlimit(_LIMITS[name])
    wanted = value + 1 if name == "cpu" else value
    hard = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(_LIMITS[name], (min(value, hard), hard))


def _confine(words: list[str]) -> None:
    """Raises OSError when one of them cannot be obeyed."""
    pairs = [(name, value) for name, _, value in (word.partition(":") for word in words)]
    given = dict(pairs)
    try:
        with open("/proc/self/oom_score_adj", "wb", buffering=0) as score:  # noqa: PTH123 - pathlib would have to be imported
            score.write(_FIRST_TO_GO)
    except OSError:
        pass  # only a wish
    os.nice(int(given.get("nice", "0")))
    _prctl("no_new_privs", _PR_SET_NO_NEW_PRIVS, 1)
    _drop_capabilities()
    if "landlock" in given:
        _deny_files(int(given["landlock"]), [(name, value) for name, value in pairs if name in _RIGHTS])
    for name, value in pairs:
        if name in _LIMITS:
            _limit(name, int(value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if "seccomp" in given:
        _deny_calls(bytes.fromhex(given["seccomp"]))


def _give_up(said: str, exit_code: int) -> None:
    os.write(2, said.encode(errors="replace"))
    os._exit(exit_code)


def main() -> None:
    end = sys.argv.index("--")
    starter, words, argv = int(sys.argv[1]), sys.argv[2:end], sys.argv[end + 1 :]
    if sys.platform == "linux":
        _prctl("pdeathsig", _PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != starter:  # it died before the line above
            os._exit(1)
    try:
        if words:
            _confine(words)
    except OSError as error:
        _give_up(f"{argv[0]} cannot be confined: {error.strerror} ({error.errno})\n", REFUSED)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - this is the one place that turns into another program
    except OSError as error:
        _give_up(f"{argv[0]} cannot be started: {error.strerror}\n", NOT_STARTED)
