"""Sources as values, for tests of what is decided from them. Nothing here exists as a file."""

from __future__ import annotations

from fractions import Fraction

from media.info import AudioStream, MediaInfo, VideoStream


def video(
    width: int = 1920,
    height: int = 1080,
    *,
    rate: Fraction | int = 24,
    seconds: Fraction | int = 60,
    start: Fraction | int = 0,
    keyframe_every: Fraction | int = 10,
    rotation: int = 0,
    pixel_aspect: Fraction | int = 1,
    interlaced: bool = False,
    color: tuple[str, str, str] = ("unknown", "unknown", "unknown"),
    full_range: bool = False,
) -> VideoStream:
    """`width` and `height` are the display size; `color` is matrix, transfer and primaries."""
    start, seconds, rate, aspect = Fraction(start), Fraction(seconds), Fraction(rate), Fraction(pixel_aspect)
    stored = (height, width) if rotation in (90, 270) else (width, height)
    keyframes = tuple(start + index * Fraction(keyframe_every) for index in range(int(seconds / Fraction(keyframe_every)) + 1))
    return VideoStream(
        index=0,
        codec="h264",
        width=width,
        height=height,
        coded_width=round(stored[0] / aspect),
        coded_height=stored[1],
        rotation=rotation,
        pixel_aspect=aspect,
        pixel_format="yuv420p",
        bit_depth=8,
        interlaced=interlaced,
        frame_rate=rate,
        constant_rate=True,
        start=start,
        end=start + seconds,
        packets=int(seconds * rate),
        keyframes=tuple(time for time in keyframes if time < start + seconds),
        color_space=color[0],
        color_transfer=color[1],
        color_primaries=color[2],
        full_range=full_range,
        hdr="sdr",
    )


def sound(
    *,
    start: Fraction | int = 0,
    seconds: Fraction | int = 60,
    index: int = 1,
    channels: int = 2,
    default: bool = True,
    language: str = "en",
) -> AudioStream:
    start = Fraction(start)
    return AudioStream(index, "aac", 48_000, channels, "stereo", start, start + Fraction(seconds), language, "", default)


def source(picture: VideoStream | None = None, *tracks: AudioStream, container: str = "mov,mp4,m4a,3gp,3g2,mj2") -> MediaInfo:
    """A file of this picture and these tracks; of one minute of 1080p24 when nothing is said."""
    picture = picture or video()
    ends = [picture.end, *(track.end for track in tracks)]
    starts = [picture.start, *(track.start for track in tracks)]
    return MediaInfo(container, 1_000_000, max(ends) - min(starts), picture, tracks, 0, ())
