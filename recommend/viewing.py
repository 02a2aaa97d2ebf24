"""What a viewer has seen, as values: sums of events by session, and what they say of a title. Pure.

Sums are commutative: the same events in any order, once or several times, give the same session. A session's position is the
one of its latest event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recommend.events import COMPLETE_SHARE, Kind, ViewEvent
from recommend.interactions import Signal

_MIN_RESUME_SHARE = 0.03  # less was a look, and no beginning
GLANCE_SHARE, GLANCE_S = 0.10, 120.0  # who leaves before both of these has turned away


@dataclass(frozen=True, slots=True)
class Session:
    """One viewer, one title, one sitting. Times are unix seconds."""

    viewer_id: str
    asset_id: str
    session_id: str
    position_s: float | None
    furthest_s: float
    watched_s: float
    duration_s: float | None
    completed: bool
    abandoned: bool
    first_at_s: float
    last_at_s: float


@dataclass(frozen=True, slots=True)
class Opinion:
    viewer_id: str
    asset_id: str
    rating: float | None
    rated_at_s: float | None
    not_interested_at_s: float | None


def session_of(event: ViewEvent, duration_s: float | None) -> Session | None:
    """What one event says of its session; None for an opinion, which belongs to no session."""
    if event.kind in (Kind.RATING, Kind.NOT_INTERESTED):
        return None
    position_s = event.position_s
    furthest_s = position_s or 0.0
    if event.kind is Kind.SEEK:  # having jumped somewhere is not having watched until there
        furthest_s = 0.0
    near_end = bool(duration_s) and furthest_s >= COMPLETE_SHARE * (duration_s or 0) and event.watched_s >= 0.5 * (duration_s or 0)
    return Session(
        event.viewer_id, event.asset_id, event.session_id, position_s, furthest_s, event.watched_s, duration_s,
        event.kind is Kind.COMPLETE or near_end, event.kind is Kind.ABANDON, event.at_s, event.at_s,
    )  # fmt: skip


def joined(one: Session, other: Session) -> Session:
    """The sum of two parts of the same session."""
    late, early = (one, other) if one.last_at_s >= other.last_at_s else (other, one)
    return Session(
        one.viewer_id, one.asset_id, one.session_id,
        late.position_s if late.position_s is not None else early.position_s,
        max(one.furthest_s, other.furthest_s), max(one.watched_s, other.watched_s),
        late.duration_s if late.duration_s is not None else early.duration_s,
        one.completed or other.completed, one.abandoned or other.abandoned,
        min(one.first_at_s, other.first_at_s), late.last_at_s,
    )  # fmt: skip


def sessions_of(events: Iterable[tuple[ViewEvent, float | None]]) -> list[Session]:
    """The sessions of events with the durations of their assets, in the order of their keys, which is the order of row locks."""
    found: dict[tuple[str, str, str], Session] = {}
    for event, duration_s in events:
        part = session_of(event, duration_s)
        if part is not None:
            key = (part.viewer_id, part.asset_id, part.session_id)
            found[key] = joined(found[key], part) if key in found else part
    return [found[key] for key in sorted(found)]


def opinions_of(events: Iterable[ViewEvent]) -> list[Opinion]:
    """The latest opinion of each viewer on each title among these events, in the order of their keys."""
    found: dict[tuple[str, str], Opinion] = {}
    for event in sorted(events, key=lambda item: item.at_s):
        key = (event.viewer_id, event.asset_id)
        before = found.get(key) or Opinion(*key, None, None, None)
        if event.kind is Kind.RATING:
            found[key] = Opinion(*key, event.value, event.at_s, before.not_interested_at_s)
        elif event.kind is Kind.NOT_INTERESTED:
            found[key] = Opinion(*key, before.rating, before.rated_at_s, event.at_s)
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class Seen:
    """A viewer and one title: all sessions together."""

    asset_id: str
    position_s: float | None  # of the latest session
    fraction: float  # of the title that was watched, 0 to 1
    completed: bool  # ever
    finished_last: bool  # the latest session reached the end
    rating: float | None
    not_interested: bool
    last_at_s: float
    duration_s: float | None
    rated_at_s: float | None
    not_interested_at_s: float | None
    sessions: tuple[Session, ...]
    parts: tuple[tuple[float, Signal], ...]  # what each of them says (`signal_of`)


def signal_of(session: Session) -> tuple[float, Signal]:
    """The share that was watched, and what that says: what training and serving both learn from one sitting. The query of
    `recommend.lake` says the same in SQL, and a test holds the two together."""
    fraction = fraction_of(session.furthest_s, session.watched_s, session.duration_s, completed=session.completed)
    if session.completed:
        return fraction, Signal.COMPLETED
    watched_s = session.watched_s if session.watched_s > 0 else session.furthest_s
    glance = session.abandoned and fraction < GLANCE_SHARE and watched_s < GLANCE_S
    return fraction, Signal.ABANDONED if glance else Signal.WATCHED


def fraction_of(furthest_s: float, watched_s: float, duration_s: float | None, *, completed: bool) -> float:
    """The share of a title that was watched. Where a sender counts seconds, jumping to the end does not count as having been there."""
    if duration_s is None or duration_s <= 0:
        return 1.0 if completed else 0.0
    watched = min(furthest_s, watched_s) if watched_s > 0 else furthest_s
    return min(1.0, max(0.0, watched / duration_s))


def seen(sessions: Sequence[Session], opinions: Sequence[Opinion]) -> list[Seen]:
    """One viewer's titles, the latest first."""
    by_asset: dict[str, list[Session]] = {}
    for session in sessions:
        by_asset.setdefault(session.asset_id, []).append(session)
    said = {opinion.asset_id: opinion for opinion in opinions}
    titles = [_seen(asset_id, by_asset.get(asset_id, []), said.get(asset_id)) for asset_id in by_asset.keys() | said.keys()]
    return sorted(titles, key=lambda item: (-item.last_at_s, item.asset_id))


def _seen(asset_id: str, sessions: Sequence[Session], opinion: Opinion | None) -> Seen:
    rating, rated_at_s = (opinion.rating, opinion.rated_at_s) if opinion else (None, None)
    unwanted_at_s = opinion.not_interested_at_s if opinion else None
    said_at_s = max(rated_at_s or 0.0, unwanted_at_s or 0.0)
    last = max(sessions, key=lambda item: (item.last_at_s, item.session_id), default=None)
    parts = [signal_of(session) for session in sessions]
    return Seen(
        asset_id=asset_id,
        position_s=last.position_s if last else None,
        fraction=max((fraction for fraction, _ in parts), default=0.0),
        completed=any(session.completed for session in sessions),
        finished_last=last is not None and last.completed,
        rating=rating,
        not_interested=unwanted_at_s is not None,
        last_at_s=last.last_at_s if last else said_at_s,
        duration_s=last.duration_s if last else None,
        rated_at_s=rated_at_s,
        not_interested_at_s=unwanted_at_s,
        sessions=tuple(sessions),
        parts=tuple(parts),
    )


def resume_at_s(title: Seen) -> float | None:
    """Where to go on in a title that was left in its middle; None when there is nothing to go on with."""
    if title.position_s is None or not title.duration_s or title.finished_last or title.not_interested:
        return None
    share = title.position_s / title.duration_s
    return title.position_s if _MIN_RESUME_SHARE < share < COMPLETE_SHARE else None
