"""Common encryption of any samples: what comes back is what was there, and only what may be protected is."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import ciphers
from media import cenc
from media.isobmff import BadBoxes, make_box, read_fragments, segment_type, write_fragment

KEY, IV = bytes(range(16)), bytes(range(16, 32))
VIDEO, SOUND, DOLBY = cenc.Coding("avc1"), cenc.Coding("mp4a"), cenc.Coding("ec-3")


def unit(kind: int, size: int) -> bytes:
    return struct.pack(">IB", size, kind) + bytes((size * 7 + at) % 256 for at in range(size - 1))


UNITS = st.builds(unit, st.sampled_from([1, 5, 6, 7, 9]), st.integers(1, 700))
SAMPLES = st.lists(st.lists(UNITS, min_size=1, max_size=6).map(b"".join), min_size=1, max_size=5)


def encrypt(data: bytes, about: cenc.Coding) -> bytes:
    return cenc.protect_segment(data, about, lambda: ciphers.cbc_encryptor(KEY, IV))


def decrypt(data: bytes, about: cenc.Coding) -> bytes:
    return cenc.clear_segment(data, about, lambda: ciphers.cbc_decryptor(KEY, IV))


def segment(samples: list[bytes]) -> bytes:
    fragment = write_fragment(track_id=1, sequence=1, decode_time=0, sample_duration=1, samples=samples)
    return segment_type() + fragment + fragment


@given(SAMPLES)
def test_pictures_come_back_and_keep_their_clear_parts(samples: list[bytes]) -> None:
    clear = segment(samples)
    stored = encrypt(clear, VIDEO)
    assert decrypt(stored, VIDEO) == clear
    for fragment in read_fragments(stored):  # which would raise if offsets were wrong
        for sample, before in zip(fragment.samples, samples, strict=True):
            after, at = stored[sample.offset : sample.offset + sample.size], 0
            for free, locked in cenc.subsamples(before, VIDEO):
                assert after[at : at + free] == before[at : at + free]
                at += free
                for place in range(0, locked, 16):
                    same = after[at + place : at + min(place + 16, locked)] == before[at + place : at + min(place + 16, locked)]
                    assert same == (place % 160 != 0 or locked - place < 16)
                at += locked
            assert at == len(before)


def test_slices_of_hevc_are_known_by_their_own_types() -> None:
    slices, others = [unit(kind << 1, 200) for kind in (0, 1, 19, 31)], [unit(kind << 1, 200) for kind in (32, 33, 34, 39)]
    hevc = cenc.Coding("hvc1")
    for sample in slices:
        assert cenc.subsamples(sample, hevc) == [(cenc.CLEAR_BYTES, 204 - cenc.CLEAR_BYTES)]
    assert cenc.subsamples(b"".join(others), hevc) == [(4 * 204, 0)]


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=5))
def test_sound_comes_back_and_is_encrypted_but_for_its_last_bytes(samples: list[bytes]) -> None:
    clear = segment(samples)
    stored = encrypt(clear, SOUND)
    assert (decrypt(stored, SOUND), len(stored)) == (clear, len(clear))
    assert encrypt(clear, DOLBY) == stored
    for sample, before in zip(next(read_fragments(stored)).samples, samples, strict=True):
        after, whole = stored[sample.offset : sample.offset + sample.size], len(before) // 16 * 16
        assert after[:whole] == ciphers.cbc_encryptor(KEY, IV)(before[:whole])
        assert after[whole:] == before[whole:]


def test_one_block_in_ten_is_one_chain() -> None:
    sample = unit(5, 596)
    stored = encrypt(segment([sample]), VIDEO)
    place = next(read_fragments(stored)).samples[0].offset
    blocks = [slice(start, start + 16) for start in range(cenc.CLEAR_BYTES, 596, 160)]
    chained = ciphers.cbc_encryptor(KEY, IV)(b"".join(sample[block] for block in blocks))
    found = stored[place : place + len(sample)]
    assert b"".join(found[block] for block in blocks) == chained


def test_what_a_fragment_says_is_where_it_says() -> None:
    stored = encrypt(segment([unit(5, 300), unit(6, 20) + unit(1, 500)]), VIDEO)
    moof = stored.index(b"moof") - 4
    saio, senc = stored.index(b"saio"), stored.index(b"senc")
    (offset,) = struct.unpack_from(">I", stored, saio + 12)
    assert moof + offset == senc + 12
    assert stored[stored.index(b"saiz") + 13 :][:2] == bytes([2 + 6, 2 + 6])
    assert struct.unpack_from(">HHI", stored, moof + offset) == (1, cenc.CLEAR_BYTES, 304 - cenc.CLEAR_BYTES)
    assert struct.unpack_from(">HHI", stored, moof + offset + 8) == (1, 24 + cenc.CLEAR_BYTES, 504 - cenc.CLEAR_BYTES)


def test_a_long_clear_part_is_described_in_pieces() -> None:
    sample = unit(6, 150_000) + unit(5, 400)
    assert cenc.subsamples(sample, VIDEO) == [(65_535, 0), (65_535, 0), (150_004 + cenc.CLEAR_BYTES - 131_070, 404 - cenc.CLEAR_BYTES)]
    assert decrypt(encrypt(segment([sample]), VIDEO), VIDEO) == segment([sample])


@pytest.mark.parametrize("sample", [b"", b"\0\0\0\0", struct.pack(">IB", 9, 5), b"\0\0"])
def test_what_is_no_picture_is_refused(sample: bytes) -> None:
    if sample:
        with pytest.raises(BadBoxes):
            cenc.subsamples(sample, VIDEO)
    with pytest.raises(BadBoxes):
        cenc.subsamples(unit(1, 200) * 43, VIDEO)


def test_damage_shows() -> None:
    stored = encrypt(segment([unit(5, 300)]), VIDEO)
    for wrong in (stored.replace(b"senc", b"free"), segment([unit(5, 300)])):
        with pytest.raises(BadBoxes):
            decrypt(wrong, VIDEO)
    for init in (make_box("ftyp"), b""):
        with pytest.raises(BadBoxes):
            cenc.protect_init(init, KEY, IV)
