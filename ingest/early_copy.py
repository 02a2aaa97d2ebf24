"""Which parts of an upload are copied for those who work on the source while it arrives. Decides; the writer copies.

Copied are the parts of a source whose index comes first, one after another without a gap, as far as that is worth the store's
time: always the first few, and more only while the rest will take long. A fast upload is here before anybody could begin. Of a
fragmented file nothing is: its index is spread over it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from catalog.early import Early
from ingest.container import Read
from ingest.matroska_index import clusters_begin
from ingest.upload import UploadSession
from media.matroska import EBML

FEW_PARTS = 2
SOON_S = 15.0  # an upload that will be complete within this many seconds needs no more copies
LARGEST_INDEX_BYTES = 64 << 20
MOST_BOXES = 8  # before the media
MOST_CHILDREN = 80  # of the movie box: tracks, and a few more
BOX_HEADER_BYTES = 16
_MATROSKA = EBML.to_bytes(4)


def index_end(read: Read, size_bytes: int) -> int | None:
    """Where the index of a file ends that begins with it; None when it does not, or has more of it behind. Reads within the first part."""
    if read(0, len(_MATROSKA)) == _MATROSKA:
        return clusters_begin(read, size_bytes)
    offset = 0
    for number in range(MOST_BOXES):
        header = read(offset, BOX_HEADER_BYTES)
        if len(header) < BOX_HEADER_BYTES:
            return None
        size, kind = struct.unpack(">I4s", header[:8])
        if (kind == b"ftyp") != (number == 0) or kind == b"mdat" or not 8 <= size <= LARGEST_INDEX_BYTES:
            return None
        if kind == b"moov":
            return offset + size if offset + size < size_bytes and not _is_fragmented(read, offset + 8, offset + size) else None
        offset += size
    return None


def _is_fragmented(read: Read, offset: int, end: int) -> bool:
    """Whether the movie box with this body announces fragments. As far as it can be read: one that is long does not."""
    for _ in range(MOST_CHILDREN):
        header = read(offset, 8)
        size = int.from_bytes(header[:4])
        if header[4:] == b"mvex" or size < 8 or offset + size >= end:
            return header[4:] == b"mvex"
        offset += size
    return False


class EarlyCopy:
    """Asked about every part of one request, in order. `known` is what earlier requests have copied."""

    def __init__(self, session: UploadSession, size_bytes: int | None, known: Early | None, clock_s: Callable[[], float]) -> None:
        self._session, self._size_bytes, self._clock_s = session, size_bytes, clock_s
        self._early = known
        self._began_s, self._began_at = clock_s(), session.offset
        self._wanted = size_bytes is not None and (session.offset == 0 or known is not None)
        self.index_end: int | None = None

    def key(self, number: int, end: int, read: Read) -> str | None:
        """Where a copy of part `number` goes, which ends at `end`; None for nowhere. `read` reads within the part."""
        start = (number - 1) * self._session.part_bytes
        if not self._wanted or self._size_bytes is None:
            return None
        if start == 0:
            self.index_end = index_end(read, self._size_bytes)
            self._early = None
            if self.index_end is not None and end < self._size_bytes:
                identity = (self._session.asset_id, self._session.id, self._session.epoch)
                self._early = Early(*identity, self._size_bytes, self._session.part_bytes, 0)
        reached = self._early is not None and self._early.arrived_bytes >= start
        self._wanted = reached and (number <= FEW_PARTS or self._left_s(end) > SOON_S)
        return self._early.key(number) if self._wanted and self._early is not None else None

    def copied(self, end: int) -> None:
        """The copy of the part that ends at `end` is in the store."""
        if self._early is not None:
            self._early = replace(self._early, arrived_bytes=end)

    def failed(self) -> None:
        self._wanted = False

    def state(self, offset: int) -> Early | None:
        """What there is to be told once `offset` bytes are acknowledged."""
        early = self._early
        if early is None or early.arrived_bytes == 0:
            return None
        return replace(early, arrived_bytes=min(early.arrived_bytes, offset))

    def _left_s(self, end: int) -> float:
        """How long the rest will take, if it comes as fast as what this request has brought."""
        assert self._size_bytes is not None
        return (self._size_bytes - end) * (self._clock_s() - self._began_s) / max(1, end - self._began_at)
