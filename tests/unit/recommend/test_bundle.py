"""A model is published whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from kit.storage.memory import MemoryStorage
from recommend import bundle
from recommend.bundle import BrokenBundle, Bundle, NoModel
from recommend.training import Order, train
from tests.histories import tasted

AT = datetime(2026, 1, 2, tzinfo=UTC)


class Ticking:
    """A clock on which every look is a minute later."""

    def __init__(self) -> None:
        self.at = AT

    def now(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at

    def monotonic_s(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        del seconds


@pytest.fixture(scope="module")
def made() -> Bundle:
    return train(tasted(viewers=15, items=12, each=4), Order("mdl_1", AT, factors=4)).bundle


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage(Ticking())


def test_what_is_loaded_is_what_was_published(made: Bundle, storage: MemoryStorage, tmp_path: Path) -> None:
    assert bundle.current_version(storage) is None
    assert bundle.publish(storage, made, Ticking()) == bundle.current_version(storage) == "mdl_1"
    found = bundle.load(storage, tmp_path)
    for name in bundle._ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
        assert getattr(found, name).dtype == getattr(made, name).dtype
    assert (found.facts, found.report, found.trained_at) == (made.facts, made.report, AT)


def test_the_arrays_are_mapped(made: Bundle, storage: MemoryStorage, tmp_path: Path) -> None:
    bundle.publish(storage, made, Ticking())
    factors = bundle.load(storage, tmp_path).item_factors
    assert isinstance(factors, np.memmap) or isinstance(factors.base, np.memmap)


def test_the_pointer_comes_last(made: Bundle, tmp_path: Path) -> None:
    """Pitfall 10: a publication that dies at any moment leaves the model before it in force."""

    class Dying(MemoryStorage):
        left = 10_000

        def put(self, key: str, data: object, *, content_type: str = "") -> None:
            if self.left == 0:
                raise ConnectionError
            self.left -= 1
            super().put(key, data, content_type=content_type)  # type: ignore[arg-type]

    storage, later = Dying(Ticking()), replace(made, version="mdl_2")
    bundle.publish(storage, made, Ticking())
    before = 10_000 - storage.left
    for puts in range(before):
        storage.left = puts
        with pytest.raises(ConnectionError):
            bundle.publish(storage, later, Ticking())
        assert bundle.load(storage, tmp_path).version == "mdl_1"
    storage.left = before
    bundle.publish(storage, later, Ticking())
    assert bundle.load(storage, tmp_path).version == "mdl_2"


def test_a_changed_or_missing_file_is_refused(made: Bundle, storage: MemoryStorage, tmp_path: Path) -> None:
    """Pitfall 10: hashes, also of what was fetched before."""
    bundle.publish(storage, made, Ticking())
    key = "models/mdl_1/item_factors.npy"
    right = storage.get(key)
    storage.put(key, right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(BrokenBundle, match="not what was published"):
        bundle.load(storage, tmp_path)
    storage.delete(key)
    with pytest.raises(BrokenBundle, match="missing"):
        bundle.load(storage, tmp_path)
    storage.put(key, right)
    bundle.load(storage, tmp_path)
    local = tmp_path / "mdl_1" / "item_factors.npy"
    local.write_bytes(local.read_bytes()[:-1] + b"?")
    np.testing.assert_array_equal(bundle.load(storage, tmp_path).item_factors, made.item_factors)


def test_a_manifest_that_is_not_the_published_one_is_refused(made: Bundle, storage: MemoryStorage, tmp_path: Path) -> None:
    bundle.publish(storage, made, Ticking())
    manifest = json.loads(storage.get("models/mdl_1/manifest.json"))
    storage.put("models/mdl_1/manifest.json", json.dumps({**manifest, "published_at": AT.isoformat()}).encode())
    with pytest.raises(BrokenBundle, match="not the one"):
        bundle.load(storage, tmp_path)
    storage.put("models/mdl_1/manifest.json", json.dumps({**manifest, "format": 99}).encode())
    with pytest.raises(BrokenBundle, match="format"):
        bundle.load(storage, tmp_path)
    storage.put("models/current", b"{")
    with pytest.raises(BrokenBundle, match="not JSON"):
        bundle.load(storage, tmp_path)


def test_history_and_rollback(made: Bundle, storage: MemoryStorage, tmp_path: Path) -> None:
    """Pitfall 10: going back is one small write."""
    clock = Ticking()
    with pytest.raises(NoModel):
        bundle.load(storage, tmp_path)
    for name in ("mdl_1", "mdl_2", "mdl_3"):
        bundle.publish(storage, replace(made, version=name), clock)
    storage.put("models/mdl_9/item_ids.npy", b"unfinished")
    assert [(one.version, one.current) for one in bundle.history(storage)] == [("mdl_3", True), ("mdl_2", False), ("mdl_1", False)]
    assert bundle.rollback(storage, clock) == "mdl_2" == bundle.load(storage, tmp_path).version
    assert bundle.rollback(storage, clock, "mdl_3") == bundle.current_version(storage)
    assert bundle.rollback(storage, clock, "mdl_1") == "mdl_1"
    with pytest.raises(NoModel, match="no earlier"):
        bundle.rollback(storage, clock)
    with pytest.raises(NoModel):
        bundle.rollback(storage, clock, "mdl_8")


def test_old_versions_are_pruned_but_never_the_current_one(made: Bundle, storage: MemoryStorage) -> None:
    clock = Ticking()
    for name in ("mdl_1", "mdl_2", "mdl_3", "mdl_4"):
        bundle.publish(storage, replace(made, version=name), clock)
    bundle.rollback(storage, clock, "mdl_1")
    assert bundle.prune(storage, keep=2) == ["mdl_2"]
    assert [one.version for one in bundle.history(storage)] == ["mdl_4", "mdl_3", "mdl_1"]
    assert not [item.key for item in storage.list("models/mdl_2/")]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("item_factors", np.zeros((3, 4), np.float32)),
        ("item_ids", np.array([b"b", b"a"])),
        ("walk_items", np.array([9_999], np.int32)),
        ("popularity", np.full(12, np.nan, np.float32)),
    ],
)
def test_parts_that_do_not_fit_are_not_published(made: Bundle, storage: MemoryStorage, name: str, wrong: np.ndarray) -> None:
    """Pitfall 10, and 9: stale rows beside a grown catalogue."""
    with pytest.raises(BrokenBundle, match=name):
        bundle.publish(storage, replace(made, **{name: wrong}), Ticking())
    assert list(storage.list("")) == []


def test_ids_are_found_by_their_bytes() -> None:
    ids = bundle.encode_ids(sorted(["ä", "z", "zz", "a" * 40, "日本"]))
    assert [bundle._find(ids, name) for name in ("ä", "z", "zz", "a" * 40, "日本")] == [3, 1, 2, 0, 4]
    assert bundle._find(ids, "missing") is None
    assert bundle._find(bundle.encode_ids([]), "a") is None


def test_local_copies_that_nobody_answers_from_are_removed(made: Bundle, storage: MemoryStorage, tmp_path: Path) -> None:
    """What is in use stays, and what was taken up a moment ago, perhaps by another process; arrays that are mapped stay readable."""
    taken = {}
    for number, age_s in enumerate((9_000.0, 9_000.0, 10.0)):
        version = bundle.publish(storage, replace(made, version=f"mdl_{number}"), Ticking())
        taken[version] = bundle.load(storage, tmp_path, version)
        os.utime(tmp_path / version, (1e9 - age_s, 1e9 - age_s))
    assert bundle.drop_copies(tmp_path, {"mdl_1"}, older_than_s=3_600.0, now_s=1e9) == ["mdl_0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mdl_1", "mdl_2"]
    np.testing.assert_array_equal(taken["mdl_0"].item_factors, made.item_factors)
    assert bundle.drop_copies(tmp_path / "not there", set(), older_than_s=0.0, now_s=1e9) == []
