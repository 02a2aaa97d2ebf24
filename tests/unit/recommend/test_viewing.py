"""Sums of events: the same in any order and however often they come (hypothesis), and what they say of a title."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommend.events import Kind, ViewEvent
from recommend.interactions import Signal
from recommend.viewing import Opinion, fraction_of, opinions_of, resume_at_s, seen, sessions_of, signal_of

DURATION_S = 100.0


def event(
    kind: Kind = Kind.HEARTBEAT, position_s: float | None = 10.0, watched_s: float = 10.0, at_s: float = 0.0, **more: Any
) -> ViewEvent:
    values = {
        "event_id": f"{kind}{position_s}{at_s}",
        "viewer_id": "v",
        "asset_id": "a",
        "playback_id": "",
        "session_id": "s",
        "value": None,
    }
    return ViewEvent(**(values | more), kind=kind, position_s=position_s, watched_s=watched_s, at_s=at_s)  # type: ignore[arg-type]


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from([Kind.START, Kind.HEARTBEAT, Kind.SEEK, Kind.COMPLETE, Kind.ABANDON]),
        st.none() | st.floats(0, DURATION_S), st.floats(0, 200), st.integers(0, 50).map(float),
    ),
    min_size=1, max_size=12, unique_by=lambda item: item.at_s,
)  # fmt: skip


@given(EVENTS, st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(events: list[ViewEvent], chance: Any) -> None:
    again = events + events[: len(events) // 2]
    chance.shuffle(again)
    # A position that is unsaid is the last one that was said, which depends on the order when times are equal only.
    said = [item for item in events if item.position_s is not None]
    (one,) = sessions_of((item, DURATION_S) for item in events)
    (other,) = sessions_of((item, DURATION_S) for item in again)
    if said and max(events, key=lambda item: item.at_s) in said:
        assert one == other
    assert (one.furthest_s, one.watched_s, one.completed, one.first_at_s, one.last_at_s) == (
        other.furthest_s, other.watched_s, other.completed, other.first_at_s, other.last_at_s,
    )  # fmt: skip


def test_jumping_to_the_end_is_not_watching() -> None:
    (session,) = sessions_of([(event(position_s=2, watched_s=2), DURATION_S), (event(Kind.SEEK, 95, 2, at_s=1), DURATION_S)])
    assert not session.completed
    assert signal_of(session) == (0.02, Signal.WATCHED)


def test_the_credits_need_not_be_watched() -> None:
    (session,) = sessions_of([(event(position_s=93, watched_s=90), DURATION_S)])
    assert session.completed


@pytest.mark.parametrize(
    ("position_s", "watched_s", "signal"),
    [(5.0, 5.0, Signal.ABANDONED), (30.0, 30.0, Signal.WATCHED)],
)
def test_leaving_at_once_is_turning_away(position_s: float, watched_s: float, signal: Signal) -> None:
    (session,) = sessions_of([(event(Kind.ABANDON, position_s, watched_s), DURATION_S)])
    assert signal_of(session)[1] is signal


def test_p11_fractions_stay_within_their_bounds() -> None:
    assert fraction_of(50, 60, 25, completed=False) == 1.0
    assert fraction_of(50, 60, 0, completed=False) == 0.0
    assert fraction_of(50, 60, None, completed=True) == 1.0


def test_where_to_go_on() -> None:
    def at(position_s: float, kind: Kind = Kind.HEARTBEAT) -> float | None:
        return resume_at_s(seen(sessions_of([(event(kind, position_s, position_s), DURATION_S)]), [])[0])

    assert [at(1), at(40), at(95), at(100, Kind.COMPLETE)] == [None, 40, None, None]


def test_the_latest_opinion_counts() -> None:
    said = opinions_of([
        event(Kind.RATING, at_s=2, value=1.0), event(Kind.RATING, at_s=1, value=-1.0), event(Kind.NOT_INTERESTED, at_s=0, asset_id="b"),
    ])  # fmt: skip
    assert said == [Opinion("v", "a", 1.0, 2, None), Opinion("v", "b", None, None, 0)]
    titles = seen([], said)
    assert [(title.asset_id, title.rating, title.not_interested) for title in titles] == [("a", 1.0, False), ("b", None, True)]
