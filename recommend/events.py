"""What may be believed of a view event: one table of checks, pure, from a caller's JSON to a value or to the reason why not.

Events come from browsers and devices: late, twice, in any order, from clocks that are wrong, with numbers that nobody meant.
One bad event never refuses its batch: it is dropped or put right here, and counted under the name of the fault. Only `watched_s`
needs remembering: it is the *total* of its session so far, so the largest one seen is right whatever was lost or came twice.

Late events are taken for `LATEST_S`; ids are kept for longer than that (`recommend.store.prune`), so an event that is sent
again is either known or too old, and counts once in either case.

Nothing here looks anything up: what an asset lasts, and whether there is one, is said by the caller.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

LATEST_S = 7 * 86_400.0  # an event that is older came too late; a history from elsewhere is imported instead
EARLY_S = 300.0  # what a clock may be ahead
_SKEW_S = 60.0  # between sending and receiving: more is a clock that is wrong
_LONGEST_SESSION_S = 86_400.0
MAX_EVENTS = 1000  # in one batch
_MAX_ID = 128  # characters
COMPLETE_SHARE = 0.92  # of the duration: what follows are credits


class Kind(StrEnum):
    START = "start"  # playback began
    HEARTBEAT = "heartbeat"  # it goes on
    SEEK = "seek"  # the viewer jumped; `position_s` is where to
    COMPLETE = "complete"  # the end was reached
    ABANDON = "abandon"  # the viewer left
    RATING = "rating"  # `value`: -1 (disliked) to 1 (liked)
    NOT_INTERESTED = "not_interested"  # do not suggest it to me


class Fault(StrEnum):
    """Why an event was dropped, or what of it was put right. Also the labels of the metric."""

    NOT_AN_EVENT = "not_an_event"  # dropped: not an object, or without what every event has
    BAD_ID = "bad_id"  # dropped: an id that is empty, too long or not printable
    UNKNOWN_KIND = "unknown_kind"  # dropped
    BAD_TIME = "bad_time"  # dropped: `at` is no date
    TOO_OLD = "too_old"  # dropped
    BAD_RATING = "bad_rating"  # dropped: a rating without a number between -1 and 1
    UNKNOWN_ASSET = "unknown_asset"  # dropped: there is no such asset, or it may not be watched
    CLOCK = "clock"  # put right: the sender's clock was wrong
    NUMBER = "number"  # put right: not a number, negative or infinite
    BEYOND_END = "beyond_end"  # put right: a position after the end


@dataclass(frozen=True, slots=True)
class ViewEvent:
    """One event that can be believed."""

    event_id: str
    viewer_id: str
    asset_id: str  # or, before it is looked up, empty beside `playback_id`
    playback_id: str
    session_id: str
    kind: Kind
    position_s: float | None  # in the video
    watched_s: float  # of this session so far, in total
    value: float | None  # of a rating
    at_s: float  # unix time
    faults: tuple[Fault, ...] = ()  # what was put right


@dataclass(frozen=True, slots=True)
class Dropped:
    fault: Fault


@dataclass(frozen=True, slots=True)
class Sender:
    """What is known about whoever sends. A viewer of their own is forced on browsers; servers name theirs in each event."""

    viewer_id: str | None
    may_name_assets: bool  # with a key; without one only playback ids count
    clock_ahead_s: float = 0.0  # what has to be taken off its times


def clock_ahead_s(sent_at: Any, now_s: float) -> float:
    """How far a sender's clock is ahead of ours, from the time it says it sent at; 0 when that is plausible or unsaid."""
    sent_s = _time(sent_at)
    if sent_s is None or abs(sent_s - now_s) <= _SKEW_S:
        return 0.0
    return sent_s - now_s


def read(raw: Any, sender: Sender, now_s: float) -> ViewEvent | Dropped:
    """The event of one JSON value. `now_s` is unix time."""
    if not isinstance(raw, Mapping):
        return Dropped(Fault.NOT_AN_EVENT)
    viewer_id = sender.viewer_id if sender.viewer_id is not None else raw.get("viewer_id")
    asset_id = raw.get("asset_id") if sender.may_name_assets else None
    playback_id = raw.get("playback_id", "")
    if asset_id is None and not playback_id:
        return Dropped(Fault.UNKNOWN_ASSET if "asset_id" in raw else Fault.NOT_AN_EVENT)
    session_id = raw.get("session_id", "")
    given = (viewer_id, asset_id if asset_id is not None else playback_id)
    if not all(_is_id(item) for item in given) or not (session_id == "" or _is_id(session_id)):
        return Dropped(Fault.BAD_ID)
    kind = _KINDS.get(raw.get("kind", "")) if isinstance(raw.get("kind"), str) else None
    if kind is None:
        return Dropped(Fault.UNKNOWN_KIND)
    value = _rating(raw.get("value")) if kind is Kind.RATING else None
    if kind is Kind.RATING and value is None:
        return Dropped(Fault.BAD_RATING)
    at_s, clock = _when(raw.get("at"), sender, now_s)
    if at_s is None:
        return Dropped(Fault.BAD_TIME)
    if at_s < now_s - LATEST_S:
        return Dropped(Fault.TOO_OLD)
    position_s, position_fault = _seconds(raw.get("position_s"))
    watched_s, watched_fault = _seconds(raw.get("watched_s"))
    faults = tuple(dict.fromkeys(fault for fault in (clock, position_fault, watched_fault) if fault is not None))
    event = ViewEvent(
        "", str(viewer_id), str(asset_id or ""), str(playback_id), session_id, kind, position_s,
        min(watched_s or 0.0, _LONGEST_SESSION_S), value, at_s, faults,
    )  # fmt: skip
    event_id = raw.get("event_id")
    if event_id is not None and not _is_id(event_id):
        return Dropped(Fault.BAD_ID)
    # An id counts for its viewer only, so that nobody can take the ids of others away from them.
    spelled = f"i\n{event_id}" if event_id is not None else f"c\n{raw.get('at')}\n{event}"
    return replace(event, event_id=hashlib.blake2b(f"{viewer_id}\n{spelled}".encode(), digest_size=16).hexdigest())


def fit(event: ViewEvent, duration_s: float | None) -> ViewEvent:
    """The event of an asset that lasts `duration_s` (None: not known). Nobody can be after the end, and who was at it has completed."""
    if duration_s is None or duration_s <= 0:
        return event
    if event.kind is Kind.COMPLETE and event.position_s is None:
        return replace(event, position_s=duration_s)
    if event.position_s is not None and event.position_s > duration_s:
        # Players round; only what is clearly beyond is a fault.
        beyond = (Fault.BEYOND_END,) if event.position_s > duration_s + 2.0 else ()
        return replace(event, position_s=duration_s, faults=event.faults + beyond)
    return event


_KINDS: Mapping[str, Kind] = {str(kind): kind for kind in Kind}


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and value.isprintable()


def _rating(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 <= value <= 1:
        return None
    return float(value)


def _seconds(value: Any) -> tuple[float | None, Fault | None]:
    """A number of seconds; what is none counts as not said."""
    if value is None:
        return None, None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, Fault.NUMBER
    try:
        number = float(value)
    except OverflowError:  # an integer of 400 digits is valid JSON
        return None, Fault.NUMBER
    if not math.isfinite(number):
        return None, Fault.NUMBER
    return (number, None) if number >= 0 else (0.0, Fault.NUMBER)


def _time(value: Any) -> float | None:
    """Unix seconds of an RFC 3339 date; None when it is none. A date without a zone is not one."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return None if moment.tzinfo is None else (moment.astimezone(UTC) - _EPOCH) / _SECOND
    except (ValueError, OverflowError):
        return None


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def _when(value: Any, sender: Sender, now_s: float) -> tuple[float | None, Fault | None]:
    """The time of an event by our clock. Unsaid, it is now; in the future, it is now."""
    if value is None:
        return now_s, None
    at_s = _time(value)
    if at_s is None:
        return None, None
    shifted = at_s - sender.clock_ahead_s
    if shifted > now_s + EARLY_S:
        return now_s, Fault.CLOCK
    return min(shifted, now_s), Fault.CLOCK if sender.clock_ahead_s else None
