"""Boxes that lie (ISO/IEC 14496-12): sizes, counts, nesting, references."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.boxes import find, grow
from tests.corpus import Case, Seeds

TABLES = ("stts", "stss", "stsc", "stsz", "stco")
STBL = ("moov", "trak", "mdia", "minf", "stbl")
PATHS = (
    *(("ftyp",), ("moov",), ("mdat",), ("moov", "mvhd"), ("moov", "trak"), ("moov", "trak", "tkhd"), ("moov", "trak", "edts")),
    *(("moov", "trak", "mdia"), ("moov", "trak", "mdia", "mdhd"), ("moov", "trak", "mdia", "hdlr"), ("moov", "trak", "mdia", "minf")),
    *(STBL, (*STBL, "stsd"), *((*STBL, table) for table in TABLES)),
)
SIZES = {"0": 0, "1": 1, "7": 7, "8": 8, "2g": 0x7FFFFFFF, "4g": 0xFFFFFFFF}
COUNTS = {"0": 0, "1": 1, "1m": 1_000_000, "256m": 1 << 28, "2g": 0x7FFFFFFF, "4g": 0xFFFFFFFF}


def cases(seeds: Seeds) -> Iterator[Case]:
    plain = seeds.clip("plain")
    for name, data in (*_sizes(plain), *_counts(plain), *_values(plain), *_nested(plain), *_references(plain, seeds), *_fragments(seeds)):
        yield Case(f"mp4-{name}", "box tricks", ".mp4", data)


def _patched(whole: bytes, at: int, form: str, *values: int | bytes) -> bytes:
    out = bytearray(whole)
    struct.pack_into(form, out, at, *values)
    return bytes(out)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _sizes(plain: bytes) -> Iterator[tuple[str, bytes]]:
    for path in PATHS:
        at = find(plain, path)[-1][0]
        for name, size in SIZES.items():
            yield f"size-{path[-1]}-{name}", _patched(plain, at, ">I", size)
        large = _patched(plain, at, ">I", 1)
        yield f"size64-{path[-1]}-huge", _patched(large, at + 8, ">Q", (1 << 63) - 1)
        yield f"size64-{path[-1]}-all-ones", _patched(large, at + 8, ">Q", (1 << 64) - 1)


def _counts(plain: bytes) -> Iterator[tuple[str, bytes]]:
    for table in TABLES:
        at = find(plain, (*STBL, table))[-1][0]
        for name, count in COUNTS.items():
            yield f"count-{table}-{name}", _patched(plain, at + (16 if table == "stsz" else 12), ">I", count)
    at = find(plain, (*STBL, "stsd"))[-1][0]
    for name, count in COUNTS.items():
        yield f"count-stsd-{name}", _patched(plain, at + 12, ">I", count)
    at = find(plain, (*STBL, "stsz"))[-1][0]
    for size in (1, 1 << 20, 0xFFFFFFFF):  # one size for all: a table of no bytes
        yield f"stsz-all-{size}", _patched(plain, at + 12, ">II", size, 0xFFFFFFF)
    at = find(plain, (*STBL, "stts"))[-1][0]
    for name, pair in {"many": (0x7FFFFFFF, 1), "still": (144, 0), "slow": (144, 0x7FFFFFFF), "back": (144, 0xFFFFFFFF)}.items():
        yield f"stts-{name}", _patched(plain, at + 16, ">II", *pair)


def _values(plain: bytes) -> Iterator[tuple[str, bytes]]:
    """Time scales, durations, sizes, offsets and matrices of nobody's camera."""
    mdhd, tkhd, mvhd = (find(plain, path)[-1][0] for path in (("moov", "trak", "mdia", "mdhd"), ("moov", "trak", "tkhd"), ("moov", "mvhd")))
    for scale in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"timescale-{scale}", _patched(plain, mdhd + 20, ">I", scale)
        yield f"movie-timescale-{scale}", _patched(plain, mvhd + 20, ">I", scale)
    for duration in (0, 0xFFFFFFFE, 0xFFFFFFFF):
        yield f"duration-{duration}", _patched(plain, mdhd + 24, ">I", duration)
    entry = find(plain, (*STBL, "stsd", "avc1"))[-1][0]
    for width, height in ((0, 0), (1, 1), (65535, 65535), (65535, 1), (16, 65535), (15, 15)):
        yield f"entry-{width}x{height}", _patched(plain, entry + 32, ">HH", width, height)
    for number in (0, 0x80000000, 0x7FFFFFFF):
        yield f"matrix-{number}", _patched(plain, tkhd + 48, ">9I", *([number] * 9))
    stco = find(plain, (*STBL, "stco"))[-1][0]
    for offset in (0, 1, len(plain) - 1, len(plain) + 1, 0xFFFFFFFF):
        yield f"offset-{offset}", _patched(plain, stco + 16, ">I", offset)
    for codec in (b"apch", b"hvc1", b"M8Y0", b"tx3g", b"mp4a", b"encv", b"rle ", b"\0\0\0\0", b"text", b"tmcd", b"jp2h"):
        yield f"codec-{codec.decode('latin-1').strip(chr(0)).strip() or 'none'}", _patched(plain, entry + 4, ">4s", codec)


def _nested(plain: bytes) -> Iterator[tuple[str, bytes]]:
    for kind in (b"moov", b"trak", b"udta", b"meta", b"edts", b"free", b"wide"):
        for depth in (100, 4000):
            inner = b""
            for _ in range(depth):
                inner = _box(kind, inner)
            yield f"nested-{kind.decode()}-{depth}", plain[:32] + inner + plain[32:]
    for count in (1000, 40_000):
        yield f"boxes-empty-{count}", plain[:32] + _box(b"free", b"") * count + plain[32:]
        yield f"tracks-empty-{count}", _box(b"ftyp", b"isom\0\0\2\0isom") + _box(b"moov", _box(b"trak", b"") * count)
    at, stop = find(plain, ("moov", "trak"))[-1]
    for copies in (30, 400):
        moov, moov_stop = find(plain, ("moov",))[-1]
        more = plain[at:stop] * copies
        out = plain[:stop] + more + plain[stop:]
        yield f"tracks-same-{copies}", _patched(out, moov, ">I", moov_stop - moov + len(more))


def _references(plain: bytes, seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    """Data that is said to be in another file, or behind an address (8.7.2), and edit lists without end."""
    path = str(seeds.canary).encode()
    web = f"http://127.0.0.1:{seeds.port}/x.mp4".encode()
    dinf, dinf_stop = find(plain, ("moov", "trak", "mdia", "minf", "dinf"))[-1]
    targets = {"url-file": b"file://" + path, "url-web": web, "url-relative": seeds.canary.name.encode()}
    for name, target in targets.items():
        dref = _box(b"dref", bytes(4) + struct.pack(">I", 1) + _box(b"url ", bytes(4) + target + b"\0"))
        yield f"dref-{name}", _with_box(plain, dinf, dinf_stop, _box(b"dinf", dref))
    alias = bytes(150) + struct.pack(">HH", 2, len(path)) + path + b"\xff\xff\0\0"
    dref = _box(b"dref", bytes(4) + struct.pack(">I", 1) + _box(b"alis", bytes(4) + alias))
    yield "dref-alias", _with_box(plain, dinf, dinf_stop, _box(b"dinf", dref))
    for name, entries in {
        "many": [(1, 0)] * 50_000,
        "before": [(6000, -(1 << 31))],
        "after": [(6000, (1 << 31) - 1)],
        "empty": [(0xFFFFFFFF, -1)] * 3,
    }.items():
        body = b"".join(struct.pack(">IiI", length & 0xFFFFFFFF, start, 0x10000) for length, start in entries)
        edts = _box(b"edts", _box(b"elst", bytes(4) + struct.pack(">I", len(entries)) + body))
        at, stop = find(plain, ("moov", "trak", "edts"))[-1]
        yield f"edits-{name}", _with_box(plain, at, stop, edts)
    for name, words in {"script": b"<script>alert(1)</script>", "control": b"\x1b]0;x\x07\r\n\0%n%s", "long": b"A" * 900_000}.items():
        title = _box(b"\xa9nam", struct.pack(">HH", min(len(words), 65535), 0) + words)
        yield f"title-{name}", grow(plain, ("moov",), b"udta", title)


def _with_box(plain: bytes, at: int, stop: int, new: bytes) -> bytes:
    """`plain` with one box replaced and the boxes around it resized; the media stands before them."""
    out = bytearray(plain[:at] + new + plain[stop:])
    for path in (PATHS[1], ("moov", "trak"), ("moov", "trak", "mdia"), ("moov", "trak", "mdia", "minf")):
        outer, outer_stop = find(plain, path)[-1]
        if outer < at and outer_stop >= stop:
            struct.pack_into(">I", out, outer, outer_stop - outer + len(new) - (stop - at))
    return bytes(out)


def _fragments(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    """Movie fragments (8.8) whose runs claim what they do not hold."""
    whole = seeds.clip("fragmented")
    at = whole.index(b"trun") - 4
    for name, count in COUNTS.items():
        yield f"run-count-{name}", _patched(whole, at + 12, ">I", count)
    moof, moof_stop = find(whole, ("moof",))[-1]
    yield "moof-of-itself", whole[:moof] + whole[moof:moof_stop] * 2000 + whole[moof_stop:]
    yield "moof-only", whole[:moof_stop]
    yield "no-moov", whole[: find(whole, ("moov",))[-1][0]] + whole[moof:]
    tfdt = whole.index(b"tfdt") - 4
    yield "decode-time-huge", _patched(whole, tfdt + 12, ">Q", 1 << 62)
