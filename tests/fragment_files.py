"""Fragmented MP4 files made of nothing, for tests of who reads them. They have one track of pictures, and bytes where pictures would be."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from media.isobmff import make_box

TICKS = 1000  # in a second
FTYP = make_box("ftyp", b"iso6", bytes(4), b"iso6")
SYNC, NON_SYNC = 0x0200_0000, 0x0101_0000


def moov(*, samples: int = 0, fragmented: bool = True) -> bytes:
    """`samples`: how many are said to be outside of the fragments."""
    entry = make_box("avc1", bytes(78))
    tables = (
        make_box("stsd", struct.pack(">II", 0, 1), entry),
        make_box("stts", struct.pack(">II", 0, 1 if samples else 0), struct.pack(">II", samples, 10) if samples else b""),
        make_box("stsz", struct.pack(">III", 0, 0, 0)),
    )
    handler = make_box("hdlr", bytes(8), b"vide", bytes(13))
    header = make_box("mdhd", struct.pack(">IIIII", 0, 0, 0, TICKS, 0), bytes(4))
    media = make_box("mdia", header, handler, make_box("minf", make_box("stbl", *tables)))
    track = make_box("trak", make_box("tkhd", struct.pack(">IIII", 0, 0, 0, 1), bytes(68)), media)
    more = make_box("mvex", make_box("trex", struct.pack(">6I", 0, 1, 1, 40, 0, NON_SYNC))) if fragmented else b""
    return make_box("moov", make_box("mvhd", struct.pack(">IIIII", 0, 0, 0, TICKS, 0), bytes(80)), track, more)


@dataclass(frozen=True)
class Part:
    """A fragment. Where `offset` is None, its samples begin where its media data does."""

    time: int | None
    sizes: Sequence[int] = (3000, 200, 200)
    duration: int | None = None
    offset: int | None = None
    composition: Sequence[int] | None = None
    track: int = 1


def fragment(part: Part) -> bytes:
    """A `moof` and its `mdat`."""
    flags = 0x02_0000 | (0x8 if part.duration is not None else 0)
    tfhd = make_box("tfhd", struct.pack(">II", flags, part.track), b"" if part.duration is None else struct.pack(">I", part.duration))
    tfdt = b"" if part.time is None else make_box("tfdt", struct.pack(">IQ", 1 << 24, part.time))
    composed = part.composition or [0] * len(part.sizes)
    rows = b"".join(struct.pack(">Ii", *row) for row in zip(part.sizes, composed, strict=True))
    length = 8 + 16 + 8 + len(tfhd) + len(tfdt) + 8 + 16 + len(rows)
    offset = length + 8 if part.offset is None else part.offset
    trun = make_box("trun", struct.pack(">IIiI", 0xA05, len(part.sizes), offset, SYNC), rows)
    moof = make_box("moof", make_box("mfhd", bytes(8)), make_box("traf", tfhd, tfdt, trun))
    return moof + make_box("mdat", b"".join(bytes([1 + number % 255]) * size for number, size in enumerate(part.sizes)))


def sidx(sizes: Sequence[int], durations: Sequence[int], *, start: int = 0, skipped: int = 0, kind: int = 0) -> bytes:
    rows = b"".join(struct.pack(">III", kind << 31 | size, duration, 0x9000_0000) for size, duration in zip(sizes, durations, strict=True))
    return make_box("sidx", struct.pack(">IIIIIHH", 0, 1, TICKS, start, skipped, 0, len(sizes)), rows)


def mfra(places: Sequence[int]) -> bytes:
    rows = b"".join(struct.pack(">QQBBB", 0, place, 1, 1, 1) for place in places)
    tfra = make_box("tfra", struct.pack(">IIII", 1 << 24, 1, 0, len(places)), rows)
    return make_box("mfra", tfra, make_box("mfro", struct.pack(">II", 0, 8 + len(tfra) + 16)))


def every(count: int, *, sizes: Sequence[int] = (3000, 200, 200)) -> list[bytes]:
    """So many fragments, one behind the other."""
    return [fragment(Part(number * 40 * len(sizes), sizes)) for number in range(count)]


def with_sidx(parts: Sequence[bytes]) -> bytes:
    return FTYP + moov() + sidx(list(map(len, parts)), [120] * len(parts)) + b"".join(parts)


def with_mfra(parts: Sequence[bytes]) -> bytes:
    front = FTYP + moov()
    places = [len(front) + sum(map(len, parts[:number])) for number in range(len(parts))]
    return front + b"".join(parts) + mfra(places)
