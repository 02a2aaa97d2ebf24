"""The index of an MP4 or QuickTime file (`moov`): when each sample is decoded and shown, and where its bytes are. Pure.

Every table becomes plain lists of integers, filled by loops that run in C, so an hour of video takes a fraction of a second. What
is read here is exact or it is not read at all: a file whose tables contradict each other, or that uses what hardly anybody uses
(several sample descriptions, samples in other files, chapters, partial sync samples), raises `BadBoxes`, and its reader has to look
at the whole file instead. Of fragmented files, `media.fragments` makes the same tables.

Raw PCM audio counts every sample of sound in its tables; here one chunk of it is one sample.

Not done here: which samples an edit list shows (`media.edit_list`), and what is fetched (`media.source_map`).

Sources: ISO/IEC 14496-12:2022 8.2 (movie), 8.3 (track), 8.4 (media), 8.6 (time tables, edits), 8.7 (places).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, pairwise, repeat
from operator import add, sub
from typing import TypeVar

from media.isobmff import BadBoxes, Box, find, iter_boxes

MOST_SAMPLES = 8_000_000  # of one track; 13 hours at 170 a second
MOST_TRACKS = 64
MOST_TABLE_BYTES = 1 << 28
LARGEST_OFFSET = 1 << 28  # of composition; larger ones are damage, and are ignored by some readers

_SELF_CONTAINED = 1  # data entry flag, 8.7.2.3
FOREIGN_GROUPS = frozenset({b"rap ", b"sync"})  # sample groups that make further samples places to begin at
_RATE_ONE = 0x1_0000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Edit:
    """One entry of an edit list."""

    duration: int  # movie ticks
    media_time: int  # media ticks; -1 shows nothing


@dataclass(frozen=True)
class Track:
    """One track. Times are media ticks; samples come in decode order."""

    kind: str  # handler: "vide", "soun", …
    entry: str  # sample entry: "avc1", "mp4a", …
    timescale: int  # ticks in a second
    edits: tuple[Edit, ...]
    durations: Sequence[int]
    offsets: Sequence[int] | None  # composition offset of each sample; None when the track has no such table
    decode_shift: int  # how far composition offsets reach below 0
    sync: tuple[int, ...] | None  # samples where decoding can begin, ascending; None: all of them
    sizes: Sequence[int]
    chunks: Sequence[int]  # file offset of each chunk
    chunk_samples: Sequence[int]  # samples in each chunk
    pcm: bool  # one sample here is a chunk of many
    starts: Sequence[int] | None = None  # in a fragmented file, when the first sample of each chunk is decoded
    track_id: int = 0  # in a fragmented file

    def __len__(self) -> int:
        return len(self.durations)

    @cached_property
    def decode_times(self) -> list[int]:
        before = list(accumulate(self.durations, initial=0))
        return before[:-1] if self.starts is None else self._from_chunks(self.starts, before)

    @cached_property
    def composition_times(self) -> list[int]:
        return self.decode_times if self.offsets is None else list(map(add, self.decode_times, self.offsets))

    @cached_property
    def positions(self) -> list[int]:
        """File offset of each sample."""
        return self._from_chunks(self.chunks, list(accumulate(self.sizes, initial=0)))

    def _from_chunks(self, firsts: Sequence[int], before: list[int]) -> list[int]:
        """Of each sample, what its chunk begins at and the samples of the chunk before it add up to."""
        base = map(sub, firsts, map(before.__getitem__, accumulate(self.chunk_samples, initial=0)))
        return list(map(add, _spread(base, self.chunk_samples), before))

    @cached_property
    def end(self) -> int:
        """File offset behind the last byte of any sample."""
        return max(map(add, self.positions, self.sizes), default=0)


@dataclass(frozen=True, slots=True)
class TrackHead:
    """What a track says of itself beside its samples."""

    track_id: int
    kind: str
    entry: str
    timescale: int
    edits: tuple[Edit, ...]
    tables: dict[str, list[Box]]  # the boxes of `stbl`


@dataclass(frozen=True)
class Movie:
    """The index of a file."""

    timescale: int  # movie ticks in a second
    tracks: tuple[Track, ...]  # in the order of the file


def read_movie(moov: bytes) -> Movie:
    """Read a whole `moov` box. Raises BadBoxes when it is damaged, inconsistent, or unusual (see above)."""
    try:
        return _read_movie(moov)
    except (struct.error, IndexError, OverflowError) as error:
        raise BadBoxes("a box of the index is cut off") from error


def _read_movie(moov: bytes) -> Movie:
    outer = next(iter_boxes(moov), None)
    if outer is None or outer.kind != "moov":
        raise BadBoxes("this is no index")
    children = list(iter_boxes(moov, outer.body, outer.end))
    kinds = [child.kind for child in children]
    if "mvex" in kinds or "cmov" in kinds or kinds.count("mvhd") != 1:
        raise BadBoxes("the file is fragmented, or its index is packed")
    header = children[kinds.index("mvhd")]
    timescale = read_timescale(moov, header)
    traks = [child for child in children if child.kind == "trak"]
    if not 0 < len(traks) <= MOST_TRACKS:
        raise BadBoxes(f"the file has {len(traks)} tracks")
    return Movie(timescale, tuple(_with_samples(moov, read_head(moov, trak)) for trak in traks))


def read_timescale(data: bytes, header: Box) -> int:
    """Of `mvhd` or `mdhd`: ticks in a second."""
    (value,) = struct.unpack_from(">I", data, header.body + (20 if data[header.body] == 1 else 12))
    if not 0 < value < 1 << 31:
        raise BadBoxes("a clock does not tick")
    return int(value)


def only(boxes: dict[str, list[Box]], kind: str) -> Box:
    """The one box of a kind. Raises BadBoxes when there are more, or none."""
    if len(boxes.get(kind, ())) != 1:
        raise BadBoxes(f"there are {len(boxes.get(kind, ()))} boxes {kind} where one belongs")
    return boxes[kind][0]


def children(data: bytes, parent: Box) -> dict[str, list[Box]]:
    """The boxes inside a box, by their kinds. Raises BadBoxes."""
    found: dict[str, list[Box]] = {}
    for box in iter_boxes(data, parent.body, parent.end):
        found.setdefault(box.kind, []).append(box)
    return found


def read_head(data: bytes, trak: Box) -> TrackHead:
    """What a `trak` box says before its tables are read. Raises BadBoxes."""
    outer = children(data, trak)
    media = children(data, only(outer, "mdia"))
    info = children(data, only(media, "minf"))
    if any(find(data, "chap", box.body, box.end) for box in outer.get("tref", ())):
        raise BadBoxes("the track has chapters in another one")
    _check_here(data, info)
    header, handler = only(outer, "tkhd"), only(media, "hdlr")
    (track_id,) = struct.unpack_from(">I", data, header.body + (20 if data[header.body] == 1 else 12))
    kind = data[handler.body + 8 : handler.body + 12].decode("latin-1")
    tables = children(data, only(info, "stbl"))
    entry = _sample_entry(data, only(tables, "stsd"))
    return TrackHead(track_id, kind, entry, read_timescale(data, only(media, "mdhd")), _read_edits(data, outer), tables)


def _check_here(data: bytes, info: dict[str, list[Box]]) -> None:
    """Refuses samples that lie in another file."""
    if "dinf" not in info:
        return
    dref = only(children(data, only(info, "dinf")), "dref")
    entries = list(iter_boxes(data, dref.body + 8, dref.end))
    if len(entries) != 1 or not int.from_bytes(data[entries[0].body : entries[0].body + 4]) & _SELF_CONTAINED:
        raise BadBoxes("samples lie in another file")


def _sample_entry(data: bytes, stsd: Box) -> str:
    (count,) = struct.unpack_from(">I", data, stsd.body + 4)
    if count != 1:
        raise BadBoxes(f"the track has {count} sample descriptions")
    return data[stsd.body + 12 : stsd.body + 16].decode("latin-1")


def _read_edits(data: bytes, outer: dict[str, list[Box]]) -> tuple[Edit, ...]:
    if "edts" not in outer:
        return ()
    elst = only(children(data, only(outer, "edts")), "elst")
    (count,) = struct.unpack_from(">I", data, elst.body + 4)
    entry = struct.Struct(">Qqi" if data[elst.body] == 1 else ">Iii")
    if count > 1000 or elst.body + 8 + count * entry.size > elst.end:
        raise BadBoxes("the edit list is cut off")
    edits = []
    for index in range(count):
        duration, media_time, rate = entry.unpack_from(data, elst.body + 8 + index * entry.size)
        if media_time < -1 or (media_time >= 0 and rate != _RATE_ONE):
            raise BadBoxes("an edit plays at another speed")
        edits.append(Edit(duration, media_time))
    return tuple(edits)


def _numbers(data: bytes, box: Box, count: int, kind: str = "I", skip: int = 8) -> array[int]:
    """`count` big-endian numbers behind the header of a table. Raises BadBoxes."""
    numbers = array(kind)
    start, size = box.body + skip, count * numbers.itemsize
    if count > MOST_TABLE_BYTES or start + size > box.end:
        raise BadBoxes(f"{box.kind} is shorter than it says")
    numbers.frombytes(data[start : start + size])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _count(data: bytes, box: Box, at: int = 4) -> int:
    return int(struct.unpack_from(">I", data, box.body + at)[0])


def _pairs(data: bytes, box: Box) -> tuple[array[int], array[int]]:
    """A table of pairs: counts and values."""
    numbers = _numbers(data, box, 2 * _count(data, box))
    counts = numbers[::2]
    if sum(counts) > MOST_TABLE_BYTES or 0 in counts:
        raise BadBoxes(f"{box.kind} counts too many samples, or none")
    return counts, numbers[1::2]


def _spread(values: Iterable[T], counts: Iterable[int]) -> Iterable[T]:
    """Each value as often as its count says."""
    return chain.from_iterable(map(repeat, values, counts))


def _with_samples(data: bytes, head: TrackHead) -> Track:
    kind, entry, timescale, edits, tables = head.kind, head.entry, head.timescale, head.edits, head.tables
    if "stps" in tables or any(data[box.body + 4 : box.body + 8] in FOREIGN_GROUPS for box in tables.get("sbgp", ())):
        raise BadBoxes("the track has sync samples of more than one kind")
    counts, deltas = _pairs(data, only(tables, "stts"))
    total = sum(counts)
    pcm = kind == "soun" and list(deltas) == [1]
    if not total or 0 in deltas or max(deltas) >= 1 << 31 or (not pcm and total > MOST_SAMPLES):
        raise BadBoxes("the time table makes no sense")
    chunks, per_chunk = _read_chunks(data, tables, total)
    sizes = _read_sizes(data, tables, total)
    if pcm:
        if not isinstance(sizes, int) or sizes < 2 or "ctts" in tables or "stss" in tables:
            raise BadBoxes("raw sound of samples that differ")
        lengths = [sizes * count for count in per_chunk]
        return Track(kind, entry, timescale, edits, per_chunk, None, 0, None, lengths, chunks, [1] * len(chunks), True)
    offsets, shift = _read_offsets(data, tables, total)
    return Track(
        kind, entry, timescale, edits, list(_spread(deltas, counts)), offsets, shift, _read_sync(data, tables, total),
        [sizes] * total if isinstance(sizes, int) else sizes, chunks, per_chunk, False,
    )  # fmt: skip


def _read_sizes(data: bytes, tables: dict[str, list[Box]], total: int) -> int | Sequence[int]:
    """The size of every sample, or the one size that all have."""
    if "stsz" in tables:
        box = only(tables, "stsz")
        same, count = struct.unpack_from(">II", data, box.body + 4)
        sizes: int | Sequence[int] = int(same) or _numbers(data, box, count, skip=12)
    else:
        box = only(tables, "stz2")
        count, width = _count(data, box, 8), data[box.body + 7]
        if width not in (8, 16):
            raise BadBoxes("sizes of four bits")
        sizes = _numbers(data, box, count, "B" if width == 8 else "H", skip=12)
    if count != total:
        raise BadBoxes(f"there are {count} sizes for {total} samples")
    if not isinstance(sizes, int) and min(sizes) == 0:
        raise BadBoxes("a sample is empty")
    return sizes


def _read_chunks(data: bytes, tables: dict[str, list[Box]], total: int) -> tuple[Sequence[int], list[int]]:
    """File offset of each chunk, and how many samples it holds."""
    if "stco" in tables:
        box = only(tables, "stco")
        chunks = _numbers(data, box, _count(data, box))
    else:
        box = only(tables, "co64")
        chunks = _numbers(data, box, _count(data, box), "Q")
    runs = only(tables, "stsc")
    numbers = _numbers(data, runs, 3 * _count(data, runs))
    firsts, per_chunk, descriptions = list(numbers[::3]), numbers[1::3], numbers[2::3]
    bounds = [*firsts, len(chunks) + 1]
    repeats = [later - first for first, later in pairwise(bounds)]
    if firsts[:1] != [1] or min(repeats) < 1 or set(descriptions) != {1} or sum(map(int.__mul__, repeats, per_chunk)) != total:
        raise BadBoxes("chunks and samples do not agree")
    return chunks, list(_spread(per_chunk, repeats))


def _read_offsets(data: bytes, tables: dict[str, list[Box]], total: int) -> tuple[list[int] | None, int]:
    """Composition offsets, and how far they reach below 0 (the last two runs do not count: FFmpeg leaves them out)."""
    if "ctts" not in tables:
        return None, 0
    box = only(tables, "ctts")
    counts, raw = _pairs(data, box)
    offsets = array("i", raw.tobytes())
    if sum(counts) != total or max(offsets) >= LARGEST_OFFSET or min(offsets) <= -LARGEST_OFFSET:
        raise BadBoxes("the composition offsets make no sense")
    return list(_spread(offsets, counts)), max(0, -min(offsets[:-2], default=0))


def _read_sync(data: bytes, tables: dict[str, list[Box]], total: int) -> tuple[int, ...] | None:
    if "stss" not in tables:
        return None
    box = only(tables, "stss")
    numbers = _numbers(data, box, _count(data, box))
    if not numbers or numbers[0] < 1 or numbers[-1] > total or any(map(int.__ge__, numbers, numbers[1:])):
        raise BadBoxes("the table of sync samples makes no sense")
    return tuple(number - 1 for number in numbers)
