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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import ffmpeg

from kit.process import Command
from kit.sandbox import Confinement
from media import accepted
from media.grid import AAC_FRAME_SAMPLES, AUDIO_RATE_HZ
from media.info import AudioStream, MediaInfo, VideoStream
from media.plan import EncodePlan
from media.rendition import AudioRendition, VideoRendition
from transcode.colour import BT709, Filter, conversion
from transcode.plan import frames_of, lead_in_keyframe, poster_size, tail_frames
from transcode.table import AAC_PRIMING_FRAMES

Stream = Any  # ffmpeg-python has no types

MIB = 1 << 20
INIT_FRAMES = 4
DECODER_THREADS = 1  # measured: two cost a tenth more CPU, and decoding is never what a process of several encoders waits for
URGENT_DECODER_THREADS = 2
MAX_PIXELS = 8192 * 8192  # no picture of the stream may be larger, whatever the first one was
CORES_USED = 8  # by one run, at most: its threads are one decoder and an encoder for each rung
BULK_NICE = 19  # a seventieth of the weight of what somebody is waiting for
ENCODE_MEMORY_BYTES = 6 << 30  # reserved, stacks of threads included; what a run really uses is bounded by the plan's chunks
SMALL_MEMORY_BYTES = 1 << 30
LARGEST_OUTPUT_BYTES = 4 << 30
SLOWEST_PIXELS_PER_S = 1_000_000  # a thirtieth of what one core decodes, scales and encodes
STALL_S = 120  # without a word of progress, beside the time that passes before there can be any
LOOKAHEAD_FRAMES = 64  # that an encoder swallows before it gives the first one out
PROGRESS = ("out_time_us=", "total_size=", "frame=")  # one of these changes while FFmpeg gets on; its clocks tick in any case
SCALER = "bicubic+accurate_rnd+bitexact"  # the same pixels on every CPU; costs nothing measurable over plain bicubic

# Bytes that do not depend on the day or the build: no tags of the source, no version strings.
_PLAIN = {"map_metadata": -1, "map_chapters": -1, "fflags": "+bitexact"}

# Each fragment is one group of pictures and says where it is by itself; the header comes first and describes no sample. The first
# picture of a group is at offset 0 whatever follows it, even nothing; `transcode.cut` adds the constant delay.
_VIDEO_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof+cmaf+negative_cts_offsets+skip_trailer"
_UNINDEXED = ("mpegts", "mpeg", "flv", "asf")
_MATROSKA_STEP_BACK = Fraction(3, 23)

AUDIO_RUN_UP_FRAMES = 96  # about two seconds
AUDIO_RUN_OUT_FRAMES = 8

_AUDIO_FRAGMENTS = "+empty_moov+default_base_moof+cmaf+skip_trailer"


@dataclass(frozen=True, slots=True)
class Work:
    """A plan, its source, and the folder and the FFmpeg program to work with."""

    plan: EncodePlan
    info: MediaInfo
    source: Path
    out_dir: Path
    program: str
    urgent: bool = False  # somebody is waiting for it

    @property
    def video(self) -> VideoStream:
        if self.info.video is None:
            raise ValueError("the source has no video")
        return self.info.video


def encode_command(work: Work, wanted: Mapping[str, Sequence[int]], *, rewind: Fraction | None = Fraction(0)) -> Command:
    """Decode a stretch of the source once, and encode of each rung the segments that `wanted` names, each to `segment_path`.

    Every segment has an encoder of its own, which knows nothing of what came before. So a segment's bytes are the same whether it
    is made alone or among others (tests/media/test_encode.py), for 1 to 3 % more CPU than one encoder for each rung.

    Decoding begins at the source keyframe before the first frame, `rewind` seconds further back, or at the start of the file
    (None): the further back the slower, and the less is asked of the source's index. The pictures are the same.
    """
    plan, video = work.plan, work.video
    first, end = frames_of(plan, wanted)
    keyframe = None if rewind is None else lead_in_keyframe(plan, video, first, rewind)
    rungs = [plan.rendition(name) for name in wanted]
    pictures = _on_grid(_pictures(work, keyframe), plan, video, first, end)
    outputs = [
        _rung_output(piece, rung, plan, segment_path(work.out_dir, rung.name, index))
        for picture, rung in zip(_scaled(pictures, rungs), rungs, strict=True)
        for index, piece in _segments(picture, plan, first, wanted[rung.name])
    ]
    start = video.start if keyframe is None else keyframe
    decoded_frames = max(Fraction(0), end - (start - plan.origin) * plan.grid.frame_rate)
    pixels = sum(rung.width * rung.height for rung in rungs) * (end - first) + video.coded_width * video.coded_height * decoded_frames
    silent_frames = max(Fraction(0), decoded_frames - (end - first))  # decoded on the way to the first wanted one
    silent = video.coded_width * video.coded_height * silent_frames + LOOKAHEAD_FRAMES * sum(rung.width * rung.height for rung in rungs)
    return _command(
        outputs, work.program, _confinement(work, ENCODE_MEMORY_BYTES),
        timeout_s=120 + float(pixels) / SLOWEST_PIXELS_PER_S, silent_s=float(silent) / SLOWEST_PIXELS_PER_S,
    )  # fmt: skip


def segment_path(folder: Path, rendition: str, index: int) -> Path:
    """Where `encode_command` writes one segment."""
    return folder / f"{rendition}-{index:05d}.mp4"


def init_command(plan: EncodePlan, out_dir: Path, program: str) -> Command:
    """A few grey frames and a moment of silence through the encoders of every rendition, each to `out_dir`/<name>.mp4.

    Nothing in the headers depends on content, so these are the init segments of the real thing (`transcode.verify` compares).
    """
    outputs = []
    for rung in plan.video:
        grey = _generated(f"color=gray:size={rung.width}x{rung.height}:rate={rung.frame_rate}")
        grey = _chain(grey.filter("trim", end_frame=INIT_FRAMES).filter("format", "yuv420p").filter("setsar", 1), (BT709,))
        outputs.append(_rung_output(grey, rung, plan, out_dir / f"{rung.name}.mp4"))
    if plan.audio is not None:
        silence = _generated(f"anullsrc=r={AUDIO_RATE_HZ}:cl=stereo").filter("atrim", end_sample=INIT_FRAMES * AAC_FRAME_SAMPLES)
        outputs.append(_audio_output(silence, plan.audio, out_dir))
    return _command(
        outputs, program, Confinement(writes=(out_dir,), memory_bytes=ENCODE_MEMORY_BYTES, cpu_s=120, file_bytes=MIB), timeout_s=120
    )


def audio_command(work: Work) -> Command:
    """The whole track in one encoder run, to `out_dir`/<name>.mp4: `grid.audio_frames` AAC frames behind one of priming.

    Gaps become silence, and the track is begun and ended with the video, so that sample n is heard n / 48,000 s into the title.
    """
    return _audio_run(work, 0, work.plan.grid.audio_frames, None)


def audio_segment_command(work: Work, index: int) -> tuple[Command, int]:
    """One segment of the track by itself, for a viewer who cannot wait for the whole; and how many AAC frames come before it in
    the output, priming included.
    """
    first, _ = work.plan.grid.audio_bounds(index)
    begin, until = audio_run(work.plan, work.info.container, index)
    start = work.plan.origin + Fraction(begin * AAC_FRAME_SAMPLES, AUDIO_RATE_HZ)
    return _audio_run(work, begin, until, start if begin else None), AAC_PRIMING_FRAMES + first - begin


def audio_run(plan: EncodePlan, container: str, index: int) -> tuple[int, int]:
    """The AAC frames [begin, end) to encode for one segment of the track.

    The run begins two seconds early, so that decoder and encoder have settled when the segment begins, and ends a little late, because
    the encoder looks ahead. Where the container has no index to find that place with, it begins at the start.
    """
    first, end = plan.grid.audio_bounds(index)
    seekable = not any(name in _UNINDEXED for name in container.split(","))
    begin = max(0, first - AUDIO_RUN_UP_FRAMES) if seekable else 0
    return begin, min(plan.grid.audio_frames, end + AUDIO_RUN_OUT_FRAMES)


def _audio_run(work: Work, begin: int, end: int, seek: Fraction | None) -> Command:
    """AAC frames [begin, end) of the track, in one encoder run. `seek`: the source time to begin reading at."""
    rendition = work.plan.audio
    if rendition is None:
        raise ValueError("the plan has no audio")
    stream = next(item for item in work.info.audio if item.index == rendition.source_index)
    samples = (end - begin) * AAC_FRAME_SAMPLES
    shift = round(work.plan.origin * AUDIO_RATE_HZ) + begin * AAC_FRAME_SAMPLES
    sound = _sound(work, stream, seek)
    sound = sound.filter("asettb", f"1/{AUDIO_RATE_HZ}").filter("asetpts", f"PTS-({shift})")
    if stream.channels == 1:
        sound = sound.filter(
            "channelmap", map="0|0", channel_layout="stereo"
        )  # at full level on both sides; the resampler's own mix is 3 dB lower
    # Gaps are filled and overlaps dropped from 20 ms on; at swresample's own 100 ms, lips would be seen to be out of step.
    sound = sound.filter("aresample", AUDIO_RATE_HZ, **{"async": 1, "min_hard_comp": 0.02, "first_pts": 0})
    sound = sound.filter("aformat", sample_fmts="fltp", channel_layouts="stereo")
    sound = sound.filter("apad", whole_len=samples).filter("atrim", end_sample=samples)
    output = _audio_output(sound, rendition, work.out_dir)
    # Audio is computed in floating point, which SIMD code of different CPUs rounds differently. Plain code costs 3 % more here.
    confine = _confinement(work, SMALL_MEMORY_BYTES)
    return _command([output], work.program, confine, timeout_s=300 + float(work.info.duration), cpu_flags="0")


def poster_command(work: Work, times: Sequence[Fraction]) -> Command:
    """The picture at each of `times` (source time, keyframes), to `out_dir`/poster-<n>.jpg. JPEG is BT.601 in full range (JFIF)."""
    video = work.video
    width, height = poster_size(work.plan)
    outputs = []
    for index, time in enumerate(times):
        picture = _pictures(work, time)
        picture = _chain(picture.filter("trim", end_frame=1), conversion(video))
        picture = picture.filter("scale", width, height, flags=SCALER, out_color_matrix="bt601", out_range="pc")
        picture = picture.filter("setsar", 1).filter("format", "yuvj420p")
        target = _file(work.out_dir / f"poster-{index}.jpg")
        still = {"c:v": "mjpeg", "q:v": 3, "color_range": "pc", "fps_mode": "passthrough", "update": 1}
        outputs.append(ffmpeg.output(picture, target, f="image2", **still, **_PLAIN, **{"flags:v": "+bitexact"}))
    return _command(outputs, work.program, _confinement(work, ENCODE_MEMORY_BYTES), timeout_s=120 + 20 * len(times))


def _file(path: Path) -> str:
    """A path that FFmpeg cannot take for a protocol or an option."""
    return f"file:{path}"


def _pictures(work: Work, keyframe: Fraction | None) -> Stream:
    """The video, decoded from `keyframe` or from the file's start."""
    decoders = accepted.VIDEO_CODECS.get(work.video.codec, (work.video.codec,))
    return _source(work, work.video.index, decoders, keyframe)


def _sound(work: Work, stream: AudioStream, seek: Fraction | None) -> Stream:
    """One audio track, decoded from `seek` or from the file's start."""
    return _source(work, stream.index, accepted.AUDIO_CODECS.get(stream.codec, (stream.codec,)), seek)


def _source(work: Work, index: int, decoders: Sequence[str], keyframe: Fraction | None) -> Stream:
    """Stream `index` of the upload. No other decoder may even be opened."""
    options: dict[str, str | int | None] = {
        "protocol_whitelist": ",".join(accepted.PROTOCOLS),
        "format_whitelist": work.info.container,
        "codec_whitelist": ",".join(decoders),
        "max_pixels": MAX_PIXELS,
        "threads": URGENT_DECODER_THREADS if work.urgent else DECODER_THREADS,
    }
    if keyframe is not None:
        # By absolute time. What comes before the chunk is dropped on the grid, and not by FFmpeg's own "accurate seek", which
        # rounds in its own way.
        options |= {"ss": f"{ceil(_seek_time(work.info.container, keyframe) * 1_000_000)}us", "seek_timestamp": 1, "noaccurate_seek": None}
    return ffmpeg.input(_file(work.source), **options)[str(index)]


def _seek_time(container: str, keyframe: Fraction) -> Fraction:
    """What to ask FFmpeg for, to make it begin at or shortly before `keyframe`.

    Where there is no index, FFmpeg looks for a decode time, which lies before the display time, and begins in the middle of things.
    In Matroska it goes back by 3/23 s for the same reason, which would be one keyframe too early.
    """
    if any(name in _UNINDEXED for name in container.split(",")):
        return keyframe - Fraction(1)
    return keyframe + _MATROSKA_STEP_BACK if "matroska" in container else keyframe


def _generated(graph: str) -> Stream:
    return ffmpeg.input(graph, f="lavfi")


def _chain(stream: Stream, filters: Sequence[Filter]) -> Stream:
    for item in filters:
        stream = stream.filter(item.name, **item.options)
    return stream


def _on_grid(pictures: Stream, plan: EncodePlan, video: VideoStream, first: int, end: int) -> Stream:
    """Exactly the grid frames [first, end), numbered from 0, in BT.709 or labelled with what they are."""
    grid = plan.grid
    if video.interlaced:
        pictures = pictures.filter("bwdif", mode=_field_mode(video), deint="all")
    shift = round(plan.origin * grid.timescale) + first * grid.frame_ticks
    pictures = pictures.filter("settb", f"1/{grid.timescale}").filter("setpts", f"PTS-({shift})")
    # The first picture also stands for the time before it, if presentation time 0 is the start of the audio. Nowhere else: there, a
    # picture that comes too late means that decoding began too late.
    fill = {"start_time": 0} if plan.origin + first / grid.frame_rate <= video.start else {}
    pictures = pictures.filter("fps", str(grid.frame_rate), round="near", **fill)
    if end == grid.frames:
        pictures = pictures.filter("tpad", stop_mode="clone", stop=tail_frames(plan, video))
    pictures = pictures.filter("trim", start_pts=0, end_pts=end - first)
    return _chain(pictures, conversion(video))


def _field_mode(video: VideoStream) -> str:
    """One picture for each field when the grid wants clearly more pictures than the source has frames, else one for each frame."""
    frames_per_s = video.packets / max(Fraction(1, 1000), video.end - video.start)
    return "send_field" if video.frame_rate > frames_per_s * Fraction(3, 2) else "send_frame"


def _segments(pictures: Stream, plan: EncodePlan, first: int, indexes: Sequence[int]) -> Iterator[tuple[int, Stream]]:
    """The pictures of each segment, out of those of the grid from frame `first` on."""
    copies = pictures.filter_multi_output("split", len(indexes)) if len(indexes) > 1 else [pictures]
    for number, index in enumerate(indexes):
        start, end = plan.grid.segment_bounds(index)
        yield index, copies[number].filter("trim", start_pts=start - first, end_pts=end - first)


def _scaled(pictures: Stream, rungs: Sequence[VideoRendition]) -> list[Stream]:
    """One stream of finished pictures for each rung."""
    copies = pictures.filter_multi_output("split", len(rungs)) if len(rungs) > 1 else [pictures]
    return [_scale(copies[index], rung) for index, rung in enumerate(rungs)]


def _scale(pictures: Stream, rung: VideoRendition) -> Stream:
    """Even size, square pixels (the size already has the display's shape), 8-bit 4:2:0, BT.709."""
    scaled = pictures.filter("scale", rung.width, rung.height, flags=SCALER, out_color_matrix="bt709", out_range="tv")
    return _chain(scaled.filter("format", "yuv420p").filter("setsar", 1), (BT709,))


def _rung_output(pictures: Stream, rung: VideoRendition, plan: EncodePlan, target: Path) -> Stream:
    gop = plan.grid.gop_frames
    x264 = {
        "stitchable": 1,  # headers that do not depend on rate control, so that one init segment serves all chunks
        "open-gop": 0,  # every group of pictures can be decoded alone
        "cpu-independent": 1,  # the same decisions on every CPU
        "force-cfr": 1,  # rate control by frame count, as timestamps are a constant grid
        # Reordering by one picture, not two: a reader that ignores the edit list is late by one picture, which is not seen. It
        # costs 0.3 % of size at equal SSIM (measured).
        "b-pyramid": "none",
    }
    options: dict[str, str | int | float] = {
        "c:v": "libx264",
        "preset": rung.preset,
        "threads": rung.threads,
        "profile:v": "high",
        "level": f"{rung.level_idc // 10}.{rung.level_idc % 10}",  # pinned: x264 would choose it from the rate control
        "pix_fmt": "yuv420p",
        "crf": f"{rung.crf:g}",
        "maxrate": rung.maxrate_bps,
        "bufsize": rung.bufsize_bits,
        "g": gop,
        "keyint_min": gop,
        "sc_threshold": 0,  # no keyframe off the grid, at scene cuts
        "x264-params": ":".join(f"{name}={value}" for name, value in x264.items()),
        "a53cc": 0,  # captions hidden in the source's pictures are not announced, so they are not passed on
        "fps_mode": "passthrough",  # frames are on the grid already: none may be repeated or dropped
        "video_track_timescale": plan.grid.timescale,
        "flags:v": "+bitexact",
        "movflags": _VIDEO_FRAGMENTS,
    }
    return ffmpeg.output(pictures, _file(target), f="mp4", **options, **_PLAIN)


def _audio_output(sound: Stream, rendition: AudioRendition, out_dir: Path) -> Stream:
    options: dict[str, str | int] = {
        "c:a": "aac",
        "b:a": rendition.bitrate_bps,
        "ar": rendition.sample_rate_hz,
        "ac": rendition.channels,
        "flags:a": "+bitexact",
        "use_editlist": 0,  # the priming frame is cut off instead (`transcode.cut`)
        "flush_packets": 1,  # the file is read while it grows
        "frag_duration": 2_000_000,  # microseconds; only how much FFmpeg holds before it writes
        "movflags": _AUDIO_FRAGMENTS,
    }
    return ffmpeg.output(sound, _file(out_dir / f"{rendition.name}.mp4"), f="mp4", **options, **_PLAIN)


def _confinement(work: Work, memory_bytes: int) -> Confinement:
    """The run may read the one source and write into its own folder. Bulk work steps aside for what somebody is waiting for."""
    nice = 0 if work.urgent else BULK_NICE
    return Confinement(
        reads=(work.source,), writes=(work.out_dir,), memory_bytes=memory_bytes, cpu_s=0, file_bytes=LARGEST_OUTPUT_BYTES, nice=nice
    )


def _command(
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
