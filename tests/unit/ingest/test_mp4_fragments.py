"""How the fragments of a file are found: by how many steps, and what is not believed."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction

import pytest

from ingest.mp4_fragments import FEW_STEPS, find_fragments
from ingest.mp4_index import Mp4Index
from media.fragments import read_fragmented
from media.isobmff import BadBoxes, make_box
from tests.fragment_files import FTYP, Part, every, fragment, mfra, moov, sidx, with_mfra, with_sidx

LARGE = (70_000, 2000, 2000)


class Store:
    """Counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.waits, self.ranges, self.sent = data, 0, 0, 0

    def read(self, offset: int, size: int) -> bytes:
        return self.read_many([(offset, offset + size)])[0]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self.waits, self.ranges = self.waits + 1, self.ranges + len(ranges)
        self.sent += sum(end - start for start, end in ranges)
        return [self.data[start:end] for start, end in ranges]


def index(data: bytes) -> Mp4Index | None:
    store = Store(data)
    return find_fragments(store.read, store.read_many, len(data))


def found(data: bytes) -> list[int]:
    made = index(data)
    return [] if made is None else list(made.movie.tracks[0].positions)


@pytest.mark.parametrize("arranged", [with_sidx, with_mfra])
def test_fragments_that_are_named_are_read_side_by_side(arranged: Callable[[Sequence[bytes]], bytes]) -> None:
    few, many = Store(arranged(every(10, sizes=LARGE))), Store(arranged(every(200, sizes=LARGE)))
    for store in (few, many):
        made = find_fragments(store.read, store.read_many, len(store.data))
        assert made is not None
        assert len(made.movie.tracks[0]) == 3 * (10 if store is few else 200)
        assert store.sent < len(store.data) / 16
    assert many.waits <= few.waits + 1  # a list of names may be too long for the first read


def test_without_names_there_is_a_step_for_each_as_long_as_that_pays() -> None:
    assert len(found(FTYP + moov() + b"".join(every(FEW_STEPS - 10)))) == 3 * (FEW_STEPS - 10)
    assert found(FTYP + moov() + b"".join(every(FEW_STEPS + 10))) == []


def test_many_small_fragments_are_read_with_what_is_between_them() -> None:
    assert found(with_mfra(every(FEW_STEPS + 10))) == []
    assert found(with_sidx(every(FEW_STEPS + 10))) == []


def test_names_are_not_believed() -> None:
    parts = every(20)
    true = found(FTYP + moov() + b"".join(parts))
    front = len(FTYP + moov())
    for places in ([front + 5, front + 7], [0], [10**12], [front + 100, front], range(0, 40_000, 999)):
        assert found(FTYP + moov() + b"".join(parts) + mfra(list(places))) == true
    assert found(FTYP + moov() + b"".join(parts) + mfra([])[:-1] + b"\xff") == []  # a box that says it is longer than it is
    wrong = sidx([*map(len, parts[:-1]), len(parts[-1]) + 9], [120] * 20)
    moved = [place + len(wrong) for place in true]
    assert found(FTYP + moov() + wrong + b"".join(parts)) == moved
    assert found(FTYP + moov() + sidx([len(parts[0])] * 20, [120] * 20, kind=1) + b"".join(parts)) == []


def test_what_ffmpeg_would_go_by_has_to_be_true() -> None:
    parts = every(20)
    sizes = list(map(len, parts))
    good = index(with_sidx(parts))
    assert good is not None
    assert good.way is not None
    assert good.way.pictures == [Fraction(number * 120, 1000) for number in range(20)]
    joined = [sizes[0] + sizes[1], *sizes[2:]]  # reaches to the end, and names not every fragment
    assert index(FTYP + moov() + sidx(joined, [240, *[120] * 18]) + b"".join(parts)) is None
    late = index(FTYP + moov() + sidx(sizes, [120] * 20, start=60) + b"".join(parts))
    assert late is not None
    assert late.way is not None
    assert late.way.pictures[:-1] == [Fraction(number * 120 + 60, 1000) for number in range(19)]
    assert index(FTYP + moov() + sidx(sizes, [120] * 20, start=90_000) + b"".join(parts)) is None
    partial = index(FTYP + moov() + sidx(sizes[:-1], [120] * 19) + b"".join(parts))  # FFmpeg reads every fragment of such a file
    assert partial is not None
    assert partial.way is None


@pytest.mark.parametrize(
    "parts",
    [
        [Part(None)],  # no decode time
        [Part(0), Part(80)],  # before the end of the one before
        [Part(0), Part(120, offset=0)],  # samples inside the index
        [Part(0, offset=10**6)],  # or outside of the file
        [Part(0), Part(120, offset=4000), Part(240)],  # or in the next fragment
        [Part(0, sizes=(300, 0))],
        [Part(0, duration=0)],
        [Part(0, duration=1 << 31)],
        [Part((1 << 62) - 1)],
        [Part(0, track=2)],
        [Part(0), Part(120, composition=(0, -40, 0))],  # the clock of the first fragment was another
        [Part(0, composition=(1 << 28, 0, 0))],
    ],
)
def test_what_contradicts_itself_has_no_index(parts: list[Part]) -> None:
    assert index(FTYP + moov() + b"".join(map(fragment, parts))) is None


def test_samples_that_cost_no_byte_of_index_are_not_counted_for_ever() -> None:
    flags = 0x02_0000 | 0x8 | 0x10
    tfhd = make_box("tfhd", struct.pack(">IIII", flags, 1, 1, 1))
    runs = [make_box("trun", struct.pack(">IIi", 0x1, 1 << 20, 2000)) for _ in range(40)]
    traf = make_box("traf", tfhd, make_box("tfdt", bytes(8)), *runs)
    with pytest.raises(BadBoxes, match="too many"):
        read_fragmented(moov(), [(500, make_box("moof", traf))])


def test_other_files_have_no_index_here() -> None:
    parts = b"".join(every(3))
    assert index(FTYP + moov() + parts) is not None
    assert index(FTYP + moov(samples=3) + parts) is None
    assert index(FTYP + moov(fragmented=False) + parts) is None
    assert index(FTYP + parts) is None
    assert index(FTYP + moov() + parts + moov()) is None
    assert index(FTYP + moov()) is None
    assert index(FTYP + moov() + parts[:-1]) is None
    assert index(FTYP + parts + moov()) is None
    assert index(b"") is None
    gap = FTYP + moov() + b"".join(map(fragment, [Part(0), Part(5000)]))  # nothing for a while
    made = index(gap)
    assert made is not None
    assert made.movie.tracks[0].decode_times == [0, 40, 80, 5000, 5040, 5080]
    assert made.movie.tracks[0].sync == (0, 3)
