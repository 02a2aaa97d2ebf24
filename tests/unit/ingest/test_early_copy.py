"""Which parts of an upload are copied."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from ingest.early_copy import FEW_PARTS, EarlyCopy, index_end
from ingest.upload import MIB, UploadSession, UploadState
from media.ids import AssetId, UploadId
from media.isobmff import make_box
from tests import fragment_files

FTYP = make_box("ftyp", b"isom", bytes(12))
FAST = FTYP + make_box("moov", bytes(1000)) + struct.pack(">I4s", 50 * MIB, b"mdat")
SLOW = FTYP + struct.pack(">I4s", 50 * MIB, b"mdat")
PART = 8 * MIB


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def session(offset: int = 0) -> UploadSession:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return UploadSession(
        id=UploadId("upl_1"), asset_id=AssetId("ast_1"), state=UploadState.RECEIVING, size_bytes=100 * MIB, offset=offset, part_bytes=PART,
        multipart_id=None, tails=(), metadata="", epoch=3, lease_until=None, expires_at=now, error_code=None, error_detail=None,
        created_at=now, completed_at=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "size_bytes", "end"),
    [
        (FAST, 50 * MIB, len(FTYP) + 1008),
        (FTYP + make_box("free", bytes(8)) + make_box("moov", bytes(20)) + bytes(16), 10**6, len(FTYP) + 16 + 28),
        (SLOW, 50 * MIB, None),
        (FAST[:30], 50 * MIB, None),
        (b"\x1aE\xdf\xa3" + bytes(100), 10**6, None),
        (FTYP + struct.pack(">I4s", 5, b"moov") + bytes(20), 10**6, None),
        (FAST, len(FTYP) + 1008, None),  # an index and nothing else
        (fragment_files.FTYP + fragment_files.moov() + bytes(16), 10**6, None),
        (fragment_files.FTYP + fragment_files.moov(fragmented=False) + bytes(16), 10**6, 463),
        (b"", 10, None),
    ],
)
def test_an_index_that_comes_first(data: bytes, size_bytes: int, end: int | None) -> None:
    assert index_end(lambda offset, size: data[offset : offset + size], size_bytes) == end


def copy(data: bytes, parts: int, part_s: float, *, fails_at: int = 0, size_bytes: int | None = 100 * MIB) -> tuple[EarlyCopy, int]:
    """Offers parts that take `part_s` each; how many are copied."""
    clock, copied = Clock(), 0
    chosen = EarlyCopy(session(), size_bytes, None, clock)
    for number in range(1, parts + 1):
        clock.now_s += part_s
        if chosen.key(number, number * PART, lambda offset, size: data[offset : offset + size]) is None:
            continue
        if number == fails_at:
            chosen.failed()
        else:
            chosen.copied(number * PART)
            copied += 1
    return chosen, copied


def test_a_slow_upload_is_copied_as_it_comes_and_a_fast_one_at_its_start() -> None:
    assert copy(FAST, 8, 10.0)[1] == 8
    assert copy(FAST, 8, 0.1)[1] == FEW_PARTS
    assert copy(SLOW, 8, 10.0)[1] == 0
    assert copy(FAST, 8, 10.0, size_bytes=None)[1] == 0  # nobody knows where it ends


def test_there_are_no_gaps() -> None:
    chosen, copied = copy(FAST, 8, 10.0, fails_at=4)
    assert copied == 3
    state = chosen.state(8 * PART)
    assert state is not None
    assert (state.arrived_bytes, state.generation) == (3 * PART, 3)


def test_nothing_is_told_before_it_is_acknowledged() -> None:
    chosen, _ = copy(FAST, 3, 10.0)
    told = chosen.state(2 * PART)
    assert told is not None
    assert told.arrived_bytes == 2 * PART
    assert copy(SLOW, 3, 10.0)[0].state(PART) is None


def test_the_next_request_goes_on_where_the_last_one_stopped() -> None:
    known = copy(FAST, 2, 10.0)[0].state(2 * PART)
    later = EarlyCopy(session(2 * PART), 100 * MIB, known, Clock())
    assert later.key(4, 4 * PART, lambda _offset, _size: b"") is None  # a gap
    later = EarlyCopy(session(2 * PART), 100 * MIB, known, Clock())
    clock = Clock()
    later = EarlyCopy(session(2 * PART), 100 * MIB, known, clock)
    clock.now_s = 20.0
    assert later.key(3, 3 * PART, lambda _offset, _size: b"") == "uploads/upl_1/early-3-00003"
    assert EarlyCopy(session(2 * PART), 100 * MIB, None, Clock()).key(3, 3 * PART, lambda _offset, _size: b"") is None
