"""The index of an MP4 or QuickTime source: found and read through a handful of small reads, whatever the length of the file. Pure
but for reading.

What is found here spares the reading of the whole file (`ingest.probe`), so nothing is guessed: a file that ends early, or says
anything that `media.sample_tables` does not vouch for, has no index as far as this module is concerned. That of a fragmented file is
found by `ingest.mp4_fragments`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain

from ingest.container import Read, outer_boxes
from ingest.ffprobe import Found
from ingest.mp4_seeking import Seeking, map_begun
from media.edit_list import delivery
from media.isobmff import BadBoxes, Box
from media.sample_tables import Movie, Track, read_movie
from media.source_map import GAP_BYTES, Delivered, SourceMap, first_samples, merged, source_map

MOST_BOXES = 64  # outermost; a file that is not fragmented has half a dozen
MOST_INDEX_BYTES = 96 << 20  # a dozen hours with sound
BOX_HEADER_BYTES = 16
MEDIA = frozenset({"mdat", "free", "skip", "wide"})  # nobody reads what is in these to learn where things are
ENCRYPTED = frozenset({"drmi", "drms", "resv"})

# Codecs of which FFmpeg hands out the samples as they are stored, under their own times.
_VIDEO_CODECS = frozenset({"h264", "hevc", "vvc", "prores", "mjpeg", "dnxhd"})
_AUDIO_CODECS = frozenset({"aac", "alac", "opus", "flac"})


@dataclass(frozen=True, slots=True)
class Mp4Index:
    """The index of a file of `size_bytes`."""

    size_bytes: int
    boxes: tuple[Box, ...]  # outermost
    moov: bytes
    movie: Movie
    tracks: tuple[Delivered, ...]  # their stream numbers count tracks only
    moofs: bytes = b""  # of a fragmented file, one after the other
    way: Seeking | None = None  # how FFmpeg finds a place in it, if not by its samples

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Everything but the media itself."""
        whole = ((box.start, box.end) for box in self.boxes if box.kind not in MEDIA)
        heads = ((box.start, min(box.start + BOX_HEADER_BYTES, box.end)) for box in self.boxes)
        return merged((*whole, *heads))

    @property
    def header(self) -> tuple[tuple[int, int], ...]:
        """What FFmpeg reads to open the file and to learn about all of its tracks."""
        return merged((*self.ranges, *(piece for track in self.tracks for piece in first_samples(track))))

    @property
    def digest(self) -> str:
        """What plans know the source by: two files of one length with the same index, byte for byte, hold the same pictures."""
        return f"index:{hashlib.sha256(b'%d ' % self.size_bytes + self.moov + self.moofs).hexdigest()}"


def find_index(read: Read, size_bytes: int) -> Mp4Index | None:
    """The index of a file, when it has one that can be relied on."""
    boxes = outer_boxes(read, size_bytes, MOST_BOXES)
    kinds = [box.kind for box in boxes or ()]
    if boxes is None or kinds.count("moov") != 1 or "moof" in kinds or "mdat" not in kinds:
        return None
    place = boxes[kinds.index("moov")]
    if sum(box.end - box.start for box in boxes if box.kind not in MEDIA) > MOST_INDEX_BYTES:
        return None
    moov = read(place.start, place.end - place.start)
    try:
        return _index(size_bytes, boxes, moov)
    except BadBoxes:
        return None


def _index(size_bytes: int, boxes: tuple[Box, ...], moov: bytes) -> Mp4Index | None:
    movie = read_movie(moov)
    tracks = tuple(Delivered(number, track, delivery(track, movie.timescale)) for number, track in enumerate(movie.tracks))
    if any(track.entry.startswith("enc") or track.entry in ENCRYPTED or track.end > size_bytes for track in movie.tracks):
        return None
    return Mp4Index(size_bytes, boxes, moov, movie, tracks)


def streams(index: Mp4Index, found: Found) -> Mapping[int, Delivered] | None:
    """The tracks by the numbers that ffprobe gave their streams; None when the two do not fit together."""
    numbers = [number for number in sorted(found.ticks) if number not in found.pictures]
    if len(numbers) != len(index.tracks) or found.streams != len(found.ticks):
        return None
    paired = {number: Delivered(number, one.track, one.delivery) for number, one in zip(numbers, index.tracks, strict=True)}
    known = {sound.index: sound.codec for sound in found.audio}
    for number, one in paired.items():
        if found.ticks[number] != Fraction(1, one.track.timescale) or not _is_plain(number, one.track, found, known):
            return None
    return paired


def _is_plain(number: int, track: Track, found: Found, sounds: Mapping[int, str]) -> bool:
    """Whether FFmpeg hands out the samples of the track as they are."""
    if track.kind == "vide":
        return found.video is not None and number == found.video.index and found.video.codec in _VIDEO_CODECS
    if track.kind == "soun":
        codec = sounds.get(number, "")
        return codec.startswith("pcm_") if track.pcm else codec in _AUDIO_CODECS
    return number not in sounds


def make_map(index: Mp4Index, found: Found, tracks: Mapping[int, Delivered]) -> SourceMap:
    """Where everything lies. The file has a video stream."""
    assert found.video is not None
    video, sounds = tracks[found.video.index], [tracks[sound.index] for sound in found.audio]
    if index.way is None:
        gap_bytes = 0 if index.moofs else GAP_BYTES  # small fragments lie no further apart than that
        return source_map(index.size_bytes, index.header, video, sounds, gap_bytes)
    # All of the first seconds, and the last bytes, which say how long an `mfra` is.
    samples = list(chain.from_iterable(map(first_samples, (video, *sounds))))
    ends = (index.size_bytes - BOX_HEADER_BYTES, index.size_bytes)
    made = source_map(index.size_bytes, [(0, max(end for _, end in samples)), ends], video, sounds)
    numbers = {stream: number for number, stream in enumerate(sorted(tracks))}
    return replace(made, streams=tuple(map_begun(stream, index.way, numbers[stream.index]) for stream in made.streams))
