"""Encrypted titles: what is stored, what plays with the key and without it, who gets the key, and what it leaves behind.

FFmpeg is the stranger that reads what was published: from a copy of the stored objects, with the key beside them.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import pytest
from sqlalchemy import text

import catalog.store
from catalog import pictures, title_keys
from catalog.asset import Asset, EncryptionChoice, NewAsset
from hls_validation import Level, validate
from kit import ciphers, job_store
from kit.jobs import Job
from kit.step import Beat, run_step
from kit.world import World
from media import keys
from media import pictures as names
from media.protection import Encryption, Protection
from tests import clip_recipes as recipes
from tests.api_client import Api, is_problem, open_api
from tests.clips import Clips, _ffmpeg
from tests.edge_rig import Rig, rig
from tests.presented import STEPS, Presented, present, read_back, texts_of
from transcode.init_steps import init_again
from transcode.quality_steps import film
from transcode.title import open_title
from worker.flow import VideoFlow

OTHER_KEY = bytes(range(16))


def playback_of(world: World, asset: Asset) -> str:
    with world.db.connect() as conn:
        return catalog.store.playbacks_of(conn, [asset.id])[asset.id][0].id


def key_of(world: World, asset: Asset) -> title_keys.TitleKey:
    with world.db.connect() as conn:
        about = title_keys.protection_of(conn, asset.id)
        assert about is not None
        return title_keys.find(conn, asset.id, about.key_id, world.settings.secret_key)


def copied(world: World, asset: Asset, folder: Path, key: bytes | None = None) -> Path:
    """Everything that viewers can fetch of a title, as files. The multivariant playlist."""
    prefix = keys.asset_prefix(asset.id)
    for found in world.storage.list(prefix):
        target = folder / found.key.removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(world.storage.get(found.key))
    (folder / "main.m3u8").write_text(texts_of(world, asset.id)["main.m3u8"])
    if asset.encryption != "none":
        found_key = key_of(world, asset)
        (folder / "key").mkdir()
        (folder / "key" / found_key.protection.key_id).write_bytes(found_key.key if key is None else key)
    return folder / "main.m3u8"


def hashes(source: Path | str, kind: str, key: bytes | None = None) -> list[str]:
    """Of every decoded picture ("v") or stretch of sound ("a"), of the first stream of this kind. Empty when nothing can be decoded.
    `key`: of a file whose samples are encrypted; a playlist names its own."""
    playing = ("-allowed_extensions", "ALL", "-extension_picky", "0", "-protocol_whitelist", "file,http,tcp,crypto,data")
    reading = playing if str(source).endswith(".m3u8") else () if key is None else ("-decryption_key", key.hex())
    argv = (
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-v",
        "error",
        *reading,
        "-i",
        str(source),
        "-map",
        f"0:{kind}:0",
        "-f",
        "framemd5",
        "-",
    )
    said = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False).stdout
    return [line.rpartition(",")[2].strip() for line in said.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def made(world: World, clips: Clips, tmp_path: Path) -> dict[str, Asset]:
    """Eight seconds in two segments, in the clear and encrypted."""
    recipes.h264(recipes.Workshop(out=(clip := tmp_path / "film.mp4"), of=clips, ffmpeg=_ffmpeg), seconds=8)
    choices: tuple[EncryptionChoice, ...] = ("none", "aes-128", "cbcs")
    return {choice: present(world, clip, encryption=choice) for choice in choices}


def test_what_is_encrypted_plays_with_its_key_alone_and_all_that_is_made_of_it_is_the_same(
    world: World, made: dict[str, Asset], tmp_path: Path
) -> None:
    plays_with_its_key_alone(world, made, tmp_path)
    samples_play_with_their_key_alone(world, made, tmp_path)
    is_what_pictures_and_scores_are_made_of(world, made)
    is_the_same_when_made_again(world, made["aes-128"])
    is_the_same_when_made_again(world, made["cbcs"])


def plays_with_its_key_alone(world: World, made: dict[str, Asset], tmp_path: Path) -> None:
    clear, locked = made["none"], made["aes-128"]
    assert (clear.status, locked.status, locked.encryption) == ("ready", "ready", "aes-128")
    assert clear.plan_digest != locked.plan_digest
    texts = texts_of(world, locked.id)
    plain = copied(world, clear, tmp_path / "clear")
    right, wrong = copied(world, locked, tmp_path / "right"), copied(world, locked, tmp_path / "wrong", OTHER_KEY)
    for kind in ("v", "a"):
        expected = hashes(plain, kind)
        assert len(expected) > 100
        assert hashes(right, kind) == expected
        assert not set(hashes(wrong, kind)) & set(expected)

    ivs = set()
    for name, playlist in texts.items():
        if name == "main.m3u8":
            continue
        lines = playlist.splitlines()
        first = next(index for index, line in enumerate(lines) if "EXT-X-KEY" in line)
        assert 'EXT-X-MAP:URI="init.mp4"' in lines[first - 1]  # which is not encrypted, because no key comes before it
        found = re.findall(r'METHOD=AES-128,URI="\.\./\.\./key/([0-9a-f]{32})",IV=0x([0-9A-F]{32})', playlist)
        assert len(found) == playlist.count("#EXTINF") == playlist.count("#EXT-X-KEY")
        ivs.update(iv for _, iv in found)
    assert len(ivs) == sum(text.count("#EXTINF") for text in texts.values())  # each once

    with world.db.connect() as conn:
        published = catalog.store.current_presentation(conn, locked.id)
        assert published is not None
        plan = catalog.store.load_plan(conn, locked.id)
        assert "dash" not in published.multivariant
        recorded = catalog.store.load_segments(conn, locked.id, plan.digest, plan.video[0].name)
    for segment in recorded:
        key = keys.media_segment(locked.id, plan.digest, plan.video[0].name, segment.index)
        data = world.storage.get(key)
        assert (len(data) % 16, len(data), b"moof" in data[:200]) == (0, segment.size_bytes, False)


def samples_play_with_their_key_alone(world: World, made: dict[str, Asset], tmp_path: Path) -> None:
    key = key_of(world, made["cbcs"])
    files: dict[str, Presented] = {}
    for choice in ("none", "cbcs"):
        (folder := tmp_path / f"samples-{choice}").mkdir()
        files[choice] = read_back(world, made[choice], folder)
    clear, locked = files["none"], files["cbcs"]
    assert set(clear.tracks) == set(locked.tracks)
    for name, track in locked.tracks.items():
        kind = "a" if name == "audio" else "v"
        expected = hashes(clear.tracks[name].file, kind)
        assert len(expected) > 100
        assert hashes(track.file, kind, key.key) == expected
        assert len(set(hashes(track.file, kind, OTHER_KEY)) & set(expected)) <= (kind == "a")  # what cannot be decoded is silence, too
        text = locked.playlists[f"{locked.plan.digest}/{name}/index.m3u8"]
        uri = f"../../key/{key.protection.key_id}"
        assert f'init.mp4"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{uri}",KEYFORMAT="identity",KEYFORMATVERSIONS="1"\n#EXTINF' in text
        assert text.count("EXT-X-KEY") == 1
        init = track.file.read_bytes()[:2000]
        assert (b"cbcs" in init, key.protection.kid in init, b"senc" in track.segments[0][:4000]) == (True, True, kind == "v")
    with world.db.connect() as conn:
        published = catalog.store.current_presentation(conn, made["cbcs"].id)
    assert published is not None
    head = published.multivariant["dash"]["head"]
    assert head.count(f'cenc:default_KID="{key.protection.uuid}"') == head.count("<AdaptationSet") == 2
    assert 'xmlns:cenc="urn:mpeg:cenc:2013"' in head


def is_what_pictures_and_scores_are_made_of(world: World, made: dict[str, Asset]) -> None:
    found, films = {}, {}
    for choice, asset in made.items():
        with world.db.begin() as conn:
            plan = catalog.store.load_plan(conn, asset.id)
            job_store.enqueue(conn, pictures.thumbnail_job(asset.id, plan.digest, 320, 1))
        while run_step(world, STEPS, VideoFlow(), "test"):
            pass
        wanted = [names.sheet(0), names.PREVIEW, names.thumbnail(320, 1), names.POSTER]
        with world.db.connect() as conn:
            stored = pictures.find(conn, asset.id, plan.digest, wanted)
        found[choice] = {name: stored[name].sha256 for name in wanted}
        title = open_title(world, asset.id, [plan.video[0].name, "audio"])
        films[choice] = [film(title, name, 1) for name in (plan.video[0].name, "audio")]  # what is scored, and measured
    assert found["aes-128"] == found["cbcs"] == found["none"]
    assert films["aes-128"] == films["cbcs"] == films["none"]


def is_the_same_when_made_again(world: World, asset: Asset) -> None:
    with world.db.connect() as conn:
        plan = catalog.store.load_plan(conn, asset.id)
    name = plan.video[0].name
    key = keys.media_segment(asset.id, plan.digest, name, 1)
    before = world.storage.get(key)
    header = keys.init_segment(asset.id, plan.digest, name)
    first = world.storage.get(header)
    world.storage.delete(header)
    (job,) = [replace(job, args={"rendition": name}) for job in jobs_of(world, asset) if job.kind == "transcode.plan"]
    init_again(world, job, Beat())
    assert world.storage.get(header) == first
    title = open_title(world, asset.id, [name])
    clear, measured = title.clear_segment(name, 1), title.recorded[name][1]
    assert clear[4:8] == b"styp"
    world.storage.delete(key)
    as_made = replace(measured, size_bytes=0, sha256="", fragments=() if asset.encryption == "cbcs" else measured.fragments)
    assert title.store(name, (as_made, clear), "video/mp4") == measured
    assert world.storage.get(key) == before
    assert title.lock is not None
    assert title.lock.key.hex() not in repr(title)


def test_who_gets_the_key_and_who_does_not(world: World, clips: Clips, caplog: pytest.LogCaptureFixture) -> None:
    asset, clear = (present(world, clips("plain"), encryption=choice) for choice in ("aes-128", "none"))
    lies_sealed(world, asset)
    api = open_api(replace(world, settings=replace(world.settings, delivery="stream")))
    known, base = key_of(world, asset), f"/v/{playback_of(world, asset)}"
    path = f"{base}/key/{known.protection.key_id}"
    with caplog.at_level(logging.DEBUG):
        reply = api.get(path, signed=False)
        (handed,) = api.get(f"/v1/assets/{asset.id}/keys").json()["data"]
    assert (reply.status_code, reply.content, reply.headers["cache-control"]) == (200, known.key, "no-store")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert "etag" not in reply.headers
    assert (handed["key"], handed["scheme"], base64.b64decode(handed["key_base64"])) == (known.key.hex(), "aes-128", known.key)
    assert handed["kid"].replace("-", "") == known.protection.key_id
    assert "handed out a content key" in caplog.text
    assert known.key.hex() not in caplog.text
    assert api.get(f"/v1/assets/{asset.id}").json()["encryption"] == "aes-128"
    assert api.get(f"/v1/assets/{asset.id}/keys").headers["cache-control"] == "no-store"
    is_problem(api.get(f"/v1/assets/{asset.id}/keys", signed=False), 401, "unauthorized")
    form = {"api_key": api.key, "next": "/"}
    signed_in = api.post("/login", signed=False, data=form, headers={"Sec-Fetch-Site": "same-origin"})
    cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
    assert api.get(f"/v1/assets/{asset.id}", signed=False, headers=cookie).status_code == 200
    is_problem(api.get(f"/v1/assets/{asset.id}/keys", signed=False, headers=cookie), 403, "key_required")

    iframes_are_those_of_the_clear_title(api, asset, clear, base, f"/v/{playback_of(world, clear)}")
    other = f"/v/{playback_of(world, clear)}/key/{known.protection.key_id}"  # another title's
    for wrong in (other, f"{base}/key/{'0' * 32}", f"{base}/key/{known.protection.key_id}0", f"{base}/manifest.mpd"):
        assert api.get(wrong, signed=False).status_code == 404
    assert api.get(f"/v1/assets/{clear.id}/keys").json()["data"] == []

    assert api.get(f"/v1/assets/{asset.id}/downloads").json()["available"] == []
    refused = api.post(f"/v1/assets/{asset.id}/downloads", json={"name": "480p.mp4"})
    is_problem(refused, 409, "encrypted")

    assert api.delete(f"/v1/assets/{asset.id}").status_code == 204
    with world.db.connect() as conn:
        assert title_keys.protection_of(conn, asset.id) is None
    assert open_api(world).get(path, signed=False).status_code == 404


def iframes_are_those_of_the_clear_title(api: Api, asset: Asset, clear: Asset, locked_base: str, clear_base: str) -> None:
    playlist = next(name for name in re.findall(r'URI="([^"]+)"', api.get(f"{locked_base}/main.m3u8").text) if "iframes" in name)
    folder = playlist.removesuffix("iframes.m3u8")
    plain = folder.replace(str(asset.plan_digest), str(clear.plan_digest))
    ivs = [bytes.fromhex(iv) for iv in re.findall("IV=0x([0-9A-F]{32})", api.get(f"{locked_base}/{playlist}").text)]
    known = api.get(f"/v1/assets/{asset.id}/keys").json()["data"][0]["key"]
    assert len(ivs) > 1
    for gop, iv in enumerate(ivs):
        sealed, open_ = (api.get(f"{base}/{where}i/{gop:05d}.m4s") for base, where in ((locked_base, folder), (clear_base, plain)))
        assert (sealed.status_code, sealed.headers["content-type"]) == (200, "video/iso.segment")
        assert ciphers.cbc_decrypt(bytes.fromhex(known), iv, sealed.content) == open_.content
        tag = {"If-None-Match": sealed.headers["etag"]}
        assert api.get(f"{locked_base}/{folder}i/{gop:05d}.m4s", headers=tag).status_code == 304


def jobs_of(world: World, asset: Asset) -> list[Job]:
    with world.db.connect() as conn:
        return list(job_store.jobs_of_asset(conn, asset.id))


def lies_sealed(world: World, asset: Asset) -> None:
    known = key_of(world, asset)
    with world.db.connect() as conn:
        sealed = conn.execute(text("SELECT sealed FROM title_keys WHERE asset_id = :id"), {"id": asset.id}).scalar_one()
        jobs = [str((job.args, job.stats)) for job in job_store.jobs_of_asset(conn, asset.id)]
        plan = str(conn.execute(text("SELECT plan FROM plans WHERE digest = :d"), {"d": asset.plan_digest}).scalar_one())
    for encoded in (known.key.hex(), base64.b64encode(known.key).decode()):
        assert encoded not in sealed
        assert encoded not in plan
        assert not any(encoded in job for job in jobs)
    stranger = replace(world, settings=replace(world.settings, secret_key="x" * 40, delivery="stream"))
    reply = open_api(stranger).get(f"/v/{playback_of(world, asset)}/key/{known.protection.key_id}", signed=False)
    assert (reply.status_code, reply.json()["code"]) == (503, "key_unavailable")


def test_the_operator_decides_once_for_those_who_do_not(world: World) -> None:
    def decided(asset: Asset, default: Encryption) -> Protection | None:
        with world.db.begin() as conn:
            return title_keys.decide(conn, catalog.store.lock_asset(conn, asset.id), default, world.settings.secret_key)

    with world.db.begin() as conn:
        open_, bare = (catalog.store.create_asset(conn, NewAsset(encryption=choice)) for choice in ("default", "none"))
    assert decided(bare, "aes-128") is None
    first = decided(open_, "aes-128")
    assert first is not None
    assert decided(open_, "none") == decided(open_, "cbcs") == first  # the same key, too
    with world.db.connect() as conn:
        assert catalog.store.get_asset(conn, open_.id).encryption == "aes-128"


@pytest.fixture
def edge(world: World, tmp_path: Path) -> Iterator[Rig]:
    with rig(world, tmp_path, user="root" if os.geteuid() == 0 else None) as running:
        yield running


@pytest.mark.parametrize("choice", ["aes-128", "cbcs"])
def test_the_edge_keeps_no_key_and_what_is_published_is_right(edge: Rig, world: World, clips: Clips, choice: EncryptionChoice) -> None:
    asset = present(world, clips("plain"), encryption=choice)
    known = key_of(world, asset)
    path = f"/v/{playback_of(world, asset)}/key/{known.protection.key_id}"
    before = edge.cache_entries()
    for _ in range(2):
        reply = edge.http.get(path)
        assert (reply.status_code, reply.content, reply.headers["cache-control"]) == (200, known.key, "no-store")
        assert reply.headers["access-control-allow-origin"] == "*"
    assert [asked for _, asked in edge.origin.requests].count(path) == 2
    assert edge.cache_entries() == before
    assert not any(known.key in file.read_bytes() for file in (edge.edge.directory / "cache").rglob("*") if file.is_file())
    assert (edge.http.head(path).status_code, edge.http.post(path).status_code) == (200, 405)
    assert edge.http.options(path).headers["access-control-allow-origin"] == "*"
    private = replace(world, settings=replace(world.settings, cbcs_keys="service", delivery="stream"))
    assert open_api(private).get(path, signed=False).status_code == (404 if choice == "cbcs" else 200)
    found = validate(f"{edge.address}/v/{playback_of(world, asset)}/main.m3u8")
    assert [finding for finding in found.findings if finding.level is Level.MUST] == []
    assert {"K3", "K4", "K5", "K6", "K7"}.isdisjoint(found.unchecked)


def test_sound_without_pictures_is_encrypted_as_well(edge: Rig, world: World, clips: Clips, tmp_path: Path) -> None:
    """By way of the edge, as players fetch it: FFmpeg gets the playlist, the key and the segments."""
    clear, whole, samples = (present(world, clips("mp3"), encryption=choice) for choice in ("none", "aes-128", "cbcs"))
    shown = {}
    for asset in (clear, whole, samples):
        (folder := tmp_path / asset.id).mkdir()
        shown[asset.id] = read_back(world, asset, folder)
        report = validate(f"{edge.address}/v/{playback_of(world, asset)}/main.m3u8")
        assert [finding for finding in report.findings if finding.level is Level.MUST] == []
        assert {"K3", "K4", "K5", "K6", "K7"}.isdisjoint(report.unchecked)
    assert sorted(shown[clear.id].tracks) == ["audio", "audio-low"]
    for name, track in shown[clear.id].tracks.items():
        expected = hashes(track.file, "a")
        assert len(expected) > 100
        address = f"{edge.address}/v/{playback_of(world, whole)}/{whole.plan_digest}/{name}/index.m3u8"
        assert hashes(address, "a") == expected
        locked = shown[samples.id].tracks[name]
        assert hashes(locked.file, "a", key_of(world, samples).key) == expected
        assert not set(hashes(locked.file, "a", OTHER_KEY)) >= set(expected)
        assert locked.segments[0] != track.segments[0]
    manifests = [edge.http.get(f"/v/{playback_of(world, asset)}/manifest.mpd") for asset in (clear, whole, samples)]
    assert [reply.status_code for reply in manifests] == [200, 404, 200]
    assert [reply.text.count("cenc:default_KID") for reply in manifests] == [0, 0, 1]
    api = open_api(replace(world, settings=replace(world.settings, delivery="stream")))
    assert [api.get(f"/v1/assets/{asset.id}/downloads").json()["available"] for asset in (whole, samples)] == [[], []]
