"""Small files that ask for much: pixels, pictures, packets, tracks, time."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from tests.corpus import Case, Seeds

CLIPS = ("gap-of-a-day", "gap-of-an-hour", "many-tracks", "claims-a-day", "attachments", "ribbon", "too-small")


def cases(seeds: Seeds) -> Iterator[Case]:
    for name in CLIPS:
        yield Case(f"bomb-{name}", "bombs", ".mkv" if name in ("claims-a-day", "attachments") else ".mp4", seeds.clip(name))
    for name, suffix, data in (*_pixels(), *_packets(seeds), *_bytes(seeds)):
        yield Case(f"bomb-{name}", "bombs", suffix, data)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, *parts: bytes) -> bytes:
    return _box(kind, bytes(4), *parts)


def mp4(codec: bytes, width: int, height: int, sizes: bytes, delta: int, samples: int, media: bytes, more: bytes = b"") -> bytes:
    """An MP4 of one video track. `sizes`: the body of its stsz box; all samples lie in one chunk."""
    entry = _box(codec, bytes(6), struct.pack(">H16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1), more)
    tables = (
        _full(b"stsd", struct.pack(">I", 1), entry),
        _full(b"stts", struct.pack(">III", 1, samples, delta)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        _full(b"stsz", sizes),
        _full(b"stco", struct.pack(">II", 1, 24 + 8)),
    )
    here = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _box(b"url ", b"\0\0\0\1")))
    identity = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    duration = min(delta * samples, 0xFFFFFFFF)
    track = _box(
        b"trak",
        struct.pack(">I4sIIIII", 92, b"tkhd", 3, 0, 0, 1, 0) + struct.pack(">I8xHHHH", duration, 0, 0, 0, 0) + identity
        + struct.pack(">II", width << 16, height << 16),
        _box(
            b"mdia",
            _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, duration, 0x55C4, 0)),
            _full(b"hdlr", bytes(4) + b"vide" + bytes(13)),
            _box(b"minf", _full(b"vmhd", bytes(8)), here, _box(b"stbl", *tables)),
        ),
    )  # fmt: skip
    mvhd = _full(b"mvhd", struct.pack(">IIIIIH10x", 0, 0, 1000, duration, 0x10000, 0x100), identity, bytes(24), struct.pack(">I", 2))
    return _box(b"ftyp", b"isom\0\0\2\0isommp41") + _box(b"mdat", media) + _box(b"moov", mvhd, track)


def _pixels() -> Iterator[tuple[str, str, bytes]]:
    for width, height in ((65535, 65535), (40000, 40000), (16384, 16384), (8193, 8193), (65535, 64)):
        jpeg = (
            b"\xff\xd8\xff\xc0\0\x11\x08"
            + struct.pack(">HH", height, width)
            + b"\3\1\x22\0\2\x11\1\3\x11\1\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0\xff\xd9"
        )
        sizes = struct.pack(">II", len(jpeg), 24)
        yield f"jpeg-{width}x{height}", ".mp4", mp4(b"jpeg", width, height, sizes, 40, 24, jpeg * 24)
        yield f"jpeg-hidden-{width}x{height}", ".mp4", mp4(b"jpeg", 320, 180, sizes, 40, 24, jpeg * 24)
        rows = zlib.compress(bytes(1_000_000), 9) * 4
        head = struct.pack(">II5B", width, height, 8, 6, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
        png = b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
        yield f"png-{width}x{height}", ".mp4", png


def _packets(seeds: Seeds) -> Iterator[tuple[str, str, bytes]]:
    for codec in (b"jpeg", b"mp4v", b"avc1"):
        for samples in (100_000, 3_000_000):
            sizes = struct.pack(">II", 1, samples)
            yield f"tiny-packets-{codec.decode()}-{samples}", ".mp4", mp4(codec, 320, 180, sizes, 1, samples, bytes(samples))
    at_once = struct.pack(">II", 10, 50_000)
    yield "all-at-once", ".mp4", mp4(b"mp4v", 320, 180, at_once, 0, 50_000, bytes(500_000))
    yield "thousand-a-second", ".mp4", mp4(b"mp4v", 320, 180, at_once, 1, 50_000, bytes(500_000))
    no_bytes = struct.pack(">II", 0, 2_000_000) + bytes(8_000_000)
    yield "empty-packets", ".mp4", mp4(b"mp4v", 320, 180, no_bytes, 1, 2_000_000, b"x")
    slow = struct.pack(">II", 1000, 40)
    yield "an-hour-each", ".mp4", mp4(b"mp4v", 320, 180, slow, 3_600_000, 40, bytes(40_000))
    whole = seeds.clip("mkv")
    block = b"\xa3\x85\x81\0\0\x80x"  # a SimpleBlock of one byte
    yield "blocks", ".mkv", whole + b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + b"\xe7\x81\0" + block * 300_000
    yield "clusters", ".mkv", whole + (b"\x1f\x43\xb6\x75\x8a\xe7\x81\0" + block) * 150_000
    adts = b"\xff\xf1\x50\x80\x01\x1f\xfc"
    yield "aac-frames", ".aac", adts * 150_000
    yield "mp3-frames", ".mp3", (b"\xff\xfb\x10\xc4" + bytes(100)) * 20_000


def _bytes(seeds: Seeds) -> Iterator[tuple[str, str, bytes]]:
    plain = seeds.clip("plain")
    yield "zeros-behind", ".mp4", plain + bytes(24 << 20)
    yield "free-before", ".mp4", plain[:32] + _box(b"free", bytes(24 << 20)) + plain[32:]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("movie.mp4", bytes(64 << 20))
    yield "zip", ".mp4", packed.getvalue()
    yield "moov-packed", ".mp4", plain[:32] + _box(b"moov", _box(b"cmov", _box(b"dcom", b"zlib"), _packed_moov())) + plain[32:]
    yield "lines", ".srt", b"1\n00:00:00,000 --> 99:59:59,999\nx\n\n" * 60_000
    yield "id3", ".mp3", b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(1 << 20)


def _packed_moov() -> bytes:
    """A QuickTime header compressed a thousand times, which claims two gigabytes."""
    return _box(b"cmvd", struct.pack(">I", 0x7FFFFFFF), zlib.compress(bytes(32 << 20), 9))
