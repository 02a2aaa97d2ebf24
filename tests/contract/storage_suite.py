"""What every object store must do: one suite, run against each implementation of `kit.storage.Storage`.

A subclass provides the fixture `storage` (one bucket, which other tests may use at the same time: every test works below a
prefix of its own). The names of the tests are the contract.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import threading
from pathlib import Path

import pytest

from kit.storage import MissingObject, MissingUpload, Storage, StorageRefused, StoredPart

MIB = 1 << 20


def filler(size_bytes: int, seed: str = "filler") -> bytes:
    """Bytes that never repeat, so that parts put together in the wrong order are noticed."""
    block = b"".join(hashlib.sha256(f"{seed}{number}".encode()).digest() for number in range(64))
    pieces = (block + number.to_bytes(8, "big") for number in range(size_bytes // (len(block) + 8) + 1))
    return b"".join(pieces)[:size_bytes]


class StorageSuite:
    @pytest.fixture
    def prefix(self) -> str:
        return f"suite/{secrets.token_hex(6)}/"

    # -- whole objects

    @pytest.mark.parametrize("size_bytes", [0, 1, 65_537])
    def test_bytes_come_back_as_they_were_put(self, storage: Storage, prefix: str, size_bytes: int) -> None:
        data = filler(size_bytes)
        storage.put(prefix + "object", data)
        assert storage.get(prefix + "object") == data
        assert storage.stat(prefix + "object").size_bytes == size_bytes

    def test_an_open_file_is_put(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "object", io.BytesIO(b"from a stream"))
        assert storage.get(prefix + "object") == b"from a stream"

    def test_a_file_is_put_and_downloaded(self, storage: Storage, prefix: str, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.write_bytes(filler(3 * MIB))
        storage.put(prefix + "object", source)
        storage.download(prefix + "object", target)
        assert target.read_bytes() == source.read_bytes()
        assert {path.name for path in tmp_path.iterdir()} == {"source", "target"}

    def test_put_replaces(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "object", b"old")
        before = storage.stat(prefix + "object")
        storage.put(prefix + "object", b"newer")
        assert storage.get(prefix + "object") == b"newer"
        assert storage.stat(prefix + "object").etag != before.etag

    def test_a_reader_sees_old_or_new_bytes_but_no_mixture(self, storage: Storage, prefix: str) -> None:
        versions = {bytes([letter]) * 200_000 for letter in b"ab"}
        storage.put(prefix + "object", b"a" * 200_000)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                for version in versions:
                    storage.put(prefix + "object", version)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            seen = {storage.get(prefix + "object") for _ in range(40)}
        finally:
            stop.set()
            writer.join()
        assert seen <= versions

    @pytest.mark.parametrize(
        "name", ["a b.mp4", "päth/ü/文.bin", "per%cent", "plus+sign", "quote'\"", "semi;colon,comma", "tilde~", "a..b"]
    )
    def test_keys_are_taken_as_they_are(self, storage: Storage, prefix: str, name: str) -> None:
        storage.put(prefix + name, name.encode())
        storage.copy(prefix + name, prefix + "copies/" + name)
        assert storage.get(prefix + name) == storage.get(prefix + "copies/" + name) == name.encode()
        assert [item.key for item in storage.list(prefix + name)] == [prefix + name]

    # -- what is not there

    def test_reading_what_is_not_there(self, storage: Storage, prefix: str, tmp_path: Path) -> None:
        missing = prefix + "missing"
        for attempt in (
            lambda: storage.get(missing),
            lambda: storage.get(missing, start=5, end=5),
            lambda: storage.stream(missing),
            lambda: storage.stat(missing),
            lambda: storage.copy(missing, prefix + "copy"),
            lambda: storage.download(missing, tmp_path / "target"),
        ):
            with pytest.raises(MissingObject):
                attempt()
        assert list(tmp_path.iterdir()) == []
        assert list(storage.list(prefix)) == []

    def test_a_folder_is_not_an_object(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "folder/object", b"x")
        with pytest.raises(MissingObject):
            storage.stat(prefix + "folder")
        with pytest.raises(MissingObject):
            storage.get(prefix + "folder")

    def test_delete_is_final_and_may_be_repeated(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "object", b"x")
        storage.delete(prefix + "object")
        storage.delete(prefix + "object")
        with pytest.raises(MissingObject):
            storage.get(prefix + "object")
        assert list(storage.list(prefix)) == []

    # -- ranges

    @pytest.mark.parametrize(
        ("start", "end", "expected"),
        [(0, 4, b"0123"), (3, 7, b"3456"), (7, None, b"789"), (9, 10, b"9"), (8, 99, b"89"), (5, 5, b""), (10, None, b""), (99, 120, b"")],
    )
    def test_a_range_is_half_open_and_stops_at_the_end(
        self, storage: Storage, prefix: str, start: int, end: int | None, expected: bytes
    ) -> None:
        storage.put(prefix + "object", b"0123456789")
        assert storage.get(prefix + "object", start=start, end=end) == expected
        assert b"".join(storage.stream(prefix + "object", start=start, end=end, chunk_bytes=2)) == expected

    def test_a_range_of_nothing(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "object", b"")
        assert storage.get(prefix + "object", start=0, end=10) == b""

    def test_a_stream_comes_in_pieces_of_the_asked_size(self, storage: Storage, prefix: str) -> None:
        data = filler(1_000_000)
        storage.put(prefix + "object", data)
        pieces = list(storage.stream(prefix + "object", chunk_bytes=300_000))
        assert b"".join(pieces) == data
        assert max(len(piece) for piece in pieces) <= 300_000

    def test_a_stream_may_be_left_early(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "object", filler(2 * MIB))
        for _ in range(3):
            pieces = iter(storage.stream(prefix + "object", chunk_bytes=1000))
            assert len(next(pieces)) == 1000
            del pieces
        assert storage.get(prefix + "object", start=0, end=4) == filler(4)

    # -- listing and copying

    def test_list_is_complete_ascending_and_bounded_by_the_prefix(self, storage: Storage, prefix: str) -> None:
        names = ["a/1", "a/2", "a/10", "b", "c/d/e"]
        for name in names:
            storage.put(prefix + name, name.encode())
        listed = list(storage.list(prefix))
        assert [item.key for item in listed] == sorted(prefix + name for name in names)
        assert {item.key: item.size_bytes for item in listed} == {prefix + name: len(name) for name in names}
        assert [item.key for item in storage.list(prefix + "a/1")] == [prefix + "a/1", prefix + "a/10"]
        assert list(storage.list(prefix + "zzz")) == []

    def test_list_goes_on_past_one_page(self, storage: Storage, prefix: str) -> None:
        names = [f"{number:04d}" for number in range(1005)]
        for name in names:
            storage.put(prefix + name, b"")
        assert [item.key for item in storage.list(prefix)] == [prefix + name for name in names]

    def test_list_says_the_same_as_stat(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "object", b"listed")
        [listed] = storage.list(prefix)
        stated = storage.stat(prefix + "object")
        assert (listed.key, listed.size_bytes, listed.etag) == (stated.key, stated.size_bytes, stated.etag)
        assert listed.modified_at.tzinfo is not None
        assert abs((listed.modified_at - stated.modified_at).total_seconds()) < 2

    def test_a_copy_is_independent(self, storage: Storage, prefix: str) -> None:
        storage.put(prefix + "source", b"first")
        storage.copy(prefix + "source", prefix + "copy")
        storage.put(prefix + "source", b"second")
        storage.delete(prefix + "source")
        assert storage.get(prefix + "copy") == b"first"

    # -- multipart uploads

    def test_parts_make_an_object_only_when_complete(self, storage: Storage, prefix: str) -> None:
        key, first, second = prefix + "object", filler(5 * MIB, "one"), filler(1234, "two")
        upload_id = storage.create_multipart(key, content_type="video/mp4")
        part_2 = storage.put_part(key, upload_id, 2, io.BytesIO(second))
        part_1 = storage.put_part(key, upload_id, 1, first)
        assert (part_1.size_bytes, part_2.size_bytes) == (len(first), len(second))
        with pytest.raises(MissingObject):
            storage.stat(key)
        assert list(storage.list(prefix)) == []
        storage.complete_multipart(key, upload_id, [part_2, part_1])
        assert storage.get(key) == first + second
        assert [item.key for item in storage.list(prefix)] == [key]

    def test_a_part_put_again_replaces_the_first(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        upload_id = storage.create_multipart(key)
        storage.put_part(key, upload_id, 1, filler(5 * MIB, "wrong"))
        again = storage.put_part(key, upload_id, 1, filler(5 * MIB, "right"))
        storage.complete_multipart(key, upload_id, [again])
        assert storage.get(key) == filler(5 * MIB, "right")

    def test_part_numbers_may_have_gaps(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        upload_id = storage.create_multipart(key)
        parts = [storage.put_part(key, upload_id, number, filler(5 * MIB, str(number))) for number in (3, 10_000)]
        storage.complete_multipart(key, upload_id, parts)
        assert storage.get(key) == filler(5 * MIB, "3") + filler(5 * MIB, "10000")

    def test_completing_twice_is_success(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        upload_id = storage.create_multipart(key)
        part = storage.put_part(key, upload_id, 1, b"small and last")
        for _ in range(2):
            storage.complete_multipart(key, upload_id, [part])
        assert storage.get(key) == b"small and last"

    def test_completing_with_unknown_parts_is_refused(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        upload_id = storage.create_multipart(key)
        storage.put_part(key, upload_id, 1, b"x")
        with pytest.raises(StorageRefused):
            storage.complete_multipart(key, upload_id, [StoredPart(7, "0" * 32, 1)])
        with pytest.raises(MissingObject):
            storage.stat(key)
        storage.abort_multipart(key, upload_id)

    def test_an_aborted_upload_is_gone(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        upload_id = storage.create_multipart(key)
        part = storage.put_part(key, upload_id, 1, b"x")
        for _ in range(2):
            storage.abort_multipart(key, upload_id)
        with pytest.raises(MissingUpload):
            storage.put_part(key, upload_id, 2, b"y")
        with pytest.raises(MissingUpload):
            storage.complete_multipart(key, upload_id, [part])
        with pytest.raises(MissingObject):
            storage.stat(key)

    def test_two_uploads_of_one_key_do_not_meet(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        first, second = storage.create_multipart(key), storage.create_multipart(key)
        assert first != second
        part_1, part_2 = storage.put_part(key, first, 1, b"first"), storage.put_part(key, second, 1, b"second")
        storage.complete_multipart(key, second, [part_2])
        assert storage.get(key) == b"second"
        storage.complete_multipart(key, first, [part_1])
        assert storage.get(key) == b"first"

    def test_open_uploads_of_a_key_are_listed_until_they_end(self, storage: Storage, prefix: str) -> None:
        key = prefix + "object"
        ids = {storage.create_multipart(key) for _ in range(3)}
        other = storage.create_multipart(prefix + "other")
        found = list(storage.open_multiparts(key))
        assert {upload.upload_id for upload in found} == ids
        assert {upload.key for upload in found} == {key}
        assert all(upload.started_at.tzinfo is not None for upload in found)
        completed, aborted, left = ids
        storage.complete_multipart(key, completed, [storage.put_part(key, completed, 1, b"whole")])
        storage.abort_multipart(key, aborted)
        assert [upload.upload_id for upload in storage.open_multiparts(key)] == [left]
        for stray, name in ((left, key), (other, prefix + "other")):
            storage.abort_multipart(name, stray)
        assert list(storage.open_multiparts(key)) == []

    # -- addresses

    def test_a_presigned_address_names_the_object(self, storage: Storage, prefix: str) -> None:
        address = storage.presign_get(prefix + "object", expires_s=60)
        assert address.startswith("http")
        assert prefix + "object" in address
