"""Boxes: what is written can be read, what is moved keeps its content, and damage is said rather than misread."""

from __future__ import annotations

import struct

import pytest

from media.isobmff import (
    BadBoxes,
    find,
    iter_boxes,
    make_box,
    moved,
    read_fragments,
    sample_entry,
    segment_type,
    split_init,
    timescale,
    with_edit,
    write_fragment,
)

SAMPLES = (b"first", b"second one", b"3")


def fragment(sequence: int = 1, decode_time: int = 0) -> bytes:
    return write_fragment(track_id=1, sequence=sequence, decode_time=decode_time, sample_duration=1024, samples=SAMPLES)


def video_moof(*, trun_flags: int = 0xA05, version: int = 1, base: int = 0x02_0000) -> bytes:
    """A fragment of two samples with composition offsets, as FFmpeg writes video."""
    entries = struct.pack(">IiIi", 4, 0, 3, -1000) if trun_flags & 0x800 else struct.pack(">II", 4, 3)
    trun = make_box("trun", struct.pack(">BBHIiI", version, trun_flags >> 16, trun_flags & 0xFFFF, 2, 0, 0x0200_0000), entries)
    tfhd = make_box("tfhd", struct.pack(">IIII", base | 0x28, 1, 1000, 0x0101_0000))
    tfdt = make_box("tfdt", struct.pack(">IQ", 1 << 24, 48_000))
    moof = make_box("moof", make_box("mfhd", struct.pack(">II", 0, 7)), make_box("traf", tfhd, tfdt, trun))
    patched = bytearray(moof)
    struct.pack_into(">i", patched, moof.index(b"trun") + 12, len(moof) + 8)
    return bytes(patched) + make_box("mdat", b"IDR!", b"abc")


def test_audio_fragments_read_back() -> None:
    data = segment_type() + fragment(5, 1 << 33) + fragment(6, (1 << 33) + 3072)
    first, second = read_fragments(data)
    assert (first.sequence, first.decode_time, first.duration) == (5, 1 << 33, 3072)
    assert [data[sample.offset : sample.offset + sample.size] for sample in first.samples] == list(SAMPLES)
    assert all(sample.sync and sample.duration == 1024 for sample in first.samples)
    assert second.offset == first.offset + first.size
    assert second.offset + second.size == len(data)
    assert data[first.offset : first.offset + first.keyframe_size].endswith(b"first")


def test_video_samples_keep_their_negative_offsets_and_flags() -> None:
    (read,) = read_fragments(video_moof())
    assert [(item.size, item.composition_offset, item.sync) for item in read.samples] == [(4, 0, True), (3, -1000, False)]
    assert (read.decode_time, read.sequence) == (48_000, 7)


def test_moving_changes_two_numbers_and_nothing_else() -> None:
    data = fragment(1, 0)
    (read,) = read_fragments(data)
    there = moved(data, read, sequence=900, decode_time=1 << 40)
    (again,) = read_fragments(there)
    assert (again.sequence, again.decode_time, again.samples) == (900, 1 << 40, read.samples)
    assert moved(there, again, sequence=1, decode_time=0) == data


def test_offsets_are_delayed_but_never_left_negative() -> None:
    data = video_moof()
    (read,) = read_fragments(data)
    (there,) = read_fragments(moved(data, read, sequence=7, decode_time=48_000, composition_delay=1000))
    assert [item.composition_offset for item in there.samples] == [1000, 0]
    with pytest.raises(BadBoxes, match="1 ticks before"):
        moved(data, read, sequence=7, decode_time=48_000, composition_delay=999)


def test_offsets_are_written_where_all_were_zero() -> None:
    data = video_moof(trun_flags=0x205)
    (read,) = read_fragments(data)
    longer = moved(data, read, sequence=7, decode_time=48_000, composition_delay=1000)
    (there,) = read_fragments(longer)
    assert [(item.size, item.composition_offset, item.sync) for item in there.samples] == [(4, 1000, True), (3, 1000, False)]
    assert (len(longer), there.size) == (len(data) + 8, len(data) + 8)
    assert [longer[item.offset : item.offset + item.size] for item in there.samples] == [b"IDR!", b"abc"]


def test_an_edit_list_is_put_behind_the_track_header() -> None:
    moov = make_box("moov", make_box("mvhd", b"1"), make_box("trak", make_box("tkhd", b"2"), make_box("mdia", b"3")), make_box("mvex"))
    init = with_edit(make_box("ftyp", b"iso6") + moov, 1001)
    edit = find(init, "moov/trak/edts/elst")
    assert edit is not None
    assert init[edit.body : edit.end] == struct.pack(">IIIiI", 0, 1, 0, 1001, 0x1_0000)
    assert [box.kind for box in iter_boxes(init)] == ["ftyp", "moov"]
    trak = find(init, "moov/trak")
    assert trak is not None
    assert [box.kind for box in iter_boxes(init, trak.body, trak.end)] == ["tkhd", "edts", "mdia"]
    with pytest.raises(BadBoxes, match="no track"):
        with_edit(make_box("ftyp", b"iso6"), 1)


def test_a_fragment_needs_samples() -> None:
    traf = make_box("traf", make_box("tfhd", struct.pack(">II", 0x02_0000, 1)), make_box("tfdt", struct.pack(">II", 0, 9)))
    with pytest.raises(BadBoxes, match="no samples"):
        list(read_fragments(make_box("moof", make_box("mfhd", struct.pack(">II", 0, 1)), traf) + make_box("mdat")))


def test_the_header_is_split_off() -> None:
    mdhd = make_box("mdhd", struct.pack(">IIIIII", 0, 0, 0, 24_000, 0, 0))
    entry = make_box("avc1", bytes(78))
    stsd = make_box("stsd", struct.pack(">II", 0, 1), entry)
    moov = make_box("moov", make_box("trak", make_box("mdia", mdhd, make_box("minf", make_box("stbl", stsd)))))
    data = make_box("ftyp", b"iso6") + moov + fragment()
    init, media = split_init(data)
    assert data == init + data[media:]
    assert timescale(init) == 24_000
    assert sample_entry(init).kind == "avc1"
    assert find(init, "moov/trak/edts") is None


def test_large_sizes_and_open_ends() -> None:
    large = struct.pack(">I4sQ", 1, b"mdat", 20) + b"abcd"
    open_ended = struct.pack(">I4s", 0, b"mdat") + b"abc"
    assert [(box.kind, box.end - box.body) for box in iter_boxes(large + open_ended)] == [("mdat", 4), ("mdat", 3)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0\0\0", "stray"),
        (make_box("moof")[:-1], "stray"),
        (struct.pack(">I4s", 4, b"moof"), "4 bytes"),
        (struct.pack(">I4s", 1, b"moof"), "cut off"),
        (struct.pack(">I4sQ", 1, b"moof", 1 << 62), "are left"),
        (make_box("mdat"), "no moof"),
        (make_box("moof"), "no mdat"),
        (make_box("moof") + make_box("free"), "no mdat"),
        (make_box("moof") + make_box("mdat"), "no traf"),
        (fragment()[:-1], "are left"),
        (video_moof(base=1), "which CMAF forbids"),
        (video_moof(trun_flags=0xA04), "does not say where"),
        (fragment().replace(struct.pack(">I", 10), struct.pack(">I", 11)), "outside its mdat"),
    ],
)
def test_damage_is_said(data: bytes, says: str) -> None:
    with pytest.raises(BadBoxes, match=says):
        list(read_fragments(data))


def test_a_run_that_promises_more_samples_than_it_lists() -> None:
    data = bytearray(fragment())
    struct.pack_into(">I", data, data.index(b"trun") + 8, 1 << 30)
    with pytest.raises(BadBoxes, match="shorter than its sample count"):
        list(read_fragments(bytes(data)))


def test_a_file_without_a_header() -> None:
    for data in (b"", fragment(), make_box("free") + make_box("moov")):
        with pytest.raises(BadBoxes):
            split_init(data)


def test_nothing_to_write() -> None:
    with pytest.raises(BadBoxes, match="at least one"):
        write_fragment(track_id=1, sequence=1, decode_time=0, sample_duration=1024, samples=[])
