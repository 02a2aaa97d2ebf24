"""The index of a fragmented MP4 file, which is spread over it: `moov` says what the tracks are, and each `moof` where the samples of a
stretch are and when they are decoded. Read into the same tables as the index of any other file (`media.sample_tables`). Pure.

Again, what is read is exact or it is not read at all. A file raises `BadBoxes` whose first samples are in `moov` itself, whose
fragments say no decode time (`tfdt`) or overlap, that has several sample descriptions, or samples without bytes or duration.

The clock is FFmpeg's: its demuxer hands out every sample of a fragmented file, hidden by no edit list, at the decode time of its
fragment, and takes edit lists for a shift of the whole track (`media.edit_list`). A sample is a keyframe when it is a sync sample and
depends on no other.

Not done here: finding the fragments (`ingest.mp4_fragments`), which also need not be believed where they are said to be
(`media.fragment_places`).

Sources: ISO/IEC 14496-12:2022 8.8.3 (trex), 8.8.7 (tfhd), 8.8.8 (trun), 8.8.12 (tfdt).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from media import sample_tables
from media.isobmff import BadBoxes, Box, iter_boxes
from media.sample_tables import Movie, Track, TrackHead, children, only

MOST_RUN = 1 << 20  # samples; a run may list nothing for its samples, so its own size does not bound them

_BASE_OFFSET, _DESCRIPTION, _DURATION, _SIZE, _FLAGS, _BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20, 0x02_0000  # 8.8.7
_RUN_OFFSET, _RUN_FIRST_FLAGS = 0x1, 0x4  # 8.8.8
_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_COMPOSITION = 0x100, 0x200, 0x400, 0x800
_NO_BEGINNING = 0x0101_0000  # sample_is_non_sync_sample, or sample_depends_on = 1; 8.8.3.1


@dataclass(slots=True)
class _Gathered:
    """What the runs of one track say, one after another."""

    head: TrackHead
    defaults: tuple[int, int, int, int]  # of trex: description, duration, size, flags
    durations: array[int] = field(default_factory=lambda: array("I"))
    offsets: array[int] = field(default_factory=lambda: array("i"))
    sizes: array[int] = field(default_factory=lambda: array("I"))
    sync: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # of each run
    counts: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    last: int = -1  # decode time of the last sample
    moof: int = -1  # the last one that had samples of it, by its place
    end: int = 0  # behind the last of its bytes
    reordered: bool = False
    first_shift: int | None = None  # how far the offsets of its first fragment reach below 0


@dataclass(frozen=True, slots=True)
class _Run:
    """A track run, and what it leaves unsaid."""

    box: Box
    base: int
    decode_time: int
    defaults: tuple[int, int, int]  # duration, size, flags
    is_first: bool


def is_fragmented(moov: bytes) -> bool:
    """Whether an index announces fragments. Raises BadBoxes."""
    outer = next(iter_boxes(moov), None)
    return outer is not None and any(box.kind == "mvex" for box in iter_boxes(moov, outer.body, outer.end))


def read_fragmented(moov: bytes, moofs: Iterable[tuple[int, bytes]]) -> Movie:
    """Read a `moov` box and all `moof` boxes, each with its place in the file, in order. Raises BadBoxes."""
    try:
        timescale, tracks = _read_tracks(moov)
        for place, data in moofs:
            _read_moof(data, place, tracks)
        return Movie(timescale, tuple(_track(gathered) for gathered in tracks.values()))
    except (struct.error, IndexError, OverflowError) as error:
        raise BadBoxes("a box of a fragment is cut off") from error


def _read_tracks(moov: bytes) -> tuple[int, dict[int, _Gathered]]:
    outer = next(iter_boxes(moov), None)
    if outer is None or outer.kind != "moov":
        raise BadBoxes("this is no index")
    inner = children(moov, outer)
    traks = inner.get("trak", [])
    if "cmov" in inner or not 0 < len(traks) <= sample_tables.MOST_TRACKS:
        raise BadBoxes(f"the file has {len(traks)} tracks")
    defaults: dict[int, tuple[int, int, int, int]] = {}
    for box in children(moov, only(inner, "mvex")).get("trex", []):
        track_id, *values = struct.unpack_from(">5I", moov, box.body + 4)
        defaults[track_id] = (values[0], values[1], values[2], values[3])
    tracks: dict[int, _Gathered] = {}
    for trak in traks:
        head = sample_tables.read_head(moov, trak)
        if head.track_id in tracks or head.track_id not in defaults:
            raise BadBoxes("tracks cannot be told apart")
        _check_empty(moov, head)
        tracks[head.track_id] = _Gathered(head, defaults[head.track_id])
    return sample_tables.read_timescale(moov, only(inner, "mvhd")), tracks


def _check_empty(moov: bytes, head: TrackHead) -> None:
    """Refuses a track of which some samples are not in fragments."""
    times = only(head.tables, "stts")
    sizes = head.tables.get("stsz", [])
    if struct.unpack_from(">I", moov, times.body + 4)[0] or any(struct.unpack_from(">I", moov, box.body + 8)[0] for box in sizes):
        raise BadBoxes("the first samples are outside of the fragments")


def _read_moof(data: bytes, place: int, tracks: dict[int, _Gathered]) -> None:
    outer = next(iter_boxes(data), None)
    if outer is None or outer.kind != "moof":
        raise BadBoxes(f"there is no fragment at {place}")
    if any(track.end > place for track in tracks.values()):
        raise BadBoxes("the samples of a fragment lie behind the next one")
    implicit = place
    for traf in iter_boxes(data, outer.body, outer.end):
        if traf.kind == "traf":
            implicit = _read_traf(data, traf, place, tracks, implicit)


def _read_traf(data: bytes, traf: Box, place: int, tracks: dict[int, _Gathered], implicit: int) -> int:
    """Gathers the samples of a track fragment. Returns where the next one begins that does not say so itself."""
    inner = children(data, traf)
    if (
        any(data[box.body + 4 : box.body + 8] in sample_tables.FOREIGN_GROUPS for box in inner.get("sbgp", ()))
        or {"senc", "saiz"} & inner.keys()
    ):
        raise BadBoxes("the fragment is encrypted, or has sync samples of more than one kind")
    box = only(inner, "tfhd")
    word, track_id = struct.unpack_from(">II", data, box.body)
    gathered = tracks.get(track_id)
    if gathered is None:
        raise BadBoxes(f"there is no track {track_id}")
    base, values = _read_tfhd(data, box, word & 0xFF_FFFF, gathered.defaults)
    if base is None:
        base = place if word & _BASE_IS_MOOF else implicit
    if gathered.moof == place or values[0] != 1:
        raise BadBoxes("a track comes twice in a fragment, or has several sample descriptions")
    runs = inner.get("trun", [])
    if not runs:
        return implicit
    gathered.moof = place
    when = only(inner, "tfdt")
    if when.start > runs[0].start:
        raise BadBoxes("the decode time comes after the samples")
    (decode_time,) = struct.unpack_from(">Q" if data[when.body] == 1 else ">I", data, when.body + 4)
    others = sum(len(track.durations) for track in tracks.values() if track is not gathered)
    for run in runs:
        if others + len(gathered.durations) > sample_tables.MOST_SAMPLES:
            raise BadBoxes("there are too many samples")
        decode_time, implicit = _read_run(data, _Run(run, base, decode_time, values[1:], run is runs[0]), gathered, implicit)
    if gathered.first_shift is None:
        gathered.first_shift = _shift(gathered)
    return implicit


def _read_tfhd(data: bytes, box: Box, flags: int, defaults: tuple[int, int, int, int]) -> tuple[int | None, tuple[int, int, int, int]]:
    """Where the data begins, if it says so, and what holds for samples that say nothing."""
    at, base = box.body + 8, None
    if flags & _BASE_OFFSET:
        (base,) = struct.unpack_from(">Q", data, at)
        at += 8
    values = list(defaults)
    for place, bit in enumerate((_DESCRIPTION, _DURATION, _SIZE, _FLAGS)):
        if flags & bit:
            (values[place],) = struct.unpack_from(">I", data, at)
            at += 4
    if at > box.end:
        raise BadBoxes("tfhd is shorter than it says")
    return base, (values[0], values[1], values[2], values[3])


def _read_run(data: bytes, run: _Run, gathered: _Gathered, implicit: int) -> tuple[int, int]:
    """Gathers the samples of a run. Returns the decode time and the place behind its last one."""
    box = run.box
    word, count = struct.unpack_from(">II", data, box.body)
    at, place = box.body + 8, run.base
    duration, size, flags = run.defaults
    first_flags = flags
    if word & _RUN_OFFSET:
        place += struct.unpack_from(">i", data, at)[0]
        at += 4
    elif not run.is_first:
        raise BadBoxes("a run does not say where its samples are")
    if word & _RUN_FIRST_FLAGS:
        (first_flags,) = struct.unpack_from(">I", data, at)
        at += 4
    bits = [bit for bit in (_RUN_DURATION, _RUN_SIZE, _RUN_FLAGS, _RUN_COMPOSITION) if word & bit]
    if count > MOST_RUN or at + 4 * len(bits) * count > box.end:
        raise BadBoxes("a run is shorter than its number of samples")
    if not count:
        return run.decode_time, implicit
    numbers = array("I", data[at : at + 4 * len(bits) * count])
    if sys.byteorder == "little":
        numbers.byteswap()
    columns = {bit: numbers[number :: len(bits)] for number, bit in enumerate(bits)}
    durations = columns.get(_RUN_DURATION, array("I", [duration]) * count)
    sizes = columns.get(_RUN_SIZE, array("I", [size]) * count)
    if min(durations) == 0 or min(sizes) == 0 or max(durations) >= 1 << 31 or run.decode_time <= gathered.last:
        raise BadBoxes("a sample has no bytes or no duration, or fragments overlap")
    marks = columns.get(_RUN_FLAGS, array("I", [first_flags]) + array("I", [flags]) * (count - 1))
    before, end = len(gathered.durations), run.decode_time + sum(durations)
    if end >= 1 << 62 or place <= gathered.moof:
        raise BadBoxes("the clock runs over, or samples lie before their fragment")
    gathered.sync += [before + index for index, mark in enumerate(marks) if not mark & _NO_BEGINNING]
    gathered.durations += durations
    gathered.sizes += sizes
    gathered.offsets += array("i", columns.get(_RUN_COMPOSITION, array("I", [0]) * count).tobytes())
    gathered.reordered = gathered.reordered or _RUN_COMPOSITION in columns
    gathered.places.append(place)
    gathered.counts.append(count)
    gathered.starts.append(run.decode_time)
    gathered.last = end - durations[-1]
    gathered.end = max(gathered.end, place + sum(sizes))
    return end, place + sum(sizes)


def _shift(gathered: _Gathered) -> int:
    return max(0, -min(gathered.offsets, default=0))


def _track(gathered: _Gathered) -> Track:
    head, offsets = gathered.head, gathered.offsets
    if not offsets or max(offsets) >= sample_tables.LARGEST_OFFSET or min(offsets) <= -sample_tables.LARGEST_OFFSET:
        raise BadBoxes("a track has no samples, or its composition offsets make no sense")
    # What shifts the clock has to be known from the first fragment: a reader that finds it later changes its mind.
    if _shift(gathered) != gathered.first_shift:
        raise BadBoxes("later composition offsets are lower than those of the first fragment")
    return Track(
        kind=head.kind,
        entry=head.entry,
        timescale=head.timescale,
        edits=head.edits,
        durations=gathered.durations,
        offsets=offsets if gathered.reordered else None,
        decode_shift=_shift(gathered),
        sync=None if head.kind == "soun" else tuple(gathered.sync),
        sizes=gathered.sizes,
        chunks=gathered.places,
        chunk_samples=gathered.counts,
        pcm=False,
        starts=gathered.starts,
        track_id=head.track_id,
    )
