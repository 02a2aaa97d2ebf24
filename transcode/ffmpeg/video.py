"""The pictures of a title: a stretch of the source decoded once, put on the grid, scaled to each rung, and encoded segment by segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import ffmpeg

from kit.huge_pages import from_huge_pages
from kit.process import Command
from media.info import VideoStream
from media.plan import EncodePlan
from media.rendition import VideoRendition
from transcode.colour import conversion
from transcode.colour import kept as kept_hdr
from transcode.ffmpeg.encoders import encoder_options, labels, pixel_format
from transcode.ffmpeg.run import ENCODE_MEMORY_BYTES, PLAIN, SCALER, Stream, Work, chain, command_of, confinement, file_url, pictures_of
from transcode.plan import frames_of, lead_in_keyframe, tail_frames

SLOWEST_PIXELS_PER_S = 1_000_000  # a thirtieth of what one core decodes, scales and encodes
LOOKAHEAD_FRAMES = 64  # that an encoder swallows before it gives the first one out

# Each fragment is one group of pictures and says where it is by itself; the header comes first and describes no sample. The first
# picture of a group is at offset 0 whatever follows it, even nothing; `transcode.cut` adds the constant delay.
_VIDEO_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof+cmaf+negative_cts_offsets+skip_trailer"


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
    pictures = on_grid(pictures_of(work, keyframe), plan, video, first, end)
    outputs = [
        rung_output(piece, rung, plan, segment_path(work.out_dir, rung.name, index))
        for picture, rung in zip(_scaled(pictures, work.video, rungs), rungs, strict=True)
        for index, piece in _segments(picture, plan, first, wanted[rung.name])
    ]
    start = video.start if keyframe is None else keyframe
    decoded_frames = max(Fraction(0), end - (start - plan.origin) * plan.grid.frame_rate)
    pixels = sum(rung.width * rung.height for rung in rungs) * (end - first) + video.coded_width * video.coded_height * decoded_frames
    silent_frames = max(Fraction(0), decoded_frames - (end - first))  # decoded on the way to the first wanted one
    silent = video.coded_width * video.coded_height * silent_frames + LOOKAHEAD_FRAMES * sum(rung.width * rung.height for rung in rungs)
    command = command_of(
        outputs, work.program, confinement(work, ENCODE_MEMORY_BYTES),
        timeout_s=120 + float(pixels) / SLOWEST_PIXELS_PER_S, silent_s=float(silent) / SLOWEST_PIXELS_PER_S,
    )  # fmt: skip
    return from_huge_pages(command) if work.huge_pages else command


def segment_path(folder: Path, rendition: str, index: int) -> Path:
    """Where `encode_command` writes one segment."""
    return folder / f"{rendition}-{index:05d}.mp4"


def on_grid(pictures: Stream, plan: EncodePlan, video: VideoStream, first: int, end: int) -> Stream:
    """Exactly the grid frames [first, end), numbered from 0."""
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
    return pictures.filter("trim", start_pts=0, end_pts=end - first)


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


def _scaled(pictures: Stream, video: VideoStream, rungs: Sequence[VideoRendition]) -> list[Stream]:
    """One stream of finished pictures for each rung: those that stay HDR from the source's own, the others from its SDR form."""
    kept = [rung for rung in rungs if rung.video_range != "SDR"]
    mapped = [rung for rung in rungs if rung.video_range == "SDR"]
    copies = pictures.filter_multi_output("split", 2) if kept and mapped else (pictures, pictures)
    finished: dict[str, Stream] = {}
    for some, stream, filters in ((mapped, copies[0], conversion), (kept, copies[1], kept_hdr)):
        if some:
            coloured = chain(stream, filters(video))
            pieces = coloured.filter_multi_output("split", len(some)) if len(some) > 1 else [coloured]
            finished |= {rung.name: _scale(pieces[index], rung) for index, rung in enumerate(some)}
    return [finished[rung.name] for rung in rungs]


def _scale(pictures: Stream, rung: VideoRendition) -> Stream:
    """Even size, square pixels (the size already has the display's shape), 4:2:0, in the colours of the rung."""
    matrix = "bt709" if rung.video_range == "SDR" else "bt2020nc"
    return finish(pictures.filter("scale", rung.width, rung.height, flags=SCALER, out_color_matrix=matrix, out_range="tv"), rung)


def finish(pictures: Stream, rung: VideoRendition) -> Stream:
    """Pictures of the right size as the encoder of `rung` takes them: everything that gets into its headers is the rung's."""
    return chain(pictures.filter("format", pixel_format(rung)).filter("setsar", 1), labels(rung))


def rung_output(pictures: Stream, rung: VideoRendition, plan: EncodePlan, target: Path) -> Stream:
    options = encoder_options(rung, plan.grid.gop_frames) | {
        "fps_mode": "passthrough",  # frames are on the grid already: none may be repeated or dropped
        "video_track_timescale": plan.grid.timescale,
        "flags:v": "+bitexact",
        "movflags": _VIDEO_FRAGMENTS,
    }
    return ffmpeg.output(pictures, file_url(target), f="mp4", **options, **PLAIN)
