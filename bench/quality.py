"""Scores of encodes, and what one encoder reaches at another's bitrate.

VMAF v1 (`vmaf_v1.0.16_3d0h`: 1080p at three screen heights), at the size of the source, to which smaller pictures are scaled as a player
would (bicubic), at 10 bits, and told the size that was encoded, so that banding is judged right; every fifth picture, their harmonic mean.
Scores of different models cannot be compared with these.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from pathlib import Path

from bench.transcode import run_plain
from kit import tools
from kit.process import Command
from kit.world import World
from media.info import VideoStream
from media.rendition import VideoRendition

MODEL = "vmaf_v1.0.16_3d0h"
EVERY = 5  # pictures; odd, because B-frames alternate


@dataclass(frozen=True, slots=True)
class Encoded:
    """One encode of one rung."""

    rendition: str
    bps: float  # of the video alone
    vmaf: float


def score(world: World, source: Path, video: VideoStream, encode: Path, rung: VideoRendition, folder: Path) -> Encoded:
    """The bitrate and VMAF of `encode`. Raises SystemExit when it has another number of pictures than the source."""
    log_path = folder / "vmaf.json"
    size = f"{video.width}:{video.height}"
    # Without the same labels on both, one would be converted to the colours of the other.
    same = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    ready = f"{same},settb=AVTB,setpts=N/({video.frame_rate})/TB,scale={size}:flags=bicubic+accurate_rnd,format=yuv420p10le"
    model = rf"version={MODEL}\:cambi.enc_width={rung.width}\:cambi.enc_height={rung.height}\:cambi.enc_bitdepth={rung.bit_depth}"
    judge = f"libvmaf=model='{model}':n_subsample={EVERY}:n_threads=2:log_fmt=json:log_path={log_path}"
    graph = f"[0:v]{ready}[encode];[1:v]{ready}[source];[encode][source]{judge}"
    run_plain(world, ["-i", str(encode), "-i", str(source), "-filter_complex", graph, "-f", "null", "-"])
    report = json.loads(log_path.read_text())
    sizes, pictures = packets(world, encode), len(packets(world, source))
    if len(sizes) != pictures:
        raise SystemExit(f"{encode.name} has {len(sizes)} pictures, and the source {pictures}: a score would mean nothing")
    bps = 8 * sum(sizes) * float(video.frame_rate) / len(sizes)
    return Encoded(rung.name, round(bps), round(report["pooled_metrics"]["vmaf"]["harmonic_mean"], 3))


def packets(world: World, path: Path) -> list[int]:
    """Size of each packet of the first video stream."""
    argv = (
        tools.ffprobe(world.settings),
        "-v",
        "error",
        "-select_streams",
        "v:0",
        "-show_entries",
        "packet=size",
        "-of",
        "csv=p=0",
        str(path),
    )
    done = world.runner.run(Command(argv, timeout_s=300))
    if done.exit_code != 0:
        raise SystemExit(done.stderr.decode(errors="replace"))
    return [int(line.strip(",")) for line in done.stdout.decode().split()]


def at_bitrate(curve: Sequence[Encoded], bps: float) -> float | None:
    """The VMAF of an encoder at this bitrate, on the line through its neighbouring encodes (VMAF over the logarithm of the
    bitrate); None beyond them."""
    points = sorted(curve, key=lambda point: point.bps)
    for low, high in pairwise(points):
        if low.bps <= bps <= high.bps:
            share = log(bps / low.bps) / log(high.bps / low.bps) if high.bps > low.bps else 0.0
            return low.vmaf + share * (high.vmaf - low.vmaf)
    return None
