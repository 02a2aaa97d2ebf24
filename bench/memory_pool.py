"""Huge pages for the length of a measurement."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

from kit.huge_pages import MEMORY_FACTS, Pool, pool

_MAP_HUGETLB = 0x40000  # <linux/mman.h>, of x86 and Arm
_WANTED = Path("/proc/sys/vm/nr_hugepages")


def _touch(there: Pool) -> None:
    """A virtual machine gets each page from its host when it is used for the first time. That belongs to setting them aside."""
    if there.free:
        with mmap.mmap(-1, there.free * there.page_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_HUGETLB) as memory:
            for at in range(0, len(memory), there.page_bytes):
                memory[at] = 1


@contextlib.contextmanager
def set_aside(pages: int) -> Iterator[int]:
    """At least so many where this process may ask for them, and afterwards as many as before. Gives how many there are."""
    before = pool(MEMORY_FACTS.read_text()).pages
    changed = False
    with contextlib.suppress(OSError):  # not root, or a container that may not
        if before < pages:
            _WANTED.write_text(str(pages))
            changed = True
    try:
        there = pool(MEMORY_FACTS.read_text())
        _touch(there)
        yield there.pages
    finally:
        if changed:
            _WANTED.write_text(str(before))
