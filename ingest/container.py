"""What a file is by its first bytes, and whether its own boxes say that a piece of it is missing. Pure but for reading.

ffprobe answers "invalid data" to a letter, a picture and half a film alike. People deserve to hear which it was, so this
looks at the beginning of the file, and for MP4 and QuickTime walks the outermost boxes (ISO/IEC 14496-12, 4.2), reading
their 16-byte headers only. Nothing here decides; `ingest.checks` does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from media.isobmff import Box

Read = Callable[[int, int], bytes]  # offset, size -> at most size bytes

HEAD_BYTES = 512
MOST_BOXES = 200_000  # a fragmented file of half a day with a fragment each second has 90,000
_OPENING_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"styp", b"moof", b"pnot", b"sidx", b"uuid"})
_STILL_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"avif"})

_SIGNATURES = (
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "an archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"\x1f\x8b", "a compressed archive"),
    (b"%PDF", "a PDF document"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b".RMF", "a RealMedia file"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """`looks_like`: words for people, None when it may be a video. Sizes in bytes."""

    looks_like: str | None
    is_mp4: bool
    has_index: bool  # MP4: a complete `moov` was found
    claimed_bytes: int | None  # MP4: where the last box says the file ends


def outer_box(read: Read, offset: int, size_bytes: int) -> Box | None:
    """The box that begins at `offset` of an MP4 file; None when the file ends inside it."""
    header = read(offset, 16)
    if len(header) < 8:
        return None
    size, kind = struct.unpack(">I4s", header[:8])
    body = offset + 8
    if size == 1 and len(header) == 16:
        (size,), body = struct.unpack(">Q", header[8:]), offset + 16
    elif size == 0:
        size = size_bytes - offset
    if size < body - offset or offset + size > size_bytes:
        return None
    return Box(kind.decode("latin-1"), offset, body, offset + size)


def outer_boxes(read: Read, size_bytes: int, most: int) -> tuple[Box, ...] | None:
    """The outermost boxes of an MP4 file, the first fragment being the last of them; None when it is none, has more than `most` of
    them, or ends inside one."""
    if read(0, 8)[4:8] not in _OPENING_BOXES:
        return None
    boxes: list[Box] = []
    while not boxes or (boxes[-1].end < size_bytes and boxes[-1].kind != "moof"):
        box = outer_box(read, boxes[-1].end if boxes else 0, size_bytes) if len(boxes) < most else None
        if box is None:
            return None
        boxes.append(box)
    return tuple(boxes)


def look(read: Read, size_bytes: int) -> Shape:
    """Look at a file of `size_bytes` through `read`."""
    head = read(0, HEAD_BYTES)
    if len(head) >= 8 and head[4:8] in _OPENING_BOXES:
        still = head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS
        has_index, claimed = _walk(read, size_bytes)
        return Shape("a picture" if still else None, True, has_index, claimed)
    return Shape(_looks_like(head), False, False, None)


def _looks_like(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for signature, words in _SIGNATURES:
        if start[: len(signature)].lower() == signature.lower():
            return words
    if head and not any(head):
        return "nothing but zeros"
    if head and all(byte >= 0x20 or byte in b"\t\r\n\f\x1b" for byte in head):
        return "a text"
    return None


def _walk(read: Read, size_bytes: int) -> tuple[bool, int | None]:
    """Whether a complete index is there, and where the last box claims to end (None when a box makes no sense)."""
    offset, has_index = 0, False
    for _ in range(MOST_BOXES):
        if offset + 8 > size_bytes:
            return has_index, max(offset, size_bytes)
        header = read(offset, 16)
        if len(header) < 8:
            return has_index, None
        size, kind = struct.unpack(">I4s", header[:8])
        if size == 1 and len(header) == 16:
            (size,) = struct.unpack(">Q", header[8:])
        elif size == 0:
            size = size_bytes - offset
        if size < 8:
            return has_index, None
        has_index = has_index or (kind == b"moov" and offset + size <= size_bytes)
        offset += size
    return has_index, None
