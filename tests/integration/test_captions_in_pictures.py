"""Captions inside the pictures of a source become tracks of its title, when the title is ready, on the title's clock."""

from __future__ import annotations

from fractions import Fraction

import pytest

from captions import line21
from catalog import embedded, old_jobs, store, track_store
from catalog.asset import Asset, AssetStatus
from catalog.kinds import ENCODE
from catalog.track import Track
from kit import job_store
from kit.jobs import UNFINISHED
from kit.world import World
from media import cues, keys
from media.ids import AssetId
from packager.text_refresh import refresh
from tests.clip_captions import CC1, CC3
from tests.clips import Clips
from tests.presented import present

FRAME_MS = Fraction(1001, 30)


def shown(world: World, asset: Asset) -> tuple[tuple[Track, ...], str, str]:
    """The tracks, the multivariant playlist and the text of the DASH manifest."""
    with world.db.connect() as conn:
        published = store.current_presentation(conn, asset.id)
        assert published is not None
        said = published.multivariant
        return track_store.tracks_of(conn, [asset.id])[asset.id], str(said["playlist"]), str(said["dash"]["text"])


def near(world: World, track: Track, wanted: list[tuple[int, int, str, str]]) -> None:
    """Within a frame of the clip."""
    found = cues.from_json(world.storage.get(keys.text_cues(AssetId(track.asset_id), str(track.cues_sha256))))
    assert [(cue.text, cue.settings) for cue in found] == [(text, settings) for _, _, text, settings in wanted]
    for cue, (start, end, _, _) in zip(found, wanted, strict=True):
        assert abs(cue.start_ms - start * FRAME_MS) < FRAME_MS
        assert abs(cue.end_ms - end * FRAME_MS) < FRAME_MS


def test_each_channel_becomes_a_track_behind_everything_else(world: World, clips: Clips) -> None:
    asset = present(world, clips("captions-mpeg2"))  # whose clock begins at 1.4 s
    assert (asset.status, asset.error_detail) == (AssetStatus.READY, None)
    (first, third), playlist, manifest = shown(world, asset)
    facts = [(track.kind, track.language, track.name, track.origin, track.format, track.status) for track in (first, third)]
    assert facts == [("captions", "und", channel, "source", "eia_608", "ready") for channel in ("CC1", "CC3")]
    near(world, first, CC1)
    near(world, third, CC3)
    assert playlist.count("TYPE=SUBTITLES") == 2
    assert 'NAME="CC1"' in playlist
    assert "TYPE=CLOSED-CAPTIONS" not in playlist
    assert manifest.count("<AdaptationSet") == 2
    with world.db.connect() as conn:
        jobs = job_store.jobs_of_asset(conn, asset.id)
    (hidden,) = (job for job in jobs if job.kind == embedded.HIDDEN)
    assert all(job.finished_at is not None and job.finished_at <= hidden.created_at for job in jobs if job.kind == ENCODE)


def test_captions_that_begin_late_are_found_in_the_end_and_stay_deleted(world: World, clips: Clips) -> None:
    asset = present(world, clips("captions-late"))
    (only,), _, _ = shown(world, asset)
    assert asset.source is not None
    assert asset.source.closed_captions
    near(world, only, [(210, 230, "Late", "")])
    deleted_for_good(world, asset)


def deleted_for_good(world: World, asset: Asset) -> None:
    """Only its job says that a source's track was made once; it is kept as long as the title."""
    with world.db.begin() as conn:
        old_jobs.remove_some(conn, -1, None)  # as if all had ended long ago
    with world.db.begin() as conn:
        assert [job.kind for job in job_store.jobs_of_asset(conn, asset.id)] == [embedded.HIDDEN]
        store.lock_asset(conn, asset.id)
        (track,) = track_store.tracks_of(conn, [asset.id])[asset.id]
        track_store.delete_track(conn, track)
        refresh(conn, world, asset.id)
        refresh(conn, world, asset.id)
        assert not job_store.is_under_way(conn, embedded.EXTRACT, f"{asset.id}/{asset.plan_digest}/text")
        assert not [job for job in job_store.jobs_of_asset(conn, asset.id) if job.kind == embedded.HIDDEN and job.state in UNFINISHED]
    tracks, playlist, _ = shown(world, asset)
    assert tracks == ()
    assert "SUBTITLES" not in playlist


def test_what_cannot_be_read_is_told_and_an_empty_carrier_is_not(world: World, clips: Clips) -> None:
    (told,), playlist, _ = shown(world, present(world, clips("captions-digital")))
    assert (told.kind, told.status, told.detail, told.pack_digest) == ("captions", "unsupported", line21.DIGITAL, None)
    assert "SUBTITLES" not in playlist
    assert shown(world, present(world, clips("captions-empty")))[0] == ()


def test_captions_that_cannot_be_taken_out_are_told(world: World, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captions.extract._LARGEST_COPY_BYTES", 100)  # as if the user data were without end
    asset = present(world, clips("captions-digital"))
    (told,), _, _ = shown(world, asset)
    assert asset.status is AssetStatus.READY
    assert (told.status, told.detail) == ("unsupported", line21.FAILED)


def test_captions_beside_the_pictures_of_an_mxf(world: World, clips: Clips) -> None:
    (track,), _, _ = shown(world, present(world, clips("captions-mxf")))
    assert (track.kind, track.name, track.format, track.status) == ("captions", "CC1", "eia_608", "ready")
    near(world, track, CC1)


def test_a_caption_track_of_quicktime(world: World, clips: Clips) -> None:
    (track,), _, _ = shown(world, present(world, clips("captions-track")))
    assert (track.kind, track.language, track.format, track.status) == ("captions", "en", "eia_608", "ready")
    near(world, track, CC1)
