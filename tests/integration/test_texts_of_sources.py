"""What a source has in text becomes tracks of its title, in the sandbox and on the title's clock (checklist 46 and 47)."""

from __future__ import annotations

import pytest

from captions import extract
from catalog import store, track_store
from catalog.asset import AssetStatus, NewAsset
from catalog.track import Track
from ingest.received import received
from kit.step import run_step
from kit.world import World
from media import cues, keys
from media.ids import AssetId
from tests.clips import Clips
from tests.presented import STEPS, present
from worker.flow import VideoFlow

FRENCH = [(1001, 2502, "<i>Bonjour</i> &amp; merci", ""), (6900, 7500, "La fin", "")]


def text_of(world: World, track: Track) -> list[tuple[int, int, str, str]]:
    found = cues.from_json(world.storage.get(keys.text_cues(AssetId(track.asset_id), str(track.cues_sha256))))
    return [(cue.start_ms, cue.end_ms, cue.text, cue.settings) for cue in found]


def tracks_of(world: World, clips: Clips, name: str) -> tuple[tuple[Track, ...], str]:
    asset = present(world, clips(name))
    assert asset.error_detail is None, asset.error_detail
    assert (asset.status, asset.error_detail) == (AssetStatus.READY, None)
    with world.db.connect() as conn:
        shown = store.current_presentation(conn, asset.id)
        assert shown is not None
        return track_store.tracks_of(conn, [asset.id])[asset.id], str(shown.multivariant["playlist"])


def near(found: list[tuple[int, int, str, str]], wanted: list[tuple[int, int, str, str]]) -> None:
    """Times within a millisecond (Matroska's own unit), everything else equal."""
    assert [(text, settings) for _, _, text, settings in found] == [(text, settings) for _, _, text, settings in wanted]
    for mine, theirs in zip(found, wanted, strict=True):
        assert abs(mine[0] - theirs[0]) <= 1
        assert abs(mine[1] - theirs[1]) <= 1


def test_every_text_of_a_matroska_becomes_a_track_on_the_titles_clock(world: World, clips: Clips) -> None:
    (chapters, french, signs, pictures), playlist = tracks_of(world, clips, "texts")
    assert (french.kind, french.language, french.name, french.default, french.forced, french.status) == (
        "subtitles", "fr", "Français", True, False, "ready",
    )  # fmt: skip
    near(text_of(world, french), FRENCH)
    assert (signs.language, signs.name, signs.default, signs.forced, signs.format) == ("en", "English", False, True, "ass")
    near(text_of(world, signs), [(3000, 4500, "Sign: Exit", "line:5%")])
    assert (pictures.kind, pictures.status, pictures.pack_digest) == ("captions", "unsupported", None)
    assert "pictures (PGS (Blu-ray))" in str(pictures.detail)
    assert (chapters.kind, chapters.status) == ("chapters", "ready")
    assert [text for _, _, text, _ in text_of(world, chapters)] == ["Opening", "1 = 1"]
    assert playlist.count("TYPE=SUBTITLES") == 2
    assert 'NAME="English",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES' in playlist


def test_text_that_keeps_the_clock_of_its_source_would_be_seen(world: World, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    """The title begins 0.4 s late on its source's clock; with that left out of account every cue comes as late."""
    monkeypatch.setattr("captions.extract.shift_ms", lambda _origin: -1000 * extract.AHEAD_S)
    clip = clips("texts")
    with world.db.begin() as conn:
        asset = store.create_asset(conn, NewAsset(title="texts"))
    world.storage.put(keys.source(asset.id), clip)
    with world.db.begin() as conn:
        received(conn, asset.id, keys.source(asset.id), clip.stat().st_size)
    while not (french := [track for track in waiting(world, asset.id) if track.language == "fr" and track.status == "ready"]):
        assert run_step(world, STEPS, VideoFlow(), "test")
    found = text_of(world, french[0])
    with pytest.raises(AssertionError):
        near(found, FRENCH)
    near([(start_ms - 400, end_ms - 400, text, settings) for start_ms, end_ms, text, settings in found], FRENCH)


def waiting(world: World, asset: AssetId) -> tuple[Track, ...]:
    with world.db.connect() as conn:
        return tuple(track_store.tracks_of(conn, [asset])[asset])


def test_timed_text_of_an_mp4(world: World, clips: Clips) -> None:
    (chapters, french), _ = tracks_of(world, clips, "texts-mp4")
    near(text_of(world, french), FRENCH)
    near(text_of(world, chapters), [(0, 3000, "Opening", ""), (3000, 8000, "1 = 1", "")])


def test_a_broken_text_track_says_so_and_costs_nothing_else(world: World, clips: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("captions.extract.AHEAD_S", 0)  # as if every cue lay an hour before the title
    monkeypatch.setattr("captions.extract.shift_ms", lambda origin: -3_600_000_000)
    (_, french), playlist = tracks_of(world, clips, "texts-mp4")
    assert (french.status, french.pack_digest) == ("errored", None)
    assert "No cue" in str(french.detail)
    assert "SUBTITLES" not in playlist
