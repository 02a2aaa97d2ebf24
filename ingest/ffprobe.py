"""What is asked of ffprobe, and what its answer means. Pure: commands are values, answers are text.

Two questions: `streams_command` (what tracks are there, and what do their headers claim) and `packets_command` (a line for
each packet, see `ingest.packets`). `parse_streams` reads the first answer into `Found`; `ingest.described` joins both.

ffprobe's answer is about a stranger's file, so every field may be missing, absurd or of the wrong type: it then counts as
unknown. Only what makes the source useless is refused, with `Rejected`; nothing else is ever raised here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from ingest import light
from ingest.languages import bcp47
from kit.errors import Rejected
from kit.process import Command
from kit.sandbox import Confinement
from media import accepted
from media.info import CoverPicture, SubtitleStream

STREAMS_LIMIT_S = 20.0  # a good file takes a tenth of a second; both together end within a minute
PACKETS_LIMIT_S = 35.0
READ_BYTES_PER_S = 5e6  # of a busy machine, in a video that has few bytes for each picture
LONGEST_READ_S = 3600.0
ANSWER_LIMIT_CHARS = 2_000_000
MAX_STREAMS = 32
CPU_S = 1  # for each question, and beside it what the bytes take: no small file has a claim to more than two seconds
INDEXED_BYTES_PER_CPU_S = 5e7
COUNTED_BYTES_PER_CPU_S = 1e6  # of a slow machine that reads 60,000 packets a second, of the smallest that `checks.check_count` lets pass
MEMORY_BYTES = 448 * 1024 * 1024  # beside the program itself, which is some 40 MiB
MAX_ALLOC_BYTES = 256 * 1024 * 1024  # for one block of ffprobe's memory
TITLE_CHARS = 200
UNKNOWN = "unknown"  # what a stream does not say

_STREAM = (
    "index,codec_type,codec_name,has_b_frames,width,height,sample_aspect_ratio,pix_fmt,bits_per_raw_sample,field_order,color_range,color_space,"
    "color_transfer,color_primaries,r_frame_rate,avg_frame_rate,time_base,start_time,duration,nb_frames,sample_rate,channels,channel_layout,closed_captions"
)
_LIGHT = ",".join((
    *(f"{name}_{axis}" for name in ("red", "green", "blue", "white_point") for axis in "xy"),
    "min_luminance,max_luminance,max_content,max_average",
))  # fmt: skip
_ENTRIES = ":".join((
    "format=format_name,start_time,duration,nb_streams",
    f"stream={_STREAM}",
    "stream_disposition=default,forced,hearing_impaired,comment,visual_impaired,attached_pic,still_image,timed_thumbnails",
    "stream_tags=language,title,DURATION",
    f"stream_side_data=side_data_type,rotation,dv_profile,dv_bl_signal_compatibility_id,{_LIGHT}",
    "chapter=id",
))  # fmt: skip
_INTERLACED = frozenset({"tt", "bb", "tb", "bt"})
_DEPTH = re.compile(r"(?:p|gray|gbrp|gbrap|xyz|x2rgb|x2bgr|ya|p0|p2|p4)(9|10|12|14|16)(?:le|be)?$")
_DECIMAL = re.compile(r"-?\d{1,12}(\.\d{1,12})?", re.ASCII)
_RATIO = re.compile(r"(\d{1,10})[/:](\d{1,10})", re.ASCII)
_CLOCK = re.compile(r"(\d{1,4}):(\d\d):(\d\d(?:\.\d{1,9})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundVideo:
    """The video stream that will be encoded, as its headers describe it. Claimed times are seconds, None when not said."""

    index: int
    codec: str
    width: int  # as stored
    height: int
    pixel_aspect: Fraction
    rotation: int  # degrees clockwise
    pixel_format: str
    bit_depth: int
    interlaced: bool
    color_space: str
    color_transfer: str
    color_primaries: str
    full_range: bool
    dolby_vision: tuple[int, int] | None  # profile, compatibility of the base layer (0: none)
    reorder_depth: int  # pictures that a decoder holds back before it shows the first
    claimed_rates: tuple[Fraction, ...]  # best first
    claimed_end: Fraction | None
    mastering_display: str = ""
    content_light: str = ""

    @property
    def display_size(self) -> tuple[int, int]:
        """Width and height with square pixels, turned upright."""
        width, height = max(1, round(self.width * self.pixel_aspect)), self.height
        return (height, width) if self.rotation in (90, 270) else (width, height)


@dataclass(frozen=True, slots=True)
class FoundAudio:
    """One audio stream that can be decoded."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    channel_layout: str
    language: str
    title: str
    default: bool
    start: Fraction | None
    claimed_end: Fraction | None
    forced: bool = False
    commentary: bool = False
    visual_impaired: bool = False
    hearing_impaired: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """ffprobe's first answer."""

    container: str
    streams: int
    claimed_end: Fraction | None
    video: FoundVideo | None
    audio: tuple[FoundAudio, ...]
    attached_pictures: int
    subtitle_codecs: tuple[str, ...]
    ticks: Mapping[int, Fraction]  # seconds in a tick of each stream
    pictures: frozenset[int] = frozenset()  # streams that are attached pictures
    subtitles: tuple[SubtitleStream, ...] = ()
    chapters: int = 0
    closed_captions: bool = False
    cover: CoverPicture | None = None
    ancillary: int | None = None

    @property
    def leading(self) -> int | None:
        """The stream whose packets say what the file holds: the pictures, or the first sound of a file without any."""
        if self.video is not None:
            return self.video.index
        return self.audio[0].index if self.audio else None


def _guarded(ffprobe: str, max_pixels: int) -> tuple[str, ...]:
    """ffprobe, held to the accepted formats, to local files and to bounded blocks of memory."""
    decoders = ",".join((*accepted.DECODERS, *accepted.OTHER_DECODERS))
    return (
        *(ffprobe, "-hide_banner", "-v", "error", "-max_alloc", str(MAX_ALLOC_BYTES)),
        *("-threads", "1", "-max_streams", str(4 * MAX_STREAMS), "-max_pixels", str(max_pixels)),
        *("-protocol_whitelist", ",".join(accepted.PROTOCOLS), "-format_whitelist", ",".join(accepted.DEMUXERS)),
        *("-codec_whitelist", decoders),
    )


def streams_command(ffprobe: str, source: Path, max_pixels: int, size_bytes: int = 0) -> Command:
    """Asks for the container and its streams, as JSON on stdout."""
    argv = (*_guarded(ffprobe, max_pixels), "-show_entries", _ENTRIES, "-of", "json=compact=1", f"file:{source}")
    return Command(argv, timeout_s=STREAMS_LIMIT_S, confine=_confinement(source, size_bytes / INDEXED_BYTES_PER_CPU_S))


def packets_command(ffprobe: str, source: Path, max_pixels: int, size_bytes: int) -> Command:
    """Asks for every packet, one line each: stream, pts, dts, duration, size, flags, kinds of side data."""
    entries = "packet=stream_index,pts,dts,duration,size,flags:packet_side_data=side_data_type"
    argv = (*_guarded(ffprobe, max_pixels), "-show_entries", entries, "-of", "csv=p=0", f"file:{source}")
    reading_s = min(LONGEST_READ_S, size_bytes / READ_BYTES_PER_S)
    return Command(argv, timeout_s=PACKETS_LIMIT_S + reading_s, confine=_confinement(source, size_bytes / COUNTED_BYTES_PER_CPU_S))


def picture_command(ffprobe: str, source: Path, max_pixels: int, index: int) -> Command:
    """Asks for what the first picture of stream `index` says of its light, as JSON on stdout."""
    entries = ("-select_streams", str(index), "-read_intervals", "%+#1", "-show_entries", f"frame_side_data=side_data_type,{_LIGHT}")
    argv = (*_guarded(ffprobe, max_pixels), *entries, "-of", "json=compact=1", f"file:{source}")
    return Command(argv, timeout_s=STREAMS_LIMIT_S, confine=_confinement(source, 0))


def _confinement(source: Path, reading_s: float) -> Confinement:
    """ffprobe may read the one file and write none."""
    return Confinement(reads=(source,), memory_bytes=MEMORY_BYTES, cpu_s=CPU_S + round(min(LONGEST_READ_S, reading_s)))


def parse_streams(text: str) -> Found:
    """Read the answer to `streams_command`. Raises Rejected when it describes no media at all."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    container = _text(_mapping(_mapping(answer).get("format")).get("format_name"))
    if not container:
        raise Rejected("The file is not a video in a format that is supported here.", code="unsupported_format")
    form = _mapping(_mapping(answer)["format"])
    claimed_end = _end(_began(form, container), _seconds(form.get("duration")))
    listed = _mapping(answer).get("streams")
    streams = [stream for item in (listed if isinstance(listed, list) else []) if (stream := _mapping(item)) and _index(stream) is not None]
    moving = [stream for stream in streams if stream.get("codec_type") == "video" and not _is_still(stream)]
    # The track marked as default, then the largest picture, then the first.
    moving.sort(key=lambda stream: (not _flag(stream, "default"), -_size(stream, "width") * _size(stream, "height"), _index(stream) or 0))
    return Found(
        container=container,
        streams=sum(1 for stream in streams if stream.get("codec_type") != "attachment"),  # a fan's subtitles bring dozens of fonts
        claimed_end=claimed_end,
        video=_video(moving[0], container, claimed_end) if moving else None,
        audio=tuple(_audio(stream, container, claimed_end) for stream in streams if _is_decodable_audio(stream)),
        attached_pictures=sum(1 for stream in streams if stream.get("codec_type") == "video" and _is_still(stream)),
        subtitle_codecs=tuple(_text(stream.get("codec_name")) or UNKNOWN for stream in streams if stream.get("codec_type") == "subtitle"),
        pictures=frozenset(_index(stream) or 0 for stream in streams if stream.get("codec_type") == "video" and _is_still(stream)),
        ticks={_index(stream) or 0: tick for stream in streams if (tick := _ratio(stream.get("time_base")))},
        subtitles=tuple(_subtitle(stream) for stream in streams if stream.get("codec_type") == "subtitle"),
        chapters=_count(_mapping(answer).get("chapters")),
        closed_captions=bool(moving) and _integer(moving[0].get("closed_captions")) == 1,
        ancillary=next((_index(stream) for stream in streams if stream.get("codec_name") == "smpte_436m_anc"), None),
        cover=next((picture for stream in streams if _is_still(stream) and (picture := _cover(stream)) is not None), None),
    )


def _cover(stream: Mapping[str, Any]) -> CoverPicture | None:
    codec = _text(stream.get("codec_name"))
    return CoverPicture(_index(stream) or 0, codec) if codec in accepted.PICTURE_CODECS else None


def _video(stream: Mapping[str, Any], container: str, container_end: Fraction | None) -> FoundVideo:
    pixel_format = _text(stream.get("pix_fmt")) or UNKNOWN
    rates = tuple(rate for name in ("avg_frame_rate", "r_frame_rate") if (rate := _ratio(stream.get(name))))
    claimed_end = _claimed_end(stream, container, container_end)
    pictures = _integer(stream.get("nb_frames"))
    if container == "avi" and pictures and rates:
        # AVI's header counts pictures, and ffprobe mends the duration to what it found.
        claimed_end = _end(_seconds(stream.get("start_time")), pictures / rates[0])
    return FoundVideo(
        index=_index(stream) or 0,
        codec=_text(stream.get("codec_name")) or UNKNOWN,
        width=_size(stream, "width"),
        height=_size(stream, "height"),
        pixel_aspect=_ratio(stream.get("sample_aspect_ratio")) or Fraction(1),
        rotation=_rotation(stream),
        pixel_format=pixel_format,
        bit_depth=_bit_depth(stream, pixel_format),
        interlaced=_text(stream.get("field_order")) in _INTERLACED,
        color_space=_text(stream.get("color_space")) or UNKNOWN,
        color_transfer=_text(stream.get("color_transfer")) or UNKNOWN,
        color_primaries=_text(stream.get("color_primaries")) or UNKNOWN,
        full_range=stream.get("color_range") == "pc" or pixel_format.startswith("yuvj"),
        dolby_vision=_dolby_vision(stream),
        reorder_depth=min(16, _integer(stream.get("has_b_frames")) or 0),
        claimed_rates=rates,
        claimed_end=claimed_end,
        mastering_display=light.mastering_display(_side_data(stream)),
        content_light=light.content_light(_side_data(stream)),
    )


def _audio(stream: Mapping[str, Any], container: str, container_end: Fraction | None) -> FoundAudio:
    tags = _mapping(stream.get("tags"))
    return FoundAudio(
        index=_index(stream) or 0,
        codec=_text(stream.get("codec_name")),
        sample_rate=_integer(stream.get("sample_rate")) or 0,
        channels=_integer(stream.get("channels")) or 0,
        channel_layout=_text(stream.get("channel_layout")) or UNKNOWN,
        language=bcp47(_text(tags.get("language"))),
        title=_text(tags.get("title")),
        default=_flag(stream, "default"),
        start=_seconds(stream.get("start_time")),
        claimed_end=None if container == "avi" else _claimed_end(stream, container, container_end),  # AVI counts bytes, often wrongly
        forced=_flag(stream, "forced"),
        commentary=_flag(stream, "comment"),
        visual_impaired=_flag(stream, "visual_impaired"),
        hearing_impaired=_flag(stream, "hearing_impaired"),
    )


def _subtitle(stream: Mapping[str, Any]) -> SubtitleStream:
    tags = _mapping(stream.get("tags"))
    return SubtitleStream(
        index=_index(stream) or 0,
        codec=_text(stream.get("codec_name")) or UNKNOWN,
        language=bcp47(_text(tags.get("language"))),
        title=_text(tags.get("title")),
        default=_flag(stream, "default"),
        forced=_flag(stream, "forced"),
        hearing_impaired=_flag(stream, "hearing_impaired"),
    )


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0


def _is_decodable_audio(stream: Mapping[str, Any]) -> bool:
    known = stream.get("codec_type") == "audio" and _text(stream.get("codec_name")) in accepted.AUDIO_CODECS
    return known and bool(_integer(stream.get("sample_rate"))) and bool(_integer(stream.get("channels")))


def _is_still(stream: Mapping[str, Any]) -> bool:
    """Cover art and thumbnails are video streams to FFmpeg, but nobody uploads them to be watched."""
    return any(_flag(stream, name) for name in ("attached_pic", "still_image", "timed_thumbnails"))


def _side_data(stream: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    listed = stream.get("side_data_list")
    return [_mapping(item) for item in listed] if isinstance(listed, list) else []


def _rotation(stream: Mapping[str, Any]) -> int:
    """Degrees clockwise, to the nearest quarter turn; ffprobe counts them the other way."""
    for item in _side_data(stream):
        turned = item.get("rotation")
        if isinstance(turned, int | float) and -360 <= turned <= 360:
            return round(-turned / 90) * 90 % 360
    return 0


def _dolby_vision(stream: Mapping[str, Any]) -> tuple[int, int] | None:
    for item in _side_data(stream):
        if "DOVI" in _text(item.get("side_data_type")):
            return _integer(item.get("dv_profile")) or 0, _integer(item.get("dv_bl_signal_compatibility_id")) or 0
    return None


def _bit_depth(stream: Mapping[str, Any], pixel_format: str) -> int:
    said = _integer(stream.get("bits_per_raw_sample"))
    if said is not None and 8 <= said <= 16:
        return said
    spelled = _DEPTH.search(pixel_format)
    return int(spelled[1]) if spelled else 8


def _began(item: Mapping[str, Any], container: str) -> Fraction | None:
    """When what is said to last begins. Matroska's Duration is the length to some (RFC 9559, 5.1.2.10) and the end of the last packet
    to others, FFmpeg among them: only what both mean is held against a file whose clock starts late."""
    start = _seconds(item.get("start_time"))
    return min(start, Fraction(0)) if start is not None and container.startswith("matroska") else start


def _claimed_end(stream: Mapping[str, Any], container: str, container_end: Fraction | None) -> Fraction | None:
    start, duration = _began(stream, container), _seconds(stream.get("duration"))
    if duration is not None:
        return _end(start, duration)
    # Matroska's statistics tag. It outlives careless cutting, so it counts only as far as the container claims to go.
    tagged = _end(start, _clock(_mapping(stream.get("tags")).get("DURATION")))
    return tagged if tagged is None or container_end is None else min(tagged, container_end)


def _end(start: Fraction | None, duration: Fraction | None) -> Fraction | None:
    return None if duration is None else (start or Fraction(0)) + duration


# Reading one field of an answer that may hold anything.


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """A short printable string; empty when there is none."""
    return "".join(sign for sign in value if sign.isprintable()).strip()[:TITLE_CHARS] if isinstance(value, str) else ""


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,15}", value, re.ASCII):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def _index(stream: Mapping[str, Any]) -> int | None:
    value = stream.get("index")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10_000 else None


def _size(stream: Mapping[str, Any], name: str) -> int:
    value = _integer(stream.get(name)) or 0
    return value if value < 2**20 else 0


def _flag(stream: Mapping[str, Any], name: str) -> bool:
    return _integer(_mapping(stream.get("disposition")).get(name)) == 1


def _seconds(value: Any) -> Fraction | None:
    return Fraction(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def _clock(value: Any) -> Fraction | None:
    match = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])


def _ratio(value: Any) -> Fraction | None:
    """A positive fraction, or None."""
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    return Fraction(int(match[1]), int(match[2])) if match and int(match[1]) and int(match[2]) else None
