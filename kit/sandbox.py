"""What a program that reads a stranger's file may touch, and how much of that the kernel holds it to. Needs no root. Linux only.

A `Confinement` is a value of a `kit.process.Command`: which files may be read, where files may be written, and how much memory, CPU
time, file size and how many open files there may be. Nothing else of the machine is there for the program: Landlock denies every
other file (and TCP, and signals to others), a seccomp filter denies sockets, further processes and the parts of the kernel that
no decoder needs, and it runs without capabilities. `words` spells a confinement for `kit.launch`, which applies it.

`measure` asks the kernel what it can do; the answer is the level:

    full         files and network
    no_network   files only: the machine's seccomp numbers are not known here, or the kernel has no filters
    no_landlock  network and processes only: Linux before 5.13, or booted without Landlock
    none         limits of memory and time only

An operator says with a setting below which level a worker refuses media (`refusal`). Not done here: namespaces and cgroups, which
belong to whoever starts the worker. RLIMIT_NPROC is not used, as it counts all of a user's processes: instead none may be made.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Level = Literal["full", "no_network", "no_landlock", "none"]
LEVELS: tuple[Level, ...] = get_args(Level)  # best first

SPACE_BYTES = 4 << 30  # address space beyond the memory limit: libraries, stacks and reservations that are never touched

_LANDLOCK_CREATE_RULESET, _LANDLOCK_VERSION = 444, 1  # landlock(7)
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_GET_ACTION_AVAIL = 2  # seccomp(2)

# What no decoder needs, by the numbers of <asm/unistd.h>. Sockets; other processes; places; keys, rings and probes; modules and
# the machine itself; memory that no limit counts, and programs without a name.
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>
_DENIED = {
    "x86_64": (
        *(41, 42, 43, 44, 46, 49, 50, 53, 288, 299, 307),  # socket connect accept sendto sendmsg bind listen socketpair accept4 …mmsg
        *(101, 310, 311, 424, 434, 438),  # ptrace process_vm_readv process_vm_writev pidfd_send_signal pidfd_open pidfd_getfd
        *(155, 161, 165, 166, 272, 308, 428, 429, 430),  # pivot_root chroot mount umount2 unshare setns open_tree move_mount fsopen
        *(248, 249, 250, 298, 321, 323, 425, 426, 427),  # add_key request_key keyctl perf_event_open bpf userfaultfd io_uring_*
        *(167, 169, 175, 176, 246, 303, 304, 313, 320),  # swapon reboot *_module kexec_* name_to_handle_at open_by_handle_at
        *(29, 64, 68, 240, 319, 322),  # shmget semget msgget mq_open memfd_create execveat
    ),
    "aarch64": (
        *(198, 203, 202, 206, 211, 200, 201, 199, 242, 243, 269),
        *(117, 270, 271, 424, 434, 438),
        *(41, 51, 40, 39, 97, 268, 428, 429, 430),
        *(217, 218, 219, 241, 280, 282, 425, 426, 427),
        *(224, 142, 105, 106, 104, 264, 265, 273, 294),
        *(194, 190, 186, 180, 279, 281),
    ),
}
_FORK = {"x86_64": (57, 58), "aarch64": ()}  # fork vfork
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000  # the bit of a second set of numbers
_LOAD, _EQUAL, _AT_LEAST, _HAS_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # <linux/bpf_common.h>
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; little-endian machines only
_ALLOW, _KILL, _EACCES, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | 13, 0x00050000 | 38  # SECCOMP_RET_*

# Where programs find their libraries, and the devices that any program may expect.
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Paths are made absolute by whoever writes them. Folders count with all they hold."""

    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    memory_bytes: int  # heap, stacks and anonymous mappings
    cpu_s: int  # user and system, of all threads
    file_bytes: int = 0  # the largest file that may be written
    open_files: int = 64
    nice: int = 0
    forks: bool = False  # whether it may start processes of its own


@dataclass(frozen=True, slots=True)
class Powers:
    """What this kernel can do."""

    landlock_abi: int  # 0: no Landlock
    machine: str | None  # whose seccomp filter is known here; None: no filter

    @property
    def level(self) -> Level:
        if self.landlock_abi:
            return "full" if self.machine else "no_network"
        return "no_landlock" if self.machine else "none"


@functools.cache
def measure() -> Powers:
    """Asks the kernel. Changes nothing."""
    if sys.platform != "linux":
        return Powers(0, None)
    libc, machine = ctypes.CDLL(None, use_errno=True), platform.machine()
    abi = libc.syscall(ctypes.c_long(_LANDLOCK_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(_LANDLOCK_VERSION))
    known = machine in _SECCOMP and sys.byteorder == "little" and sys.maxsize > 2**32
    action = ctypes.c_uint32(_EACCES & 0xFFFF0000)
    filters = known and libc.syscall(ctypes.c_long(_SECCOMP[machine]), _GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0
    return Powers(max(0, abi), machine if filters else None)


def refusal(level: Level, least: Level) -> str | None:
    """Why media may not be touched at this level, or None."""
    if LEVELS.index(level) <= LEVELS.index(least):
        return None
    lacks = {"no_network": "a seccomp filter", "no_landlock": "Landlock", "none": "Landlock and a seccomp filter"}[level]
    return (
        f"This machine's kernel lacks {lacks} (sandbox level {level}; {least} is required), so no stranger's file is opened here. "
        f"Use a kernel with Landlock (Linux 5.13 or newer), or lower HEADWATER_SANDBOX."
    )


def words(confinement: Confinement, program: Path, powers: Powers) -> list[str]:
    """The confinement as arguments of `kit.launch`, for an absolute `program`."""
    said = [
        f"data:{confinement.memory_bytes}",
        f"space:{confinement.memory_bytes + SPACE_BYTES}",
        f"cpu:{confinement.cpu_s}",
        f"file:{confinement.file_bytes}",
        f"files:{confinement.open_files}",
        f"nice:{confinement.nice}",
    ]
    if powers.landlock_abi:
        beside = program.parent.parent / "lib"  # of programs that bring their libraries
        said.append(f"landlock:{powers.landlock_abi}")
        said += [f"x:{path}" for path in _executables(program)]
        said += [f"r:{path}" for path in (*_LIBRARIES, beside, *_DEVICES, *confinement.reads)]
        said += ["w:/dev/null", *(f"w:{path}" for path in confinement.writes)]
    if powers.machine:
        said.append(f"seccomp:{seccomp_filter(powers.machine, forks=confinement.forks).hex()}")
    return said


def _executables(program: Path) -> list[Path]:
    """The program, and what the kernel loads to run it: the interpreter of a script, the loader of a dynamic program."""
    found = [program]
    while len(found) < 4 and (following := _interpreter(found[-1])):
        found.append(following)
    return found


def _interpreter(path: Path) -> Path | None:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return None
    if head.startswith(b"#!"):
        line = head[2:].split(b"\n", 1)[0].split()
        return Path(os.fsdecode(line[0])) if line else None
    named = re.search(rb"(/[\x21-\x7e]*/ld[-.\w]*)\0", head) if head.startswith(b"\x7fELF") else None  # the segment PT_INTERP
    return Path(os.fsdecode(named[1])) if named else None


@functools.cache
def seccomp_filter(machine: str, *, forks: bool) -> bytes:
    """`struct sock_filter[]`: denied calls fail with EACCES, all others go on.

    `clone` may make threads and, unless `forks`, no process. `clone3` is answered as by a kernel that does not have it, because a
    filter cannot look at its flags; libraries then use `clone`.
    """
    rules = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        rules += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _EACCES)]
    for number in (*_DENIED[machine], *(() if forks else _FORK[machine])):
        rules += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EACCES)]
    if not forks:
        rules += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ENOSYS)]
        rules += [
            (_EQUAL, 0, 3, _CLONE[machine]),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_HAS_BIT, 1, 0, _CLONE_THREAD),
            (_RETURN, 0, 0, _EACCES),
        ]
    rules.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(_rule(*rule) for rule in rules)


def _rule(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def described(powers: Powers) -> str:
    """For people: "full (Landlock 7, seccomp)"."""
    parts: Sequence[str] = [f"Landlock {powers.landlock_abi}"] * bool(powers.landlock_abi) + ["seccomp"] * bool(powers.machine)
    return f"{powers.level} ({', '.join(parts) or 'limits only'})"
