"""Matroska and WebM, as much of it as tells where things are: what is in front of the clusters, the cues, the heads of blocks. Pure.

Every element says its length, so nothing is read but what is asked for. Lengths and numbers come from strangers: an element that goes
on past its parent, a number of more than eight bytes, more cues or tracks than `MOST_CUES` and `MOST_TRACKS`, raise `BadElements`.
Nothing calls itself: the depth is that of the format.

Not done here: reading files (`ingest.matroska_index`), pictures and sound, chapters, tags.

Sources: RFC 8794 (EBML), RFC 9559 (Matroska), whose names are used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

MOST_TRACKS = 64
MOST_CUES = 200_000
ID_BYTES, SIZE_BYTES = 4, 8
HEAD_BYTES = ID_BYTES + SIZE_BYTES  # the longest head of an element
NS = 1_000_000_000

EBML, SEGMENT, VOID = 0x1A45DFA3, 0x18538067, 0xEC
SEEK_HEAD, INFO, TRACKS, CUES, CLUSTER = 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1F43B675
CHAPTERS, TAGS, ATTACHMENTS = 0x1043A770, 0x1254C367, 0x1941A469
_SEEK, _SEEK_ID, _SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
_TIMESTAMP_SCALE = 0x2AD7B1
_TRACK_ENTRY, _TRACK_NUMBER, _TRACK_TYPE, _DEFAULT_DURATION, _TRACK_SCALE = 0xAE, 0xD7, 0x83, 0x23E383, 0x23314F
_CODEC_DELAY = 0x56AA
_ENCODINGS, _ENCODING, _ENCRYPTION = 0x6D80, 0x6240, 0x5035
_CUE_POINT, _CUE_TIME, _CUE_PLACES, _CUE_TRACK, _CUE_CLUSTER, _CUE_RELATIVE = 0xBB, 0xB3, 0xB7, 0xF7, 0xF1, 0xF0
_TIMESTAMP, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0xE7, 0xA3, 0xA0, 0xA1

VIDEO, AUDIO, SUBTITLE = 1, 2, 17  # track types


class BadElements(ValueError):
    """The bytes are not the elements they should be."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element at `[start, end)`, whose data begins at `body`. `end` is None when it does not say how long it is."""

    id: int
    start: int
    body: int
    end: int | None


@dataclass(frozen=True, slots=True)
class TrackEntry:
    number: int
    kind: int
    period_ns: int  # DefaultDuration, 0 when it is not said
    delay_ns: int  # CodecDelay: times of blocks are so much later than what is heard
    plain: bool  # neither encrypted nor on a clock of its own


@dataclass(frozen=True, slots=True)
class Cue:
    """Where a picture lies at which decoding can begin."""

    time: int  # ticks
    cluster: int  # from the start of the segment's data
    relative: int | None  # of its block, from the start of the cluster's data


@dataclass(frozen=True, slots=True)
class BlockHead:
    track: int
    time: int  # ticks
    keyframe: bool  # said of simple blocks only


def element_at(data: bytes, at: int, base: int = 0) -> Element:
    """The head at `data[at]`; places count from `base`, the place of `data[0]`. Raises BadElements."""
    identity, body = _number(data, at, ID_BYTES, marked=True)
    size, body = _number(data, body, SIZE_BYTES)
    unknown = size == (1 << 7 * (body - at - _length(data, at))) - 1
    return Element(identity, base + at, base + body, None if unknown else base + body + size)


def _length(data: bytes, at: int) -> int:
    if at >= len(data) or data[at] == 0:
        raise BadElements("an element has no head")
    return 9 - data[at].bit_length()


def _number(data: bytes, at: int, most: int, *, marked: bool = False) -> tuple[int, int]:
    """A number of variable length (RFC 8794, 4), with or without its marker, and where it ends."""
    length = _length(data, at)
    end = at + length
    if length > most or end > len(data):
        raise BadElements("a number is cut off")
    value = int.from_bytes(data[at:end])
    return value if marked else value & ((1 << 7 * length) - 1), end


def children(data: bytes, start: int, end: int) -> Iterator[Element]:
    """The elements in `data[start:end]`. Raises BadElements."""
    while start < end:
        found = element_at(data, start)
        if found.end is None or found.end > end:
            raise BadElements("an element goes on past its parent")
        yield found
        start = found.end


def _unsigned(data: bytes, element: Element) -> int:
    assert element.end is not None
    if element.end - element.body > SIZE_BYTES:
        raise BadElements("a number is too long")
    return int.from_bytes(data[element.body : element.end])


def _fields(data: bytes, parent: Element) -> dict[int, Element]:
    """The first child of each kind."""
    assert parent.end is not None
    found: dict[int, Element] = {}
    for child in children(data, parent.body, parent.end):
        found.setdefault(child.id, child)
    return found


def read_seek_head(data: bytes) -> list[tuple[int, int]]:
    """The identity and the place (from the start of the segment's data) of each element that a SeekHead names."""
    places = []
    for seek in children(data, 0, len(data)):
        if seek.id == _SEEK:
            fields = _fields(data, seek)
            if _SEEK_ID not in fields or _SEEK_POSITION not in fields:
                raise BadElements("an entry of the index names nothing")
            places.append((_unsigned(data, fields[_SEEK_ID]), _unsigned(data, fields[_SEEK_POSITION])))
    return places


def read_tick(data: bytes) -> Fraction:
    """Seconds in a tick, out of the data of an Info."""
    scale = next((_unsigned(data, item) for item in children(data, 0, len(data)) if item.id == _TIMESTAMP_SCALE), 1_000_000)
    if not 0 < scale <= NS:
        raise BadElements("a clock does not tick")
    return Fraction(scale, NS)


def read_tracks(data: bytes) -> tuple[TrackEntry, ...]:
    """The tracks, out of the data of a Tracks."""
    entries = tuple(_track(data, item) for item in children(data, 0, len(data)) if item.id == _TRACK_ENTRY)
    if not 0 < len(entries) <= MOST_TRACKS or len({entry.number for entry in entries}) != len(entries):
        raise BadElements(f"the file has {len(entries)} tracks, or two of one number")
    return entries


def _track(data: bytes, entry: Element) -> TrackEntry:
    fields = _fields(data, entry)
    if _TRACK_NUMBER not in fields or _TRACK_TYPE not in fields:
        raise BadElements("a track has no number")
    period, delay = (_unsigned(data, fields[name]) if name in fields else 0 for name in (_DEFAULT_DURATION, _CODEC_DELAY))
    plain = _TRACK_SCALE not in fields and not (_ENCODINGS in fields and _encrypted(data, fields[_ENCODINGS]))
    return TrackEntry(_unsigned(data, fields[_TRACK_NUMBER]), _unsigned(data, fields[_TRACK_TYPE]), period, delay, plain)


def _encrypted(data: bytes, encodings: Element) -> bool:
    assert encodings.end is not None
    return any(_ENCRYPTION in _fields(data, one) for one in children(data, encodings.body, encodings.end) if one.id == _ENCODING)


def read_cues(data: bytes, track: int) -> tuple[Cue, ...]:
    """The cues of one track, out of the data of a Cues: ascending in time and in place, one for each time. Raises BadElements."""
    cues: list[Cue] = []
    for count, point in enumerate(children(data, 0, len(data))):
        if count == MOST_CUES:
            raise BadElements("there are too many cues")
        if point.id != _CUE_POINT or point.end is None:
            continue
        inside = list(children(data, point.body, point.end))
        times = [_unsigned(data, item) for item in inside if item.id == _CUE_TIME]
        for item in inside:
            fields = _fields(data, item) if item.id == _CUE_PLACES else {}
            if times and _CUE_TRACK in fields and _CUE_CLUSTER in fields and _unsigned(data, fields[_CUE_TRACK]) == track:
                relative = _unsigned(data, fields[_CUE_RELATIVE]) if _CUE_RELATIVE in fields else None
                cues.append(Cue(times[0], _unsigned(data, fields[_CUE_CLUSTER]), relative))
                break
    if any(later.time <= before.time or later.cluster < before.cluster for before, later in pairwise(cues)):
        raise BadElements("the cues go back")
    return tuple(cues)


def read_blocks(data: bytes) -> Iterator[BlockHead]:
    """The heads of the blocks in `data`, which begins with a cluster; what is cut off at its end is left out. Raises BadElements."""
    at, time = 0, 0
    while at + HEAD_BYTES < len(data):
        element = element_at(data, at)
        if element.id in (CLUSTER, _BLOCK_GROUP):
            at = element.body  # go in
            continue
        if element.end is None:
            raise BadElements("an element does not say how long it is")
        if element.id == _TIMESTAMP and element.end <= len(data):
            time = _unsigned(data, element)
        elif element.id in (_SIMPLE_BLOCK, _BLOCK) and element.body + 11 <= len(data):
            yield _block(data, element, time)
        at = element.end


def _block(data: bytes, element: Element, cluster_time: int) -> BlockHead:
    track, at = _number(data, element.body, SIZE_BYTES)
    (offset,) = struct.unpack_from(">h", data, at)
    return BlockHead(track, cluster_time + offset, element.id == _SIMPLE_BLOCK and bool(data[at + 2] & 0x80))
