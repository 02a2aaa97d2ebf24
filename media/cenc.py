"""Common encryption of CMAF tracks in the scheme "cbcs": init segments and fragments between their clear and their protected form. Pure:
the cipher is given.

Video: of every NAL unit with slice data, the first `CLEAR_BYTES` stay clear (its length, its header and the slice header, which secure
hardware reads before decryption) and of the rest one block of sixteen bytes in ten is encrypted, in one chain from the constant
initialization vector; the blocks between and what does not fill a block are clear. Each sample says so in `senc`, of which `saiz` and
`saio` tell where it is. Audio: whole samples, each a chain of its own, but for the bytes that do not fill a block.

Everything follows from the bytes and the key, and is undone exactly: the clear form is what it was, byte for byte.

Sources: ISO/IEC 23001-7:2016 sections 7.2 (`senc`), 8.2 (`tenc`), 9.5 (subsamples), 10.4 ("cbcs"); ISO/IEC 14496-12 8.7.8, 8.7.9 (`saiz`,
`saio`), 8.12 (`sinf`); ISO/IEC 23000-19 section 8 (CMAF); W3C "cenc" Initialization Data Format (common `pssh`).
It does not know AV1, whose tiles would have to be found in its frame headers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from media.isobmff import (
    AUDIO_HEADER,
    VISUAL_HEADER,
    BadBoxes,
    Box,
    Data,
    FragmentBoxes,
    find,
    iter_boxes,
    make_box,
    read_fragments,
    sample_entry,
)

Blocks = Callable[[bytes], bytes]
Chain = Callable[[], Blocks]
"""Begins a new chain of blocks, from the constant initialization vector."""

CLEAR_BYTES = 100  # length, NAL unit header and slice header: five times what ours need (tests/media/test_slice_headers.py)
_BLOCK, _PERIOD = 16, 10 * 16  # one block of ten
_CRYPT_BLOCKS, _SKIP_BLOCKS = 1, 9
_SLICES: Mapping[str, Callable[[int], bool]] = {  # whether a NAL unit is one, by its first byte
    "avc1": lambda first: 1 <= first & 31 <= 5,
    "hvc1": lambda first: first >> 1 & 63 < 32,
}
_PROTECTED = {"avc1": "encv", "hvc1": "encv", "mp4a": "enca", "ec-3": "enca"}
_HEADERS = {"encv": VISUAL_HEADER, "enca": AUDIO_HEADER}
_COMMON_SYSTEM = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")
_MOST_CLEAR = 0xFFFF  # that one subsample can name
_MOST_SUBSAMPLES = 42  # whose description is as long as `saiz` can say
_SENC_SUBSAMPLES = 2
_ADDED = ("saiz", "saio", "senc")

Subsample = tuple[int, int]  # clear bytes, protected bytes


@dataclass(frozen=True, slots=True)
class Coding:
    """Of a track: its clear sample entry."""

    entry: str

    @property
    def is_video(self) -> bool:
        return _PROTECTED[self.entry] == "encv"


def coding(init: Data) -> Coding:
    """Of the track of an init segment, clear or protected. Raises BadBoxes for a codec that cannot be protected here."""
    entry = sample_entry(init)
    kind = entry.kind
    if kind in _HEADERS:
        frma = find(init, "sinf/frma", entry.body + _HEADERS[kind], entry.end)
        kind = "" if frma is None else bytes(init[frma.body : frma.end]).decode("latin-1")
    if kind not in _PROTECTED:
        raise BadBoxes(f"a track of {kind or entry.kind} cannot be protected")
    return Coding(kind)


# -- init segments


def protect_init(init: bytes, kid: bytes, iv: bytes) -> bytes:
    """The init segment of the protected track. Raises BadBoxes."""
    entry, about = sample_entry(init), coding(init)
    pattern = _CRYPT_BLOCKS << 4 | _SKIP_BLOCKS if about.is_video else 0
    tenc = make_box("tenc", struct.pack(">IBBBB", 1 << 24, 0, pattern, 1, 0), kid, bytes([len(iv)]), iv)
    schm = make_box("schm", struct.pack(">I4sI", 0, b"cbcs", 1 << 16))
    sinf = make_box("sinf", make_box("frma", about.entry.encode()), schm, make_box("schi", tenc))
    out = bytearray(init[: entry.end]) + sinf + init[entry.end :]
    out[entry.start + 4 : entry.start + 8] = _PROTECTED[about.entry].encode()
    _resize(out, (*_above(init), entry), len(sinf))
    pssh = make_box("pssh", struct.pack(">I", 1 << 24), _COMMON_SYSTEM, struct.pack(">I", 1), kid, struct.pack(">I", 0))
    moov = _found(init, "moov")
    out += pssh  # the last box of moov, which is the last of the file
    if moov.end != len(init):
        raise BadBoxes("moov is not the last box")
    _resize(out, (moov,), len(pssh))
    return bytes(out)


def clear_init(init: bytes) -> bytes:
    """What `protect_init` was given. Raises BadBoxes."""
    entry, about = sample_entry(init), coding(init)
    sinf = _within(init, "sinf", entry, _HEADERS[entry.kind])
    pssh = find(init, "moov/pssh")
    if pssh is None or pssh.end != len(init):
        raise BadBoxes("there is no pssh at the end")
    out = bytearray(init[: sinf.start]) + init[sinf.end : pssh.start]
    out[entry.start + 4 : entry.start + 8] = about.entry.encode()
    _resize(out, (*_above(init), entry), sinf.start - sinf.end)
    _resize(out, (_found(init, "moov"),), pssh.start - pssh.end)
    return bytes(out)


def _above(init: Data) -> tuple[Box, ...]:
    """The boxes around the sample entry."""
    names = ("moov", "trak", "mdia", "minf", "stbl", "stsd")
    return tuple(_found(init, "/".join(names[: depth + 1])) for depth in range(len(names)))


def _found(data: Data, path: str) -> Box:
    box = find(data, path)
    if box is None:
        raise BadBoxes(f"there is no {path}")
    return box


def _within(data: Data, kind: str, parent: Box, header: int = 0) -> Box:
    box = find(data, kind, parent.body + header, parent.end)
    if box is None:
        raise BadBoxes(f"{parent.kind} has no {kind}")
    return box


def _resize(out: bytearray, boxes: Sequence[Box], grown: int) -> None:
    """Write other sizes; none of the boxes has moved."""
    for box in boxes:
        (size,) = struct.unpack_from(">I", out, box.start)
        struct.pack_into(">I", out, box.start, size + grown)


# -- fragments


def protect_segment(data: bytes, about: Coding, chain: Chain) -> bytes:
    """A media segment, whose fragments are protected. Raises BadBoxes."""
    return _rewritten(data, lambda fragment: _protected(data, fragment, about, chain))


def clear_segment(data: bytes, about: Coding, chain: Chain) -> bytes:
    """What `protect_segment` was given; `chain` decrypts. Raises BadBoxes."""
    return _rewritten(data, lambda fragment: _cleared(data, fragment, about, chain))


def _rewritten(data: bytes, change: Callable[[FragmentBoxes], bytes]) -> bytes:
    out, at = bytearray(), 0
    for fragment in read_fragments(data):
        out += data[at : fragment.offset]
        out += change(fragment)
        at = fragment.offset + fragment.size
    return bytes(out + data[at:])


def _protected(data: bytes, fragment: FragmentBoxes, about: Coding, chain: Chain) -> bytes:
    out = bytearray(data[fragment.offset : fragment.offset + fragment.size])
    if not about.is_video:
        _whole_samples(out, fragment, chain)
        return bytes(out)
    maps = [subsamples(data[sample.offset : sample.offset + sample.size], about) for sample in fragment.samples]
    _slices(out, fragment, maps, chain)
    return _described(out, maps)


def _cleared(data: bytes, fragment: FragmentBoxes, about: Coding, chain: Chain) -> bytes:
    out = bytearray(data[fragment.offset : fragment.offset + fragment.size])
    if not about.is_video:
        _whole_samples(out, fragment, chain)
        return bytes(out)
    _slices(out, fragment, _read_senc(out), chain)
    return _undescribed(out)


def is_slice(first: int, about: Coding) -> bool:
    """Whether a NAL unit holds a part of a picture, by its first byte."""
    return _SLICES[about.entry](first)


def subsamples(sample: bytes, about: Coding) -> list[Subsample]:
    """Where the protected ranges of one sample are: lengths of clear and protected bytes in turn. Raises BadBoxes."""
    found: list[Subsample] = []
    clear = at = 0
    while at < len(sample):
        size = 4 + int.from_bytes(sample[at : at + 4])
        if size <= 4 or at + size > len(sample):
            raise BadBoxes("the NAL units of a sample are not as long as they say")
        if is_slice(sample[at + 4], about) and size >= CLEAR_BYTES + _BLOCK:
            clear += CLEAR_BYTES
            found += [(_MOST_CLEAR, 0)] * (clear // _MOST_CLEAR)
            found.append((clear % _MOST_CLEAR, size - CLEAR_BYTES))
            clear = 0
        else:
            clear += size
        at += size
    if clear:
        found += [(_MOST_CLEAR, 0)] * (clear // _MOST_CLEAR)
        found.append((clear % _MOST_CLEAR, 0))
    if len(found) > _MOST_SUBSAMPLES:
        raise BadBoxes(f"a sample consists of {len(found)} parts")
    return found


def _slices(out: bytearray, fragment: FragmentBoxes, maps: Sequence[Sequence[Subsample]], chain: Chain) -> None:
    """Encrypt or decrypt in place: the blocks of a protected range are one chain."""
    if len(maps) != len(fragment.samples):
        raise BadBoxes("not every sample has its map")
    for sample, parts in zip(fragment.samples, maps, strict=True):
        at = sample.offset - fragment.offset
        if sum(clear + protected for clear, protected in parts) != sample.size:
            raise BadBoxes("the parts of a sample are not as long as it is")
        for clear, protected in parts:
            at += clear
            places = range(at, at + protected - _BLOCK + 1, _PERIOD)
            done = chain()(b"".join(out[place : place + _BLOCK] for place in places)) if places else b""
            for number, place in enumerate(places):
                out[place : place + _BLOCK] = done[number * _BLOCK : (number + 1) * _BLOCK]
            at += protected


def _whole_samples(out: bytearray, fragment: FragmentBoxes, chain: Chain) -> None:
    for sample in fragment.samples:
        start = sample.offset - fragment.offset
        end = start + sample.size // _BLOCK * _BLOCK
        if end > start:
            out[start:end] = chain()(bytes(out[start:end]))


# -- what a fragment says of its samples


def _described(out: bytearray, maps: Sequence[Sequence[Subsample]]) -> bytes:
    """The fragment with `saiz`, `saio` and `senc` at the end of its `traf`."""
    moof = next(iter_boxes(out))
    traf = _within(out, "traf", moof)
    entries = [struct.pack(">H", len(parts)) + b"".join(struct.pack(">HI", *part) for part in parts) for parts in maps]
    sizes = bytes(map(len, entries))
    saiz = make_box("saiz", struct.pack(">IBI", 0, 0, len(entries)), sizes)
    senc = make_box("senc", struct.pack(">II", _SENC_SUBSAMPLES, len(entries)), *entries)
    at = traf.end - moof.start + len(saiz) + 20 + 16  # of the first entry of senc: behind saio and senc's own header
    saio = make_box("saio", struct.pack(">III", 0, 1, at))
    added = saiz + saio + senc
    return _with_offset(out[: traf.end] + added + out[traf.end :], (moof, traf), len(added))


def _undescribed(out: bytearray) -> bytes:
    moof = next(iter_boxes(out))
    traf = _within(out, "traf", moof)
    boxes = list(iter_boxes(out, traf.body, traf.end))[-len(_ADDED) :]
    if tuple(box.kind for box in boxes) != _ADDED:
        raise BadBoxes("the fragment does not say how it is protected")
    start = boxes[0].start
    return _with_offset(out[:start] + out[traf.end :], (moof, traf), start - traf.end)


def _with_offset(out: bytearray, boxes: Sequence[Box], grown: int) -> bytes:
    """The samples lie `grown` bytes further behind the start of the `moof` (data_offset of the track run, 14496-12 8.8.8)."""
    _resize(out, boxes, grown)
    trun = _within(out, "trun", _within(out, "traf", next(iter_boxes(out))))
    (offset,) = struct.unpack_from(">i", out, trun.body + 8)
    struct.pack_into(">i", out, trun.body + 8, offset + grown)
    return bytes(out)


def _read_senc(out: bytearray) -> list[list[Subsample]]:
    senc = _within(out, "senc", _within(out, "traf", next(iter_boxes(out))))
    return list(_entries(bytes(out[senc.body : senc.end])))


def _entries(body: bytes) -> Iterator[list[Subsample]]:
    try:
        flags, count = struct.unpack_from(">II", body)
        if flags != _SENC_SUBSAMPLES:
            raise BadBoxes("senc is not one of ours")
        at = 8
        for _ in range(count):
            (parts,) = struct.unpack_from(">H", body, at)
            yield [struct.unpack_from(">HI", body, at + 2 + 6 * number) for number in range(parts)]
            at += 2 + 6 * parts
    except struct.error as error:
        raise BadBoxes("senc is cut off") from error
