"""An index is a stranger's: whatever is in it, reading it ends with a value or with BadBoxes, soon and in little memory."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from media.edit_list import delivery
from media.isobmff import BadBoxes, make_box
from media.sample_tables import read_movie
from media.source_map import Delivered, source_map


def table(kind: str, *numbers: int, count: int | None = None, width: int = 1) -> bytes:
    """A full box with a count before its numbers."""
    return make_box(
        kind, struct.pack(">II", 0, len(numbers) // width if count is None else count), struct.pack(f">{len(numbers)}I", *numbers)
    )


def movie(*tables: bytes, edits: bytes = b"", kind: bytes = b"vide") -> bytes:
    entry = make_box("stsd", struct.pack(">II", 0, 1), make_box("avc1", bytes(78)))
    handler = make_box("hdlr", bytes(8), kind, bytes(13))
    clock = struct.pack(">IIIII", 0, 0, 0, 1000, 0)
    media = make_box("mdia", make_box("mdhd", clock, bytes(4)), handler, make_box("minf", make_box("stbl", entry, *tables)))
    return make_box("moov", make_box("mvhd", clock, bytes(80)), make_box("trak", make_box("tkhd", bytes(84)), edits, media))


def tables(count: int = 8) -> list[bytes]:
    sizes = make_box("stsz", struct.pack(">III", 0, 0, count), struct.pack(f">{count}I", *[100] * count))
    return [
        table("stts", count, 40, width=2),
        table("stsc", 1, count, 1, width=3),
        sizes,
        table("stco", 5000),
        table("ctts", count, 80, width=2),
        table("stss", 1, 5),
    ]


def read(data: bytes) -> bool:
    try:
        found = read_movie(data)
        tracks = [Delivered(index, track, delivery(track, found.timescale)) for index, track in enumerate(found.tracks)]
        source_map(10**6, [(0, 10)], tracks[0], tracks[1:])
    except BadBoxes:
        return False
    return True


def test_the_example_is_good() -> None:
    assert read(movie(*tables()))


@given(st.integers(0, 5), st.binary(max_size=40), st.integers(0, 60))
def test_damaged_tables(which: int, noise: bytes, at: int) -> None:
    parts = tables()
    data = bytearray(parts[which])
    data[8 + at : 8 + at + len(noise)] = noise[: max(0, len(data) - 8 - at)]
    parts[which] = bytes(data)
    read(movie(*parts))


@given(st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_counts_that_promise_too_much(which: int, count: int) -> None:
    parts = tables()
    data = bytearray(parts[which])
    struct.pack_into(">I", data, 12 if which != 2 else 16, count)
    parts[which] = bytes(data)
    read(movie(*parts))


@given(st.integers(0, 2**32 - 1), st.integers(-2, 2**31 - 1), st.sampled_from([b"vide", b"soun", b"data"]))
def test_edits(duration: int, start: int, kind: bytes) -> None:
    edit = make_box("edts", make_box("elst", struct.pack(">IIIii", 0, 1, duration, start, 1 << 16)))
    read(movie(*tables(), edits=edit, kind=kind))


@given(st.binary(max_size=300), st.integers(0, 400))
def test_noise(noise: bytes, at: int) -> None:
    data = bytearray(movie(*tables()))
    data[at : at + len(noise)] = noise[: max(0, len(data) - at)]
    read(bytes(data))
    read(noise)
