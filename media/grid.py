"""The one timeline that every rendition of a title shares.

The grid is fixed before anything is encoded: a constant frame rate, a number of frames, and from these the groups of
pictures (2 s) and segments (three groups: 6.000 s, or 6.006 s at NTSC rates) as integer frame ranges. Seconds are never
used to cut, so nothing drifts. Audio segments end at the coded frame nearest to each video boundary, so their sum is exact.
Sound without pictures has a grid of AAC frames (`AAC_FRAME_RATE`): 282 of them are a segment of 6.016 s.

Sources: Apple HLS authoring specification 7.5 and 8.22 (segments of about 6 s, same boundaries in all variants),
ISO/IEC 14496-3 (1,024 samples in an AAC-LC frame), ETSI TS 102 366 (six blocks of 256 samples in an E-AC-3 frame).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

GOP_S = 2
GOPS_PER_SEGMENT = 3
AAC_FRAME_SAMPLES = 1024
EAC3_FRAME_SAMPLES = 1536
AUDIO_RATE_HZ = 48_000
AAC_FRAME_RATE = Fraction(AUDIO_RATE_HZ, AAC_FRAME_SAMPLES)  # 46.875 frames per second


@dataclass(frozen=True, slots=True)
class SegmentGrid:
    """`frames` frames at `frame_rate` frames per second, cut into segments of whole groups of pictures.

    A tail shorter than half a second joins the segment before it: a chunk of one or two frames has no room for frame
    reordering, and nobody wants to fetch it.
    """

    frame_rate: Fraction
    frames: int

    def __post_init__(self) -> None:
        if self.frames < 1 or self.frame_rate <= 0:
            raise ValueError(f"a grid needs at least one frame and a positive rate, not {self.frames} at {self.frame_rate}")

    @property
    def gop_frames(self) -> int:
        return max(1, round(GOP_S * self.frame_rate))

    @property
    def segment_frames(self) -> int:
        return self.gop_frames * GOPS_PER_SEGMENT

    @property
    def timescale(self) -> int:
        """Ticks per second of the video tracks: every frame lasts a whole number of them."""
        numerator = self.frame_rate.numerator
        return numerator if numerator >= 10_000 else numerator * 1000

    @property
    def frame_ticks(self) -> int:
        return int(self.timescale / self.frame_rate)

    @property
    def duration(self) -> Fraction:
        return self.frames / self.frame_rate

    @property
    def segment_count(self) -> int:
        whole, tail = divmod(self.frames, self.segment_frames)
        joins = whole > 0 and tail < self.frame_rate / 2
        return whole if joins else whole + 1

    def segment_bounds(self, index: int) -> tuple[int, int]:
        """First frame of segment `index`, and one past its last."""
        count = self.segment_count
        if not 0 <= index < count:
            raise IndexError(f"segment {index} of {count}")
        last = self.frames if index == count - 1 else (index + 1) * self.segment_frames
        return index * self.segment_frames, last

    @property
    def gop_count(self) -> int:
        """Groups of pictures of the whole title, numbered from 0; the last may be short."""
        return -(-self.frames // self.gop_frames)

    def gop_bounds(self, gop: int) -> tuple[int, int]:
        """First frame of group `gop`, and one past its last."""
        if not 0 <= gop < self.gop_count:
            raise IndexError(f"group {gop} of {self.gop_count}")
        return gop * self.gop_frames, min((gop + 1) * self.gop_frames, self.frames)

    def segment_duration(self, index: int) -> Fraction:
        first, end = self.segment_bounds(index)
        return (end - first) / self.frame_rate

    def audio_frames(self, frame_samples: int = AAC_FRAME_SAMPLES) -> int:
        """Coded frames of sound of the whole title, at least one: of AAC the count whose end lies nearest to the end of the video, of
        the longer frames of E-AC-3 as many as hold all of it, as the half of one would be missed."""
        exact = self.duration * AUDIO_RATE_HZ / frame_samples
        return max(1, round(exact) if frame_samples == AAC_FRAME_SAMPLES else ceil(exact))

    def audio_bounds(self, index: int, frame_samples: int = AAC_FRAME_SAMPLES) -> tuple[int, int]:
        """First coded frame of audio segment `index`, and one past its last."""
        first, end = self.segment_bounds(index)
        per_video_frame = Fraction(AUDIO_RATE_HZ, frame_samples) / self.frame_rate
        stop = self.audio_frames(frame_samples) if end == self.frames else round(end * per_video_frame)
        return round(first * per_video_frame), stop

    def target_duration_s(self, frames_samples: Iterable[int] = (AAC_FRAME_SAMPLES,)) -> int:
        """EXT-X-TARGETDURATION (RFC 8216 4.3.3.1), the same for video and audio (Apple rule 8.2) with coded frames of these lengths."""
        longest = Fraction(0)
        for samples in frames_samples:
            # Whole audio segments differ by one frame; the longer kind need not be among those looked at below.
            whole = ceil(self.segment_frames / self.frame_rate * AUDIO_RATE_HZ / samples) if self.segment_count > 3 else 0
            longest = max(longest, Fraction(whole * samples, AUDIO_RATE_HZ))
            for index in {0, max(0, self.segment_count - 2), self.segment_count - 1}:
                first, end = self.audio_bounds(index, samples)
                longest = max(longest, self.segment_duration(index), Fraction((end - first) * samples, AUDIO_RATE_HZ))
        return max(1, int(longest + Fraction(1, 2)))


def place_of_gop(gop: int, segment_count: int) -> tuple[int, int]:
    """The segment that holds group `gop` of a title of so many segments, and its number among the groups of that segment. The last
    segment holds a fourth one where a short tail has joined it."""
    segment = min(gop // GOPS_PER_SEGMENT, segment_count - 1)
    return segment, gop - segment * GOPS_PER_SEGMENT
