"""Accept a source or refuse it: every reason has a code that never changes and a sentence that people understand. Pure.

The checks run from cheap to dear: the size of the file, what its first bytes are, what its headers claim, what its packets
hold. `docs/codes.md` explains each code and what to do about it; a test keeps it equal to `REASONS`.

A header is never believed alone. A file may claim a day and hold four seconds, or claim four seconds and hold a day.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from ingest.container import Shape
from ingest.described import media_info
from ingest.ffprobe import MAX_STREAMS, UNKNOWN, Found, FoundVideo
from ingest.packets import Scan
from kit.errors import Rejected
from kit.settings import Settings
from media import accepted, ffmpeg_faults
from media.info import MediaInfo

SMALLEST_SIDE_PX = 16
MOST_ELONGATED = 16  # longer side by shorter side
MOST_PICTURES = 6_000_000  # 13 hours at 120 per second
MOST_PACKETS = 12_000_000  # 12 hours at 60 pictures per second, with four tracks of sound
FREE_PACKETS, SMALLEST_PACKET_BYTES = 100_000, 16  # more and smaller ones than these on average are in no good file
FREE_BYTES, MOST_SHARED = 4_000_000, 2  # that packets may claim beyond those of the file, and how often they may claim each of these: some
# containers leave out what all packets begin with, or compress text
JUDGED_PICTURES = 20_000  # from so many on it counts at once that they come too fast
FASTEST = 240  # pictures per second, on average: what phones make for slow motion
LONGEST_GAP_S = 600  # between two pictures: each second of it becomes pictures of ours
ESTIMATED = frozenset({"mp3", "aac"})  # containers that do not say how long they are: the length is guessed from the first packets
MISSING_S = Fraction(1, 2)  # containers are wrong about their length by less than this …
MISSING_SHARE = Fraction(2, 100)  # … or by less than this share of it
MISSING_BYTES_SHARE = 0.01

# code -> what it means. The sentence an uploader reads is made where the check is, and names the figures.
REASONS = {
    "empty": "The file has no bytes.",
    "too_large": "The file has more bytes than this installation accepts (HEADWATER_MAX_UPLOAD_BYTES).",
    "unsupported_format": "The file is not a video, or is in a container that is not accepted.",
    "truncated": "The end of the file is missing: the container promises more than it holds.",
    "unreadable": "The container could not be read to its end within the limits of time and memory.",
    "too_many_streams": "The file has more tracks than any camera or editor makes.",
    "no_video_stream": "There is neither video nor sound in the file, only pictures or text.",
    "no_pictures": "There is a video track, but no picture in it.",
    "no_sound": "There is a track of sound and no video, and nothing is in the track.",
    "unsupported_codec": "A track is in a codec that is not accepted.",
    "encrypted": "The video is encrypted.",
    "dolby_vision_5": "The video is Dolby Vision without a base layer that ordinary screens can show (profile 5, or 10.0).",
    "too_small": "The picture is smaller than 16 pixels on a side.",
    "too_many_pixels": "The picture has more pixels than this installation accepts (HEADWATER_MAX_PIXELS).",
    "unsupported_shape": "The picture is more than sixteen times as long as it is wide.",
    "too_many_pictures": "The video has more pictures than this installation accepts.",
    "too_many_packets": "The file is cut into more pieces than this installation accepts.",
    "too_fast": "The video has more pictures per second than any camera makes.",
    "broken_timestamps": "The times of the pictures make no sense: minutes pass between two of them.",
    "too_long": "The video is longer than this installation accepts (HEADWATER_MAX_DURATION_S).",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    info: MediaInfo


@dataclass(frozen=True, slots=True)
class Limits:
    """What an operator chose."""

    bytes: int
    duration_s: int
    pixels: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(settings.max_upload_bytes, settings.max_duration_s, settings.max_pixels)


def _no(code: str, sentence: str) -> Rejected:
    assert code in REASONS, code
    return Rejected(sentence, code=code)


def check_size(size_bytes: int, limits: Limits) -> Rejected | None:
    if size_bytes == 0:
        return _no("empty", "The file is empty.")
    if size_bytes > limits.bytes:
        return _no("too_large", f"The file has {_bytes(size_bytes)}; at most {_bytes(limits.bytes)} are accepted.")
    return None


def explain_failure(shape: Shape, complaint: str, limits: Limits) -> Rejected:
    """Why ffprobe could not read a file at all. `complaint`: what it printed."""
    refused = re.search(r"Codec \((\w+)\) not on whitelist", complaint)
    if refused:
        return _no("unsupported_codec", f"A track of the file is in the codec {refused[1]}, which is not supported.")
    if "max pixel count" in complaint:
        return _too_many_pixels(limits)
    if "max_streams" in complaint:
        return _no("too_many_streams", f"The file has far more tracks than the {MAX_STREAMS} that are accepted.")
    if shape.looks_like is not None:
        return _no("unsupported_format", f"The file is not a video: it looks like {shape.looks_like}.")
    if shape.is_mp4 and not shape.has_index:
        return _no("truncated", "The file has no index (moov): its end is missing, or the recording was never finished.")
    return _no("unsupported_format", "The file is not a video in a format that is supported here, or it is damaged from its start.")


def check_decoder(codec: str, version: str) -> Rejected | None:
    """Asked of `accepted.UNPROBED_CODECS` before FFmpeg opens the file. `version`: what FFmpeg calls itself."""
    if ffmpeg_faults.is_sound(version, accepted.UNPROBED_CODECS[codec]):
        return None
    return _no("unsupported_codec", f"The video is in the codec {codec}, which the FFmpeg of this installation ({version}) may not decode.")


def explain_undecoded(codec: str, complaint: str, limits: Limits) -> Rejected:
    """Why FFmpeg could not decode a single picture. `complaint`: what it printed."""
    if "max pixel count" in complaint:
        return _too_many_pixels(limits)
    return _no("unsupported_codec", f"The video is in the codec {codec}, of a kind that is not supported, or it is damaged.")


def check_streams(found: Found, complaint: str, limits: Limits) -> Rejected | None:
    """What can be refused before any packet is read. `complaint`: what ffprobe printed while it found the streams."""
    if found.streams > MAX_STREAMS:
        return _no("too_many_streams", f"The file has {found.streams} tracks; at most {MAX_STREAMS} are accepted.")
    if found.leading is None:
        return _no("no_video_stream", "There is neither video nor sound in the file that could be played.")
    if found.leading not in found.ticks:
        return _no("unsupported_format", "The file does not say when its pictures or its sound come: it is damaged, or neither.")
    return None if found.video is None else next(_check_video(found.video, complaint, limits), None)


def _check_video(video: FoundVideo, complaint: str, limits: Limits) -> Iterator[Rejected]:
    """Every reason to refuse the stream, gravest first."""
    looked_at = video.codec in accepted.UNPROBED_CODECS and video.pixel_format != UNKNOWN
    if video.codec not in accepted.VIDEO_CODECS and not looked_at:
        yield _no("unsupported_codec", f"The video is in the codec {video.codec}, which is not supported.")
    if video.dolby_vision is not None and video.dolby_vision[0] in (5, 10) and video.dolby_vision[1] == 0:
        profile = f"profile {video.dolby_vision[0]}"
        yield _no("dolby_vision_5", f"The video is Dolby Vision {profile}, which has no picture that ordinary screens can show.")
    width, height = video.display_size
    stored = video.width * video.height
    if max(stored, width * height) > limits.pixels:
        yield _too_many_pixels(limits, f" ({max(video.width, width)} x {max(video.height, height)})")
    if stored == 0 and "max pixel count" in complaint:
        yield _too_many_pixels(limits)
    if stored == 0:
        yield _no("unsupported_format", "The file does not say how large its picture is: it is damaged, or not a video.")
    if min(width, height, video.width, video.height) < SMALLEST_SIDE_PX:
        sides = f"at least {SMALLEST_SIDE_PX} on each side are needed"
        yield _no("too_small", f"The picture is {video.width} x {video.height} pixels; {sides}.")
    if max(width, height) > MOST_ELONGATED * min(width, height):
        yield _no("unsupported_shape", f"The picture is {width} x {height}: more than {MOST_ELONGATED} times as long as wide.")


def _too_many_pixels(limits: Limits, size: str = "") -> Rejected:
    return _no("too_many_pixels", f"The picture is too large{size}: at most {limits.pixels:,} pixels are accepted.")


def check_count(pictures: int, packets: int, size_bytes: int, *, held_bytes: int = 0, span: Fraction | None = None) -> Rejected | None:
    """Asked while packets are being read. `packets`: of all tracks, which claim to hold `held_bytes`; `size_bytes`: of the file; `span`:
    seconds of the video so far. A file that is refused here costs no more time than it takes to be sure.
    """
    if pictures > MOST_PICTURES:
        return _no("too_many_pictures", f"The video has more than {MOST_PICTURES:,} pictures, which is more than are accepted.")
    most = min(MOST_PACKETS, FREE_PACKETS + size_bytes // SMALLEST_PACKET_BYTES)
    if packets > most:
        return _no("too_many_packets", f"The file has more than {most:,} packets, which is more than are accepted.")
    if held_bytes > FREE_BYTES + MOST_SHARED * size_bytes:
        return _no("too_many_packets", f"The file is cut into pieces of more than {_bytes(held_bytes)}, and has only {_bytes(size_bytes)}.")
    return _too_fast(pictures, span) if pictures >= JUDGED_PICTURES and span is not None else None


def _too_fast(pictures: int, span: Fraction) -> Rejected | None:
    per_s = pictures / max(Fraction(1), span)
    if per_s <= FASTEST * Fraction(101, 100):
        return None
    return _no("too_fast", f"The video has {round(per_s):,} pictures per second; at most {FASTEST} are accepted.")


def accept(found: Found, scan: Scan, shape: Shape, size_bytes: int, limits: Limits) -> Accepted | Rejected:
    """The verdict, once everything about the file is known."""
    if scan.encrypted:
        return _no("encrypted", "The video is encrypted. Upload it without copy protection.")
    missing = _missing(found, scan, shape, size_bytes)
    if missing is not None:
        return missing
    what, piece = ("video", "pictures of the video") if found.video is not None else ("sound", "pieces of the sound")
    if scan.spacing is None and found.video is None:
        return _no("no_sound", "There is a track of sound in the file, but nothing in it.")
    if scan.spacing is None:
        return _no("no_pictures", "There is a video track in the file, but no picture in it.")
    gap = max(scan.spacing.longest, scan.last_duration)
    first, end = _span(scan)
    if end - first > limits.duration_s:
        return _no("too_long", f"The {what} lasts {spoken(end - first)}; at most {spoken(Fraction(limits.duration_s))} are accepted.")
    if gap > LONGEST_GAP_S:
        return _no("broken_timestamps", f"Between two {piece} {spoken(gap)} pass, which nothing that records does.")
    too_fast = _too_fast(scan.spacing.pictures, scan.spacing.last - scan.spacing.first) if found.video is not None else None
    if too_fast is not None:
        return too_fast
    try:
        return Accepted(media_info(found, scan, size_bytes))
    except Rejected as nothing:  # sound that begins where it ends
        return nothing


def _span(scan: Scan, stream: int | None = None) -> tuple[Fraction, Fraction]:
    """From the first packet of a track, or of any, to the end of the last; (0, 0) when there is none."""
    reaches = [reach for index, reach in scan.reach.items() if stream in (None, index)]
    return min((reach.first for reach in reaches), default=Fraction(0)), max((reach.end for reach in reaches), default=Fraction(0))


def _missing(found: Found, scan: Scan, shape: Shape, size_bytes: int) -> Rejected | None:
    """Whether the end of the file is missing: tracks that stop before their headers say, or boxes that go on past the end."""
    if found.container in ESTIMATED:
        return None
    first, held = _span(scan)
    claims = [(first, held, found.claimed_end)]
    if found.video is not None:
        begin, end = _span(scan, found.video.index)
        claims.append((begin if scan.spacing is None else scan.spacing.first, end, found.video.claimed_end))
    for stream in found.audio:
        begin, end = _span(scan, stream.index)
        claims.append((begin if stream.start is None else stream.start, end, stream.claimed_end))
    for begin, end, claimed in claims:
        if claimed is not None and claimed - end > max(MISSING_S, MISSING_SHARE * (claimed - begin)):
            promised, kept = spoken(claimed - min(begin, end)), spoken(max(Fraction(0), end - begin))
            return _no("truncated", f"The file should last {promised}, but ends after {kept}: the rest is missing.")
    if shape.claimed_bytes is not None and shape.claimed_bytes - size_bytes > MISSING_BYTES_SHARE * shape.claimed_bytes:
        whole = f"{_bytes(size_bytes)} of {_bytes(shape.claimed_bytes)}"
        return _no("truncated", f"The end of the file is missing: only {whole} arrived, which hold {spoken(held - first)}.")
    return None


def spoken(seconds: Fraction) -> str:
    """A duration in words: "0.4 seconds", "6 seconds", "2 min 5 s", "3 h 20 min"."""
    if seconds < 60:
        exact = f"{float(seconds):.1f}".removesuffix(".0")
        return f"{exact} second{'' if exact == '1' else 's'}"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _bytes(size: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"
