"""FFmpeg commands as values. Pure; the one home of `ffmpeg-python`, which builds the filter graphs.

Timeline. Source timestamps are kept (`-copyts`), moved so that the chunk's first grid frame is at 0, and put on the grid by
`fps`, which shows at each grid instant the latest source picture (times rounded to the nearest frame). All of that is integer
arithmetic in ticks of the grid relative to the plan's origin, so a chunk that starts decoding at a keyframe shows exactly the
pictures that a decode of the whole source would (tests/media/test_encode_seek.py compares them). `trim` then keeps frames
[0, n) and fills nothing: pictures missing at the start, or at the end beyond what the plan lets `tpad` repeat, are missing in the
output, and `transcode.verify` sees it.

Sameness. Whatever could differ between two runs or two machines is pinned: one encoder thread (see `transcode.table`), x264
without CPU-specific decisions, the scaler's exact path, audio without SIMD, fixed level, profile and colour description, no version
strings.

Safety. The demuxer is pinned to the container that the probe saw, the decoder to the codec it saw, and only the `file` protocol may
be opened, so no upload can make FFmpeg open anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import ffmpeg

from catalog.priority import NEXT
from kit.jobs import URGENT
from kit.process import Command
from kit.sandbox import Confinement
from media import accepted
from media.info import AudioStream, MediaInfo, VideoStream
from media.plan import EncodePlan
from transcode.colour import Filter

Stream = Any  # ffmpeg-python has no types

MIB = 1 << 20
DECODER_THREADS = 1  # measured: two cost a tenth more CPU, and decoding is never what a process of several encoders waits for
URGENT_DECODER_THREADS = 2
MAX_PIXELS = 8192 * 8192  # no picture of the stream may be larger, whatever the first one was
CORES_USED = 8  # by one run, at most: its threads are one decoder and an encoder for each rung
BULK_NICE, _NEXT_NICE = 19, 10  # a seventieth, and a tenth, of the weight of what somebody is waiting for
ENCODE_MEMORY_BYTES = 6 << 30  # reserved, stacks of threads included; what a run really uses is bounded by the plan's chunks
SMALL_MEMORY_BYTES = 1 << 30
LARGEST_OUTPUT_BYTES = 4 << 30
STALL_S = 120  # without a word of progress, beside the time that passes before there can be any
PROGRESS = ("out_time_us=", "total_size=", "frame=")  # one of these changes while FFmpeg gets on; its clocks tick in any case
SCALER = "bicubic+accurate_rnd+bitexact"  # the same pixels on every CPU; costs nothing measurable over plain bicubic

# Bytes that do not depend on the day or the build: no tags of the source, no version strings.
PLAIN = {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact"}

UNINDEXED = ("mpegts", "mpeg", "flv", "asf")
_MATROSKA_STEP_BACK = Fraction(3, 23)


@dataclass(frozen=True, slots=True)
class Work:
    """A plan, its source, and the folder and the FFmpeg program to work with."""

    plan: EncodePlan
    info: MediaInfo
    source: Path
    out_dir: Path
    program: str
    nice: int = BULK_NICE  # of the program (`niceness`)
    huge_pages: bool = False  # whether encoders of pictures take their memory from those of the machine (`kit.huge_pages`)

    @property
    def video(self) -> VideoStream:
        if self.info.video is None:
            raise ValueError("the source has no video")
        return self.info.video


def niceness(job_priority: int) -> int:
    """nice(2) of the programs that a job of this priority (`catalog.priority`) starts."""
    if job_priority < URGENT:
        return BULK_NICE
    return _NEXT_NICE if job_priority == NEXT else 0


def file_url(path: Path) -> str:
    """A path that FFmpeg cannot take for a protocol or an option."""
    return f"file:{path}"


def pictures_of(work: Work, keyframe: Fraction | None) -> Stream:
    """The video, decoded from `keyframe` or from the file's start."""
    decoders = accepted.VIDEO_CODECS.get(work.video.codec, (work.video.codec,))
    return _source(work, work.video.index, decoders, keyframe)


def still_of(work: Work, index: int, decoders: Sequence[str]) -> Stream:
    """A cover picture."""
    return _source(work, index, decoders, None)


def sound_of(work: Work, stream: AudioStream, seek: Fraction | None) -> Stream:
    """One audio track, decoded from `seek` or from the file's start."""
    return _source(work, stream.index, accepted.AUDIO_CODECS.get(stream.codec, (stream.codec,)), seek)


def _source(work: Work, index: int, decoders: Sequence[str], keyframe: Fraction | None) -> Stream:
    """Stream `index` of the upload. No other decoder may even be opened."""
    options: dict[str, str | int | None] = {
        "protocol_whitelist": ",".join(accepted.PROTOCOLS),
        "format_whitelist": work.info.container,
        "codec_whitelist": ",".join(decoders),
        "max_pixels": MAX_PIXELS,
        "threads": DECODER_THREADS if work.nice == BULK_NICE else URGENT_DECODER_THREADS,
    }
    if keyframe is not None:
        # By absolute time. What comes before the chunk is dropped on the grid, and not by FFmpeg's own "accurate seek", which
        # rounds in its own way.
        options |= {"ss": f"{ceil(_seek_time(work.info.container, keyframe) * 1_000_000)}us", "seek_timestamp": 1, "noaccurate_seek": None}
    return ffmpeg.input(file_url(work.source), **options)[str(index)]


def _seek_time(container: str, keyframe: Fraction) -> Fraction:
    """What to ask FFmpeg for, to make it begin at or shortly before `keyframe`.

    Where there is no index, FFmpeg looks for a decode time, which lies before the display time, and begins in the middle of things.
    In Matroska it goes back by 3/23 s for the same reason, which would be one keyframe too early.
    """
    if any(name in UNINDEXED for name in container.split(",")):
        return keyframe - Fraction(1)
    return keyframe + _MATROSKA_STEP_BACK if "matroska" in container else keyframe


def generated(graph: str) -> Stream:
    return ffmpeg.input(graph, f="lavfi")


def chain(stream: Stream, filters: Sequence[Filter]) -> Stream:
    for item in filters:
        stream = stream.filter(item.name, **item.options)
    return stream


def confinement(work: Work, memory_bytes: int) -> Confinement:
    """The run may read the one source and write into its own folder. Bulk work steps aside for what somebody is waiting for."""
    return Confinement(
        reads=(work.source,), writes=(work.out_dir,), memory_bytes=memory_bytes, cpu_s=0, file_bytes=LARGEST_OUTPUT_BYTES, nice=work.nice
    )


def command_of(
    outputs: Sequence[Stream], program: str, confine: Confinement, timeout_s: float, *, silent_s: float = 0, cpu_flags: str = ""
) -> Command:
    """One FFmpeg run. Figures of its progress on stdout, complaints on stderr. `silent_s`: how long it may take to the first of them."""
    head = [
        program,
        *(("-cpuflags", cpu_flags) if cpu_flags else ()),
        "-nostdin",
        "-hide_banner",
        "-nostats",
        "-loglevel",
        "level+error",
        "-progress",
        "pipe:1",
        "-stats_period",
        "0.5",
    ]
    head += ["-copyts", "-reinit_filter", "0", "-filter_complex_threads", "1", "-y"]
    merged = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    argv = tuple(ffmpeg.compile(merged, cmd=head))
    limits = replace(confine, cpu_s=CORES_USED * round(timeout_s))
    return Command(argv, timeout_s=round(timeout_s), stall_s=round(STALL_S + silent_s), life=PROGRESS, confine=limits)
