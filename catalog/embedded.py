"""Text that a source brings along: which tracks it makes, and the work of getting it out.

`note` runs when a title has been planned. Text becomes tracks that wait for "captions.extract"; what is pictures of text, or sits where
it cannot be got out, becomes a track that says so, so that nothing a file has is lost in silence. Captions inside the pictures become
tracks when "captions.hidden" has found out what they say, which begins when the title is ready.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from catalog import early, priority, track_store
from catalog.asset import Asset, AssetStatus
from catalog.track import CHAPTERS, NewTrack
from kit import job_store
from kit.jobs import NewJob
from media import closed_captions
from media.info import MediaInfo, SubtitleStream
from media.language import name_of

EXTRACT = "captions.extract"
EXTRACT_CPU_S = 0.5
HIDDEN = "captions.hidden"

TEXT_CODECS = frozenset({"subrip", "ass", "ssa", "mov_text", "webvtt", "text", "eia_608"})
_PICTURES = {
    "hdmv_pgs_subtitle": "PGS (Blu-ray)", "dvd_subtitle": "VobSub (DVD)", "dvb_subtitle": "DVB", "xsub": "XSUB (DivX)",
}  # fmt: skip
CLOSED_CAPTIONS = -2  # as the "stream" of captions inside the pictures that cannot be taken out
CHANNELS = {"CC1": -6, "CC2": -5, "CC3": -4, "CC4": -3}  # as the "streams" of those that can


def tracks_in(info: MediaInfo) -> tuple[NewTrack, ...]:
    """A track for each subtitle stream of a source, for its chapters, and for captions inside its pictures. Pure."""
    found = [_of_stream(stream) for stream in info.subtitles]
    if info.chapters:
        found.append(NewTrack("chapters", "und", "Chapters", origin="source", stream_index=CHAPTERS, format="chapters"))
    if info.closed_captions and not _may_be_taken_out(info):
        found.append(not_taken_out("Closed captions inside pictures of this kind are not taken out. Upload them as a file to show them."))
    return tuple(found)


def _may_be_taken_out(info: MediaInfo) -> bool:
    """Whether there may be captions in or beside the pictures, at a place where they can be read."""
    in_pictures = info.closed_captions and info.video is not None and info.video.codec in closed_captions.UNITS
    return in_pictures or info.ancillary is not None


def not_taken_out(detail: str) -> NewTrack:
    """A track that says why there are no captions, though the source has some."""
    hidden = NewTrack("captions", "und", "Closed captions", origin="source", stream_index=CLOSED_CAPTIONS, format="eia_608")
    return replace(hidden, status="unsupported", detail=detail)


def _of_stream(stream: SubtitleStream) -> NewTrack:
    detail = None
    if stream.codec not in TEXT_CODECS:
        if kind := _PICTURES.get(stream.codec):
            detail = f"These subtitles are pictures ({kind}), which cannot become text here. Upload them as SRT, WebVTT, ASS or TTML."
        else:
            detail = f"Subtitles of the kind {stream.codec} cannot be read here. Upload them as SRT, WebVTT, ASS or TTML."
    return NewTrack(
        kind="captions" if stream.hearing_impaired or stream.codec == "eia_608" else "subtitles",
        language=stream.language,
        name=stream.title or name_of(stream.language),
        default=stream.default and detail is None,
        forced=stream.forced,
        origin="source",
        stream_index=stream.index,
        format=stream.codec,
        status="waiting" if detail is None else "unsupported",
        detail=detail,
    )


def note(conn: Connection, asset: Asset, plan_digest: str) -> None:
    """Make the tracks of the asset's source, and have their text taken out, unless that was done. The asset is locked."""
    if asset.source is None:
        return
    if asset.status is AssetStatus.READY and asset.source.video is not None and _may_be_taken_out(asset.source):
        hidden = NewJob(HIDDEN, f"{asset.id}/{plan_digest}/hidden", asset.id, priority=priority.HIDDEN_TEXT, weight=0.0)
        job_store.enqueue(conn, hidden)
    job = NewJob(EXTRACT, f"{asset.id}/{plan_digest}/text", asset.id, priority=priority.TEXT, weight=EXTRACT_CPU_S)
    wanted = tracks_in(asset.source)
    if not wanted or job_store.is_under_way(conn, EXTRACT, job.subject):
        return
    has_default = False
    for new in wanted:
        first_default = new.default and not has_default  # many files mark every stream as default
        has_default = has_default or first_default
        track_store.add_track(conn, asset.id, replace(new, default=first_default))
    if any(new.status == "waiting" for new in wanted):
        arriving = early.load(conn, asset.id)
        is_whole = arriving is None or asset.received_at is not None
        job_store.enqueue(conn, job if is_whole else job_store.held(job, asset.source.size_bytes))
