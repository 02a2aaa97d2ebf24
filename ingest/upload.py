"""The upload session as a value, and every decision about it.

An upload is a row (`ingest.store`); this module only decides. Each function takes the session as stored and the database's
clock, and returns the session as it should be stored next, or raises one of the errors below. `TRANSITIONS` is the whole
lifecycle: a pair that is missing from it is refused.

Who may write is settled by a lease with an epoch. A request that wants to send bytes takes the lease, which raises the epoch;
its later words count only while the epoch is still its own. The lease lapses within seconds of the last byte received, so a
dead request is taken over at once and a live one is left alone (`UploadLocked`).

The offset is the number of bytes that are durable in the object store. Whole parts are in the multipart upload on the source
key; what does not fill a part lies in tail objects, `tails`, which cover the bytes from the last part boundary to the offset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from kit.errors import Conflict, Gone, HeadwaterError, Retry, TooLarge
from media.ids import AssetId, UploadId

LEASE_S = 5  # how long a request that falls silent keeps others out
MIB = 1 << 20
PART_BYTES = 8 * MIB  # S3 wants at least 5 MiB for every part but the last
MAX_PARTS = 10_000  # S3's limit for one object


class UploadState(StrEnum):
    WAITING = "waiting"  # created; nothing was sent
    RECEIVING = "receiving"  # some request has sent, or may still send
    COMPLETE = "complete"  # every byte is in the source object
    ERRORED = "errored"  # cannot be continued; `error_code` says why
    CANCELLED = "cancelled"  # given up by the client, or its asset was deleted
    EXPIRED = "expired"  # given up by us: nothing arrived for too long


class UploadEvent(StrEnum):
    BEGIN = "begin"  # a request takes the lease, to continue at the offset
    RESTART = "restart"  # a request takes the lease, to send the whole file anew
    STORE = "store"  # bytes became durable
    FINISH = "finish"  # the source object is whole
    FAIL = "fail"
    CANCEL = "cancel"
    EXPIRE = "expire"


_S = UploadState
_E = UploadEvent

TRANSITIONS: Mapping[tuple[UploadState, UploadEvent], UploadState] = {
    (_S.WAITING, _E.BEGIN): _S.RECEIVING,
    (_S.WAITING, _E.RESTART): _S.RECEIVING,
    (_S.WAITING, _E.FINISH): _S.COMPLETE,  # an empty file is complete when it is created
    (_S.WAITING, _E.FAIL): _S.ERRORED,
    (_S.WAITING, _E.CANCEL): _S.CANCELLED,
    (_S.WAITING, _E.EXPIRE): _S.EXPIRED,
    (_S.RECEIVING, _E.BEGIN): _S.RECEIVING,
    (_S.RECEIVING, _E.RESTART): _S.RECEIVING,
    (_S.RECEIVING, _E.STORE): _S.RECEIVING,
    (_S.RECEIVING, _E.FINISH): _S.COMPLETE,
    (_S.RECEIVING, _E.FAIL): _S.ERRORED,
    (_S.RECEIVING, _E.CANCEL): _S.CANCELLED,
    (_S.RECEIVING, _E.EXPIRE): _S.EXPIRED,
    (_S.COMPLETE, _E.FINISH): _S.COMPLETE,
    (_S.COMPLETE, _E.FAIL): _S.COMPLETE,  # what was handed over stays handed over
    (_S.COMPLETE, _E.CANCEL): _S.COMPLETE,  # the address dies, the asset does not
    (_S.COMPLETE, _E.EXPIRE): _S.COMPLETE,
    (_S.ERRORED, _E.FAIL): _S.ERRORED,
    (_S.ERRORED, _E.CANCEL): _S.ERRORED,
    (_S.ERRORED, _E.EXPIRE): _S.ERRORED,
    (_S.CANCELLED, _E.FAIL): _S.CANCELLED,
    (_S.CANCELLED, _E.CANCEL): _S.CANCELLED,
    (_S.CANCELLED, _E.EXPIRE): _S.CANCELLED,
    (_S.EXPIRED, _E.FAIL): _S.EXPIRED,
    (_S.EXPIRED, _E.CANCEL): _S.EXPIRED,
    (_S.EXPIRED, _E.EXPIRE): _S.EXPIRED,
}
OPEN = frozenset({_S.WAITING, _S.RECEIVING})


class UploadGone(Gone):
    """The upload has ended without becoming a source. `code` says how."""

    code = "upload_gone"


class UploadLocked(HeadwaterError):
    """Another request is sending at this moment. `retry_after_s` is when its lease lapses unless bytes keep coming."""

    status, code, retry = 423, "upload_locked", Retry.NEVER

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("Another request is sending bytes of this upload. Ask for the offset again in a moment, then continue there.")
        self.retry_after_s = retry_after_s


class WrongOffset(Conflict):
    code = "wrong_offset"


class LengthConflict(Conflict):
    """The length contradicts what was said or sent before."""

    code = "length_conflict"


class TakenOver(Conflict):
    """The request lost its lease: it fell silent and another one continued, or the upload has ended."""

    code = "upload_taken_over"


class AlreadyComplete(Conflict):
    code = "upload_complete"


@dataclass(frozen=True, slots=True)
class Tail:
    """Bytes `[start, end)` of the upload in an object of their own. `epoch` is part of its key."""

    start: int
    end: int
    epoch: int


@dataclass(frozen=True, slots=True)
class UploadSession:
    """An upload as stored."""

    id: UploadId
    asset_id: AssetId
    state: UploadState
    size_bytes: int | None  # None while the client has not said it
    offset: int  # bytes that are durable
    part_bytes: int  # every part but the last has exactly this size
    multipart_id: str | None
    tails: tuple[Tail, ...]
    metadata: str  # Upload-Metadata, as it was sent
    epoch: int
    lease_until: datetime | None
    expires_at: datetime
    error_code: str | None
    error_detail: str | None
    created_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a request says about its body before the first byte of it."""

    offset: int
    body_bytes: int | None  # None: it will say when it is over
    length: int | None = None  # Upload-Length, which ends a deferral
    restart: bool = False  # the whole file anew, whatever is there


def part_bytes(limit_bytes: int) -> int:
    """Size of the parts of an upload of at most `limit_bytes`, in bytes: whole MiB, at least 5 MiB, at most 10,000 of them.

    One size for all parts, because some stores insist on that.
    """
    least = -(-limit_bytes // MAX_PARTS)
    return max(PART_BYTES, -(-least // MIB) * MIB)


def kept_tails(tails: tuple[Tail, ...], new_bytes: int) -> int:
    """How many of `tails` stay as they are when a new one of `new_bytes` follows; the rest is merged into the new one.

    A tail stays only while it outweighs everything that follows it. So there are never more than some twenty, and because a
    byte that is rewritten ends in a tail at least twice as long, it is rewritten at most as often, however small the requests.
    """
    kept, following = len(tails), new_bytes
    for place in reversed(range(len(tails))):
        size = tails[place].end - tails[place].start
        if size <= following:
            kept = place
        following += size
    return kept


def next_state(state: UploadState, event: UploadEvent) -> UploadState:
    """The state after `event`. Raises AlreadyComplete or UploadGone for an upload that has ended, Conflict otherwise."""
    found = TRANSITIONS.get((state, event))
    if found is not None:
        return found
    if state is UploadState.COMPLETE:
        raise AlreadyComplete("The upload is complete, so nothing can be added to it.")
    if state in OPEN:
        raise Conflict(f"The upload is {state}: {event} is not possible now.")
    raise UploadGone(f"The upload is {state}, so it cannot be continued: start a new one.", code=f"upload_{state}")


def advance(session: UploadSession, event: UploadEvent, **facts: Any) -> UploadSession:
    """The session after `event`, with `facts` (field values) noted. Raises what `next_state` raises."""
    return replace(session, state=next_state(session.state, event), **facts)


def check_open(session: UploadSession, now: datetime) -> None:
    """Raises UploadGone when the address of this upload is dead: the session ended otherwise than well, or has expired."""
    if session.state not in OPEN and session.state is not UploadState.COMPLETE:
        next_state(session.state, UploadEvent.BEGIN)
    if session.expires_at <= now:
        raise UploadGone("The upload has expired: start a new one.", code="upload_expired")


def begin(session: UploadSession, offer: Offer, now: datetime, *, expiry_s: int, limit_bytes: int) -> UploadSession:
    """The session with its lease taken by a request that makes `offer`. A restart forgets what was stored; nothing else changes.

    Raises UploadGone, AlreadyComplete, UploadLocked, WrongOffset, LengthConflict or TooLarge, in this order.
    """
    check_open(session, now)
    state = next_state(session.state, UploadEvent.RESTART if offer.restart else UploadEvent.BEGIN)
    if session.lease_until is not None and session.lease_until > now:
        raise UploadLocked(max(1, math.ceil((session.lease_until - now).total_seconds())))
    if not offer.restart and offer.offset != session.offset:
        raise WrongOffset(f"The upload continues at byte {session.offset}, not at {offer.offset}.")
    start = 0 if offer.restart else session.offset
    _check_length(session, offer, start, limit_bytes)
    lease_until, expires_at = now + timedelta(seconds=LEASE_S), now + timedelta(seconds=expiry_s)
    taken = replace(session, state=state, epoch=session.epoch + 1, lease_until=lease_until, expires_at=expires_at)
    return replace(taken, offset=0, tails=()) if offer.restart else taken


def empty_patch_at_end(session: UploadSession, offer: Offer, now: datetime) -> bool:
    """Whether this is the one PATCH that a complete upload accepts: no bytes, at the end. Raises UploadGone, LengthConflict."""
    check_open(session, now)
    if session.state is not UploadState.COMPLETE or offer.restart or offer.body_bytes != 0 or offer.offset != session.offset:
        return False
    if offer.length is not None and offer.length != session.size_bytes:
        raise LengthConflict(f"The length of this upload is {session.size_bytes} bytes and cannot be changed.")
    return True


def _check_length(session: UploadSession, offer: Offer, start: int, limit_bytes: int) -> None:
    if offer.length is not None:
        if session.size_bytes not in (None, offer.length):
            raise LengthConflict(f"The length of this upload is {session.size_bytes} bytes and cannot be changed to {offer.length}.")
        if offer.length < start:
            raise LengthConflict(f"The upload has {start} bytes already, so its length cannot be {offer.length}.")
        check_length(offer.length, limit_bytes)
    check_room(start + (offer.body_bytes or 0), room_end(session, offer, limit_bytes))


def room_end(session: UploadSession, offer: Offer, limit_bytes: int) -> int:
    """The offset that the body of `offer` may not pass: the declared length, or the limit while there is none."""
    declared = offer.length if offer.length is not None else session.size_bytes
    return min(limit_bytes, session.part_bytes * MAX_PARTS) if declared is None else declared


def check_length(size_bytes: int, limit_bytes: int) -> None:
    """Raises TooLarge."""
    if size_bytes > limit_bytes:
        raise TooLarge(f"The file has {size_bytes} bytes; at most {limit_bytes} are accepted.")


def check_room(end: int, room: int) -> None:
    """Raises TooLarge when bytes up to `end` would pass `room`."""
    if end > room:
        raise TooLarge(f"The body would reach byte {end}, but the upload ends at byte {room}.")


def owned(session: UploadSession, epoch: int) -> UploadSession:
    """The session itself, when the request of `epoch` still holds it. Raises TakenOver."""
    if session.epoch != epoch or session.state is not UploadState.RECEIVING:
        raise TakenOver("Another request continued this upload, or it has ended. Ask for its offset, then continue there.")
    return session


def renew(session: UploadSession, epoch: int, now: datetime, *, expiry_s: int) -> UploadSession:
    """The session with a fresh lease for the request that holds it. Raises TakenOver, also when the request has given its lease back:
    its heartbeat may come a moment after that, and must not lock out the next request."""
    if session.lease_until is None:
        raise TakenOver("The request has given its lease back.")
    lease_until, expires_at = now + timedelta(seconds=LEASE_S), now + timedelta(seconds=expiry_s)
    return replace(owned(session, epoch), lease_until=lease_until, expires_at=expires_at)


def store(
    session: UploadSession, epoch: int, *, expected: int, offset: int, tails: tuple[Tail, ...], size_bytes: int | None
) -> UploadSession:
    """The session at its new offset, provided that it still stands at the `expected` one. Raises TakenOver."""
    held = owned(session, epoch)
    if held.offset != expected:
        raise TakenOver(f"The upload stands at byte {held.offset}, not at {expected}.")
    assert expected <= offset <= (offset if size_bytes is None else size_bytes)
    assert (tails[-1].end if tails else offset) == offset
    assert tails or offset % session.part_bytes == 0 or offset == size_bytes
    return advance(held, UploadEvent.STORE, offset=offset, tails=tails, size_bytes=size_bytes)


def release(session: UploadSession, epoch: int) -> UploadSession:
    """The session without a lease, if the request of `epoch` holds it; unchanged otherwise."""
    return replace(session, lease_until=None) if session.epoch == epoch else session


def ready_to_finish(session: UploadSession) -> bool:
    """Whether every byte is stored but the source object may not have been closed yet."""
    return session.state is UploadState.RECEIVING and session.size_bytes == session.offset
