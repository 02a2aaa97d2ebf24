"""Loudness on a live database and store: measured of every track, kept with the asset, and, where asked for, made the same."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

import catalog.store
from catalog import sounds, views
from catalog.asset import NewAsset
from kit import tools
from kit.world import World
from media import keys
from media.ids import AssetId
from tests.integration.test_transcode_steps import do
from tests.presented import present
from transcode.loudness import HIGHEST_PEAK_DBTP, TARGET_LUFS


@pytest.fixture
def two_tracks(world: World, tmp_path: Path) -> Path:
    """Three seconds of a quiet 5.1 tone in English, and of silence in German."""
    path = tmp_path / "quiet.mkv"
    tone = "aevalsrc=exprs=" + "|".join(["0.02*sin(2*PI*997*t)"] * 6) + ":c=5.1:s=48000:d=3"
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=24:d=3"]
    argv += ["-f", "lavfi", "-i", tone, "-f", "lavfi", "-i", "anullsrc=d=3:r=44100", "-map", "0", "-map", "1", "-map", "2"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le"]
    argv += ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu", "-disposition:a:0", "default", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def shown(world: World, asset: AssetId) -> dict[str, sounds.Sound]:
    with world.db.connect() as conn:
        (view,) = views.load(conn, [catalog.store.get_asset(conn, asset)], datetime.now(UTC))
    return {item.row.name: item.sound for item in view.renditions if item.sound is not None}


def test_every_track_is_measured_and_published(world: World, two_tracks: Path) -> None:
    asset = present(world, two_tracks)
    assert asset.status == "ready"
    heard = shown(world, asset.id)
    assert {name: (item.language, item.label, item.channels, item.is_default) for name, item in heard.items()} == {
        "audio": ("en", "English", 2, True), "audio-2": ("de", "German", 2, False), "audio-51": ("en", "English", 6, True),
    }  # fmt: skip
    found = heard["audio"].loudness
    assert found is not None and found.integrated_lufs is not None and found.true_peak_dbtp is not None
    # Front, centre and surround add up to 0.02 * (1 + 2 * 0.7071) on each side, which is -26.3 dBFS; a tone of 997 Hz is as loud in LUFS.
    assert abs(found.integrated_lufs + 26.3) < 0.5
    assert abs(found.true_peak_dbtp + 26.3) < 2  # coding adds to it
    assert heard["audio-2"].loudness == sounds.Loudness(None, 0.0, heard["audio-2"].loudness.true_peak_dbtp)  # type: ignore[union-attr]
    with world.db.connect() as conn:
        published = catalog.store.current_presentation(conn, asset.id)
    assert published is not None
    playlist = str(published.multivariant["playlist"])
    assert playlist.count('GROUP-ID="audio"') == playlist.count('GROUP-ID="surround"') == 2
    assert playlist.count("#EXT-X-STREAM-INF") == 2


def test_where_it_is_asked_for_every_track_gets_as_loud_as_the_others(world: World, two_tracks: Path) -> None:
    asset = present(world, two_tracks, normalize_audio=True)
    heard = shown(world, asset.id)
    for name in ("audio", "audio-51"):
        found = heard[name].loudness
        assert found is not None and found.integrated_lufs is not None and found.true_peak_dbtp is not None
        assert heard[name].gain_db > 3
        assert abs(found.integrated_lufs - TARGET_LUFS) < 0.5
        assert found.true_peak_dbtp < HIGHEST_PEAK_DBTP + 0.5
    assert heard["audio-2"].gain_db == 0
    with world.db.connect() as conn:
        plan = catalog.store.load_plan(conn, asset.id)
    assert [track.gain_db for track in plan.audio] == [heard[track.name].gain_db for track in plan.audio]


@pytest.mark.parametrize(
    ("asked", "operator", "done"), [(None, True, True), (None, False, False), (False, True, False), (True, False, True)]
)
def test_what_an_upload_asks_for_goes_before_what_the_operator_chose(
    world: World, *, asked: bool | None, operator: bool, done: bool
) -> None:
    with world.db.begin() as conn:
        asset = catalog.store.create_asset(conn, NewAsset(normalize_audio=asked))
        assert catalog.store.get_asset(conn, asset.id) == asset
    assert asset.wants_normal_loudness(operator_does=operator) is done


def test_a_track_that_nobody_could_measure_is_measured_when_the_step_runs_again(world: World, two_tracks: Path) -> None:
    asset = present(world, two_tracks)
    before = shown(world, asset.id)
    with world.db.begin() as conn:
        conn.execute(sounds.sounds.update().values(integrated_lufs=None, range_lu=None, true_peak_dbtp=None))
        plan = catalog.store.load_plan(conn, asset.id)
    assert shown(world, asset.id)["audio-51"].loudness is None
    stored = {found.key for found in world.storage.list(keys.plan_prefix(asset.id, plan.digest))}
    _, ran = do(world, asset, "transcode.audio")
    assert len(ran) == 3 and all("ebur128" in str(command) and "level+info" in command.argv for command in ran)
    again = shown(world, asset.id)["audio-51"].loudness
    first = before["audio-51"].loudness
    assert first is not None and first.integrated_lufs is not None and again is not None
    assert again.integrated_lufs == pytest.approx(first.integrated_lufs, abs=0.2)
    assert {found.key for found in world.storage.list(keys.plan_prefix(asset.id, plan.digest))} == stored
