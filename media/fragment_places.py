"""What a fragmented file says of where its fragments are: `sidx` in front of them, `mfra` at the end. Pure.

Neither has to be true. They tell where to look, so that fragments can be read side by side instead of one after the other; what is
found there decides (`ingest.mp4_fragments`). FFmpeg does believe a `sidx` that reaches to the end of the file: it reads no more `moof`
than it needs and goes by these times when it looks for a place, so they are compared with those of the fragments.

Sources: ISO/IEC 14496-12:2022 8.8.9 to 8.8.11 (mfra, tfra, mfro), 8.16.3 (sidx).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from media.isobmff import BadBoxes, find, iter_boxes

MFRO_BYTES = 16  # a box that ends the file, if there is an `mfra`


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """A `sidx` box: where fragments begin, and when the first picture or sound of each is shown, by the clock of one track."""

    track_id: int
    timescale: int
    places: tuple[int, ...]
    times: tuple[int, ...]
    end: int  # behind the last fragment


def read_sidx(box: bytes, place: int) -> SegmentIndex:
    """Read a `sidx` box that lies at `place`. Raises BadBoxes, also when it leads to other boxes of its kind."""
    try:
        version = box[8]
        track_id, timescale = struct.unpack_from(">II", box, 12)
        time, skipped = struct.unpack_from(">QQ" if version else ">II", box, 20)
        at = 36 if version else 28
        (count,) = struct.unpack_from(">H", box, at + 2)
        references = struct.unpack_from(f">{3 * count}I", box, at + 4)
    except (struct.error, IndexError) as error:
        raise BadBoxes("sidx is cut off") from error
    if not timescale or not count or version > 1:
        raise BadBoxes("sidx says nothing")
    places, times = [], []
    end = place + len(box) + skipped
    for size, duration in zip(references[::3], references[1::3], strict=True):
        if size >> 31 or not size or not duration:
            raise BadBoxes("sidx leads to another one, or to nothing")
        places.append(end)
        times.append(time)
        end, time = end + size, time + duration
    return SegmentIndex(track_id, timescale, tuple(places), tuple(times), end)


def mfra_size(last: bytes) -> int:
    """How long the `mfra` is of a file that ends with these `MFRO_BYTES`; 0 when it has none."""
    if len(last) == MFRO_BYTES and last[:8] == struct.pack(">I4s", MFRO_BYTES, b"mfro"):
        return int.from_bytes(last[12:])
    return 0


def read_mfra(box: bytes) -> frozenset[int]:
    """Where the fragments begin that an `mfra` box names. Raises BadBoxes."""
    outer = find(box, "mfra")
    if outer is None or outer.start or outer.end != len(box):
        raise BadBoxes("this is no mfra")
    places: set[int] = set()
    for tfra in iter_boxes(box, outer.body, outer.end):
        if tfra.kind == "tfra":
            places.update(_read_tfra(box[tfra.body : tfra.end]))
    return frozenset(places)


def _read_tfra(body: bytes) -> Iterator[int]:
    try:
        lengths, count = struct.unpack_from(">II", body, 8)
    except struct.error as error:
        raise BadBoxes("tfra is cut off") from error
    wide = body[0] == 1
    numbers = sum((lengths >> shift & 3) + 1 for shift in (0, 2, 4))  # bytes of three numbers that nobody here asks for
    entry = struct.Struct(f">{'8xQ' if wide else '4xI'}{numbers}x")
    if 16 + count * entry.size > len(body):
        raise BadBoxes("tfra is shorter than it says")
    return (place for (place,) in entry.iter_unpack(body[16 : 16 + count * entry.size]))
