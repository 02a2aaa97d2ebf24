"""ISO base media file format boxes: only as much as fragmented MP4 (CMAF) tracks need. Pure.

Reads the fragments an encoder wrote, moves them on the timeline (`tfdt`), numbers them (`mfhd`), and writes fragments of
equal-length samples for audio. It knows one track per file, as CMAF demands, and does not touch coded samples.

A fragment here is one `moof` and the `mdat` behind it. All offsets are in bytes from the start of the data given. Damaged
data raises `BadBoxes`, never anything else.

Sources: ISO/IEC 14496-12:2022 4.2 (boxes), 8.8.4 to 8.8.12 (movie fragments), 8.16.2 (segment type); ISO/IEC 23000-19 7.3
(CMAF: one track, `tfdt` in every fragment, `styp` brands).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Data = bytes | bytearray | memoryview

VISUAL_HEADER, AUDIO_HEADER = 78, 28  # bytes of a sample entry before its boxes, 12.1.3 and 12.2.3
_MOST_SAMPLES = 1 << 20  # in one run; a run may list nothing for its samples, so its own size does not bound them
_NON_SYNC = 0x0001_0000  # sample_is_non_sync_sample, 8.8.3.1

# 8.8.7 track fragment header flags, and 8.8.8 track run flags
_TFHD_BASE_OFFSET, _TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_TFHD_BASE_IS_MOOF = 0x02_0000
_TRUN_DATA_OFFSET, _TRUN_FIRST_FLAGS = 0x1, 0x4
_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_CTS = 0x100, 0x200, 0x400, 0x800


class BadBoxes(ValueError):
    """The bytes are not the boxes they should be."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box at `[start, end)`, whose payload begins at `body`."""

    kind: str
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One coded picture or audio frame, in decode order; times in ticks of its track."""

    offset: int
    size: int
    duration: int
    composition_offset: int
    sync: bool


@dataclass(frozen=True, slots=True)
class FragmentBoxes:
    """One movie fragment, read. `tfdt` and `mfhd` are the places of the values, so that they can be overwritten."""

    offset: int
    size: int  # moof and mdat
    sequence: int
    decode_time: int
    samples: tuple[Sample, ...]

    @property
    def duration(self) -> int:
        return sum(sample.duration for sample in self.samples)

    @property
    def keyframe_size(self) -> int:
        """Bytes from the start of the `moof` to the end of the first sample (what an I-frame playlist names, Apple rule 6.10)."""
        return self.samples[0].offset + self.samples[0].size - self.offset


def iter_boxes(data: Data, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of one level, in order. Raises BadBoxes when a box is cut off."""
    at, end = start, len(data) if end is None else end
    while at < end:
        if end - at < 8:
            raise BadBoxes(f"{end - at} stray bytes at {at}")
        size, name = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            if end - at < 16:
                raise BadBoxes(f"the box at {at} is cut off")
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = end - at
        if size < body - at or at + size > end:
            raise BadBoxes(f"the box at {at} says it has {size} bytes, but {end - at} are left")
        yield Box(name.decode("latin-1"), at, body, at + size)
        at += size


def find(data: Data, path: str, start: int = 0, end: int | None = None) -> Box | None:
    """The first box at a path such as `moov/trak/mdia`."""
    kind, _, rest = path.partition("/")
    for box in iter_boxes(data, start, end):
        if box.kind == kind:
            return find(data, rest, box.body, box.end) if rest else box
    return None


def _need(data: Data, path: str, parent: Box) -> Box:
    box = find(data, path, parent.body, parent.end)
    if box is None:
        raise BadBoxes(f"{parent.kind} has no {path}")
    return box


def split_init(data: Data) -> tuple[bytes, int]:
    """The initialization segment (`ftyp` and `moov`) and the offset at which the media begins."""
    kinds = []
    for box in iter_boxes(data):
        kinds.append(box.kind)
        if box.kind == "moov":
            if kinds[0] != "ftyp":
                raise BadBoxes("a file must begin with ftyp")
            return bytes(data[: box.end]), box.end
    raise BadBoxes("there is no moov box")


def sample_entry(init: Data) -> Box:
    """The first sample entry (`avc1`, `mp4a`) of an initialization segment."""
    stsd = find(init, "moov/trak/mdia/minf/stbl/stsd")
    if stsd is None:
        raise BadBoxes("there is no sample description")
    return next(iter_boxes(init, stsd.body + 8, stsd.end))


def configuration(init: Data, kind: str, name: str, header: int = VISUAL_HEADER) -> bytes:
    """The payload of the box `name` in the sample entry, which must be of this kind and has its boxes behind `header` bytes. Raises
    BadBoxes."""
    entry = sample_entry(init)
    box = find(init, name, entry.body + header, entry.end)
    if entry.kind != kind or box is None:
        raise BadBoxes(f"the track is not {kind}")
    return bytes(init[box.body : box.end])


def colours(init: Data) -> tuple[int, int, int] | None:
    """Primaries, transfer function and matrix that the sample entry announces (12.1.5, ITU-T H.273), if it does."""
    entry = sample_entry(init)
    box = find(init, "colr", entry.body + VISUAL_HEADER, entry.end)
    if box is None or bytes(init[box.body : box.body + 4]) != b"nclx" or box.end - box.body < 10:
        return None
    primaries, transfer, matrix = struct.unpack_from(">HHH", init, box.body + 4)
    return primaries, transfer, matrix


def timescale(init: Data) -> int:
    """Ticks per second of the track."""
    mdhd = find(init, "moov/trak/mdia/mdhd")
    if mdhd is None:
        raise BadBoxes("there is no media header")
    at = mdhd.body + (20 if init[mdhd.body] == 1 else 12)
    return int(struct.unpack_from(">I", init, at)[0])


def read_fragments(data: Data, start: int = 0) -> Iterator[FragmentBoxes]:
    """Every fragment from `start` on, lazily. Boxes that are neither `moof` nor `mdat` are passed over."""
    boxes = iter_boxes(data, start)
    for box in boxes:
        if box.kind == "mdat":
            raise BadBoxes(f"the mdat at {box.start} has no moof before it")
        if box.kind == "moof":
            mdat = next(boxes, None)
            if mdat is None or mdat.kind != "mdat":
                raise BadBoxes(f"the moof at {box.start} has no mdat behind it")
            try:
                yield _read_fragment(data, box, mdat)
            except struct.error as error:
                raise BadBoxes(f"the moof at {box.start} is cut off inside a box") from error


def _read_fragment(data: Data, moof: Box, mdat: Box) -> FragmentBoxes:
    traf = _need(data, "traf", moof)
    samples: list[Sample] = []
    for box in iter_boxes(data, traf.body, traf.end):
        if box.kind == "trun":
            samples += _read_run(data, moof, traf, box)
    if not samples:
        raise BadBoxes(f"the moof at {moof.start} has no samples")
    if samples[0].offset < mdat.body or samples[-1].offset + samples[-1].size > mdat.end:
        raise BadBoxes(f"the samples of the moof at {moof.start} lie outside its mdat")
    mfhd = _need(data, "mfhd", moof)
    (sequence,) = struct.unpack_from(">I", data, mfhd.body + 4)
    return FragmentBoxes(moof.start, mdat.end - moof.start, sequence, _read_decode_time(data, traf), tuple(samples))


def _read_decode_time(data: Data, traf: Box) -> int:
    tfdt = _need(data, "tfdt", traf)
    return int(struct.unpack_from(">Q" if data[tfdt.body] == 1 else ">I", data, tfdt.body + 4)[0])


def _flags(data: Data, box: Box) -> int:
    return int(struct.unpack_from(">I", data, box.body)[0]) & 0xFF_FFFF


def _defaults(data: Data, traf: Box) -> tuple[int, int, int]:
    """Default duration, size and flags of the samples. `trex` is not consulted: FFmpeg repeats its values here."""
    tfhd = _need(data, "tfhd", traf)
    flags, at = _flags(data, tfhd), tfhd.body + 8
    if flags & _TFHD_BASE_OFFSET:
        raise BadBoxes("the fragment is addressed from the start of a file, which CMAF forbids")
    values = []
    for bit in (_TFHD_DESCRIPTION, _TFHD_DURATION, _TFHD_SIZE, _TFHD_FLAGS):
        values.append(struct.unpack_from(">I", data, at)[0] if flags & bit else 0)
        at += 4 if flags & bit else 0
    return values[1], values[2], values[3]


def _read_run(data: Data, moof: Box, traf: Box, trun: Box) -> Iterator[Sample]:
    duration, size, sample_flags = _defaults(data, traf)
    flags, version = _flags(data, trun), data[trun.body]
    if not flags & _TRUN_DATA_OFFSET:
        raise BadBoxes("a track run does not say where its samples are")
    count, offset = struct.unpack_from(">Ii", data, trun.body + 4)
    at, offset = trun.body + 12, moof.start + offset
    first_flags = sample_flags
    if flags & _TRUN_FIRST_FLAGS:
        (first_flags,) = struct.unpack_from(">I", data, at)
        at += 4
    bits = [bit for bit in (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS, _TRUN_CTS) if flags & bit]
    if at + 4 * len(bits) * count > trun.end or count > _MOST_SAMPLES:
        raise BadBoxes("a track run is shorter than its sample count")
    entry = struct.Struct(">" + "".join("i" if bit == _TRUN_CTS and version else "I" for bit in bits))
    for index in range(count):
        fields = dict(zip(bits, entry.unpack_from(data, at), strict=True))
        at += entry.size
        here = fields.get(_TRUN_FLAGS, first_flags if index == 0 else sample_flags)
        length = fields.get(_TRUN_SIZE, size)
        yield Sample(offset, length, fields.get(_TRUN_DURATION, duration), fields.get(_TRUN_CTS, 0), not here & _NON_SYNC)
        offset += length


def first_sample(data: Data) -> bytes:
    """The first sample of a fragment whose samples begin where its `mdat` does, of which `data` has no more than that one: the bytes
    that an I-frame playlist names. Raises BadBoxes."""
    sizes = [int.from_bytes(data[:4]), 0]
    sizes[1] = int.from_bytes(data[sizes[0] : sizes[0] + 4])
    if bytes(data[4:8]) != b"moof" or bytes(data[sizes[0] + 4 : sizes[0] + 8]) != b"mdat" or sizes[1] < 8:
        raise BadBoxes("this is not the beginning of a fragment")
    return bytes(data[sizes[0] + 8 :])


def moved(data: Data, fragment: FragmentBoxes, *, sequence: int, decode_time: int, composition_delay: int = 0) -> bytes:
    """The bytes of `fragment` with another sequence number and decode time.

    With `composition_delay` that many ticks are added to the composition offset of every sample, and offsets are written where there
    were none because all were zero, which makes the fragment longer. Raises BadBoxes when an offset would be negative even so.
    """
    out = bytearray(data[fragment.offset : fragment.offset + fragment.size])
    moof = next(iter_boxes(out))
    traf = _need(out, "traf", moof)
    tfdt = _need(out, "tfdt", traf)
    struct.pack_into(">I", out, _need(out, "mfhd", moof).body + 4, sequence)
    if out[tfdt.body] == 1:
        struct.pack_into(">Q", out, tfdt.body + 4, decode_time)
    elif decode_time < 1 << 32:
        struct.pack_into(">I", out, tfdt.body + 4, decode_time)
    else:
        raise BadBoxes("the decode time needs 64 bits, and its box has 32")
    return _delayed(out, (moof, traf, _need(out, "trun", traf)), composition_delay) if composition_delay else bytes(out)


def _delayed(out: bytearray, boxes: tuple[Box, Box, Box], ticks: int) -> bytes:
    """The fragment in `out`, each picture shown `ticks` later: its track run (8.8.8) with other composition offsets."""
    _, _, trun = boxes
    flags = _flags(out, trun)
    (count,) = struct.unpack_from(">I", out, trun.body + 4)
    samples = trun.body + 8 + 4 * sum(1 for bit in (_TRUN_DATA_OFFSET, _TRUN_FIRST_FLAGS) if flags & bit)
    others = 4 * sum(1 for bit in (_TRUN_DURATION, _TRUN_SIZE, _TRUN_FLAGS) if flags & bit)
    entry = others + (4 if flags & _TRUN_CTS else 0)
    run = bytearray()
    for at in (samples + entry * index for index in range(count)):
        offset = ticks + (struct.unpack_from(">i", out, at + others)[0] if flags & _TRUN_CTS else 0)
        if offset < 0:
            raise BadBoxes(f"a picture is shown {-offset} ticks before it is decoded")
        run += out[at : at + others] + struct.pack(">i", offset)
    grown = len(run) - entry * count
    out[samples : samples + entry * count] = run
    for box in boxes:
        struct.pack_into(">I", out, box.start, box.end - box.start + grown)
    struct.pack_into(">I", out, trun.body, 1 << 24 | flags | _TRUN_CTS)  # version 1: offsets are signed
    struct.pack_into(">i", out, trun.body + 8, struct.unpack_from(">i", out, trun.body + 8)[0] + grown)
    return bytes(out)


def with_edit(init: Data, media_time: int) -> bytes:
    """The initialization segment, presenting its track from `media_time` ticks on: an edit list of one entry (8.6.6)."""
    moov, trak = find(init, "moov"), find(init, "moov/trak")
    header = find(init, "moov/trak/tkhd")
    if moov is None or trak is None or header is None:
        raise BadBoxes("there is no track to edit")
    edit = make_box("edts", make_box("elst", struct.pack(">IIIiI", 0, 1, 0, media_time, 0x1_0000)))  # duration 0: to the end; rate 1
    out = bytearray(init[: header.end]) + edit + init[header.end :]
    for box in (moov, trak):
        struct.pack_into(">I", out, box.start, box.end - box.start + len(edit))
    return bytes(out)


def make_box(kind: str, *parts: Data) -> bytes:
    """A box of the given payload."""
    size = 8 + sum(map(len, parts))
    return struct.pack(">I4s", size, kind.encode("latin-1")) + b"".join(parts)


def segment_type() -> bytes:
    """The `styp` box at the start of a media segment that is stored as a file of its own (CMAF 7.3.3.1)."""
    return make_box("styp", b"msdh", struct.pack(">I", 0), b"msdhcmfs")


def write_fragment(*, track_id: int, sequence: int, decode_time: int, sample_duration: int, samples: Sequence[Data]) -> bytes:
    """A fragment of sync samples that all last `sample_duration` ticks, as audio has. `tfdt` has 64 bits."""
    if not samples:
        raise BadBoxes("a fragment needs at least one sample")
    tfhd_flags = _TFHD_BASE_IS_MOOF | _TFHD_DURATION | _TFHD_FLAGS
    sync_flags = 0x0200_0000  # sample_depends_on = 2: depends on no other, and it is a sync sample
    tfhd = make_box("tfhd", struct.pack(">IIII", tfhd_flags, track_id, sample_duration, sync_flags))
    tfdt = make_box("tfdt", struct.pack(">IQ", 1 << 24, decode_time))
    mfhd = make_box("mfhd", struct.pack(">II", 0, sequence))
    sizes = struct.pack(f">{len(samples)}I", *map(len, samples))
    trun_size, heads = 8 + 12 + len(sizes), 8 + len(mfhd) + 8 + len(tfhd) + len(tfdt)
    data_offset = heads + trun_size + 8
    trun = make_box("trun", struct.pack(">IIi", _TRUN_DATA_OFFSET | _TRUN_SIZE, len(samples), data_offset), sizes)
    return make_box("moof", mfhd, make_box("traf", tfhd, tfdt, trun)) + make_box("mdat", *samples)
