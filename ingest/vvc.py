"""How VVC (H.266) in an MP4 file is described, although ffprobe must not open its VVC decoder (docs/decisions/0017-codecs.md). Pure but
for the copy of the header.

ffprobe ends when it may not open the decoder of a stream, and lists a stream that has none. So it is shown a copy of the file's header
in which the tracks of VVC are of a codec that nobody knows; and what only a decoder can say (pixels, colours, light) is learnt from one
picture, which FFmpeg, whose decoder is mended, has written in FFV1. Where the samples are is said by the index (`ingest.mp4_index`): a
file whose index cannot be relied on is refused, and so is VVC in fragments and in other containers.

Nothing here keeps ffprobe from the decoder: its list of codecs does (`media.accepted`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from ingest.ffprobe import Found
from ingest.mp4_index import Mp4Index
from kit.process import Command
from kit.sandbox import Confinement
from kit.scratch import LocalCopy
from media import accepted
from media.isobmff import find, iter_boxes

CODEC = "vvc"
ENTRIES = frozenset({b"vvc1", b"vvi1"})  # ISO/IEC 14496-15:2022, 11.3.1
NOBODYS = b"xxxx"  # no codec of FFmpeg's
_ENTRY_KIND = 12  # of the first sample entry, behind version, flags, number of entries and its size (ISO/IEC 14496-12, 8.5.2)

_LIMIT_S = 60.0
_CPU_S = 60
_MEMORY_BYTES = 4 << 30  # reserved: of 8192 x 4320, ten bits, each picture that waits for its turn takes 106 MB
_LARGEST_PICTURE_BYTES = 1 << 30


def is_taken(index: Mp4Index) -> bool:
    """Whether the file has VVC, and not in fragments: in these, FFmpeg misses pictures that are shown before their keyframe."""
    return not index.moofs and any(_entries(index.moov))


def write_header(copy: LocalCopy, index: Mp4Index, target: Path) -> None:
    """A file as long as the source, with what FFmpeg reads to learn about the tracks, and without the name of the codec."""
    moov = next(box.start for box in index.boxes if box.kind == "moov")
    with target.open("wb") as file:
        file.truncate(copy.size_bytes)
        for (start, _), data in zip(index.header, copy.read_many(index.header), strict=True):
            file.seek(start)
            file.write(data)
        for at in _entries(index.moov):
            file.seek(moov + at)
            file.write(NOBODYS)


def _entries(moov: bytes) -> Iterator[int]:
    """Where the names of sample entries of VVC are."""
    for outer in iter_boxes(moov):
        for trak in iter_boxes(moov, outer.body, outer.end):
            stsd = find(moov, "mdia/minf/stbl/stsd", trak.body, trak.end) if trak.kind == "trak" else None
            if stsd is not None and moov[stsd.body + _ENTRY_KIND : stsd.body + _ENTRY_KIND + 4] in ENTRIES:
                yield stsd.body + _ENTRY_KIND


def picture_command(ffmpeg: str, source: Path, header: Found, max_pixels: int, target: Path) -> Command:
    """Decodes one picture of the video that was found in the `header`, and writes it as it is stored, without loss, as Matroska."""
    assert header.video is not None
    argv = (
        *(ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "error", "-y"),
        *("-protocol_whitelist", ",".join(accepted.PROTOCOLS), "-format_whitelist", header.container),
        *("-codec_whitelist", ",".join(accepted.UNPROBED_CODECS[CODEC]), "-max_pixels", str(max_pixels), "-threads", "1"),
        *("-noautorotate", "-i", f"file:{source}", "-map", f"0:{header.video.index}", "-frames:v", "1"),
        *("-c:v", "ffv1", "-threads", "1", "-f", "matroska", f"file:{target}"),
    )
    confine = Confinement(
        reads=(source,), writes=(target.parent,), memory_bytes=_MEMORY_BYTES, cpu_s=_CPU_S, file_bytes=_LARGEST_PICTURE_BYTES
    )
    return Command(argv, timeout_s=_LIMIT_S, confine=confine)


def described(found: Found, picture: Found) -> Found:
    """What ffprobe has `found` in the header, with what it says of the `picture`. Without one, the codec stays unknown."""
    video, seen = found.video, picture.video
    if video is None or seen is None:
        return found
    return replace(
        found,
        video=replace(
            video,
            codec=CODEC,
            width=seen.width,
            height=seen.height,
            pixel_aspect=seen.pixel_aspect if video.pixel_aspect == Fraction(1) else video.pixel_aspect,
            pixel_format=seen.pixel_format,
            bit_depth=seen.bit_depth,
            color_space=seen.color_space,
            color_transfer=seen.color_transfer,
            color_primaries=seen.color_primaries,
            full_range=seen.full_range,
            mastering_display=video.mastering_display or seen.mastering_display,
            content_light=video.content_light or seen.content_light,
        ),
    )
