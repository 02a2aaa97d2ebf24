"""A file with holes: each byte is fetched once, by whoever needs it first, whatever happens to those who fetch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import sparse
from kit.errors import StepFailed, Unavailable
from kit.sparse import Range

SIZE = 40 << 20
ranges = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))), max_size=8)


class Origin:
    """Bytes that follow from their offset, and how many were read."""

    def __init__(self) -> None:
        self.asked: list[Range] = []
        self._lock = threading.Lock()

    def __call__(self, start: int, end: int) -> Iterator[bytes]:
        with self._lock:
            self.asked.append((start, end))
        for low, high in sparse.cut([(start, end)], 1 << 18):
            yield bytes([low >> 18]) * (high - low)


def right(path: Path, wanted: Iterable[Range]) -> bool:
    with path.open("rb") as file:
        for start, end in wanted:
            file.seek(start)
            if file.read(end - start) != b"".join(Origin()(start, end)):
                return False
    return True


def every(wanted: Iterable[Range]) -> set[int]:
    return {at for start, end in wanted for at in range(start, end)}


@given(ranges, ranges)
def test_ranges_are_sets_of_bytes(first: list[Range], second: list[Range]) -> None:
    assert every(sparse.united(first, second)) == every(first) | every(second)
    assert every(sparse.without(first, second)) == every(first) - every(second)
    assert sparse.size_of(sparse.united(first)) == len(every(first))
    joined = sparse.joined(sparse.united(first), 0.2)
    assert every(first) <= every(joined)
    assert sparse.size_of(joined) <= 1.2 * len(every(first))
    assert every(sparse.cut(sparse.united(first), 7)) == every(first)


def made(folder: Path) -> Path:
    path = folder / "copy"
    sparse.make(path, SIZE)
    return path


def test_each_byte_is_fetched_once_by_many(tmp_path: Path) -> None:
    path, origin, dice = made(tmp_path), Origin(), Random(3)
    wanted = [[(start, start + (1 << 18) * 9) for start in (dice.randrange(100) << 18 for _ in range(3))] for _ in range(12)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda some: sparse.fill(path, some, origin), wanted))
    together = sparse.united(*wanted)
    assert sparse.without(together, sparse.filled(path)) == ()
    assert sparse.size_of(origin.asked) == sparse.size_of(sparse.united(origin.asked))  # nothing twice
    assert sparse.size_of(origin.asked) <= 1.2 * sparse.size_of(together)
    assert right(path, together)


def test_nobody_waits_for_bytes_that_others_fetch(tmp_path: Path) -> None:
    path, inside, go = made(tmp_path), threading.Event(), threading.Event()

    def slow(start: int, end: int) -> Iterator[bytes]:
        inside.set()
        assert go.wait(30)
        yield from Origin()(start, end)

    with ThreadPoolExecutor(2) as threads:
        waits = threads.submit(sparse.fill, path, [(0, 1 << 18)], slow)
        assert inside.wait(30)
        sparse.fill(path, [(1 << 20, 2 << 20)], Origin())
        late = threads.submit(sparse.fill, path, [(0, 1 << 18)], _never)
        go.set()
        waits.result(30)
        late.result(30)


def _never(_start: int, _end: int) -> Iterable[bytes]:
    raise AssertionError("fetched twice")


def test_an_outage_keeps_what_came(tmp_path: Path) -> None:
    path = made(tmp_path)

    def breaks(start: int, end: int) -> Iterator[bytes]:
        for number, piece in enumerate(Origin()(start, end)):
            if start + number * (1 << 18) >= 6 << 20:
                raise Unavailable("gone")
            yield piece

    with pytest.raises(Unavailable):
        sparse.fill(path, [(0, 7 << 20)], breaks)
    assert sparse.filled(path)[0] == (0, 6 << 20)
    origin = Origin()
    sparse.fill(path, [(0, 8 << 20)], origin)
    assert origin.asked == [(6 << 20, 8 << 20)]
    assert right(path, [(0, 8 << 20)])


def test_thousands_of_small_pieces_are_fetched_as_they_are(tmp_path: Path) -> None:
    path, origin = tmp_path / "file", Origin()
    sparse.make(path, SIZE)
    wanted = [(at, at + 700) for at in range(0, SIZE, 20_000)]
    mine, theirs = wanted[: len(wanted) // 2 + 9], wanted[len(wanted) // 2 - 9 :]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda part: sparse.fill(path, part, origin), (mine, theirs)))
    assert sparse.without(wanted, sparse.filled(path)) == ()
    assert sparse.size_of(origin.asked) == sparse.size_of(sparse.filled(path)) <= 1.1 * sparse.size_of(wanted)
    assert right(path, wanted)


def test_too_few_bytes_are_damage(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as damaged:
        sparse.fill(made(tmp_path), [(0, 1 << 20)], lambda _start, _end: [b"x" * 10])
    assert damaged.value.code == "source_damaged"


@pytest.mark.parametrize("spoil", ["other boot", "cut", "scribbled", "gone"])
def test_a_journal_counts_only_as_far_as_it_can_be_believed(tmp_path: Path, spoil: str) -> None:
    path = made(tmp_path)
    sparse.fill(path, [(0, 1 << 18)], Origin())
    sparse.fill(path, [(1 << 20, 2 << 20)], Origin())
    journal = sparse.journal_of(path)
    data = bytearray(journal.read_bytes())
    spoils: dict[str, Callable[[], object]] = {
        "other boot": lambda: journal.write_bytes(b"0" * 36 + data[36:]),
        "cut": lambda: journal.write_bytes(data[:-1]),
        "scribbled": lambda: journal.write_bytes(data[:-10] + b"0123456789"),
        "gone": journal.unlink,
    }
    spoils[spoil]()
    assert not sparse.is_made(path, SIZE)
    if spoil in {"cut", "scribbled"}:
        assert sparse.filled(path) == ((0, 1 << 18),)  # whoever has it open goes on with what can be believed
