"""Small surgery on MP4 files (ISO/IEC 14496-12, 4.2), for test clips that no muxer would write."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

HEADERS = {"stsd": 8, "hvc1": 78, "avc1": 78, "meta": 4}  # bytes between a box's header and its children


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of each box in `data[start:end]`."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
        stop = end if size == 0 else start + size
        yield kind.decode("latin-1"), start, stop
        start = stop


def find(data: bytes, path: Sequence[str], start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """The chain of boxes that `path` names (the first of each kind that leads to the end), outermost first. Raises LookupError."""
    for kind, at, stop in boxes(data, start, len(data) if end is None else end):
        if kind == path[0]:
            if len(path) == 1:
                return [(at, stop)]
            try:
                return [(at, stop), *find(data, path[1:], at + 8 + HEADERS.get(kind, 0), stop)]
            except LookupError:
                continue
    raise LookupError("/".join(path))


def grow(data: bytes, path: Sequence[str], kind: bytes, body: bytes) -> bytes:
    """`data` with a new box at the end of the one that `path` names. The media data must stand before the index."""
    chain = find(data, path)
    new = struct.pack(">I4s", len(body) + 8, kind) + body
    out = bytearray(data)
    for at, stop in chain:
        struct.pack_into(">I", out, at, stop - at + len(new))
    out[chain[-1][1] : chain[-1][1]] = new
    return bytes(out)


def move_first(data: bytes, parent: str, kind: str) -> bytes:
    """`data` with the box `kind` moved to the second place inside `parent`, behind its header box."""
    (at, stop), (child, child_end) = find(data, (parent, kind))
    first = next(boxes(data, at + 8, stop))[2]
    return data[:first] + data[child:child_end] + data[first:child] + data[child_end:stop] + data[stop:]
