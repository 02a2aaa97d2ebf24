"""The index of a fragmented MP4 source: found in as few steps as the file allows, and read by byte ranges. Pure but for reading.

The fragments of a file are a chain of boxes, each of which says where the next one begins, and the chain decides where they are. What
`sidx` or `mfra` say of it is fetched beforehand, all at once, so that walking along it costs no further request; without them each
fragment costs one. Nothing is read that would take longer than reading the whole file: then there is no index here.

Where a `sidx` reaches to the end of the file, FFmpeg looks for a place by its times (`ingest.mp4_seeking`). Of any other file it reads
the heads of all fragments when it opens it, so every worker needs them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ingest.container import Read, outer_box
from ingest.mp4_index import BOX_HEADER_BYTES, ENCRYPTED, MEDIA, MOST_INDEX_BYTES, Mp4Index
from ingest.mp4_seeking import seeking
from media.edit_list import delivery
from media.fragment_places import MFRO_BYTES, SegmentIndex, mfra_size, read_mfra, read_sidx
from media.fragments import is_fragmented, read_fragmented
from media.isobmff import BadBoxes, Box
from media.source_map import GAP_BYTES, Delivered

ReadMany = Callable[[Sequence[tuple[int, int]]], Sequence[bytes]]  # byte ranges [start, end) -> their bytes

MOST_FRAGMENTS = 30_000
MOST_FRONT_BOXES = 64  # before the first fragment
FEW_STEPS = 64
STEP_BYTES = 1 << 20  # a request that waits for the one before takes as long as reading this many bytes
INDEX_SHARE = 4  # an index longer than this part of the file is none
LEAST_WINDOW_BYTES, MOST_WINDOW_BYTES = 1 << 10, 64 << 10
BEFORE_BYTES = 256  # small boxes in front of a fragment that is named


def find_fragments(read: Read, read_many: ReadMany, size_bytes: int) -> Mp4Index | None:
    """The index of a fragmented file, when it has one that can be relied on and is worth the reading."""
    try:
        front, moov = _front(read, size_bytes)
        return _index(_Chain(read_many, size_bytes, front), moov)
    except BadBoxes:
        return None


def _front(read: Read, size_bytes: int) -> tuple[dict[int, tuple[Box, bytes]], bytes]:
    """The boxes before the first fragment, and it, by their places, each with its bytes; and the movie box. Raises BadBoxes."""
    found: dict[int, tuple[Box, bytes]] = {}
    moov, at = b"", 0
    for _ in range(MOST_FRONT_BOXES):
        box = outer_box(read, at, size_bytes)
        if box is None or box.end - box.start > MOST_INDEX_BYTES or box.kind in MEDIA - {"free", "skip"}:
            raise BadBoxes("this is no fragmented file")
        if at == 0 and box.kind not in ("ftyp", "styp"):
            raise BadBoxes("a file must begin with ftyp")
        data = read(box.start, box.end - box.start) if box.kind in ("moov", "sidx", "moof") else b""
        found[box.start] = (box, data)
        if box.kind == "moov":
            if moov or not is_fragmented(data):
                raise BadBoxes("the index announces no fragments")
            moov = data
        if box.kind == "moof":
            return found, moov
        at = box.end
    raise BadBoxes("there is no fragment")


@dataclass(slots=True)
class _Chain:
    """The boxes of a file, one after the other, out of what was fetched beforehand or of one more request each."""

    read_many: ReadMany
    size_bytes: int
    front: dict[int, tuple[Box, bytes]]
    window_bytes: int = LEAST_WINDOW_BYTES
    steps: int = 0
    _windows: dict[int, bytes] = field(default_factory=dict)
    _starts: list[int] = field(default_factory=list)

    def fetch(self, places: Sequence[int]) -> None:
        """What begins at these places, all at once. Raises BadBoxes when that takes longer than reading what is between them."""
        if len(places) > max(FEW_STEPS, self.size_bytes // GAP_BYTES):
            raise BadBoxes("the fragments are too small")
        ranges = [(max(0, place - BEFORE_BYTES), min(self.size_bytes, place + self.window_bytes)) for place in places]
        if sum(end - start for start, end in ranges) > _most_bytes(self.size_bytes):
            raise BadBoxes("the file is little else than its index")
        self._windows = {start: data for (start, _), data in zip(ranges, self.read_many(ranges), strict=True)}
        self._starts = sorted(self._windows)

    def walk(self) -> Iterator[tuple[Box, bytes]]:
        """Every box of the file with its bytes, of media only the header. Raises BadBoxes."""
        at = read_bytes = 0
        while at < self.size_bytes:
            box = outer_box(self._read, at, self.size_bytes)
            if box is None:
                raise BadBoxes(f"there is no box at {at}")
            size = BOX_HEADER_BYTES if box.kind in MEDIA else box.end - box.start
            read_bytes += size
            if read_bytes > _most_bytes(self.size_bytes):
                raise BadBoxes("the file is little else than its index")
            if box.kind == "moof":
                self.window_bytes = min(MOST_WINDOW_BYTES, max(self.window_bytes, size + BEFORE_BYTES))
            yield box, b"" if box.kind in MEDIA else self._read(at, size)
            at = box.end

    def _read(self, start: int, size: int) -> bytes:
        if start in self.front:
            _, data = self.front[start]
            if len(data) >= size:
                return data[:size]
        number = bisect_left(self._starts, start + 1) - 1
        if number >= 0:
            data = self._windows[self._starts[number]][start - self._starts[number] :]
            if len(data) >= min(size, self.size_bytes - start):
                return data[:size]
        self.steps += 1
        if self.steps > max(FEW_STEPS, self.size_bytes // STEP_BYTES):
            raise BadBoxes("the fragments would have to be looked for one by one")
        (data,) = self.read_many([(start, min(self.size_bytes, start + max(size, self.window_bytes)))])
        self._windows[start] = data
        self._starts.insert(bisect_left(self._starts, start), start)
        return data[:size]


def _most_bytes(size_bytes: int) -> int:
    return min(MOST_INDEX_BYTES, max(MOST_WINDOW_BYTES, size_bytes // INDEX_SHARE))


def _index(chain: _Chain, moov: bytes) -> Mp4Index | None:
    fronts = [read_sidx(data, box.start) for box, data in chain.front.values() if box.kind == "sidx"]
    *_, (_, first) = chain.front.values()
    chain.window_bytes = max(LEAST_WINDOW_BYTES, min(MOST_WINDOW_BYTES, 2 * len(first)))
    (last,) = chain.read_many([(max(0, chain.size_bytes - MFRO_BYTES), chain.size_bytes)])
    if places := _named(chain, fronts, last):
        chain.fetch(places)
    boxes: list[Box] = []
    moofs: list[tuple[int, bytes]] = []
    for box, data in chain.walk():
        boxes.append(box)
        if box.kind == "moof":
            moofs.append((box.start, data))
        if len(moofs) > MOST_FRAGMENTS or (box.kind == "moov" and moofs):
            raise BadBoxes("there are too many fragments, or two indices")
    movie = read_fragmented(moov, moofs)
    ids = {track.track_id for track in movie.tracks}
    tracks = tuple(Delivered(number, track, delivery(track, movie.timescale)) for number, track in enumerate(movie.tracks))
    if any(track.entry.startswith("enc") or track.entry in ENCRYPTED or track.end > chain.size_bytes for track in movie.tracks):
        return None
    whole = (chain.size_bytes, chain.size_bytes - int.from_bytes(last[-4:]))
    way = None
    if any(sidx.track_id in ids and sidx.end in whole for sidx in fronts):
        heads = [(place, place + len(data) + BOX_HEADER_BYTES) for place, data in moofs]
        behind = max(box.end for box in boxes if box.kind == "mdat")
        way = seeking(fronts, movie, tracks, [*heads, (behind, min(behind + MOST_WINDOW_BYTES, chain.size_bytes))])
    return Mp4Index(chain.size_bytes, tuple(boxes), moov, movie, tracks, b"".join(data for _, data in moofs), way)


def _named(chain: _Chain, fronts: Sequence[SegmentIndex], last: bytes) -> list[int]:
    """Where the fragments are said to begin, in order; none when nobody says."""
    places: set[int] = set()
    for sidx in fronts:
        places.update(sidx.places)
    size = mfra_size(last)
    if len(places) <= 1 and 0 < size <= _most_bytes(chain.size_bytes):
        places |= read_mfra(chain.read_many([(chain.size_bytes - size, chain.size_bytes)])[0])
    return sorted(place for place in places if place < chain.size_bytes)[:MOST_FRAGMENTS]
