"""What a file is by its first bytes and outermost boxes."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.container import Shape, look


def reading(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, size: data[offset : offset + size]


def shape(data: bytes) -> Shape:
    return look(reading(data), len(data))


def box(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I4s", len(body) + 8 if size is None else size, kind) + body


FTYP = box(b"ftyp", b"isom\0\0\0\1")
WHOLE = FTYP + box(b"moov", bytes(50)) + box(b"mdat", bytes(400))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"Dear video,\nthis is a letter.\n", "a text"),
        ("Grüße".encode(), "a text"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "a playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n", "a playlist"),
        (b"ffconcat version 1.0\n", "a playlist"),
        (b"  <!DOCTYPE HTML><title>x", "a web page"),
        (b"PK\x03\x04rest\x00", "a ZIP archive"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a picture"),
        (b"\xff\xd8\xff\xe0\0\0", "a picture"),
        (b"%PDF-1.7\n\x00", "a PDF document"),
        (bytes(1000), "nothing but zeros"),
        (box(b"ftyp", b"heic\0\0\0\0") + box(b"meta"), "a picture"),
        (b"\x1a\x45\xdf\xa3\x01\x00", None),
        (WHOLE, None),
        (b"", None),
    ],
)
def test_what_it_looks_like(data: bytes, words: str | None) -> None:
    assert shape(data).looks_like == words


def test_a_whole_file() -> None:
    assert shape(WHOLE) == Shape(None, is_mp4=True, has_index=True, claimed_bytes=len(WHOLE))


def test_a_file_that_ends_in_its_media_data() -> None:
    assert shape(WHOLE[:-100]) == Shape(None, is_mp4=True, has_index=True, claimed_bytes=len(WHOLE))


def test_a_file_that_ends_before_its_index() -> None:
    data = FTYP + box(b"mdat", bytes(400)) + box(b"moov", bytes(50))
    assert shape(data[:200]) == Shape(None, is_mp4=True, has_index=False, claimed_bytes=424)
    cut = shape(data[:-10])
    assert (cut.has_index, cut.claimed_bytes) == (False, len(data))


def test_large_sizes_and_a_last_box_without_size() -> None:
    large = FTYP + box(b"moov", bytes(8)) + box(b"mdat", struct.pack(">Q", 10**12), size=1)
    assert shape(large).claimed_bytes == len(FTYP) + 16 + 10**12
    open_ended = FTYP + box(b"moov", bytes(8)) + box(b"mdat", bytes(30), size=0)
    assert shape(open_ended).claimed_bytes == len(open_ended)


def test_a_box_that_makes_no_sense_claims_nothing() -> None:
    assert shape(FTYP + box(b"moov", bytes(8)) + box(b"oops", size=3)).claimed_bytes is None


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(tail: bytes) -> None:
    shape(tail)
    found = shape(FTYP + tail)
    assert found.is_mp4
    assert found.claimed_bytes is None or found.claimed_bytes >= len(FTYP)
