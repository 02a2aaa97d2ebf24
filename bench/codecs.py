"""What each encoder costs and what it gives: `make bench-codecs`.

Each row is an encoder with a preset and a bit depth, used exactly as the pipeline uses it (`transcode.ffmpeg.encoders`), without bitrate
caps, at four constant rate factors over the first seconds of each clip at its own size. Measured of each row:

- frames per second of one core: pictures over CPU seconds (user + system) of the encode, less those of decoding alone; at the clips' size,
  and at 1080p of a clip enlarged with film grain;
- BD-rate: how much more (less, when negative) bitrate than the first row it needs for the same VMAF, over the VMAFs that both reach
  (trapezoids of the logarithm of the bitrate over VMAF, after Bjøntegaard, VCEG-M33, whose cubics swing where points are few);
- the same at the one VMAF that the H.264 rung of the default profile has.

And of each profile: CPU seconds for each second of 1080p, through the whole pipeline. Clips are the real ones given (`--clip`, more than
once, or the folder HEADWATER_BENCH_CLIPS). Writes bench/results/codecs.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import exp, log
from pathlib import Path

from bench.figures import keep
from bench.quality import MODEL, score
from bench.transcode import about, make_source, run_plain, spent
from ingest.probe import probe
from kit.world import World
from media.info import VideoStream
from media.rendition import VideoRendition
from tests.encoded import encode
from tests.media.conftest import world_without_servers
from transcode.ffmpeg.encoders import encoder_options
from transcode.ladder import Size, rung_of
from transcode.plan import PlanOptions
from transcode.profiles import AV1, H264, HEVC, PROFILES, Encoder

RESULTS = Path(__file__).parent / "results" / "codecs.json"
NO_CAP_BPS = 4_000_000  # of pictures this small; high enough to be no cap, low enough for the level
GOP_S = 2
CRFS = {"h264": (19.0, 23.0, 27.0, 31.0), "hevc": (21.0, 25.0, 29.0, 33.0), "av1": (24.0, 32.0, 40.0, 48.0)}
ROWS = (
    H264,
    *(replace(H264, preset=preset) for preset in ("medium", "slow")),
    *(replace(HEVC, preset=preset) for preset in ("superfast", "veryfast", "fast", "medium")),
    replace(HEVC, bit_depth=10),
    *(replace(AV1, preset=preset) for preset in ("10", "8", "7", "6")),
    replace(AV1, preset="8", bit_depth=10),
)
CHOSEN = (H264, HEVC, AV1)
TARGET = -0.30  # AV1 against H.264 at equal VMAF


@dataclass(frozen=True, slots=True)
class Point:
    """One encode of one clip."""

    crf: float
    bps: float
    vmaf: float


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder. Savings are shares: -0.4 is 40 % less than the first row."""

    encoder: str
    clip_fps: float
    hd_fps: float
    bd_rate: float
    at_equal_vmaf: float
    points: dict[str, list[Point]]  # by clip


def label(encoder: Encoder) -> str:
    return f"{encoder.codec} {encoder.preset}{' 10 bit' if encoder.bit_depth == 10 else ''}"


def free(encoder: Encoder, video: VideoStream, crf: float) -> VideoRendition:
    """The rung of this encoder at the clip's own size, with no cap that is felt."""
    rung = rung_of(encoder, Size(video.width, video.height), video.frame_rate)
    return replace(rung, crf=crf, maxrate_bps=NO_CAP_BPS, bufsize_bits=NO_CAP_BPS * 3 // 2)


def encode_plainly(world: World, source: Path, video: VideoStream, rung: VideoRendition, out: Path) -> float:
    """CPU seconds."""
    options = encoder_options(rung, round(GOP_S * video.frame_rate)) | {"fps_mode": "passthrough"}
    words = [word for name, value in options.items() for word in (f"-{name}", str(value))]
    labels = f"scale={rung.width}:{rung.height},setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    return run_plain(
        world, ["-threads", "1", "-i", str(source), "-an", "-vf", f"{labels},format={options['pix_fmt']}", *words, str(out)]
    ).cpu_s


def decode_only(world: World, source: Path) -> float:
    return run_plain(world, ["-threads", "1", "-i", str(source), "-an", "-f", "null", "-"]).cpu_s


def bits_at(curve: Sequence[tuple[float, float]], vmaf: float) -> float:
    """The bitrate that a curve needs for this VMAF, its logarithm along the line through the neighbouring points or the nearest two."""
    points = sorted(curve, key=lambda point: point[1])
    low, high = next(((low, high) for low, high in pairwise(points) if vmaf <= high[1]), (points[-2], points[-1]))
    share = (vmaf - low[1]) / (high[1] - low[1])
    return exp(log(low[0]) + share * log(high[0] / low[0]))


def bd_rate(reference: Sequence[tuple[float, float]], other: Sequence[tuple[float, float]]) -> float:
    """The mean share of bitrate saved or lost over the VMAFs that both curves reach."""
    low = max(min(point[1] for point in curve) for curve in (reference, other))
    high = min(max(point[1] for point in curve) for curve in (reference, other))
    steps = [low + (high - low) * (index + 0.5) / 100 for index in range(100)]
    return exp(sum(log(bits_at(other, vmaf) / bits_at(reference, vmaf)) for vmaf in steps) / len(steps)) - 1


def measure(world: World, clips: Sequence[Path], hd: Path, folder: Path, encoders: Sequence[Encoder] = ROWS) -> list[Row]:
    """The first of the encoders is what the others are compared with."""
    rows: list[Row] = []
    first: dict[str, list[tuple[float, float]]] = {}
    videos = {clip: _video(world, clip) for clip in clips}
    hd_video, hd_decode = _video(world, hd), decode_only(world, hd)
    for encoder in encoders:
        points: dict[str, list[Point]] = {}
        pictures = spent = 0.0
        for clip, video in videos.items():
            decode = decode_only(world, clip)
            points[clip.name] = []
            for crf in CRFS[encoder.codec]:
                rung, out = free(encoder, video, crf), folder / "encode.mp4"
                spent += encode_plainly(world, clip, video, rung, out) - decode
                pictures += video.packets
                made = score(world, clip, video, out, rung, folder)
                points[clip.name].append(Point(crf, made.bps, made.vmaf))
        rung = free(encoder, hd_video, encoder.crf)
        hd_fps = hd_video.packets / (encode_plainly(world, hd, hd_video, rung, folder / "hd.mp4") - hd_decode)
        curves = {name: [(point.bps, point.vmaf) for point in of_clip] for name, of_clip in points.items()}
        first = first or curves
        saved = [bd_rate(first[name], curve) for name, curve in curves.items()]
        wanted = {name: first[name][CRFS["h264"].index(H264.crf)] for name in points}
        equal = [bits_at(curve, wanted[name][1]) / wanted[name][0] - 1 for name, curve in curves.items()]
        rows.append(Row(label(encoder), round(pictures / spent, 1), round(hd_fps, 1), _mean(saved), _mean(equal), points))
        print(
            f"{rows[-1].encoder:<18} {rows[-1].clip_fps:>7} {rows[-1].hd_fps:>6} {rows[-1].bd_rate:>7.1%} {rows[-1].at_equal_vmaf:>7.1%}",
            flush=True,
        )
    return rows


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)


def _video(world: World, clip: Path) -> VideoStream:
    video = probe(world, clip).video
    assert video is not None
    return video


def ladders(world: World, source: Path, seconds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Of each profile: CPU seconds for each second of the source, and what it stores."""
    costs: dict[str, dict[str, float]] = {}
    for name in PROFILES:
        before = spent()
        made = encode(world, source, folder / name, PlanOptions(profile=name))
        peak = max(run.peak_rss_bytes for run in made.runs)
        stored = sum(len(data) for track in made.segments.values() for _, data in track)
        costs[name] = {
            "cpu_s_per_s": round(spent().since(before).cpu_s / seconds, 2),
            "stored_kbps": round(stored * 8 / seconds / 1000),
            "peak_mib": round(peak / 2**20),
        }
        print(name, costs[name], flush=True)
    return costs


def picked(words: str) -> tuple[Encoder, ...]:
    """The rows of these labels, comma between, behind the one that all are compared with. No words: all."""
    wanted = [word.strip() for word in words.split(",")]
    return tuple(row for row in ROWS if not words or row is ROWS[0] or label(row) in wanted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, action="append", help="a real clip; more than one may be given")
    parser.add_argument("--seconds", type=int, default=12, help="of each clip (default 12)")
    parser.add_argument("--only", default="", help="these encoders, as the table calls them, comma between; the other rows stay")
    parser.add_argument("--part", choices=("encoders", "profiles", "both"), default="both", help="the other part of the results stays")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    given = os.environ.get("HEADWATER_BENCH_CLIPS")
    clips = args.clip or (sorted(Path(given).glob("*.mp4")) if given else [])
    if not clips:
        print("bench-codecs: compares encoders on real clips; name some with --clip or HEADWATER_BENCH_CLIPS", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="bench-codecs-") as name:
        folder = Path(name)
        world = world_without_servers(folder)
        cut = [_cut(world, clip, args.seconds, folder) for clip in clips]
        hd = make_source(world, clips[0], "1920x1080", 6, folder).path
        results = json.loads(args.out.read_text()) if args.out.exists() else {}
        results |= {"machine": about(world), "model": MODEL, "seconds": args.seconds, "clips": [clip.name for clip in clips]}
        if args.part != "profiles":
            made = {row.encoder: asdict(row) for row in measure(world, cut, hd, folder, picked(args.only))}
            kept = {row["encoder"]: row for row in results.get("rows", ())} if args.only else {}
            results["rows"] = list({**kept, **made}.values())
            keep(results, args.out)
        if args.part != "encoders":
            results["profiles"] = ladders(world, hd, 6, folder)
            keep(results, args.out)
    saved = next((row["at_equal_vmaf"] for row in results.get("rows", ()) if row["encoder"] == label(AV1)), None)
    if saved is None:
        return 0
    passed: bool = saved <= TARGET
    print(f"AV1 rung against H.264 rung at equal VMAF: {saved:.1%} ({'met' if passed else 'missed'}, target {TARGET:.0%})")
    return 0 if passed else 1


def _cut(world: World, clip: Path, seconds: int, folder: Path) -> Path:
    """Its beginning, of which every packet is a picture."""
    out = folder / clip.name
    run_plain(world, ["-i", str(clip), "-t", str(seconds), "-an", "-c:v", "libx264", "-preset", "veryfast", "-qp", "0", str(out)])
    return out


if __name__ == "__main__":
    sys.exit(main())
