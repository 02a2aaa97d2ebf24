"""Whether an object is still what was stored: read whole, compared with the size and SHA-256 that the database recorded.

The store's own tags say nothing here: they are what the store believes of itself. Reading goes piece by piece, so memory does not
depend on an object's size, and no faster than a `Pace` allows.

It decides nothing about what is damaged: that is `catalog.scrub`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from kit.clock import Clock
from kit.storage import MissingObject, Storage

UNKNOWN = -1  # as a size
_CHUNK_BYTES = 1 << 20
_DIGITS = 64  # of a whole SHA-256


class Condition(StrEnum):
    INTACT = "intact"
    MISSING = "missing"
    RESIZED = "resized"  # shorter or longer than it was: no need to read it
    CHANGED = "changed"  # of the right size, and other bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database says of one object."""

    key: str
    size_bytes: int  # UNKNOWN where only the digest is known
    sha256: str | None  # hex, or the first digits of it; None where only the size is known
    owner: str  # an asset, or a part of the system
    what: str  # a word for people: "source", "segment", …

    @property
    def is_exact(self) -> bool:
        """Whether everything that can be recorded is."""
        return self.size_bytes != UNKNOWN and self.sha256 is not None and len(self.sha256) == _DIGITS

    def has_digest(self, sha256: str) -> bool:
        """Whether bytes of this digest are those that were recorded, as far as that is known."""
        return self.sha256 is None or sha256.startswith(self.sha256)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the store gave."""

    condition: Condition
    size_bytes: int = 0
    sha256: str | None = None  # hex; None where the object was not read

    @property
    def intact(self) -> bool:
        return self.condition is Condition.INTACT


class Pace:
    """Sleeps so that no more than `bytes_per_s` bytes are spent in the long run; 0 means at full speed. For one thread."""

    def __init__(self, clock: Clock, bytes_per_s: float = 0.0) -> None:
        self._clock, self._bytes_per_s = clock, bytes_per_s
        self._free_at_s = clock.monotonic_s()

    def spend(self, size_bytes: int) -> None:
        if self._bytes_per_s > 0:
            now_s = self._clock.monotonic_s()
            self._free_at_s = max(self._free_at_s, now_s) + size_bytes / self._bytes_per_s
            self._clock.sleep(max(0.0, self._free_at_s - now_s))


def verify(storage: Storage, recorded: Recorded, pace: Pace) -> Verdict:
    """Read the object, if its size does not say enough. Raises Unavailable when the store breaks off: that is no verdict."""
    try:
        size_bytes = storage.stat(recorded.key).size_bytes
        if recorded.size_bytes not in (UNKNOWN, size_bytes):
            return Verdict(Condition.RESIZED, size_bytes)
        if recorded.sha256 is None:
            return Verdict(Condition.INTACT, size_bytes)
        sha256 = sha256_of(storage, recorded.key, pace)
    except MissingObject:
        return Verdict(Condition.MISSING)
    return Verdict(Condition.INTACT if recorded.has_digest(sha256) else Condition.CHANGED, size_bytes, sha256)


def sha256_of(storage: Storage, key: str, pace: Pace) -> str:
    """Of the object's bytes, hex. Raises MissingObject and Unavailable."""
    digest = hashlib.sha256()
    for piece in storage.stream(key, chunk_bytes=_CHUNK_BYTES):
        digest.update(piece)
        pace.spend(len(piece))
    return digest.hexdigest()
