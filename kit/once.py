"""What a request that may come again has made already.

A reply that is kept for repetition (`Idempotency-Key`) is stored after what it tells of was committed. A server that dies in
between has done the work and kept no reply, and the repetition would do it again. So whoever makes something notes its id in the same
transaction (`note`), and asks before it begins (`made_before`). The composition root says where that is kept; without one, nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Memory:
    """Where it is kept for one request."""

    read: Callable[[Connection], str | None]
    write: Callable[[Connection, str], None]


_CURRENT: ContextVar[Memory | None] = ContextVar("what a request has made", default=None)


@contextmanager
def remembering(memory: Memory) -> Iterator[None]:
    """Inside the block, and in what it calls or awaits."""
    token = _CURRENT.set(memory)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def made_before(conn: Connection) -> str | None:
    """The id of what an earlier request made under the same key, if it died before it could say so."""
    memory = _CURRENT.get()
    return None if memory is None else memory.read(conn)


def note(conn: Connection, made: str) -> None:
    """`made` is the id of what this transaction makes."""
    memory = _CURRENT.get()
    if memory is not None:
        memory.write(conn, made)
