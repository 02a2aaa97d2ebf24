"""A Matroska file is a stranger's: whatever is in it, reading what stands before its clusters ends with a value or with none, soon."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from ingest.matroska_index import MatroskaIndex, clusters_begin, find_index
from media import matroska
from media.matroska import BadElements, BlockHead, element_at, read_blocks, read_cues


def element(identity: int, data: bytes) -> bytes:
    """With its length in four bytes."""
    return identity.to_bytes((identity.bit_length() + 7) // 8) + (0x1000_0000 | len(data)).to_bytes(4) + data


def number(identity: int, value: int) -> bytes:
    return element(identity, value.to_bytes(4))


def cue(time: int, cluster: int) -> bytes:
    return element(0xBB, number(0xB3, time) + element(0xB7, number(0xF7, 1) + number(0xF1, cluster) + number(0xF0, 0)))


def block(time: int, *, key: bool = False) -> bytes:
    return element(0xA3, b"\x81" + time.to_bytes(2) + (b"\x80" if key else b"\x00") + bytes(20))


CLUSTER = element(matroska.CLUSTER, number(0xE7, 1000) + block(0, key=True) + block(40))


def file(*, cues: bytes = cue(1000, 200), tail: bytes = b"") -> bytes:
    """Cues first. The segment's data begins at 13."""
    info = element(matroska.INFO, number(0x2AD7B1, 1_000_000))
    tracks = element(matroska.TRACKS, element(0xAE, number(0xD7, 1) + number(0x83, 1) + number(0x23E383, 40_000_000)))
    front = info + tracks + element(matroska.CUES, cues)
    padding = element(matroska.VOID, bytes(200 - len(front) - 5))
    return element(matroska.EBML, b"") + element(matroska.SEGMENT, front + padding + CLUSTER + tail)


def index(data: bytes, size_bytes: int | None = None) -> MatroskaIndex | None:
    return find_index(lambda offset, size: data[offset : offset + size], len(data) if size_bytes is None else size_bytes)


def begins(data: bytes) -> int | None:
    return clusters_begin(lambda offset, size: data[offset : offset + size], len(data))


def test_the_example_is_good() -> None:
    found = index(file())
    assert found is not None
    place = found.place(found.cues[0])
    assert place == found.clusters == begins(file())
    assert list(read_blocks(file()[place:])) == [BlockHead(1, 1000, keyframe=True), BlockHead(1, 1040, keyframe=False)]


def test_a_file_that_is_longer_or_shorter_than_it_says_has_no_index() -> None:
    assert index(file()[:-1]) is None
    assert index(file() + b"\x00") is None
    assert index(file(), 1 << 40) is None


def test_cues_that_point_elsewhere_are_none() -> None:
    assert index(file(cues=cue(1000, 0xFFFF_FFFF))) is None
    assert index(file(cues=cue(1000, 0))) is None  # into the header
    assert index(file(cues=cue(0, 200) + cue(0, 200))) is None  # twice the same time


def test_what_says_no_length_is_not_gone_through() -> None:
    endless = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff"
    assert element_at(endless, 0).end is None
    assert list(read_blocks(endless * 3)) == []


@given(st.binary(min_size=1, max_size=30), st.integers(0, 400))
def test_damage_anywhere(noise: bytes, at: int) -> None:
    data = bytearray(file(tail=CLUSTER))
    at = min(at, len(data) - 1)
    data[at : at + len(noise)] = noise
    found = index(bytes(data))
    assert found is None or 0 <= found.clusters <= found.place(found.cues[-1]) < len(data)
    begins(bytes(data))
    with suppress(BadElements):
        assert sum(1 for _ in read_blocks(bytes(data[200:]))) <= len(data)


@given(st.binary(max_size=200))
def test_noise(noise: bytes) -> None:
    assert index(noise) is None
    for read in (lambda data: list(read_blocks(data)), lambda data: read_cues(data, 1)):
        with suppress(BadElements):
            read(noise)
