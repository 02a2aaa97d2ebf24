"""The same ladder made the way the two best-known open-source platforms make it.

Read in their sources, and written anew: which process makes what, and with which options. What each does beside that (probing, packaging,
thumbnails, rungs that we do not make) is left out, in their favour; so are their queues, and the time until somebody sees the result.

PeerTube 7 (packages/ffmpeg/src: ffmpeg-default-transcoding-profile.ts, ffmpeg-vod.ts, shared/): one FFmpeg process for each
resolution, the largest first. x264 "veryfast", no rate factor set (so 23), maxrate from a table of bits per pixel, at most 1.3 times the
source's rate, bufsize twice that, up to 16 B-frames, a keyframe every two seconds; HLS with fragmented MP4 in one file; AAC is copied.
Its default is one thread for a process; here x264 may use all, in its favour.

MediaCMS 8 (files/helpers.py, cms/settings.py): one FFmpeg process for each resolution, and for each chunk of 240 s of sources
longer than 300 s. x264 "medium", rate factor 23, maxrate and bufsize 1.5 times a table by height, a keyframe every four seconds at
least, level 4.2; AAC at 128 kbit/s. The clips here are shorter, so there is
one chunk. Joining and packaging are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from media.plan import EncodePlan
from media.rendition import VideoRendition

CHUNK_S, CHUNKED_FROM_S = 240, 300

_PEERTUBE_BITS_PER_PIXEL = {480: 0.12, 720: 0.11, 1080: 0.10, 1440: 0.09, 2160: 0.08}
_MEDIACMS_KBPS = {480: 1000, 720: 2500, 1080: 4500, 1440: 9000, 2160: 18000}
_MEDIACMS_KBPS_60 = {480: 1000, 720: 3500, 1080: 7500, 1440: 18000, 2160: 40000}


@dataclass(frozen=True, slots=True)
class Process:
    """One FFmpeg process. `arguments` is everything behind the program's name; `output` is what it makes of `rendition`."""

    rendition: str
    arguments: tuple[str, ...]
    output: Path


def peertube(source: Path, source_bps: float, plan: EncodePlan, folder: Path) -> list[Process]:
    """In the order in which they run: nothing can be watched before the first has ended."""
    return [_peertube(source, source_bps, rung, folder) for rung in reversed(plan.video)]


def _peertube(source: Path, source_bps: float, rung: VideoRendition, folder: Path) -> Process:
    rate = float(rung.frame_rate)
    wanted = rung.width * rung.height * rate * _nearest(_PEERTUBE_BITS_PER_PIXEL, rung)
    target = round(min(wanted, 1.3 * source_bps))
    playlist, output = folder / f"peertube-{rung.name}.m3u8", folder / f"peertube-{rung.name}.mp4"
    arguments = (
        *("-i", str(source), "-vf", f"scale=w=-2:h={rung.height}", "-pix_fmt", "yuv420p", "-map_metadata", "-1"),
        *("-c:v", "libx264", "-preset", "veryfast", "-maxrate:v", str(target), "-bufsize:v", str(2 * target)),
        *("-b_strategy", "1", "-bf", "16", "-r", f"{rate:g}", "-g:v", str(round(2 * rate)), "-c:a", "copy"),
        *("-hls_time", "4", "-hls_list_size", "0", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"),
        *("-hls_segment_filename", str(output), "-f", "hls", "-hls_flags", "single_file", str(playlist)),
    )
    return Process(rung.name, arguments, output)


def mediacms(source: Path, plan: EncodePlan, folder: Path) -> list[Process]:
    """The smallest first, in its favour: its queue has no fixed order. Sources that are cut into chunks are not supported here."""
    if float(plan.grid.duration) > CHUNKED_FROM_S:
        raise ValueError(f"a source of more than {CHUNKED_FROM_S} s is cut into chunks of {CHUNK_S} s first")
    return [_mediacms(source, rung, folder) for rung in plan.video]


def _mediacms(source: Path, rung: VideoRendition, folder: Path) -> Process:
    rate = -(-rung.frame_rate.numerator // rung.frame_rate.denominator)
    kbps = round(1.5 * _nearest(_MEDIACMS_KBPS if rate <= 30 else _MEDIACMS_KBPS_60, rung))
    output = folder / f"mediacms-{rung.name}.mp4"
    arguments = (
        *("-i", str(source), "-c:v", "libx264", "-filter:v", f"scale=-2:{rung.height},fps=fps={rate}", "-pix_fmt", "yuv420p"),
        *("-crf", "23", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-maxrate", f"{kbps}k", "-bufsize", f"{kbps}k"),
        *("-force_key_frames", "expr:gte(t,n_forced*4)", "-x264-params", f"keyint={8 * rate}:keyint_min={4 * rate}"),
        *("-preset", "medium", "-profile:v", "high", "-level", "4.2" if rung.height <= 1080 else "5.2", str(output)),
    )
    return Process(rung.name, arguments, output)


def _nearest(table: dict[int, float] | dict[int, int], rung: VideoRendition) -> float:
    side = min(rung.width, rung.height)
    return table[min(table, key=lambda height: abs(height - side))]
