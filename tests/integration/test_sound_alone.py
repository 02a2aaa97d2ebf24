"""Sound without pictures on live servers: published with its cover, judged by the validator and by an independent reader, kept as a file;
and a title of several tracks that does without one of them."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

import catalog.store
from catalog import lost, sounds, views
from catalog.asset import Asset, AssetStatus
from catalog.kinds import AUDIO
from kit import job_store, tools
from kit.errors import Rejected
from kit.jobs import Job
from kit.step import Beat
from kit.world import World
from media import keys
from tests.api_client import Api, is_problem, open_api
from tests.clips import Clips
from tests.integration.test_hls_parser import read
from tests.judged import judged, must_failures
from tests.presented import STEPS, decoded_samples, present, read_back, work
from tests.readback import ffprobe, samples


@pytest.fixture
def api(world: World) -> Api:
    return open_api(dataclasses.replace(world, settings=dataclasses.replace(world.settings, delivery="stream")))


def heard(world: World, asset: Asset) -> dict[str, sounds.Sound | None]:
    with world.db.connect() as conn:
        (view,) = views.load(conn, [asset], world.clock.now())
    return {item.row.name: item.sound for item in view.renditions}


def test_music_is_published_with_its_cover(world: World, clips: Clips, api: Api, tmp_path: Path) -> None:
    asset = present(world, clips("mp3-cover"))
    assert (asset.status, asset.playable) == (AssetStatus.READY, True)
    with world.db.connect() as conn:
        assert {job.kind for job in job_store.jobs_of_asset(conn, asset.id)}.isdisjoint({"transcode.storyboard", "transcode.preview"})
        published = catalog.store.current_presentation(conn, asset.id)
    assert published is not None and published.stage == "ready"
    found = read_back(world, asset, tmp_path)
    report = judged(world, asset.id)
    assert [f"{finding.rule} {finding.where}: {finding.says}" for finding in report.findings if finding.rule != "M14"] == []
    assert all("video" in reason or "I-frame" in reason or "pictures" in reason for reason in report.unchecked.values()), report.unchecked
    assert {name for name, about in read(found.playlists).items() if "refused" in about} == set()
    assert sorted(found.tracks) == ["audio", "audio-low"]
    assert decoded_samples(found.tracks["audio"].file) == found.plan.grid.frames * 1024

    shown = api.get(f"/v1/assets/{asset.id}").json()
    assert (shown["source"]["video_codec"], shown["source"]["width"], shown["source"]["audio_tracks"]) == (None, None, 1)
    assert [(item["name"], item["kind"], item["status"]) for item in shown["renditions"]] == [
        ("audio", "audio", "ready"), ("audio-low", "audio", "ready"),
    ]  # fmt: skip
    loudness = {name: item.loudness for name, item in heard(world, asset).items() if item is not None}
    assert all(item is not None and item.integrated_lufs is not None for item in loudness.values())

    place = shown["playback_ids"][0]["id"]
    poster = tmp_path / "poster.jpg"
    poster.write_bytes(api.get(f"/v/{place}/poster.jpg", signed=False).content)
    assert ffprobe(poster)["streams"][0]["width"] == 300  # the cover's own size
    manifest = api.get(f"/v/{place}/manifest.mpd", signed=False)
    assert (manifest.status_code, manifest.text.count("<AdaptationSet"), manifest.text.count("<Representation ")) == (200, 1, 2)
    assert [api.get(f"/v/{place}/{name}", signed=False).status_code for name in ("thumbnail.jpg?t=1", "storyboard.vtt")] == [404, 404]
    is_problem(api.patch(f"/v1/assets/{asset.id}", json={"poster_time_s": 1}), 400, "bad_time")


def test_music_may_be_kept_as_a_file(world: World, clips: Clips, api: Api, tmp_path: Path) -> None:
    asset = present(world, clips("mp3"))
    at = f"/v1/assets/{asset.id}/downloads"
    assert api.get(at).json()["available"] == ["audio.m4a", "audio-low.m4a"]
    assert api.post(at, json={"name": "audio.m4a"}).status_code == 202
    work(world)
    (made,) = api.get(at).json()["data"]
    reply = api.get(made["url"], signed=False)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "audio/mp4")
    file = tmp_path / "audio.m4a"
    file.write_bytes(reply.content)
    found = read_back(world, asset, tmp_path)
    assert (samples(file) == samples(found.tracks["audio"].file)).all()
    assert len(found.multivariant.splitlines()) == 7  # nothing to choose from
    with world.db.connect() as conn:
        name = keys.poster(asset.id, found.plan.digest)
        assert catalog.store.current_presentation(conn, asset.id).has_poster  # type: ignore[union-attr]
    assert world.storage.stat(name).size_bytes > 1000  # a plain one


@pytest.fixture
def two_languages(world: World, tmp_path: Path) -> Path:
    path = tmp_path / "two.mkv"
    argv = [tools.ffmpeg(world.settings), "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=128x96:rate=24:d=3"]
    argv += ["-f", "lavfi", "-i", "sine=d=3:r=48000", "-f", "lavfi", "-i", "sine=f=880:d=3:r=48000", "-map", "0", "-map", "1", "-map", "2"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s16le", "-metadata:s:a:0", "language=eng"]
    argv += ["-metadata:s:a:1", "language=deu", "-disposition:a:0", "default", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def test_a_track_that_cannot_be_made_is_left_out(
    world: World, two_languages: Path, api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = STEPS[AUDIO]

    def broken(world: World, job: Job, beat: Beat) -> object:
        if job.args["renditions"] == ["audio-2"]:
            raise Rejected("The sound cannot be decoded to its end.", code="decode_failed")
        return made.run(world, job, beat)

    monkeypatch.setitem(STEPS, AUDIO, dataclasses.replace(made, run=broken))
    asset = present(world, two_languages)
    assert (asset.status, asset.error_code) == (AssetStatus.READY, None)
    found = read_back(world, asset, tmp_path)
    assert must_failures(world, asset.id) == []
    assert "audio" in found.tracks and "audio-2" not in found.tracks
    with world.db.connect() as conn:
        assert lost.names(conn, asset.id, found.plan.digest) == {"audio-2"}
    shown = api.get(f"/v1/assets/{asset.id}").json()
    assert {item["name"]: item["error"] and item["error"]["code"] for item in shown["renditions"] if item["kind"] == "audio"} == {
        "audio": None, "audio-2": "decode_failed",
    }  # fmt: skip
    manifest = api.get(f"/v/{shown['playback_ids'][0]['id']}/manifest.mpd", signed=False).text
    assert manifest.count('contentType="audio"') == 1
