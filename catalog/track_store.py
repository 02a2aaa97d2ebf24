"""The SQL of text tracks. Every function takes the caller's transaction; one that changes something has its asset locked by the caller.

Of a title's subtitles and captions at most one is the default, as HLS wants it (RFC 8216 section 4.3.4.1.1): making one the default
takes that from the others. Chapters are a group of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from catalog.tables import assets, presentations
from catalog.track import MAX_TRACKS, Content, NewTrack, TextPack, Track
from catalog.track_tables import text_packs, tracks
from kit import ids, job_store
from kit.errors import Conflict, NotFound
from kit.jobs import NewJob
from media.cues import Problem

DROP_TEXT = "catalog.drop_text"
DROP_AFTER_S = 2 * 3600.0  # whoever is watching may finish
_NOW = func.clock_timestamp()


class TooManyTracks(Conflict):
    code = "too_many_tracks"


def _track(row: RowMapping) -> Track:
    values: dict[str, Any] = dict(row)
    values["default"] = values.pop("is_default")
    values["problems"] = tuple(Problem(line, detail) for line, detail in values["problems"])
    return Track(**values)


def tracks_of(conn: Connection, asset_ids: Collection[str]) -> dict[str, tuple[Track, ...]]:
    """The tracks of several assets, by asset: those of the source in its order, then uploads, the oldest first."""
    query = select(tracks).where(tracks.c.asset_id.in_(list(asset_ids)))
    found: dict[str, tuple[Track, ...]] = dict.fromkeys(asset_ids, ())
    for row in conn.execute(query.order_by(tracks.c.origin, tracks.c.stream_index, tracks.c.id)).mappings():
        found[row["asset_id"]] += (_track(row),)
    return found


def get_track(conn: Connection, asset_id: str, track_id: str) -> Track:
    """Raises NotFound, also when the track is another asset's."""
    row = conn.execute(select(tracks).where(tracks.c.id == track_id, tracks.c.asset_id == asset_id)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"The asset has no track {track_id}.", code="track_not_found")
    return _track(row)


def add_track(conn: Connection, asset_id: str, new: NewTrack) -> str:
    """Its id. Of a stream of the source that has a track already, that one's. Raises TooManyTracks."""
    mine = select(tracks.c.id).where(tracks.c.asset_id == asset_id)
    if new.stream_index is not None:
        known = conn.execute(mine.where(tracks.c.stream_index == new.stream_index)).scalar_one_or_none()
        if known is not None:
            return str(known)
    if len(conn.execute(mine).all()) >= MAX_TRACKS:
        raise TooManyTracks(f"A title may have {MAX_TRACKS} text tracks; delete one first.")
    values: dict[str, Any] = {name: getattr(new, name) for name in NewTrack.__slots__ if name != "default"}
    track_id = ids.sortable("trk")
    conn.execute(insert(tracks).values(id=track_id, asset_id=asset_id, is_default=new.default, **values))
    if new.default:
        _take_default(conn, asset_id, track_id)
    return track_id


def change_track(conn: Connection, asset_id: str, track_id: str, changes: Mapping[str, Any]) -> None:
    """Replace some of kind, language, name, default and forced. Raises NotFound."""
    get_track(conn, asset_id, track_id)
    values = {("is_default" if name == "default" else name): value for name, value in changes.items()}
    conn.execute(update(tracks).where(tracks.c.id == track_id).values(**values, updated_at=_NOW))
    if changes.get("default") or ("kind" in changes and get_track(conn, asset_id, track_id).default):
        _take_default(conn, asset_id, track_id)


def _take_default(conn: Connection, asset_id: str, track_id: str) -> None:
    kind = conn.execute(select(tracks.c.kind).where(tracks.c.id == track_id)).scalar_one()
    group = tracks.c.kind == "chapters" if kind == "chapters" else tracks.c.kind != "chapters"
    others = update(tracks).where(tracks.c.asset_id == asset_id, group, tracks.c.id != track_id, tracks.c.is_default)
    conn.execute(others.values(is_default=False, updated_at=_NOW))


def set_content(conn: Connection, track: Track, content: Content) -> None:
    """New text; it is shown when it has been packed, and until then what was shown before."""
    values = {
        "format": content.format, "cues_sha256": content.cues_sha256, "cue_count": content.cue_count, "detail": None, "status": "waiting",
        "problems": [[problem.line, problem.detail] for problem in content.problems], "plan_digest": None,
    }  # fmt: skip
    conn.execute(update(tracks).where(tracks.c.id == track.id).values(**values, updated_at=_NOW))
    if track.cues_sha256 not in (None, content.cues_sha256):
        drop_later(conn, track.asset_id, str(track.cues_sha256))


def set_failed(conn: Connection, track: Track, detail: str) -> None:
    """There is nothing to show, and why."""
    values = {"status": "errored", "detail": detail, "plan_digest": None, "pack_digest": None, "cues_sha256": None, "cue_count": 0}
    conn.execute(update(tracks).where(tracks.c.id == track.id).values(**values, updated_at=_NOW))
    _drop_files(conn, track)


def _drop_files(conn: Connection, track: Track) -> None:
    for digest in (track.pack_digest, track.cues_sha256):
        if digest is not None:
            drop_later(conn, track.asset_id, digest)


def set_pack(conn: Connection, track: Track, plan_digest: str, pack: TextPack, problems: Sequence[Problem]) -> None:
    """Viewers are sent this from now on. What they were sent before goes in two hours."""
    row = {"asset_id": track.asset_id, "digest": pack.digest, "size_bytes": pack.offsets[-1], "offsets": list(pack.offsets)}
    conn.execute(upsert(text_packs).values(row).on_conflict_do_nothing())
    values = {"status": "ready", "detail": None, "plan_digest": plan_digest, "pack_digest": pack.digest}
    listed = [[problem.line, problem.detail] for problem in problems]
    conn.execute(update(tracks).where(tracks.c.id == track.id).values(**values, problems=listed, updated_at=_NOW))
    if track.pack_digest not in (None, pack.digest):
        drop_later(conn, track.asset_id, str(track.pack_digest))


def pack_again(conn: Connection, asset_id: str, digest: str) -> None:
    """Have the tracks with this pack packed once more when the title is published next. Viewers are sent what there is until then."""
    mine = (tracks.c.asset_id == asset_id) & (tracks.c.pack_digest == digest)
    conn.execute(update(tracks).where(mine).values(plan_digest=None))


def delete_track(conn: Connection, track: Track) -> None:
    conn.execute(delete(tracks).where(tracks.c.id == track.id))
    _drop_files(conn, track)


def drop_later(conn: Connection, asset_id: str, digest: str) -> None:
    """Have the step "catalog.drop_text" remove what nobody is sent any more."""
    subject = f"{asset_id}/{digest}/{ids.token(6)}"  # the same text may come and go several times
    job_store.enqueue(conn, NewJob(DROP_TEXT, subject, asset_id, weight=0.0, delay_s=DROP_AFTER_S, max_attempts=20))


def is_wanted(conn: Connection, asset_id: str, digest: str) -> bool:
    """Whether a track has this pack, or these cues."""
    wanted = (tracks.c.pack_digest == digest) | (tracks.c.cues_sha256 == digest)
    return conn.execute(select(tracks.c.id).where(tracks.c.asset_id == asset_id, wanted).limit(1)).first() is not None


def forget_pack(conn: Connection, asset_id: str, digest: str) -> None:
    conn.execute(delete(text_packs).where(text_packs.c.asset_id == asset_id, text_packs.c.digest == digest))


def find_pack(conn: Connection, asset_id: str, digest: str) -> TextPack:
    """Raises NotFound."""
    query = select(text_packs.c.offsets).where(text_packs.c.asset_id == asset_id, text_packs.c.digest == digest)
    offsets = conn.execute(query).scalar_one_or_none()
    if offsets is None:
        raise NotFound("There is no such text.", code="track_not_found")
    return TextPack(digest, tuple(offsets))


def drop_embedded(conn: Connection, asset_id: str) -> None:
    """Forget the tracks of a source that is not the one after all."""
    conn.execute(delete(tracks).where(tracks.c.asset_id == asset_id, tracks.c.origin == "source"))


def forget_tracks(conn: Connection, asset_id: str) -> None:
    """Everything, of a deleted asset."""
    conn.execute(delete(tracks).where(tracks.c.asset_id == asset_id))
    conn.execute(delete(text_packs).where(text_packs.c.asset_id == asset_id))


def show_text(conn: Connection, asset_id: str, facts: Mapping[str, Any]) -> None:
    """Change what the presentation says of text, if there is one, and have everybody who follows the asset told."""
    row = conn.execute(
        select(presentations.c.multivariant).where(presentations.c.asset_id == asset_id).with_for_update()
    ).scalar_one_or_none()
    if row is not None:
        conn.execute(update(presentations).where(presentations.c.asset_id == asset_id).values(multivariant={**row, **facts}))
    conn.execute(update(assets).where(assets.c.id == asset_id).values(updated_at=_NOW))
