"""The table of checks on view events, line by line (recommend.md P11)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recommend.events import LATEST_S, Dropped, Fault, Kind, Sender, ViewEvent, clock_ahead_s, fit, read

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
SERVER = Sender(None, may_name_assets=True)
GOOD = {
    "event_id": "e1", "viewer_id": "v", "asset_id": "ast_1", "session_id": "s", "kind": "heartbeat", "position_s": 5.0, "watched_s": 4.0,
    "at": NOW.isoformat(),
}  # fmt: skip


def taken(sender: Sender = SERVER, **changes: Any) -> ViewEvent:
    found = read(GOOD | changes, sender, NOW_S)
    assert isinstance(found, ViewEvent), found
    return found


def test_a_good_event_is_taken_as_it_is() -> None:
    event = taken()
    assert (event.viewer_id, event.asset_id, event.kind, event.position_s, event.watched_s) == ("v", "ast_1", Kind.HEARTBEAT, 5.0, 4.0)
    assert (event.at_s, event.faults) == (NOW_S, ())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"kind": "dance"}, Fault.UNKNOWN_KIND),
        ({"kind": 7}, Fault.UNKNOWN_KIND),
        ({"viewer_id": ""}, Fault.BAD_ID),
        ({"viewer_id": None}, Fault.BAD_ID),
        ({"viewer_id": "x" * 129}, Fault.BAD_ID),
        ({"viewer_id": "a\x00b"}, Fault.BAD_ID),
        ({"asset_id": 7}, Fault.BAD_ID),
        ({"session_id": ["s"]}, Fault.BAD_ID),
        ({"event_id": "\n"}, Fault.BAD_ID),
        ({"asset_id": None}, Fault.UNKNOWN_ASSET),
        ({"at": "yesterday"}, Fault.BAD_TIME),
        ({"at": "2026-11-22T12:00:00"}, Fault.BAD_TIME),  # no zone
        ({"at": 1}, Fault.BAD_TIME),
        ({"at": (NOW - timedelta(seconds=LATEST_S + 1)).isoformat()}, Fault.TOO_OLD),
        ({"kind": "rating"}, Fault.BAD_RATING),
        ({"kind": "rating", "value": 5}, Fault.BAD_RATING),
        ({"kind": "rating", "value": math.nan}, Fault.BAD_RATING),
    ],
)
def test_what_cannot_be_believed_is_dropped(changes: dict[str, Any], fault: Fault) -> None:
    assert read(GOOD | changes, SERVER, NOW_S) == Dropped(fault)


@pytest.mark.parametrize("raw", [None, 7, "x", [], {}, {"kind": "start"}])
def test_what_is_no_event_is_dropped(raw: Any) -> None:
    assert isinstance(read(raw, SERVER, NOW_S), Dropped)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "5", True, 10**400, [1]])
def test_p11_numbers_that_are_none_count_as_unsaid(bad: Any) -> None:
    event = taken(position_s=bad, watched_s=bad)
    assert (event.position_s, event.watched_s, event.faults) == (None, 0.0, (Fault.NUMBER,))


def test_p11_a_negative_number_is_zero_and_a_session_has_an_end() -> None:
    event = taken(position_s=-3, watched_s=1e9)
    assert (event.position_s, event.watched_s, event.faults) == (0.0, 86_400.0, (Fault.NUMBER,))


def test_p11_a_position_after_the_end_is_the_end() -> None:
    assert fit(taken(position_s=5.0), 4.0).position_s == 4.0
    assert fit(taken(position_s=5.0), 4.0).faults == ()  # rounding
    assert fit(taken(position_s=50.0), 4.0).faults == (Fault.BEYOND_END,)
    assert fit(taken(position_s=5.0), None).position_s == 5.0
    assert fit(taken(position_s=5.0), 0.0).position_s == 5.0
    assert fit(taken(kind="complete", position_s=None), 4.0).position_s == 4.0


def test_p11_a_clock_that_is_ahead() -> None:
    event = taken(at=(NOW + timedelta(hours=1)).isoformat())
    assert (event.at_s, event.faults) == (NOW_S, (Fault.CLOCK,))
    assert taken(at=(NOW + timedelta(seconds=30)).isoformat()).at_s == NOW_S


@pytest.mark.parametrize("hours", [-1, 1, 5])
def test_p11_a_clock_that_says_when_it_sent_is_put_right(hours: int) -> None:
    theirs = NOW + timedelta(hours=hours)
    sender = Sender(None, may_name_assets=True, clock_ahead_s=clock_ahead_s(theirs.isoformat(), NOW_S))
    event = taken(sender, at=(theirs - timedelta(minutes=3)).isoformat())
    assert event.at_s == pytest.approx(NOW_S - 180)
    assert event.faults == (Fault.CLOCK,)


def test_a_delay_on_the_way_is_no_wrong_clock() -> None:
    assert clock_ahead_s((NOW - timedelta(seconds=30)).isoformat(), NOW_S) == 0.0
    assert clock_ahead_s("nonsense", NOW_S) == 0.0
    assert clock_ahead_s(None, NOW_S) == 0.0


def test_an_id_counts_for_its_viewer_and_a_missing_one_follows_from_the_event() -> None:
    assert taken().event_id == taken(position_s=9.0).event_id
    assert taken().event_id != taken(viewer_id="w").event_id
    assert taken(event_id=None).event_id == taken(event_id=None).event_id
    assert taken(event_id=None).event_id != taken(event_id=None, position_s=9.0).event_id


def test_a_browser_names_neither_viewers_nor_assets() -> None:
    browser = Sender("anon_1", may_name_assets=False)
    event = taken(browser, playback_id="pb")
    assert (event.viewer_id, event.asset_id, event.playback_id) == ("anon_1", "", "pb")
    assert read(GOOD, browser, NOW_S) == Dropped(Fault.UNKNOWN_ASSET)
