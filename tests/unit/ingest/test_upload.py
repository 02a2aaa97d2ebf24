"""The upload session machine: the whole table, the lease, and each refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from ingest import upload
from ingest.upload import (
    LEASE_S,
    MAX_PARTS,
    MIB,
    OPEN,
    TRANSITIONS,
    AlreadyComplete,
    LengthConflict,
    Offer,
    Tail,
    TakenOver,
    UploadEvent,
    UploadGone,
    UploadLocked,
    UploadSession,
    UploadState,
    WrongOffset,
)
from kit.errors import Conflict, HeadwaterError, TooLarge
from media.ids import AssetId, UploadId

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIMIT = 1000 * MIB


def session(**changes: object) -> UploadSession:
    fresh = UploadSession(
        id=UploadId("upl_1"), asset_id=AssetId("ast_1"), state=UploadState.RECEIVING, size_bytes=100, offset=10, part_bytes=8 * MIB,
        multipart_id=None, tails=(Tail(0, 10, 1),), metadata="", epoch=1, lease_until=None, expires_at=NOW + timedelta(hours=1),
        error_code=None, error_detail=None, created_at=NOW, completed_at=None,
    )  # fmt: skip
    return replace(fresh, **changes)  # type: ignore[arg-type]


def begin(found: UploadSession, offer: Offer) -> UploadSession:
    return upload.begin(found, offer, NOW, expiry_s=3600, limit_bytes=LIMIT)


@pytest.mark.parametrize(("state", "event"), list(product(UploadState, UploadEvent)))
def test_every_pair_either_leads_somewhere_or_is_refused_for_a_stated_reason(state: UploadState, event: UploadEvent) -> None:
    expected = TRANSITIONS.get((state, event))
    if expected is not None:
        assert upload.advance(session(state=state), event).state is expected
    else:
        reason = AlreadyComplete if state is UploadState.COMPLETE else Conflict if state in OPEN else UploadGone
        with pytest.raises(reason):
            upload.advance(session(state=state), event)


def test_an_ended_upload_never_opens_again() -> None:
    assert {target for (state, _), target in TRANSITIONS.items() if state not in OPEN}.isdisjoint(OPEN)


def test_only_open_uploads_can_be_completed() -> None:
    sources = {state for (state, _), target in TRANSITIONS.items() if target is UploadState.COMPLETE and state is not target}
    assert sources == OPEN


def test_begin_takes_the_lease_and_moves_nothing() -> None:
    taken = begin(session(), Offer(10, 90))
    assert (taken.epoch, taken.lease_until, taken.offset, taken.tails) == (2, NOW + timedelta(seconds=LEASE_S), 10, (Tail(0, 10, 1),))


def test_restart_forgets_what_was_stored() -> None:
    taken = begin(session(), Offer(0, 100, length=100, restart=True))
    assert (taken.epoch, taken.offset, taken.tails, taken.size_bytes) == (2, 0, (), 100)


@pytest.mark.parametrize(
    ("changes", "offer", "refusal"),
    [
        ({"lease_until": NOW + timedelta(seconds=3)}, Offer(10, 1), UploadLocked),
        ({"lease_until": NOW + timedelta(seconds=3)}, Offer(0, 100, restart=True), UploadLocked),
        ({}, Offer(9, 1), WrongOffset),
        ({}, Offer(11, 1), WrongOffset),
        ({}, Offer(10, 91), TooLarge),
        ({}, Offer(0, 101, restart=True), TooLarge),
        ({}, Offer(10, 1, length=99), LengthConflict),
        ({"size_bytes": None}, Offer(10, 0, length=9), LengthConflict),
        ({"size_bytes": None}, Offer(10, 1, length=LIMIT + 1), TooLarge),
        ({"size_bytes": None}, Offer(10, LIMIT), TooLarge),
        ({"size_bytes": None, "part_bytes": 1, "offset": 0, "tails": ()}, Offer(0, MAX_PARTS + 1), TooLarge),
        ({"state": UploadState.COMPLETE}, Offer(10, 1), AlreadyComplete),
        ({"state": UploadState.CANCELLED}, Offer(10, 1), UploadGone),
        ({"state": UploadState.EXPIRED}, Offer(10, 1), UploadGone),
        ({"state": UploadState.ERRORED}, Offer(10, 1), UploadGone),
        ({"expires_at": NOW}, Offer(10, 1), UploadGone),
        ({"expires_at": NOW, "state": UploadState.COMPLETE}, Offer(10, 0), UploadGone),
    ],
)
def test_each_refusal(changes: dict[str, object], offer: Offer, refusal: type[HeadwaterError]) -> None:
    with pytest.raises(refusal):
        begin(session(**changes), offer)


def test_a_lapsed_lease_is_taken_over_and_the_old_holder_is_refused() -> None:
    old = begin(session(), Offer(10, 90))
    new = upload.begin(old, Offer(10, 90), NOW + timedelta(seconds=LEASE_S), expiry_s=3600, limit_bytes=LIMIT)
    assert new.epoch == old.epoch + 1
    for act in (
        lambda: upload.owned(new, old.epoch),
        lambda: upload.renew(new, old.epoch, NOW, expiry_s=1),
        lambda: upload.store(new, old.epoch, expected=10, offset=20, tails=(Tail(0, 20, 2),), size_bytes=100),
    ):
        with pytest.raises(TakenOver):
            act()
    assert upload.release(new, old.epoch) == new
    assert upload.release(new, new.epoch).lease_until is None


def test_a_lease_that_was_given_back_is_not_renewed() -> None:
    """The heartbeat of a request that has just ended must not lock out the next one."""
    held = session(lease_until=NOW + timedelta(seconds=2))
    assert upload.renew(held, held.epoch, NOW, expiry_s=60).lease_until == NOW + timedelta(seconds=LEASE_S)
    with pytest.raises(TakenOver):
        upload.renew(upload.release(held, held.epoch), held.epoch, NOW, expiry_s=60)


def test_the_lock_says_when_to_come_back() -> None:
    with pytest.raises(UploadLocked) as refused:
        begin(session(lease_until=NOW + timedelta(seconds=2.2)), Offer(10, 1))
    assert refused.value.retry_after_s == 3


def test_the_offset_moves_only_from_where_the_writer_believes_it_to_be() -> None:
    with pytest.raises(TakenOver):
        upload.store(session(), 1, expected=9, offset=20, tails=(Tail(0, 20, 1),), size_bytes=100)
    assert upload.store(session(), 1, expected=10, offset=20, tails=(Tail(0, 20, 1),), size_bytes=100).offset == 20


@pytest.mark.parametrize(
    ("offset", "tails", "size"),
    [(5, (Tail(0, 5, 1),), 100), (101, (Tail(0, 101, 1),), 100), (20, (Tail(0, 19, 1),), 100), (20, (), 100)],
)
def test_a_writer_that_contradicts_itself_is_a_bug(offset: int, tails: tuple[Tail, ...], size: int) -> None:
    with pytest.raises(AssertionError):
        upload.store(session(), 1, expected=10, offset=offset, tails=tails, size_bytes=size)


def test_a_complete_upload_accepts_the_empty_patch_at_its_end_and_no_other() -> None:
    done = session(state=UploadState.COMPLETE, offset=100, tails=(), completed_at=NOW)
    assert upload.empty_patch_at_end(done, Offer(100, 0), NOW)
    assert upload.empty_patch_at_end(done, Offer(100, 0, length=100), NOW)
    assert not upload.empty_patch_at_end(done, Offer(100, 1), NOW)
    assert not upload.empty_patch_at_end(done, Offer(99, 0), NOW)
    assert not upload.empty_patch_at_end(done, Offer(0, 0, restart=True), NOW)
    assert not upload.empty_patch_at_end(session(), Offer(10, 0), NOW)
    with pytest.raises(LengthConflict):
        upload.empty_patch_at_end(done, Offer(100, 0, length=99), NOW)


@pytest.mark.parametrize(("limit_bytes", "expected"), [(0, 8), (1, 8), (80_000 * MIB, 8), (80_000 * MIB + 1, 9), (200 * 1000**3, 20)])
def test_part_sizes(limit_bytes: int, expected: int) -> None:
    assert upload.part_bytes(limit_bytes) == expected * MIB
