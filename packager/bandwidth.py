"""BANDWIDTH and AVERAGE-BANDWIDTH: expected from the plan at first, and measured from the bytes that were stored in the end.

The rate of one playlist is measured as RFC 8216 section 4.1 defines it (`catalog.bitrate`). A variant is a combination of
playlists, so its BANDWIDTH is the sum of their peaks and its AVERAGE-BANDWIDTH the sum of their averages (section 4.3.4.2), with the
dearest audio of the group (Apple's authoring rule 9.13).

An I-frame playlist is measured over what its entries fetch: one `moof` and one sample for each group of pictures.

What is expected: the peak is the most that the encoder's buffer lets a segment have (a segment starts with its buffer 90 % full), so a
player that trusts it never chooses too much. Averages are shares of the cap that ordinary films reach at our quality; they decide
nothing but the choice of the first variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from catalog.bitrate import Rates, measure
from media.grid import GOP_S, GOPS_PER_SEGMENT
from media.protection import padded_size
from media.rendition import VideoRendition
from packager.presentation import AudioTrack, Track, VideoTrack

_AVERAGE_SHARE = Fraction(3, 5)  # of the cap, for all pictures
_IFRAME_SHARE = Fraction(1, 4)  # of the bits of a group of pictures, for the first of them
_AUDIO_PEAK_SHARE = Fraction(5, 4)  # of the nominal rate
_BUFFER_SHARE = Fraction(9, 10)


def expected_video(spec: VideoRendition) -> Rates:
    """What a rung will probably need, from its plan alone."""
    burst_bps = _BUFFER_SHARE * spec.bufsize_bits / (GOP_S * GOPS_PER_SEGMENT)
    return Rates(int(spec.maxrate_bps * _AVERAGE_SHARE), int(spec.maxrate_bps + burst_bps))


def track_rates(track: Track, target_s: int) -> Rates:
    """Peak and average of one media playlist, in bits per second, rounded up."""
    if not track.segments:
        if isinstance(track, VideoTrack):
            return expected_video(track.spec)
        return Rates(track.spec.bitrate_bps, int(track.spec.bitrate_bps * _AUDIO_PEAK_SHARE))
    sizes = [segment.size_bytes for segment in track.segments]
    return measure(sizes, [Fraction(segment.duration_ticks, track.timescale) for segment in track.segments], target_s)


def variant_rates(video: VideoTrack, heard: Sequence[AudioTrack], target_s: int) -> Rates:
    """What a player needs for this rung with the dearest sound of a group."""
    picture, sound = track_rates(video, target_s), sound_rates(heard, target_s)
    return Rates(picture.bitrate_bps + sound.bitrate_bps, picture.peak_bps + sound.peak_bps)


def sound_rates(heard: Sequence[AudioTrack], target_s: int) -> Rates:
    """What a player needs for the dearest of these; nothing where there is none."""
    found = [track_rates(track, target_s) for track in heard]
    return Rates(max((rates.bitrate_bps for rates in found), default=0), max((rates.peak_bps for rates in found), default=0))


def iframe_rates(video: VideoTrack, target_s: int, *, padded: bool = False) -> Rates:
    """Peak and average of the I-frame playlist of a rung. `padded`: each I-frame is encrypted whole."""
    if not video.segments:
        expected = expected_video(video.spec)
        return Rates(int(expected.bitrate_bps * _IFRAME_SHARE), int(expected.peak_bps * _IFRAME_SHARE))
    frames = [fragment for segment in video.segments for fragment in segment.fragments]
    durations = [Fraction(frame.duration_ticks, video.timescale) for frame in frames]
    sizes = [padded_size(frame.keyframe_size) if padded else frame.keyframe_size for frame in frames]
    return measure(sizes, durations, target_s)
