"""A fragmented file is a stranger's: whatever is in it, looking for its fragments ends with a value or with none, soon."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ingest.mp4_fragments import FEW_STEPS, find_fragments
from media.fragment_places import read_mfra, read_sidx
from media.fragments import read_fragmented
from media.isobmff import BadBoxes
from tests.fragment_files import FTYP, every, moov, with_mfra, with_sidx

PARTS = every(5)
FILES = (FTYP + moov() + b"".join(PARTS), with_sidx(PARTS), with_mfra(PARTS))


def look(data: bytes) -> bool:
    """Whether there is an index. What it says lies in the file, and few reads were made for it."""
    steps = 0

    def read(start: int, end: int) -> bytes:
        nonlocal steps
        steps += 1
        return data[start:end]

    found = find_fragments(lambda at, size: read(at, at + size), lambda ranges: [read(*piece) for piece in ranges], len(data))
    assert steps <= 1000 + FEW_STEPS
    for one in found.tracks if found is not None else ():
        track = one.track
        assert len(track) == len(track.positions) == len(track.composition_times) == len(track.decode_times)
        assert all(0 <= start < start + size <= len(data) for start, size in zip(track.positions, track.sizes, strict=True))
        assert all(before < after for before, after in pairwise(track.decode_times))
    return found is not None


def test_the_examples_are_good() -> None:
    assert all(map(look, FILES))


@given(st.sampled_from(FILES), st.binary(min_size=1, max_size=12), st.integers(0, 20_000))
def test_damage_anywhere(file: bytes, noise: bytes, at: int) -> None:
    data = bytearray(file)
    at = min(at, len(data) - 1)
    data[at : at + len(noise)] = noise
    look(bytes(data))


@given(st.sampled_from(FILES), st.binary(min_size=1, max_size=8), st.integers(0, 800))
def test_damage_in_front(file: bytes, noise: bytes, at: int) -> None:
    data = bytearray(file)
    data[at : at + len(noise)] = noise
    look(bytes(data))


@given(st.sampled_from(FILES), st.integers(0, 20_000))
def test_an_end_anywhere(file: bytes, end: int) -> None:
    look(file[:end])


@given(st.binary(max_size=300))
def test_noise(noise: bytes) -> None:
    look(noise)
    for read in (lambda: read_sidx(noise, 0), lambda: read_mfra(noise), lambda: read_fragmented(moov(), [(0, noise)])):
        with suppress(BadBoxes):
            read()
