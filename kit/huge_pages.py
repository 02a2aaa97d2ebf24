"""Memory from the huge pages that a machine has set aside (hugetlbpage, Linux's admin-guide/mm), for programs that touch gigabytes once.

Each segment has an encoder of its own, and FFmpeg keeps them all until it ends, so an encode touches a gigabyte and a half of fresh
memory. On a virtual machine that gives what is free back to its host, each fresh page is asked for again from there: measured, 4 %
of the CPU time of an encode. Pages that are set aside stay, and are used again.

glibc's `malloc` takes its memory from them when it is told so (glibc.malloc.hugetlb, from 2.35 on; other libraries do not listen), and
ordinary memory where they are used up. Its further arenas would be reserved without being counted and could meet an empty pool
when they are touched, which kills the program: so there is only one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kit.process import Command

MEMORY_FACTS = Path("/proc/meminfo")  # where glibc looks for the size of a page
_TUNABLES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=2:glibc.malloc.arena_max=1"}


@dataclass(frozen=True, slots=True)
class Pool:
    """The pages of the usual size that are set aside, used or not."""

    pages: int
    free: int
    page_bytes: int


def pool(said: str) -> Pool:
    """`said`: the text of MEMORY_FACTS. No pages where it does not speak of them."""
    found = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+)", said, re.MULTILINE)}
    return Pool(found.get("HugePages_Total", 0), found.get("HugePages_Free", 0), found.get("Hugepagesize", 0) << 10)


def from_huge_pages(command: Command) -> Command:
    """The same command, whose program takes large pieces of memory from the pool, as far as it goes."""
    confine = command.confine and replace(command.confine, reads=(*command.confine.reads, MEMORY_FACTS))
    return replace(command, env={**command.env, **_TUNABLES}, confine=confine)
