"""The FFmpeg runs that take the text out of a source, as values, and what their outputs mean. Pure.

Every stream becomes an SRT file, because FFmpeg writes all its text formats as SRT with times to the millisecond, styles and places.
Times stay those of the source (`-copyts`), an hour later so that none is negative: SRT cannot say so. The title's 0 is the plan's
origin, so cues are moved by the difference. Chapters come as FFmpeg's own metadata file (ffmpeg-formats manual, "Metadata").

Captions of line 21 are copied as they are, be they a track (EIA-608) or inside the pictures: of these only the units that hold user data
are kept ("filter_units"), and no picture is decoded. Those of MXF lie in a stream of ancillary data, which FFmpeg unpacks. Beside the bytes
stands a list of packets ("framecrc"). `captions.cc_data` reads both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from captions import markup
from kit.process import Command
from kit.sandbox import Confinement
from media import accepted, closed_captions
from media.cues import Cue, Problem
from media.info import MediaInfo, VideoStream

AHEAD_S = 3600
LINE_21 = "eia_608"  # FFmpeg's name of the codec
_DECODERS = ("subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text")
_MEMORY_BYTES = 1 << 30
_LARGEST_BYTES = 32 << 20
_LARGEST_COPY_BYTES = 1 << 30  # user data may hold more than captions: 100 bytes a picture are 40 MB an hour
_TIMEOUT_S = 600
_READ_BYTES_PER_S = 5_000_000
_NICE = 10
MAX_CHAPTERS = 1000
_CHAPTERS = "chapters.txt"
_LINE = re.compile(r"(?P<name>[A-Za-z]+)=(?P<value>(?:[^\\]|\\.)*)")


@dataclass(frozen=True, slots=True)
class Extraction:
    """What is wanted of a source: text streams by index, and chapters."""

    container: str
    size_bytes: int
    streams: Sequence[int]
    chapters: bool
    line_21: Sequence[int] = ()


def text_path(folder: Path, stream: int) -> Path:
    return folder / f"{stream}.srt"


def copied_paths(folder: Path, stream: int) -> tuple[Path, Path]:
    """The list of packets and their bytes."""
    return folder / f"{stream}.packets", folder / f"{stream}.bytes"


def chapters_path(folder: Path) -> Path:
    return folder / _CHAPTERS


def extract_command(wanted: Extraction, program: str, source: Path, folder: Path) -> Command:
    """One pass over the source for everything. It may read the one file and write into the folder."""
    argv = _opened(program, wanted.container, _DECODERS, source)
    for stream in wanted.streams:
        target = f"file:{text_path(folder, stream)}"
        argv += ["-map", f"0:{stream}", "-c:s", "srt", "-output_ts_offset", str(AHEAD_S), "-map_metadata", "-1", "-f", "srt", target]
    for stream in wanted.line_21:
        argv += _copied(stream, (), folder)
    if wanted.chapters:
        argv += ["-map_chapters", "0", "-f", "ffmetadata", f"file:{chapters_path(folder)}"]
    return _command(argv, wanted.size_bytes, source, folder, _LARGEST_BYTES)


def hidden_command(info: MediaInfo, video: VideoStream, program: str, source: Path, folder: Path) -> Command:
    """One pass over the source for the captions that its pictures carry, or that lie beside them. Confined likewise."""
    argv = _opened(program, info.container, accepted.VIDEO_CODECS.get(video.codec, ()), source)
    if info.closed_captions and (unit := closed_captions.UNITS.get(video.codec)):
        argv += _copied(video.index, ("-bsf", f"filter_units=pass_types={unit}"), folder)
    if info.ancillary is not None:
        argv += _copied(info.ancillary, ("-bsf", "smpte436m_to_eia608"), folder)
    return _command(argv, info.size_bytes, source, folder, _LARGEST_COPY_BYTES)


def _opened(program: str, container: str, decoders: Sequence[str], source: Path) -> list[str]:
    argv = [program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-copyts", "-y"]
    argv += ["-protocol_whitelist", ",".join(accepted.PROTOCOLS), "-format_whitelist", container]
    return [*argv, "-codec_whitelist", ",".join(decoders), "-threads", "1", "-i", f"file:{source}"]


def _copied(stream: int, options: Sequence[str], folder: Path) -> list[str]:
    """Two outputs with the packets of a stream, also of those that nothing can be decoded from."""
    listing, data = copied_paths(folder, stream)
    copy = ["-map", f"0:{stream}", "-c", "copy", "-copyinkf", *options, "-map_metadata", "-1"]
    return [*copy, "-f", "framecrc", f"file:{listing}", *copy, "-f", "data", f"file:{data}"]


def _command(argv: Sequence[str], size_bytes: int, source: Path, folder: Path, file_bytes: int) -> Command:
    limit_s = _TIMEOUT_S + size_bytes // _READ_BYTES_PER_S
    confine = Confinement(reads=(source,), writes=(folder,), memory_bytes=_MEMORY_BYTES, cpu_s=limit_s, file_bytes=file_bytes, nice=_NICE)
    return Command(tuple(argv), timeout_s=float(limit_s), confine=confine)


def shift_ms(origin: Fraction) -> int:
    """What is added to a time in an extracted SRT to get the title's."""
    return -round((AHEAD_S + origin) * 1000)


def read_chapters(text: str, origin: Fraction) -> tuple[tuple[Cue, ...], tuple[Problem, ...]]:
    """The chapters of an "ffmetadata" file on the title's clock. Those that lie before it, or nowhere, are reported."""
    cues: list[Cue] = []
    problems: list[Problem] = []
    for number, given in enumerate(_chapters(text)[:MAX_CHAPTERS], 1):
        try:
            base = Fraction(given["TIMEBASE"])
            start_ms, end_ms = (round((int(given[name]) * base - origin) * 1000) for name in ("START", "END"))
        except (KeyError, ValueError, ZeroDivisionError):
            problems.append(Problem(0, f"The times of chapter {number} cannot be read."))
            continue
        if end_ms <= max(0, start_ms):
            problems.append(Problem(0, f"Chapter {number} has no duration in the title."))
            continue
        title = " ".join(markup.escape(given.get("title", "")).split())[: markup.MAX_CUE_CHARS]
        cues.append(Cue(max(0, start_ms), end_ms, title or f"Chapter {number}"))
    return tuple(sorted(cues, key=lambda cue: cue.start_ms)), tuple(problems)


def _chapters(text: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    within = False
    for line in text.split("\n"):
        if line.startswith("["):
            within = line.strip() == "[CHAPTER]"
            if within:
                found.append({})
        elif within and (pair := _LINE.fullmatch(line)):
            found[-1][pair["name"]] = re.sub(r"\\(.)", r"\1", pair["value"])
    return found
