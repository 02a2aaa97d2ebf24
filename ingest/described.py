"""What a source is, from both answers of ffprobe: what its headers claim (a `Found`) and what its packets are (a `Scan`). Pure.

Packets are believed before headers wherever both say something: when a track begins and ends, how fast its pictures come. Whether such a
source is taken is not decided here, but in `ingest.checks`; only a file that holds nothing is refused, with `Rejected`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from ingest import frame_rate
from ingest.ffprobe import Found, FoundAudio, FoundVideo
from ingest.frame_rate import Rate
from ingest.packets import Scan
from kit.errors import Rejected
from media.info import AudioStream, Hdr, MediaInfo, VideoStream

PADDING_S = Fraction(1, 5)  # an encoder's silence behind the end of sound is shorter


def media_info(found: Found, scan: Scan, size_bytes: int) -> MediaInfo:
    """What both answers say together. Raises Rejected when there is neither video nor sound, or nothing in it."""
    video = None if found.video is None else _pictures(found.video, scan)
    audio = tuple(_audio_stream(stream, scan) for stream in found.audio if stream.index in scan.reach)
    if video is None:
        audio = tuple(_without_padding(made, stream) for made in audio for stream in found.audio if stream.index == made.index)
    spans = [*([] if video is None else [(video.start, video.end)]), *((stream.start, stream.end) for stream in audio)]
    if not found.audio and video is None:
        raise Rejected("There is neither video nor sound in the file.", code="no_video_stream")
    if all(start == end for start, end in spans):
        raise Rejected("There is a track of sound in the file, but nothing in it.", code="no_sound")
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    return MediaInfo(
        container=found.container,
        size_bytes=size_bytes,
        duration=last - first,
        video=video,
        audio=audio,
        attached_pictures=found.attached_pictures,
        subtitle_codecs=found.subtitle_codecs,
        subtitles=found.subtitles,
        chapters=found.chapters,
        closed_captions=found.closed_captions,
        cover=found.cover if video is None else None,
        ancillary=found.ancillary,
    )


def _pictures(found: FoundVideo, scan: Scan) -> VideoStream:
    """Raises Rejected when there is no picture."""
    if scan.spacing is None:
        raise Rejected("There is a video track in the file, but no picture in it.", code="no_pictures")
    spacing = scan.spacing
    rate = frame_rate.choose(spacing, found.claimed_rates)
    if rate.constant and spacing.average > 0:
        end = spacing.first + spacing.pictures / rate.source
    else:
        end = spacing.last + (scan.last_duration or 1 / rate.source)
    return _video_stream(found, rate, scan, end)


def _video_stream(found: FoundVideo, rate: Rate, scan: Scan, end: Fraction) -> VideoStream:
    spacing = scan.spacing
    assert spacing is not None
    width, height = found.display_size
    return VideoStream(
        index=found.index,
        codec=found.codec,
        width=width,
        height=height,
        coded_width=found.width,
        coded_height=found.height,
        rotation=found.rotation,
        pixel_aspect=found.pixel_aspect,
        pixel_format=found.pixel_format,
        bit_depth=found.bit_depth,
        interlaced=found.interlaced,
        frame_rate=rate.encode,
        constant_rate=rate.constant,
        start=spacing.first,
        end=end,
        packets=spacing.pictures,
        keyframes=scan.keyframes,
        color_space=found.color_space,
        color_transfer=found.color_transfer,
        color_primaries=found.color_primaries,
        full_range=found.full_range,
        hdr=_hdr(found),
        mastering_display=found.mastering_display,
        content_light=found.content_light,
    )


def _audio_stream(found: FoundAudio, scan: Scan) -> AudioStream:
    reach = scan.reach[found.index]
    start = reach.first if found.start is None else max(found.start, reach.first)  # the header knows of encoder priming
    return AudioStream(
        index=found.index,
        codec=found.codec,
        sample_rate=found.sample_rate,
        channels=found.channels,
        channel_layout=found.channel_layout,
        start=min(start, reach.end),
        end=reach.end,
        language=found.language,
        title=found.title,
        default=found.default,
        forced=found.forced,
        commentary=found.commentary,
        visual_impaired=found.visual_impaired,
        hearing_impaired=found.hearing_impaired,
    )


def _without_padding(made: AudioStream, found: FoundAudio) -> AudioStream:
    """Without the silence that an encoder has put behind the end: headers know of it, packets do not."""
    claimed = found.claimed_end
    return replace(made, end=claimed) if claimed is not None and made.start < claimed < made.end < claimed + PADDING_S else made


def _hdr(found: FoundVideo) -> Hdr:
    if found.dolby_vision is not None:
        return "dolby_vision"
    kinds: dict[str, Hdr] = {"smpte2084": "hdr10", "arib-std-b67": "hlg"}
    return kinds.get(found.color_transfer, "sdr")
