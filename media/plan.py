"""The encode plan: everything that decides the bytes of the renditions, and a digest of exactly that.

Equal plans give equal bytes, so outputs live under the digest, a repeated step finds its own output, and a changed
option or encoder never meets old segments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from media.grid import AAC_FRAME_SAMPLES, SegmentGrid
from media.ids import PlanDigest
from media.protection import Protection
from media.rendition import AudioRendition, VideoRendition


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole segments `[first_segment, end_segment)`: the work of one encode job for one group of rungs."""

    index: int
    first_segment: int
    end_segment: int

    @property
    def segments(self) -> range:
        return range(self.first_segment, self.end_segment)

    def of(self, renditions: Iterable[str]) -> dict[str, range]:
        """All segments of the chunk, for each of these renditions."""
        return dict.fromkeys(renditions, self.segments)


@dataclass(frozen=True, slots=True)
class EncodePlan:
    """How one source becomes renditions. Sound without pictures has no video, no chunks and no groups.

    `origin` is the source time that becomes presentation time 0. `groups` lists rung names by the FFmpeg process that
    makes them (one decode for each chunk and group), in the order in which they should be made.
    """

    digest: PlanDigest
    source_digest: str
    encoder: str  # FFmpeg build, part of the digest
    grid: SegmentGrid
    origin: Fraction
    video: tuple[VideoRendition, ...]  # ascending by size
    audio: tuple[AudioRendition, ...]  # the one that a title begins with first
    chunks: tuple[Chunk, ...]
    groups: tuple[tuple[str, ...], ...]
    protection: Protection | None = None  # the key itself is nowhere in here

    @property
    def target_duration_s(self) -> int:
        """EXT-X-TARGETDURATION of every playlist of the title."""
        return self.grid.target_duration_s({AAC_FRAME_SAMPLES, *(track.frame_samples for track in self.audio)})

    @property
    def main_audio(self) -> AudioRendition | None:
        """What is heard unless somebody chooses."""
        return self.audio[0] if self.audio else None

    def sound(self, name: str) -> AudioRendition | None:
        """The audio rendition called `name`, if it is one."""
        return next((track for track in self.audio if track.name == name), None)

    def rendition(self, name: str) -> VideoRendition:
        """The rung called `name`. Raises KeyError."""
        for rung in self.video:
            if rung.name == name:
                return rung
        raise KeyError(name)
