"""What is known of a Matroska or WebM source without reading it: from what stands before its clusters, its cues, its first seconds and,
once it is all there, its last ones. Pure but for reading.

The index of Matroska does not list pictures. So only a file is described here whose pictures are evenly spaced: its video track says
how far apart (DefaultDuration), and every cue, every picture of the first seconds and the last picture of all are where they should
be. How far each track reaches is said by its DURATION tag, and that the last blocks agree is checked as soon as they have arrived. What
cannot be seen: a picture left out between two cues, for which the encoder repeats the one before, as it does in uneven files.

Any other file has no index as far as this module is concerned, and is read whole.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from operator import sub

from ingest.container import Read
from ingest.ffprobe import Found
from ingest.frame_rate import BIN_S, Spacing, snap
from ingest.packets import KEYFRAME_EVERY_S, Reach, Scan
from media import matroska
from media.matroska import BadElements, BlockHead, Cue, Element, TrackEntry
from media.source_map import LOOK_AHEAD, MOST_STRETCHES, PROBE_BYTES, PROBE_S, VIDEO_APART_S, SourceMap, StreamMap, merged

MOST_ELEMENTS = 64  # before the first cluster
MOST_INDEX_BYTES = 64 << 20
MOST_TAIL_BYTES = 64 << 20
SOUND_AHEAD_S = Fraction(2)  # how far from its pictures sound may lie
LONGEST_STRETCH_S = 60  # between two cues; a file with fewer is read whole
LAST_BLOCK_S = Fraction(1, 5)  # no block of sound is longer
_VIDEO_CODECS = frozenset({"h264", "hevc", "vp9", "av1"})  # a packet of these is a picture


@dataclass(frozen=True, slots=True)
class MatroskaIndex:
    """What stands in front of the pictures, and the cues. Places are those of the file."""

    size_bytes: int
    segment: int  # where the data of the segment begins
    clusters: int  # where the first cluster begins
    tick: Fraction  # seconds
    tracks: tuple[TrackEntry, ...]
    cues: tuple[Cue, ...]  # of the first video track
    ranges: tuple[tuple[int, int], ...]  # all that is no cluster
    digest: str  # what plans know the source by: everything that is no cluster, and the length

    @property
    def header(self) -> tuple[tuple[int, int], ...]:
        """What FFmpeg reads to open the file and to learn about all of its tracks."""
        return merged((*self.ranges, (self.clusters, self.head_end)))

    @property
    def head_end(self) -> int:
        """The first seconds. Text may be minutes away, so whoever looks for it stops at a number of bytes."""
        most = min(self.size_bytes, self.clusters + PROBE_BYTES)
        if any(entry.kind == matroska.SUBTITLE for entry in self.tracks):
            return most
        late = (PROBE_S + 2) / self.tick + self.cues[0].time
        return min(most, next((self.place(cue) for cue in self.cues if cue.time > late), most))

    @property
    def tail(self) -> tuple[int, int]:
        """From the last cue to the end."""
        return self.place(self.cues[-1]), self.size_bytes

    def place(self, cue: Cue) -> int:
        """Where the cluster of a cue begins."""
        return self.segment + cue.cluster


def clusters_begin(read: Read, size_bytes: int) -> int | None:
    """Where the clusters begin of a file that has everything else in front of them; None when it has not."""
    try:
        segment, clusters, elements = _front(read, size_bytes)
        named = _named(read, segment.body, elements)
    except BadElements:
        return None
    kinds = {element.id for element in elements}
    return clusters if matroska.CUES in kinds and all(place < clusters for _, place in named) and clusters < size_bytes else None


def find_index(read: Read, size_bytes: int) -> MatroskaIndex | None:
    """The index of a file, when it has one."""
    try:
        return _index(read, size_bytes)
    except BadElements:
        return None


def _front(read: Read, size_bytes: int) -> tuple[Element, int, list[Element]]:
    """The segment, where its first cluster begins, and what comes before."""
    first = _element(read, 0)
    if first.id != matroska.EBML or first.end is None:
        raise BadElements("this is no Matroska file")
    segment = _element(read, first.end)
    if segment.id != matroska.SEGMENT or segment.end != size_bytes:
        raise BadElements("the file does not end where it says")
    elements: list[Element] = []
    at = segment.body
    while (found := _element(read, at)).id != matroska.CLUSTER:
        if found.end is None or found.end > size_bytes or len(elements) == MOST_ELEMENTS:
            raise BadElements("no cluster was found")
        elements.append(found)
        at = found.end
    return segment, at, elements


def _element(read: Read, at: int) -> Element:
    return matroska.element_at(read(at, matroska.HEAD_BYTES), 0, at)


def _data(read: Read, element: Element) -> bytes:
    assert element.end is not None
    if element.end - element.body > MOST_INDEX_BYTES:
        raise BadElements("the index is too long")
    data = read(element.body, element.end - element.body)
    if len(data) != element.end - element.body:
        raise BadElements("the index is cut off")
    return data


def _named(read: Read, segment: int, elements: Iterable[Element]) -> list[tuple[int, int]]:
    """What the SeekHeads name: identities, and places in the file."""
    heads = [element for element in elements if element.id == matroska.SEEK_HEAD]
    return [(identity, segment + place) for head in heads for identity, place in matroska.read_seek_head(_data(read, head))]


def _index(read: Read, size_bytes: int) -> MatroskaIndex | None:
    segment, clusters, elements = _front(read, size_bytes)
    known = {element.start for element in elements}
    for identity, place in _named(read, segment.body, elements):
        if place in known or identity == matroska.CLUSTER:
            continue
        found = _element(read, place)
        if place < clusters or found.id != identity or found.end is None or found.end > size_bytes or len(elements) == MOST_ELEMENTS:
            return None
        elements.append(found)
        known.add(place)
    ranges = merged(((0, clusters), *((element.start, element.end or 0) for element in elements)))
    by_id = {element.id: element for element in reversed(elements)}
    if sum(end - start for start, end in ranges) > MOST_INDEX_BYTES or not {matroska.INFO, matroska.TRACKS, matroska.CUES} <= by_id.keys():
        return None
    tracks = matroska.read_tracks(_data(read, by_id[matroska.TRACKS]))
    video = next((entry.number for entry in tracks if entry.kind == matroska.VIDEO), None)
    cues = () if video is None else matroska.read_cues(_data(read, by_id[matroska.CUES]), video)
    if not cues or segment.body + cues[0].cluster < clusters or segment.body + cues[-1].cluster >= size_bytes:
        return None
    digest = hashlib.sha256(b"%d " % size_bytes)
    for start, end in ranges:
        digest.update(read(start, end - start))
    tick = matroska.read_tick(_data(read, by_id[matroska.INFO]))
    return MatroskaIndex(size_bytes, segment.body, clusters, tick, tracks, cues, ranges, f"index:{digest.hexdigest()}")


@dataclass(frozen=True, slots=True)
class Described:
    """A file whose pictures are evenly spaced. Times in ticks."""

    index: MatroskaIndex
    rate: Fraction  # pictures per second
    first: int  # when the first picture is shown
    pictures: int
    numbers: Mapping[int, int]  # of the streams that count, by the numbers of their tracks
    ends: Mapping[int, Fraction]  # of these streams, by the times of their blocks; seconds

    def time(self, picture: int) -> int:
        return self.first + round(picture / self.rate / self.index.tick)


def describe(index: MatroskaIndex, found: Found, head: bytes) -> Described | None:
    """Of a file of which ffprobe has `found` this, and whose first clusters are `head`; None when its pictures may be uneven."""
    numbers = _numbers(index, found)
    video = found.video
    if numbers is None or video is None or video.claimed_end is None:
        return None
    entry = next(entry for entry in index.tracks if numbers.get(entry.number) == video.index)
    times = _shown(head, entry.number)
    if not times or not entry.period_ns or not video.claimed_rates:
        return None
    rate, first = snap(Fraction(matroska.NS, entry.period_ns)), times[0]
    ends = {video.index: video.claimed_end, **{sound.index: sound.claimed_end for sound in found.audio if sound.claimed_end is not None}}
    pictures = round((video.claimed_end - first * index.tick) * rate)
    made = Described(index, rate, first, pictures, numbers, ends)
    if not _is_interleaved(index, _blocks(head), entry.number):
        return None
    settled = times if index.head_end == index.size_bytes else times[:-LOOK_AHEAD]
    begins = [cue.time for cue in index.cues if cue.time >= first]
    if len(ends) != 1 + len(found.audio) or pictures < 1 or not begins:
        return None
    instants = [first, *begins, made.time(pictures - 1)]
    if max(map(sub, instants[1:], instants)) * index.tick > LONGEST_STRETCH_S:
        return None
    even = all(abs(time - made.time(number)) <= 1 for number, time in enumerate(settled))
    return made if even and all(_on_grid(made, time) for time in begins) else None


def _numbers(index: MatroskaIndex, found: Found) -> dict[int, int] | None:
    """The streams that count, by the numbers of their tracks; None when ffprobe sees other tracks than we do."""
    kinds = (matroska.VIDEO, matroska.AUDIO, matroska.SUBTITLE)
    streams = {entry.number: (place, entry) for place, entry in enumerate(index.tracks)}
    wanted = {found.video.index: matroska.VIDEO} if found.video is not None and found.video.codec in _VIDEO_CODECS else {}
    wanted |= {sound.index: matroska.AUDIO for sound in found.audio}
    numbers = {number: place for number, (place, _) in streams.items() if place in wanted}
    good = all(entry.kind == wanted.get(place, entry.kind) and entry.kind in kinds and entry.plain for place, entry in streams.values())
    ticks = all(found.ticks.get(place) == index.tick for place in wanted)
    pictures = sum(entry.kind == matroska.VIDEO for entry in index.tracks)  # FFmpeg goes by the cues of the first track of them
    fits = pictures == 1 and found.video is not None and len(numbers) == 1 + len(found.audio)
    return numbers if good and ticks and fits and len(streams) <= found.streams else None


def _shown(head: bytes, track: int) -> list[int]:
    """When the pictures in `head` are shown, from the first keyframe on, in order."""
    blocks = [block for block in _blocks(head) if block.track == track]
    first = next((number for number, block in enumerate(blocks) if block.keyframe), 0)
    return sorted(block.time for block in blocks[first:])


def _blocks(data: bytes) -> Sequence[BlockHead]:
    """Those that can be read; what is behind a damaged one is none of ours."""
    found: list[BlockHead] = []
    try:
        found.extend(matroska.read_blocks(data))
    except BadElements:
        return ()
    return found


def _is_interleaved(index: MatroskaIndex, blocks: Sequence[BlockHead], video: int) -> bool:
    """Whether sound lies near the pictures of its time."""
    sounds = {entry.number for entry in index.tracks if entry.kind == matroska.AUDIO}
    apart, reached = SOUND_AHEAD_S / index.tick, None
    for block in blocks:
        if block.track == video:
            reached = block.time if reached is None else max(reached, block.time)
        elif block.track in sounds and reached is not None and abs(block.time - reached) > apart:
            return False
    return True


def _on_grid(made: Described, time: int) -> bool:
    """Whether a picture may be shown at that time."""
    number = round((time - made.first) * made.index.tick * made.rate)
    return 0 <= number < made.pictures and abs(time - made.time(number)) <= 1


def ends_so(made: Described, found: Found, tail: bytes) -> bool:
    """Whether the last blocks are where the tags have promised them. `tail`: the bytes of `MatroskaIndex.tail`."""
    lasts: dict[int, int] = {}
    for block in _blocks(tail):
        if block.track in made.numbers:
            stream = made.numbers[block.track]
            lasts[stream] = max(lasts.get(stream, block.time), block.time)
    assert found.video is not None
    for stream, end in made.ends.items():
        last = lasts.get(stream)
        if last is None:
            return False
        if stream == found.video.index:
            if abs(last - made.time(made.pictures - 1)) > 1:
                return False
        elif not -made.index.tick <= end - last * made.index.tick <= LAST_BLOCK_S:
            return False
    return True


def scan(made: Described, found: Found) -> Scan:
    """What the packets would say."""
    assert found.video is not None
    tick, period = made.index.tick, 1 / made.rate
    last = made.time(made.pictures - 1)
    steps = (floor(period / tick) * tick, ceil(period / tick) * tick) if made.pictures > 1 else (Fraction(0), Fraction(0))
    spacing = Spacing(made.pictures, made.first * tick, last * tick, tick, *steps, {round(period / BIN_S): made.pictures - 1})
    reach = {found.video.index: Reach(made.first * tick, last * tick + period)}
    delays = {made.numbers[entry.number]: entry.delay_ns for entry in made.index.tracks if entry.number in made.numbers}
    for sound in found.audio:
        end = made.ends[sound.index] - floor(Fraction(delays[sound.index], matroska.NS) / tick + Fraction(1, 2)) * tick
        start = sound.start if sound.start is not None else Fraction(0)
        reach[sound.index] = Reach(min(start, end), end)
    keyframes: list[Fraction] = []
    for cue in made.index.cues:
        if not keyframes or cue.time * tick - keyframes[-1] >= KEYFRAME_EVERY_S:
            keyframes.append(cue.time * tick)
    return Scan(spacing, period, tuple(keyframes), encrypted=False, reach=reach)


def make_map(made: Described, found: Found) -> SourceMap:
    """Where everything lies. Sound lies between the pictures of its time, and FFmpeg looks for both by the cues."""
    assert found.video is not None
    index = made.index
    apart = max(VIDEO_APART_S, made.pictures / made.rate / MOST_STRETCHES) / index.tick
    begins: list[Cue] = []
    for cue in index.cues:
        if not begins or cue.time - begins[-1].time >= apart:
            begins.append(cue)
    ends = [_end_before(index, cue) for cue in begins[1:]]
    starts = (index.clusters, *(index.place(cue) for cue in begins[1:]))
    pieces = tuple(zip(starts, (*ends, index.size_bytes), strict=True))
    times = (min(made.first, begins[0].time), *(cue.time for cue in begins[1:]))
    pictures = ceil(LOOK_AHEAD / made.rate / index.tick) + 1
    aheads = {found.video.index: pictures, **{sound.index: ceil(SOUND_AHEAD_S / index.tick) for sound in found.audio}}
    header = tuple(edge for piece in index.header for edge in piece)
    return SourceMap(
        index.size_bytes, header, tuple(StreamMap(stream, index.tick, ahead, times, pieces) for stream, ahead in aheads.items())
    )


def _end_before(index: MatroskaIndex, cue: Cue) -> int:
    """Where ends what comes before the picture of a cue, which may lie in the middle of a cluster."""
    start = index.place(cue)
    if cue.relative is not None:
        return min(index.size_bytes, start + matroska.HEAD_BYTES + cue.relative)
    later = bisect_right(index.cues, cue.cluster, key=lambda other: other.cluster)
    return index.place(index.cues[later]) if later < len(index.cues) else index.size_bytes
