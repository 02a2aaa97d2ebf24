"""Initialization and media segments of fragmented MP4, read. Pure: bytes in, values out, `BadBoxes` for damage.

Sources: ISO/IEC 14496-12 (boxes; 8.8 fragments; 8.6.6 edit lists; 12.1.5 colours), 14496-15 (avcC, hvcC), 14496-1 and -3 (esds),
23001-7 (encryption), the AV1 codec ISO media file format binding (av1C), ETSI TS 102 366 annex F (dec3).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from hls_validation import bits

_MOST_SAMPLES = 1 << 18
_NON_SYNC = 0x0001_0000
_ENCRYPTED = {"encv", "enca"}
VISUAL_HEADER, AUDIO_HEADER = 78, 28  # bytes of a sample entry before its boxes


class BadBoxes(ValueError):
    """The bytes are not the boxes they should be; the argument says how."""


Box = tuple[str, int, int]  # kind, start of the payload, end


def boxes(data: bytes, start: int = 0, end: int | None = None, *, partial: bool = False) -> Iterator[Box]:
    """The boxes of one level. The last of `partial` data may be cut off."""
    at, end = start, len(data) if end is None else end
    while at < end:
        if end - at < 8:
            raise BadBoxes(f"{end - at} stray bytes at {at}")
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1 and end - at >= 16:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = end - at
        if partial and size >= body - at:
            size = min(size, end - at)
        if size < body - at or at + size > end:
            raise BadBoxes(f"the box at {at} says that it has {size} bytes, but {end - at} are left")
        yield kind.decode("latin-1"), body, at + size
        at += size


def find(data: bytes, path: str, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    """Payload of the first box at a path such as `mdia/minf`."""
    kind, _, rest = path.partition("/")
    for name, body, stop in boxes(data, start, end):
        if name == kind:
            return find(data, rest, body, stop) if rest else (body, stop)
    return None


def _need(data: bytes, path: str, place: tuple[int, int]) -> tuple[int, int]:
    found = find(data, path, *place)
    if found is None:
        raise BadBoxes(f"there is no {path}")
    return found


@dataclass(frozen=True, slots=True)
class Track:
    """One track of an initialization segment."""

    identity: int
    handler: str  # vide, soun, text, subt
    timescale: int
    display: tuple[int, int]  # track header, whole pixels
    edit_start: int  # media ticks at which the presentation begins
    entry: str  # sample entry, the original format where it is encrypted
    codec: str | None  # as it belongs in CODECS, from the boxes; None where they do not say
    coded: tuple[int, int] | None  # size of the pictures, after cropping
    pictures: bits.Pictures | None
    colours: tuple[int, int, int] | None
    static_metadata: bool  # mastering display and content light level are in the sample entry or in hvcC
    dec3: bytes  # payload of the box; empty where there is none
    loudness: bool
    explicit_sbr: bool
    pattern: tuple[int, int] | None  # encrypted and skipped blocks of cbcs
    scheme: str | None  # of common encryption
    defaults: tuple[int, int, int]  # sample duration, size, flags (trex)
    nal_length: int


@dataclass(frozen=True, slots=True)
class Init:
    brands: tuple[str, ...]
    tracks: tuple[Track, ...]


def read_init(data: bytes) -> Init:
    """Raises BadBoxes."""
    try:
        ftyp, moov = find(data, "ftyp"), find(data, "moov")
        if moov is None:
            raise BadBoxes("there is no moov")
        brands = tuple(data[at : at + 4].decode("latin-1") for at in range(ftyp[0], ftyp[1] - 3, 4) if at != ftyp[0] + 4) if ftyp else ()
        trex = {}
        for kind, body, end in boxes(data, *(find(data, "mvex", *moov) or (0, 0))):
            if kind == "trex":
                identity, _, *defaults = struct.unpack_from(">5I", data[body:end], 4)
                trex[identity] = (defaults[0], defaults[1], defaults[2])
        tracks = tuple(_track(data, (body, end), trex) for kind, body, end in boxes(data, *moov) if kind == "trak")
    except (struct.error, IndexError) as error:
        raise BadBoxes("a box of the initialization segment is cut off") from error
    return Init(brands, tracks)


def _track(data: bytes, trak: tuple[int, int], trex: dict[int, tuple[int, int, int]]) -> Track:
    tkhd, mdhd, hdlr = _need(data, "tkhd", trak), _need(data, "mdia/mdhd", trak), _need(data, "mdia/hdlr", trak)
    wide = data[tkhd[0]] == 1
    (identity,) = struct.unpack_from(">I", data, tkhd[0] + (20 if wide else 12))
    width, height = struct.unpack_from(">II", data, tkhd[1] - 8)
    (timescale,) = struct.unpack_from(">I", data, mdhd[0] + (20 if data[mdhd[0]] == 1 else 12))
    handler = data[hdlr[0] + 8 : hdlr[0] + 12].decode("latin-1")
    stsd = _need(data, "mdia/minf/stbl/stsd", trak)
    entry, body, end = next(boxes(data, stsd[0] + 8, stsd[1]))
    seen = _Entry(data, entry, handler, body, end)
    return Track(
        identity, handler, timescale or 1, (width >> 16, height >> 16), _edit_start(data, trak), seen.format, seen.codec(), seen.size(),
        seen.pictures(), seen.colours(), seen.static_metadata(), seen.dec3(), find(data, "udta/ludt", *trak) is not None,
        seen.explicit_sbr(), seen.pattern(), seen.scheme(), trex.get(identity, (0, 0, 0)), seen.nal_length(),
    )  # fmt: skip


def _edit_start(data: bytes, trak: tuple[int, int]) -> int:
    elst = find(data, "edts/elst", *trak)
    if elst is None:
        return 0
    (count,) = struct.unpack_from(">I", data, elst[0] + 4)
    entry = struct.Struct(">Qqi" if data[elst[0]] == 1 else ">Iii")
    for index in range(min(count, 16)):
        _, media_time, _ = entry.unpack_from(data, elst[0] + 8 + index * entry.size)
        if media_time >= 0:
            return int(media_time)
    return 0


class _Entry:
    """A sample entry."""

    def __init__(self, data: bytes, kind: str, handler: str, body: int, end: int) -> None:
        self.data, self.body, self.end = data, body, end
        self.visual, self.audible = handler == "vide", handler == "soun"
        header = VISUAL_HEADER if self.visual else AUDIO_HEADER if self.audible else 8
        self.inside = {name: (start, stop) for name, start, stop in boxes(data, body + header, end)} if self.visual or self.audible else {}
        frma = self._in("sinf/frma")
        self.format = frma[:4].decode("latin-1") if kind in _ENCRYPTED and frma else kind

    def _in(self, path: str) -> bytes:
        first, _, rest = path.partition("/")
        if first not in self.inside:
            return b""
        place = find(self.data, rest, *self.inside[first]) if rest else self.inside[first]
        return self.data[place[0] : place[1]] if place else b""

    def codec(self) -> str | None:
        avc, hvc, av1, esds = self._in("avcC"), self._in("hvcC"), self._in("av1C"), self._in("esds")
        if self.format in {"avc1", "avc3"} and len(avc) >= 4:
            return f"{self.format}.{avc[1:4].hex()}"
        if self.format in {"hvc1", "hev1"} and len(hvc) >= 23:
            return _hevc_codec(self.format, hvc)
        if self.format == "av01" and len(av1) >= 4:
            profile, level, tier = av1[1] >> 5, av1[1] & 31, av1[2] >> 7
            depth = (12 if av1[2] >> 5 & 1 else 10) if av1[2] >> 6 & 1 else 8
            return f"av01.{profile}.{level:02d}{'MH'[tier]}.{depth:02d}"
        if self.format == "mp4a":
            config = audio_config(esds)
            return f"mp4a.40.{_object_type(config)}" if config else None
        return self.format

    def size(self) -> tuple[int, int] | None:
        pictures = self.pictures()
        if pictures is not None:
            return pictures.width, pictures.height
        if not self.visual:
            return None
        width, height = struct.unpack_from(">HH", self.data, self.body + 24)
        return width, height

    def pictures(self) -> bits.Pictures | None:
        avc, hvc = self._in("avcC"), self._in("hvcC")
        try:
            if self.format in {"avc1", "avc3"} and len(avc) > 8 and avc[5] & 31:
                length = int.from_bytes(avc[6:8])
                return bits.h264(avc[8 : 8 + length])
            if self.format in {"hvc1", "hev1"}:
                return next((bits.hevc(unit) for kind, unit in hevc_units(hvc) if kind == 33), None)
        except bits.Truncated as error:
            raise BadBoxes(str(error)) from error
        return None

    def colours(self) -> tuple[int, int, int] | None:
        colr = self._in("colr")
        if colr[:4] in {b"nclx", b"nclc"} and len(colr) >= 10:
            primaries, transfer, matrix = struct.unpack_from(">HHH", colr, 4)
            return primaries, transfer, matrix
        pictures = self.pictures()
        return pictures.colours if pictures else None

    def static_metadata(self) -> bool:
        kinds = {payload for kind, unit in hevc_units(self._in("hvcC")) if kind == 39 for payload in _sei_payloads(unit)}
        return {137, 144} <= kinds or {"mdcv", "clli"} <= self.inside.keys()

    def dec3(self) -> bytes:
        return self._in("dec3")

    def explicit_sbr(self) -> bool:
        config = audio_config(self._in("esds"))
        return _object_type(config) in {5, 29} or b"\x56\xe5" in config[2:4]  # the sync extension 0x2b7 and object type 5 (14496-3 1.6.5)

    def scheme(self) -> str | None:
        schm = self._in("sinf/schm")
        return schm[4:8].decode("latin-1") if len(schm) >= 8 else None

    def pattern(self) -> tuple[int, int] | None:
        schm, tenc = self._in("sinf/schm"), self._in("sinf/schi/tenc")
        return (tenc[5] >> 4, tenc[5] & 15) if schm[4:8] == b"cbcs" and len(tenc) > 5 else None

    def nal_length(self) -> int:
        avc, hvc = self._in("avcC"), self._in("hvcC")
        return (avc[4] & 3) + 1 if len(avc) > 4 else (hvc[21] & 3) + 1 if len(hvc) > 21 else 4


def _hevc_codec(entry: str, hvc: bytes) -> str:
    space, tier, profile = "ABC"[(hvc[1] >> 6) - 1] if hvc[1] >> 6 else "", hvc[1] >> 5 & 1, hvc[1] & 31
    compatible = int(f"{int.from_bytes(hvc[2:6]):032b}"[::-1], 2)
    constraints = hvc[6:12].rstrip(b"\0")
    return ".".join([entry, f"{space}{profile}", f"{compatible:x}", f"{'LH'[tier]}{hvc[12]}", *(f"{byte:x}" for byte in constraints)])


def hevc_units(hvc: bytes) -> Iterator[tuple[int, bytes]]:
    """NAL unit type and bytes of every unit in an hvcC payload."""
    at = 23
    for _ in range(hvc[22] if len(hvc) > 22 else 0):
        kind, count = hvc[at] & 63, int.from_bytes(hvc[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            size = int.from_bytes(hvc[at : at + 2])
            yield kind, hvc[at + 2 : at + 2 + size]
            at += 2 + size


def _sei_payloads(unit: bytes) -> Iterator[int]:
    """Payload types of an SEI unit; those that matter are below 255 and short, so one byte holds type and size."""
    at = 2
    while at + 1 < len(unit) and unit[at] != 0x80:
        yield unit[at]
        at += 2 + unit[at + 1]


def audio_config(esds: bytes) -> bytes:
    """The AudioSpecificConfig in an esds payload; empty when there is none (14496-1 7.2.6)."""
    at, end = 4, len(esds)
    while at + 2 <= end:
        tag, size, at = esds[at], 0, at + 1
        while at < end:
            size, more, at = size << 7 | esds[at] & 127, esds[at] & 128, at + 1
            if not more:
                break
        if tag == 3:
            at += 3
        elif tag == 4:
            at += 13
        elif tag == 5:
            return esds[at : at + size]
        else:
            at += size
    return b""


def _object_type(config: bytes) -> int:
    if not config:
        return 0
    kind = config[0] >> 3
    return 32 + (int.from_bytes(config[:2]) >> 5 & 63) if kind == 31 else kind


# -- media segments


@dataclass(frozen=True, slots=True)
class Fragment:
    """The samples of one track in one movie fragment; ticks of the track."""

    track: int
    decode_time: int
    duration: int
    count: int
    frame_ticks: int  # the commonest duration
    composition: tuple[int, int]  # earliest presentation time, and the end of the latest
    syncs: tuple[int, ...]  # decode times of samples that say that they are sync samples
    first: bytes  # the first bytes of the first sample


def read_fragments(data: bytes, init: Init | None, *, partial: bool = False) -> tuple[Fragment, ...]:
    """Every track of every fragment, in order; of a `partial` segment, as I-frame playlists name them, the last box may be cut off
    behind the first sample. Raises BadBoxes."""
    found: list[Fragment] = []
    try:
        moofs = [(body, end) for kind, body, end in boxes(data, partial=partial) if kind == "moof"]
        for body, end in moofs:
            for kind, start, stop in boxes(data, body, end):
                if kind == "traf":
                    found.append(_fragment(data, body - 8, (start, stop), init, partial=partial))
    except (struct.error, IndexError) as error:
        raise BadBoxes("a movie fragment is cut off inside a box") from error
    return tuple(found)


def _fragment(data: bytes, moof: int, traf: tuple[int, int], init: Init | None, *, partial: bool) -> Fragment:
    tfhd, tfdt = _need(data, "tfhd", traf), _need(data, "tfdt", traf)
    (decode_time,) = struct.unpack_from(">Q" if data[tfdt[0]] == 1 else ">I", data, tfdt[0] + 4)
    flags, identity = struct.unpack_from(">II", data, tfhd[0])
    track = next((track for track in init.tracks if track.identity == identity), None) if init else None
    values = list(track.defaults if track else (0, 0, 0))
    at, start = tfhd[0] + 8, moof
    if flags & 0x1:
        (start,) = struct.unpack_from(">Q", data, at)
        at += 8
    at += 4 if flags & 0x2 else 0
    for index, bit in enumerate((0x8, 0x10, 0x20)):
        if flags & bit:
            (values[index],) = struct.unpack_from(">I", data, at)
            at += 4
    samples: list[tuple[int, int, int, int, int]] = []
    for kind, body, end in boxes(data, *traf):
        if kind == "trun":
            samples += _run(data, (body, end), start, (values[0], values[1], values[2]))
    if not samples:
        raise BadBoxes("a track fragment has no samples")
    needed = samples[0] if partial else samples[-1]
    if needed[0] + needed[1] > len(data):
        raise BadBoxes("samples lie behind the end of the segment")
    return _summary(data, identity, int(decode_time), samples)


def _run(data: bytes, trun: tuple[int, int], start: int, defaults: tuple[int, int, int]) -> Iterator[tuple[int, int, int, int, int]]:
    """Offset, size, duration, composition offset and flags of each sample."""
    flags, count = struct.unpack_from(">II", data, trun[0])
    if count > _MOST_SAMPLES:
        raise BadBoxes("a track run lists more samples than can be")
    at, offset, first = trun[0] + 8, start, None
    if flags & 0x1:
        offset = start + struct.unpack_from(">i", data, at)[0]
        at += 4
    if flags & 0x4:
        (first,) = struct.unpack_from(">I", data, at)
        at += 4
    for index in range(count):
        duration, size, about, composition = defaults[0], defaults[1], defaults[2], 0
        if index == 0 and first is not None:
            about = first
        if flags & 0x100:
            (duration,) = struct.unpack_from(">I", data, at)
            at += 4
        if flags & 0x200:
            (size,) = struct.unpack_from(">I", data, at)
            at += 4
        if flags & 0x400:
            (about,) = struct.unpack_from(">I", data, at)
            at += 4
        if flags & 0x800:
            (composition,) = struct.unpack_from(">i" if data[trun[0]] else ">I", data, at)
            at += 4
        yield offset, size, duration, composition, about
        offset += size


def _summary(data: bytes, identity: int, decode_time: int, samples: list[tuple[int, int, int, int, int]]) -> Fragment:
    times = [decode_time]
    for _, _, duration, _, _ in samples:
        times.append(times[-1] + duration)
    shown = [(now + sample[3], now + sample[3] + sample[2]) for (now, _), sample in zip(pairwise(times), samples, strict=True)]
    syncs = tuple(now for now, sample in zip(times, samples, strict=False) if not sample[4] & _NON_SYNC)
    durations = [sample[2] for sample in samples]
    offset, size = samples[0][0], samples[0][1]
    composition = (min(start for start, _ in shown), max(end for _, end in shown))
    common = max(set(durations), key=durations.count)
    first = data[offset : offset + min(size, 4096)]
    return Fragment(identity, decode_time, times[-1] - decode_time, len(samples), common, composition, syncs, first)


def starts_with_idr(track: Track, fragment: Fragment) -> bool | None:
    """By the bitstream, not by the container's flags. None where the codec is not one that is known here."""
    sample = fragment.first
    if track.entry == "av01":
        try:
            return bits.av1_starts_with_key(sample)
        except bits.Truncated:
            return None
    if track.entry not in {"avc1", "avc3", "hvc1", "hev1", "dvh1", "dvhe"}:
        return None
    at, width, avc = 0, track.nal_length, track.entry.startswith("avc")
    while at + width < len(sample):
        head = sample[at + width]
        kind = head & 31 if avc else head >> 1 & 63
        if (avc and 1 <= kind <= 5) or (not avc and kind < 32):
            return kind == 5 if avc else kind in {19, 20}
        at += width + int.from_bytes(sample[at : at + width])
    return None
