"""The local cache of sources, and work folders: shared by all processes of a machine, through locks the kernel keeps."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kit.errors import Retry, StepFailed, Unavailable
from kit.scratch import clear_leftovers, fetch, opened, work_dir
from kit.storage import MissingObject
from kit.storage.memory import MemoryStorage


class CountingStorage(MemoryStorage):
    """Counts the bytes that leave it, by object."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[str] = Counter()

    def stream(self, key: str, *, start: int = 0, end: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        for piece in super().stream(key, start=start, end=end, chunk_bytes=chunk_bytes):
            self.sent[key] += len(piece)
            yield piece


@pytest.fixture
def storage() -> CountingStorage:
    storage = CountingStorage()
    for name in "abcd":
        storage.put(name, name.encode() * 1000)
    return storage


def cached(scratch: Path) -> list[int]:
    return sorted(path.stat().st_size for path in (scratch / "cache").iterdir() if not path.suffix)


def test_an_object_is_fetched_once_and_kept(storage: CountingStorage, tmp_path: Path) -> None:
    for _ in range(3):
        with fetch(storage, "a", 1000, tmp_path) as path:
            assert path.read_bytes() == b"a" * 1000
    assert storage.sent == {"a": 1000}


def test_a_crowd_fetches_once(storage: CountingStorage, tmp_path: Path) -> None:
    def use(_: int) -> bytes:
        with fetch(storage, "a", 1000, tmp_path) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(use, range(24))) == {b"a" * 1000}
    assert storage.sent == {"a": 1000}


def test_several_use_it_at_once(storage: CountingStorage, tmp_path: Path) -> None:
    with fetch(storage, "a", 1000, tmp_path) as first, fetch(storage, "a", 1000, tmp_path) as second:
        assert first == second


def test_only_what_is_needed_is_fetched(storage: CountingStorage, tmp_path: Path) -> None:
    with fetch(storage, "a", 1000, tmp_path, [(10, 20), (900, 1500)]) as path:
        assert path.stat().st_size == 1000
        assert path.read_bytes()[10:20] + path.read_bytes()[900:] == b"a" * 110
    assert storage.sent == {"a": 110}
    with opened(storage, "a", 1000, tmp_path) as copy:
        assert copy.read(5, 10) == b"a" * 10
        assert copy.read(995, 10) == b"a" * 5
        assert storage.sent == {"a": 115}
        copy.need([(0, 100)])
        copy.need()
        assert copy.path.read_bytes() == b"a" * 1000
    assert storage.sent == {"a": 1000}


def test_what_was_not_used_for_longest_makes_room(storage: CountingStorage, tmp_path: Path) -> None:
    for seconds, name in enumerate("abac"):
        with fetch(storage, name, 1000, tmp_path, limit_bytes=2000) as path:
            os.utime(path, (seconds, seconds))
    assert cached(tmp_path) == [1000, 1000]
    storage.sent.clear()
    for name in "ac":
        with fetch(storage, name, 1000, tmp_path, limit_bytes=2000):
            pass
    assert storage.sent == {}
    with fetch(storage, "b", 1000, tmp_path, limit_bytes=2000):
        pass
    assert storage.sent == {"b": 1000}
    left = [path.name.partition(".")[0] for path in (tmp_path / "cache").iterdir()]
    assert len(set(left)) == 3  # two copies and the lock of the room: nothing of what was thrown out stays


def test_a_part_counts_as_much_as_it_holds(storage: CountingStorage, tmp_path: Path) -> None:
    with ExitStack() as stack:
        for name in "abcd":
            stack.enter_context(fetch(storage, name, 1000, tmp_path, [(0, 250)], limit_bytes=1000))
        with pytest.raises(Unavailable), fetch(storage, "a", 1000, tmp_path, [(250, 251)], limit_bytes=1000):
            pass
    assert len(cached(tmp_path)) == 4


def test_a_file_in_use_is_never_thrown_out_and_others_wait(storage: CountingStorage, tmp_path: Path) -> None:
    with fetch(storage, "a", 1000, tmp_path, limit_bytes=1500) as held:
        with pytest.raises(Unavailable) as full, fetch(storage, "b", 1000, tmp_path, limit_bytes=1500):
            pass
        assert (full.value.code, full.value.retry) == ("disk_full", Retry.FREE)
        with fetch(storage, "a", 1000, tmp_path, limit_bytes=1500) as again:
            assert again == held
        assert held.read_bytes() == b"a" * 1000
    with fetch(storage, "b", 1000, tmp_path, limit_bytes=1500):
        pass
    assert storage.sent == {"a": 1000, "b": 1000}


def test_a_source_that_is_larger_than_the_budget_is_taken_alone(storage: CountingStorage, tmp_path: Path) -> None:
    with fetch(storage, "b", 1000, tmp_path, limit_bytes=2000):
        pass
    with fetch(storage, "a", 1000, tmp_path, limit_bytes=10) as path:
        assert path.read_bytes() == b"a" * 1000
    assert cached(tmp_path) == [1000]


def test_throwing_out_and_fetching_at_once(storage: CountingStorage, tmp_path: Path) -> None:
    """A cache with room for one, used by many for four: whoever gets in has the whole file."""

    def use(number: int) -> bool | None:
        name = "abcd"[number % 4]
        try:
            with fetch(storage, name, 1000, tmp_path, limit_bytes=1000) as path:
                return path.read_bytes() == name.encode() * 1000
        except Unavailable:
            return None

    with ThreadPoolExecutor(8) as threads:
        outcomes = Counter(threads.map(use, range(400)))
    assert outcomes[False] == 0
    assert outcomes[True] > 0


def test_an_object_of_another_size_is_damage(storage: CountingStorage, tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as damaged, fetch(storage, "a", 999, tmp_path):
        pass
    assert damaged.value.code == "source_damaged"
    assert cached(tmp_path) == []


def test_an_object_that_is_shorter_than_the_store_said_is_damage(storage: CountingStorage, tmp_path: Path) -> None:
    with opened(storage, "a", 1000, tmp_path) as copy:
        storage.put("a", b"a" * 600)
        with pytest.raises(StepFailed) as damaged:
            copy.need()
    assert damaged.value.code == "source_damaged"


def test_a_missing_object_is_said(storage: CountingStorage, tmp_path: Path) -> None:
    with pytest.raises(MissingObject), fetch(storage, "zzz", 1, tmp_path):
        pass


def test_no_room_is_said(storage: CountingStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk cannot be filled for a test, so what it says of itself is replaced."""
    with fetch(storage, "a", 1000, tmp_path):
        pass
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 10**12 - 5000, 5000))
    with pytest.raises(Unavailable) as full, fetch(storage, "b", 1000, tmp_path):
        pass
    assert full.value.code == "disk_full"
    with pytest.raises(Unavailable), fetch(storage, "c", 1000, tmp_path, [(0, 1)]):
        pass
    assert storage.sent == {"a": 1000}  # asked before anything is fetched
    assert len(cached(tmp_path)) <= 2  # what was unused went first; the copies just opened are empty


def test_errors_inside_the_block_come_out(storage: CountingStorage, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mine"), fetch(storage, "a", 1000, tmp_path):
        raise FileNotFoundError("mine")
    with pytest.raises(BlockingIOError, match="mine"), work_dir(tmp_path, "job"):
        raise BlockingIOError("mine")


def test_a_work_folder_is_empty_private_and_gone_afterwards(tmp_path: Path) -> None:
    with work_dir(tmp_path, "a/b") as first, work_dir(tmp_path, "a/b") as second:
        assert first != second
        assert list(first.iterdir()) == []
        (first / "deep").mkdir()
        (first / "deep" / "file").write_bytes(b"x")
    assert list((tmp_path / "work").iterdir()) == []


def test_leftovers_of_the_dead_are_cleared_and_those_of_the_living_are_not(storage: CountingStorage, tmp_path: Path) -> None:
    dead = tmp_path / "work" / "dead-1"
    dead.mkdir(parents=True)
    (dead / "file").write_bytes(b"x")
    with fetch(storage, "a", 1000, tmp_path) as kept, work_dir(tmp_path, "alive") as alive:
        assert clear_leftovers(tmp_path) == 1
        assert alive.is_dir()
        assert kept.is_file()
    assert not dead.exists()


def test_nothing_to_clear(tmp_path: Path) -> None:
    assert clear_leftovers(tmp_path / "never made") == 0
