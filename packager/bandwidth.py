"""BANDWIDTH and AVERAGE-BANDWIDTH, from the bytes that were stored.

The rate of one playlist is measured as RFC 8216 section 4.1 defines it (`catalog.bitrate`). A variant is a combination of
playlists, so its BANDWIDTH is the sum of their peaks and its AVERAGE-BANDWIDTH the sum of their averages (section 4.3.4.2;
Apple's authoring rule 9.13 asks for the dearest audio of the group; here a group has one member).

An I-frame playlist is measured over what its byte ranges fetch: one `moof` and one sample for each group of pictures.
"""

from __future__ import annotations

from fractions import Fraction

from catalog.bitrate import Rates, measure
from packager.presentation import AudioTrack, Track, VideoTrack

SILENT = Rates(0, 0)


def track_rates(track: Track, target_s: int) -> Rates:
    """Peak and average of one media playlist, in bits per second, rounded up."""
    sizes = [segment.size_bytes for segment in track.segments]
    return measure(sizes, [Fraction(segment.duration_ticks, track.timescale) for segment in track.segments], target_s)


def variant_rates(video: VideoTrack, audio: AudioTrack | None, target_s: int) -> Rates:
    """What a player needs for this rung with its sound."""
    picture = track_rates(video, target_s)
    sound = SILENT if audio is None else track_rates(audio, target_s)
    return Rates(picture.bitrate_bps + sound.bitrate_bps, picture.peak_bps + sound.peak_bps)


def iframe_rates(video: VideoTrack, target_s: int) -> Rates:
    """Peak and average of the I-frame playlist of a rung."""
    frames = [fragment for segment in video.segments for fragment in segment.fragments]
    durations = [Fraction(frame.duration_ticks, video.timescale) for frame in frames]
    return measure([frame.keyframe_size for frame in frames], durations, target_s)
