"""The same for the other containers: sizes and counts that lie in Matroska, transport streams, AVI, FLV and Ogg."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.corpus import Case, Seeds


def cases(seeds: Seeds) -> Iterator[Case]:
    for suffix, made in ((".mkv", _matroska), (".ts", _transport), (".avi", _avi), (".flv", _flv), (".ogg", _ogg), (".mpg", _program)):
        for name, data in made(seeds):
            yield Case(f"{suffix[1:]}-{name}", "container tricks", suffix, data)


def _element(name: bytes, body: bytes) -> bytes:
    return name + b"\x01" + len(body).to_bytes(7, "big") + body  # a size of eight bytes (RFC 8794, 4)


def _matroska(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    whole = seeds.clip("mkv")
    head = whole[: whole.index(b"\x18\x53\x80\x67")]
    body = whole[len(head) + 12 :]
    for name, size in {"unknown": b"\x01" + b"\xff" * 7, "huge": b"\x01\x7f" + b"\xff" * 6, "zero": b"\x80"}.items():
        yield f"segment-{name}", head + b"\x18\x53\x80\x67" + size + body
    for name, tag in {"info": b"\x15\x49\xa9\x66", "tracks": b"\x16\x54\xae\x6b", "cluster": b"\x1f\x43\xb6\x75"}.items():
        at = whole.index(tag) + 4
        for size in (b"\x01" + b"\xff" * 7, b"\x01" + b"\x7f" * 7, b"\x80", b"\x00"):
            yield f"{name}-{size[:2].hex()}", whole[:at] + size + whole[at + len(size) :]
    nested = b""
    for _ in range(3000):
        nested = _element(b"\xb6", nested)  # ChapterAtom within ChapterAtom
    chapters = _element(b"\x10\x43\xa7\x70", _element(b"\x45\xb9", nested))
    yield "chapters-nested", head + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + chapters + body
    void = _element(b"\xec", b"") * 50_000
    yield "voids", head + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + void + body
    for title in ("../../../../etc/cron.d/x", str(seeds.canary), "x.ttf\0.sh"):
        parts = _element(b"\x46\x6e", title.encode()) + _element(b"\x46\x60", b"font/ttf") + _element(b"\x46\x5c", b"x" * 64)
        attached = _element(b"\x19\x41\xa4\x69", _element(b"\x61\xa7", parts + _element(b"\x46\xae", b"\x01")))
        yield f"attachment-{len(title)}", head + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + attached + body
    pair = _element(b"\x73\x84", f"file://{seeds.canary}".encode())  # PrevFilename and its kin: segments of another file
    info = whole.index(b"\x15\x49\xa9\x66")
    yield "other-segment", whole[:info] + _element(b"\x15\x49\xa9\x66", pair) + whole[info:]


def _transport(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    whole = seeds.clip("ts")
    packets = [whole[at : at + 188] for at in range(0, len(whole), 188)]
    yield "one-pid", b"".join(packet[:1] + b"\x41\x00" + packet[3:] for packet in packets)
    yield "many-pids", b"".join(packet[:1] + struct.pack(">H", 0x4000 | (n % 8000 + 32)) + packet[3:] for n, packet in enumerate(packets))
    yield "only-tables", (packets[0] + packets[1]) * 3000
    yield "no-tables", b"".join(packets[3:])
    yield "no-sync", b"".join(b"\0" + packet[1:] for packet in packets)
    yield "one-byte-off", b"\0" + whole
    yield "stuffing", (b"\x47\x1f\xff\x10" + b"\xff" * 184) * 5000
    shuffled = packets[2:]
    seeds.random.shuffle(shuffled)
    yield "shuffled", b"".join(packets[:2] + shuffled)
    streams = b"".join(bytes((0x1B, 0xE1 + n // 256, n % 256, 0xF0, 0)) for n in range(30))
    table = b"\x02" + struct.pack(">H", 0xB000 | (len(streams) + 13)) + b"\0\1\xc1\0\0\xe1\0\xf0\0" + streams + b"\0\0\0\0"
    section = (b"\x47\x50\x00\x10\x00" + table).ljust(188, b"\xff")
    yield "thirty-programs", packets[0] + section * 400
    yield "adaptation-only", b"".join(packet[:3] + b"\x20\xb7" + packet[5:] for packet in packets)


def _avi(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    whole = seeds.clip("avi")
    for tag in (b"RIFF", b"hdrl", b"avih", b"strl", b"strh", b"strf", b"movi", b"idx1"):
        at = whole.index(tag) + 4 if tag in (b"RIFF", b"avih", b"strh", b"strf", b"idx1") else whole.index(tag) - 4
        for size in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
            yield f"{tag.decode()}-{size}", whole[:at] + struct.pack("<I", size) + whole[at + 4 :]
    at = whole.index(b"strh") + 8
    for scale, rate in ((0, 0), (1, 0xFFFFFFFF), (0xFFFFFFFF, 1)):
        yield f"rate-{rate}-{scale}", whole[: at + 20] + struct.pack("<II", scale, rate) + whole[at + 28 :]
    for codec in (b"M8RG", b"MSZH", b"CDXL", b"cvid", b"GAB2", b"\0\0\0\0"):
        yield f"codec-{codec.hex()}", whole[: at + 4] + codec + whole[at + 8 :]
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{seeds.canary}\n#EXT-X-ENDLIST\n".encode()
    gab2 = b"GAB2\0\2\0" + struct.pack("<I", 2) + b"x\0" + struct.pack("<HI", 4, len(playlist)) + playlist
    movi = whole.index(b"movi") + 4
    yield "subtitle-playlist", whole[:movi] + b"01tx" + struct.pack("<I", len(gab2)) + gab2 + whole[movi:]


def _flv(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    whole = seeds.clip("flv")
    for size in (0, 1, 0xFFFFFF):
        yield f"tag-{size}", whole[:14] + size.to_bytes(3, "big") + whole[17:]
    deep = b"\x03\x00\x01a" * 20_000
    script = b"\x02\x00\x0aonMetaData" + deep
    tag = b"\x12" + len(script).to_bytes(3, "big") + bytes(7) + script + struct.pack(">I", len(script) + 11)
    yield "metadata-nested", whole[:13] + tag + whole[13:]
    yield "tags-without-end", whole[:13] + (b"\x09\0\0\0" + bytes(7) + struct.pack(">I", 11)) * 100_000
    array = b"\x02\x00\x0aonMetaData\x08\xff\xff\xff\xff"
    yield (
        "array-4g",
        whole[:13] + b"\x12" + len(array).to_bytes(3, "big") + bytes(7) + array + struct.pack(">I", len(array) + 11) + whole[13:],
    )


def _page(serial: int, sequence: int, flags: int, body: bytes) -> bytes:
    """An Ogg page (RFC 3533, 6), its checksum left at zero."""
    lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
    return b"OggS\0" + bytes((flags,)) + struct.pack("<qIII", sequence, serial, sequence, 0) + bytes((len(lacing),)) + lacing + body


def _ogg(_seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    theora = b"\x80theora\3\2\1" + struct.pack(">HH", 20, 12) + bytes(30)
    yield "pages-without-end", _page(1, 0, 2, theora) + b"".join(_page(1, n, 1, b"\xff" * 200) for n in range(1, 4000))
    yield "empty-pages", b"".join(_page(1, n, 0, b"") for n in range(60_000))
    yield "streams", b"".join(_page(n, 0, 2, theora) for n in range(3000))
    yield "codec-unknown", _page(1, 0, 2, b"\x01nothing") * 10
    yield "skeleton", _page(1, 0, 2, b"fishead\0" + bytes(56)) + _page(2, 0, 2, theora)


def _program(seeds: Seeds) -> Iterator[tuple[str, bytes]]:
    whole = seeds.clip("mpeg-ps")
    yield "packs", b"\0\0\1\xba\x44\0\4\0\4\1\x01\x89\xc3\xf8" * 30_000
    yield "stream-map", whole[:14] + b"\0\0\1\xbc\xff\xff" + b"\xff" * 400 + whole[14:]
    yield "start-codes", b"\0\0\1" * 60_000
    yield "many-streams", b"".join(b"\0\0\1" + bytes((0xC0 + n % 48,)) + b"\0\x10" + bytes(16) for n in range(20_000))
