"""The SQL of viewing: taking events in, what a viewer has seen, what is watched now, what was shown, and forgetting.

Functions take the caller's transaction. Batches go in as arrays, one statement for each table, however many events there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Text, bindparam, delete, exists, func, insert, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.tables import assets, pictures, playback_ids, presentations
from media.pictures import PREVIEW
from recommend.events import LATEST_S, ViewEvent
from recommend.tables import forgotten_viewers, impressions, view_events, view_sessions, viewer_opinions
from recommend.viewing import Opinion, Seen, Session, opinions_of, seen, sessions_of

KEPT_S = LATEST_S + 86_400.0  # for as long as an event that is sent again would be taken
IMPRESSIONS_KEPT_S = 90 * 86_400.0
_SEEN_MAX = 2000  # sessions of one viewer that are looked at

_INSERT_EVENTS = text("""
    INSERT INTO view_events (event_id, viewer_id, asset_id, session_id, kind, position_s, watched_s, value, duration_s, at)
    SELECT e, v, a, s, k, p, w, r, d, to_timestamp(t)
    FROM unnest(CAST(:event_id AS text[]), CAST(:viewer_id AS text[]), CAST(:asset_id AS text[]), CAST(:session_id AS text[]),
                CAST(:kind AS text[]), CAST(:position_s AS float8[]), CAST(:watched_s AS float8[]), CAST(:value AS float8[]),
                CAST(:duration_s AS float8[]), CAST(:at AS float8[])) AS n (e, v, a, s, k, p, w, r, d, t)
    ORDER BY e
    ON CONFLICT (event_id) DO NOTHING RETURNING event_id""")

_MERGE_SESSIONS = text("""
    INSERT INTO view_sessions AS old
      (viewer_id, asset_id, session_id, position_s, furthest_s, watched_s, duration_s, completed, abandoned, first_at, last_at)
    SELECT v, a, s, p, f, w, d, c, b, to_timestamp(t), to_timestamp(u)
    FROM unnest(CAST(:viewer_id AS text[]), CAST(:asset_id AS text[]), CAST(:session_id AS text[]), CAST(:position_s AS float8[]),
                CAST(:furthest_s AS float8[]), CAST(:watched_s AS float8[]), CAST(:duration_s AS float8[]), CAST(:completed AS bool[]),
                CAST(:abandoned AS bool[]), CAST(:first_at AS float8[]), CAST(:last_at AS float8[]))
         AS n (v, a, s, p, f, w, d, c, b, t, u)
    ON CONFLICT (viewer_id, asset_id, session_id) DO UPDATE SET
      position_s = CASE WHEN excluded.last_at >= old.last_at THEN coalesce(excluded.position_s, old.position_s)
                        ELSE coalesce(old.position_s, excluded.position_s) END,
      furthest_s = greatest(old.furthest_s, excluded.furthest_s), watched_s = greatest(old.watched_s, excluded.watched_s),
      duration_s = coalesce(excluded.duration_s, old.duration_s), completed = old.completed OR excluded.completed,
      abandoned = old.abandoned OR excluded.abandoned,
      first_at = least(old.first_at, excluded.first_at), last_at = greatest(old.last_at, excluded.last_at)""")

_MERGE_OPINIONS = text("""
    INSERT INTO viewer_opinions AS old (viewer_id, asset_id, rating, rated_at, not_interested_at)
    SELECT v, a, r, to_timestamp(t), to_timestamp(n)
    FROM unnest(CAST(:viewer_id AS text[]), CAST(:asset_id AS text[]), CAST(:rating AS float8[]), CAST(:rated_at AS float8[]),
                CAST(:not_interested_at AS float8[])) AS x (v, a, r, t, n)
    ON CONFLICT (viewer_id, asset_id) DO UPDATE SET
      rating = CASE WHEN excluded.rated_at >= coalesce(old.rated_at, '-infinity') THEN excluded.rating ELSE old.rating END,
      rated_at = greatest(old.rated_at, excluded.rated_at), not_interested_at = greatest(old.not_interested_at, excluded.not_interested_at)
    """)

# Each viewer counts once for a title and day, however often it was played: nobody makes a trend alone.
_TRENDING = text("""
    SELECT asset_id, sum(power(0.5, (CAST(:now_s AS float8) - day_s) / :half_life_s)) AS heat, count(DISTINCT viewer_id) AS viewers
    FROM (SELECT asset_id, viewer_id, least(max(extract(epoch FROM last_at)), CAST(:now_s AS float8)) AS day_s
          FROM view_sessions WHERE last_at > to_timestamp(CAST(:now_s AS float8) - :window_s)
            AND NOT (abandoned AND NOT completed AND watched_s < 10 AND furthest_s < 10)
          GROUP BY asset_id, viewer_id, date_trunc('day', last_at, 'UTC')) AS daily
    GROUP BY asset_id ORDER BY heat DESC, asset_id LIMIT :limit""")

# The same sum as training's (`recommend.dataset.Dataset.trending`): each viewer once for a title, by their last viewing.
_WATCHED_SINCE = text("""
    SELECT asset_id, sum(power(0.5, (CAST(:now_s AS float8) - at_s) / :half_life_s)) AS heat
    FROM (SELECT asset_id, viewer_id, least(max(extract(epoch FROM last_at)), CAST(:now_s AS float8)) AS at_s
          FROM view_sessions WHERE last_at > to_timestamp(CAST(:since_s AS float8))
            AND NOT (abandoned AND NOT completed AND watched_s < 10 AND furthest_s < 10)
          GROUP BY asset_id, viewer_id) AS each_once
    GROUP BY asset_id""")

_LOG = text("""
    INSERT INTO impressions (request_id, viewer_id, variant, model_version, "row", row_number, position, asset_id, score, propensity)
    SELECT :request_id, :viewer_id, :variant, :model_version, r, n, p, a, s, q
    FROM unnest(CAST(:row AS text[]), CAST(:row_number AS int[]), CAST(:position AS int[]), CAST(:asset_id AS text[]),
                CAST(:score AS float8[]), CAST(:propensity AS float8[])) AS slots (r, n, p, a, s, q)""")


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What taking in an event needs to know of its title."""

    asset_id: str
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Title:
    """A title that anyone may watch now."""

    asset_id: str
    playback_id: str
    title: str
    description: str
    tags: tuple[str, ...]
    created_at: datetime
    duration_s: float | None
    has_poster: bool
    has_preview: bool = False


@dataclass(frozen=True, slots=True)
class Trend:
    asset_id: str
    heat: float
    viewers: int


@dataclass(frozen=True, slots=True)
class Shown:
    """One answer, as the impression log names it."""

    request_id: str
    viewer_id: str
    variant: str  # which of two models side by side
    model_version: str  # empty: no model had a part in it


@dataclass(frozen=True, slots=True)
class Impression:
    """One shown slot."""

    row: str
    row_number: int
    position: int
    asset_id: str
    score: float
    propensity: float


def _seconds(ratio: str | None) -> float | None:
    """The number of a stored fraction ("1001/30")."""
    if ratio is None:
        return None
    above, _, below = ratio.partition("/")
    return int(above) / int(below or 1)


_DURATION = assets.c.source["duration"].as_string()


def facts_of_assets(conn: Connection, asset_ids: Sequence[str]) -> dict[str, AssetFacts]:
    """By asset id; a deleted asset is not there."""
    query = select(assets.c.id, _DURATION).where(assets.c.id.in_(list(asset_ids)), assets.c.status != "deleted")
    return {row[0]: AssetFacts(row[0], _seconds(row[1])) for row in conn.execute(query)}


def facts_of_playbacks(conn: Connection, ids: Sequence[str]) -> dict[str, AssetFacts]:
    """By playback id; public ones of assets that can be watched only."""
    query = select(playback_ids.c.id, assets.c.id, _DURATION).join_from(playback_ids, assets, playback_ids.c.asset_id == assets.c.id)
    query = query.where(
        playback_ids.c.id.in_(list(ids)), playback_ids.c.policy == "public", assets.c.status.not_in(["deleted"]), assets.c.playable
    )
    return {row[0]: AssetFacts(row[1], _seconds(row[2])) for row in conn.execute(query)}


def add_events(conn: Connection, events: Sequence[tuple[ViewEvent, float | None]]) -> int:
    """Takes in what is new of `events` (each with the duration of its asset), and adds it to the sums. Returns how many were new."""
    if not events:
        return 0
    rows = {event.event_id: (event, duration_s) for event, duration_s in events}
    columns: dict[str, list[Any]] = {
        name: [getattr(event, name) for event, _ in rows.values()]
        for name in ("event_id", "viewer_id", "asset_id", "session_id", "kind", "position_s", "watched_s", "value")
    }
    columns["kind"] = [str(kind) for kind in columns["kind"]]
    columns["duration_s"] = [duration_s for _, duration_s in rows.values()]
    columns["at"] = [event.at_s for event, _ in rows.values()]
    fresh = [rows[event_id] for event_id in conn.execute(_INSERT_EVENTS, columns).scalars()]
    merge_sessions(conn, sessions_of(fresh))
    merge_opinions(conn, opinions_of(event for event, _ in fresh))
    return len(fresh)


def merge_sessions(conn: Connection, sessions: Sequence[Session]) -> None:
    """Adds to what is known of these sessions. They come sorted by viewer, asset and session, so that nobody waits in a circle."""
    if not sessions:
        return
    names = ("viewer_id", "asset_id", "session_id", "position_s", "furthest_s", "watched_s", "duration_s", "completed", "abandoned")
    columns: dict[str, list[Any]] = {name: [getattr(item, name) for item in sessions] for name in names}
    columns["first_at"] = [item.first_at_s for item in sessions]
    columns["last_at"] = [item.last_at_s for item in sessions]
    conn.execute(_MERGE_SESSIONS, columns)


def merge_opinions(conn: Connection, opinions: Sequence[Opinion]) -> None:
    if not opinions:
        return
    names = {"viewer_id": "viewer_id", "asset_id": "asset_id", "rating": "rating", "rated_at": "rated_at_s"}
    names |= {"not_interested_at": "not_interested_at_s"}
    conn.execute(_MERGE_OPINIONS, {column: [getattr(item, name) for item in opinions] for column, name in names.items()})


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def seen_by(conn: Connection, viewer_id: str) -> list[Seen]:
    """What a viewer has watched or has an opinion on, the latest first."""
    sessions = select(view_sessions).where(view_sessions.c.viewer_id == viewer_id).order_by(view_sessions.c.last_at.desc()).limit(_SEEN_MAX)
    watched = [_session(row) for row in conn.execute(sessions).mappings()]
    query = select(viewer_opinions).where(viewer_opinions.c.viewer_id == viewer_id)
    said = [
        Opinion(viewer_id, row["asset_id"], row["rating"], _unix(row["rated_at"]), _unix(row["not_interested_at"]))
        for row in conn.execute(query).mappings()
    ]
    return seen(watched, said)


def _session(row: Mapping[Any, Any]) -> Session:
    values = {name: row[name] for name in row if name not in ("first_at", "last_at")}
    return Session(**values, first_at_s=row["first_at"].timestamp(), last_at_s=row["last_at"].timestamp())


def titles(conn: Connection, asset_ids: Sequence[str] | None = None) -> list[Title]:
    """What anyone may watch now: ready or playable, public, not deleted. All of it, or of these ids; the newest first."""
    first_id = select(func.min(playback_ids.c.id)).where(playback_ids.c.asset_id == assets.c.id, playback_ids.c.policy == "public")
    playback = first_id.scalar_subquery().label("playback_id")
    of_plan = (pictures.c.asset_id == presentations.c.asset_id) & (pictures.c.plan_digest == presentations.c.plan_digest)
    preview = exists().where(of_plan, pictures.c.name == PREVIEW)
    query = select(
        assets.c.id,
        playback,
        assets.c.title,
        assets.c.description,
        assets.c.tags,
        assets.c.created_at,
        _DURATION,
        presentations.c.has_poster,
        preview.label("has_preview"),
    ).join_from(assets, presentations, presentations.c.asset_id == assets.c.id)
    query = query.where(assets.c.playable, assets.c.status != "deleted", assets.c.playback_policy == "public", playback.is_not(None))
    if asset_ids is not None:
        query = query.where(assets.c.id == func.any(bindparam("ids", list(asset_ids), ARRAY(Text))))
    rows = conn.execute(query.order_by(assets.c.id.desc()))
    return [Title(row[0], row[1], row[2], row[3], tuple(row[4]), row[5], _seconds(row[6]), row[7], row[8]) for row in rows]


def catalogue_stamp(conn: Connection) -> tuple[object, ...]:
    """Another one whenever a title that can be watched came, went or changed."""
    return tuple(conn.execute(select(func.max(assets.c.updated_at), func.count()).where(assets.c.playable)).one())


def trending(conn: Connection, now_s: float, *, half_life_s: float, window_s: float, limit: int = 500) -> list[Trend]:
    """What is watched now: distinct viewers per day, each day worth half as much after `half_life_s`. The hottest first."""
    values = {"now_s": now_s, "half_life_s": half_life_s, "window_s": window_s, "limit": limit}
    return [Trend(row.asset_id, float(row.heat), row.viewers) for row in conn.execute(_TRENDING, values)]


def watched_since(conn: Connection, since_s: float, now_s: float, *, half_life_s: float) -> dict[str, float]:
    """By title: distinct viewers since then, each worth half as much after `half_life_s`."""
    values = {"since_s": since_s, "now_s": now_s, "half_life_s": half_life_s}
    return {row.asset_id: float(row.heat) for row in conn.execute(_WATCHED_SINCE, values)}


def latest_viewers(conn: Connection, limit: int) -> list[str]:
    """Who watched last, for people who look into suggestions."""
    latest = func.max(view_sessions.c.last_at)
    query = select(view_sessions.c.viewer_id).group_by(view_sessions.c.viewer_id).order_by(latest.desc()).limit(limit)
    return list(conn.execute(query).scalars())


def log_impressions(conn: Connection, of: Shown, slots: Sequence[Impression]) -> None:
    """One row for every slot that was shown."""
    same = {name: getattr(of, name) for name in ("request_id", "viewer_id", "variant", "model_version")}
    names = ("row", "row_number", "position", "asset_id", "score", "propensity")
    if slots:
        conn.execute(_LOG, same | {name: [getattr(slot, name) for slot in slots] for name in names})


def forget(conn: Connection, viewer_id: str) -> int:
    """Removes everything the database knows of a viewer, and notes that the lake and the models have to follow. Returns the note's id."""
    for table in (view_events, view_sessions, viewer_opinions, impressions):
        conn.execute(delete(table).where(table.c.viewer_id == viewer_id))
    return int(conn.execute(insert(forgotten_viewers).values(viewer_id=viewer_id).returning(forgotten_viewers.c.id)).scalar_one())


def prune(conn: Connection, now_s: float) -> int:
    """Drops events that are in the lake and too old to come again, and old impressions. Returns how many events."""
    old = view_events.c.received_at < datetime.fromtimestamp(now_s - KEPT_S, UTC)
    dropped = conn.execute(delete(view_events).where(old, view_events.c.compacted_at.is_not(None))).rowcount
    conn.execute(delete(impressions).where(impressions.c.at < datetime.fromtimestamp(now_s - IMPRESSIONS_KEPT_S, UTC)))
    return int(dropped)
