"""The local cache of sources, and work folders: shared by all processes of a machine, through locks the kernel keeps."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kit.errors import StepFailed, Unavailable
from kit.scratch import clear_leftovers, fetch, work_dir
from kit.storage import MissingObject
from kit.storage.memory import MemoryStorage


class CountingStorage(MemoryStorage):
    """Counts downloads, and lets a test see into one."""

    def __init__(self) -> None:
        super().__init__()
        self.downloads: Counter[str] = Counter()

    def download(self, key: str, target: Path) -> None:
        self.downloads[key] += 1
        super().download(key, target)


@pytest.fixture
def storage() -> CountingStorage:
    storage = CountingStorage()
    for name in "abcd":
        storage.put(name, name.encode() * 1000)
    return storage


def cached(scratch: Path) -> list[int]:
    return sorted(path.stat().st_size for path in (scratch / "cache").iterdir() if path.suffix != ".lock")


def test_an_object_is_fetched_once_and_kept(storage: CountingStorage, tmp_path: Path) -> None:
    for _ in range(3):
        with fetch(storage, "a", 1000, tmp_path) as path:
            assert path.read_bytes() == b"a" * 1000
    assert storage.downloads == {"a": 1}


def test_a_crowd_fetches_once(storage: CountingStorage, tmp_path: Path) -> None:
    def use(_: int) -> bytes:
        with fetch(storage, "a", 1000, tmp_path) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(use, range(24))) == {b"a" * 1000}
    assert storage.downloads == {"a": 1}


def test_several_use_it_at_once(storage: CountingStorage, tmp_path: Path) -> None:
    with fetch(storage, "a", 1000, tmp_path) as first, fetch(storage, "a", 1000, tmp_path) as second:
        assert first == second


def test_what_was_not_used_for_longest_makes_room(storage: CountingStorage, tmp_path: Path) -> None:
    for seconds, name in enumerate("abac"):
        with fetch(storage, name, 1000, tmp_path, limit_bytes=2000) as path:
            os.utime(path, (seconds, seconds))
    assert cached(tmp_path) == [1000, 1000]
    storage.downloads.clear()
    for name in "ac":
        with fetch(storage, name, 1000, tmp_path, limit_bytes=2000):
            pass
    assert storage.downloads == {}
    with fetch(storage, "b", 1000, tmp_path, limit_bytes=2000):
        pass
    assert storage.downloads == {"b": 1}
    assert len(list((tmp_path / "cache").iterdir())) == 4  # the locks of what was thrown out are gone, too


def test_a_file_in_use_is_never_thrown_out(storage: CountingStorage, tmp_path: Path) -> None:
    with ExitStack() as stack:
        held = [stack.enter_context(fetch(storage, name, 1000, tmp_path, limit_bytes=1000)) for name in "abcd"]
        assert [path.read_bytes()[:1] for path in held] == [b"a", b"b", b"c", b"d"]
        with fetch(storage, "a", 1000, tmp_path, limit_bytes=1000) as again:
            assert again == held[0]
    assert storage.downloads == {"a": 1, "b": 1, "c": 1, "d": 1}


def test_throwing_out_and_fetching_at_once(storage: CountingStorage, tmp_path: Path) -> None:
    """A cache with room for one, used by many for four: whoever is inside the block has the whole file."""

    def use(number: int) -> bool:
        name = "abcd"[number % 4]
        with fetch(storage, name, 1000, tmp_path, limit_bytes=1000) as path:
            return path.read_bytes() == name.encode() * 1000

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(400)))


def test_an_object_of_another_size_is_damage(storage: CountingStorage, tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as damaged, fetch(storage, "a", 999, tmp_path):
        pass
    assert damaged.value.code == "source_damaged"
    assert cached(tmp_path) == []


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
    assert cached(tmp_path) == []  # what was unused went first


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
        abandoned = kept.with_name(".0123.abc.part")
        abandoned.write_bytes(b"half")
        assert clear_leftovers(tmp_path) == 2
        assert alive.is_dir()
        assert kept.is_file()
    assert not dead.exists()
    assert not abandoned.exists()


def test_a_download_under_way_is_not_a_leftover(tmp_path: Path) -> None:
    class SlowStorage(MemoryStorage):
        def download(self, key: str, target: Path) -> None:
            partial = target.with_name(f".{target.name}.abc.part")
            partial.write_bytes(b"half")
            begun.set()
            assert swept.wait(30)
            assert partial.exists()
            partial.unlink()
            super().download(key, target)

    begun, swept, storage = threading.Event(), threading.Event(), SlowStorage()
    storage.put("a", b"x")

    def use() -> bytes:
        with fetch(storage, "a", 1, tmp_path) as path:
            return path.read_bytes()

    with ThreadPoolExecutor(1) as threads:
        done = threads.submit(use)
        assert begun.wait(30)
        assert clear_leftovers(tmp_path) == 0
        swept.set()
        assert done.result() == b"x"


def test_nothing_to_clear(tmp_path: Path) -> None:
    assert clear_leftovers(tmp_path / "never made") == 0
