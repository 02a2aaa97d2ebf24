"""Cuts an encoder's output into the media segments that are stored, and measures them. Pure.

A stored segment is a `styp` box and its fragments. Decode times and sequence numbers are written here from the grid, so a
segment's bytes depend only on its place in the title and on its coded pictures, and not on which run of FFmpeg made it.

Video is stored with composition offsets that are never negative, and its init segment takes the constant delay back with one edit (the
"cmfc" way). Readers agree on that; with negative offsets and no edit those built on FFmpeg show every picture a frame too late.

There is one coded frame of priming in front of sound (`transcode.ffmpeg.audio` sees to that). It is left out, so that decode time 0 is the
first sample of the title without an edit list, which players of fragmented MP4 mostly ignore. The first 21 ms (E-AC-3: 5 ms) fade in
because of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from media.isobmff import Data, FragmentBoxes, moved, read_fragments, segment_type, write_fragment
from media.plan import EncodePlan
from media.rendition import AudioRendition, VideoRendition
from media.segments import Fragment, MeasuredSegment
from transcode.table import PRIMING_FRAMES
from transcode.verify import MissingFrames, check_audio_frames, reorder_ticks

Segment = tuple[MeasuredSegment, bytes]

AUDIO_TRACK_ID = 1  # the only track that FFmpeg writes into the file


def video_segment(data: bytes, fragments: Sequence[FragmentBoxes], plan: EncodePlan, rung: VideoRendition, index: int) -> Segment:
    """One segment of one rung, from fragments that `transcode.verify` has passed."""
    grid = plan.grid
    first, _ = grid.segment_bounds(index)
    parts, pieces, frame = [], [segment_type()], first
    size = len(pieces[0])
    for fragment in fragments:
        number, time = frame // grid.gop_frames + 1, frame * grid.frame_ticks
        piece = moved(data, fragment, sequence=number, decode_time=time, composition_delay=reorder_ticks(plan, rung))
        keyframe_size = fragment.keyframe_size + len(piece) - fragment.size
        parts.append(Fragment(size, len(piece), keyframe_size, fragment.duration))
        pieces.append(piece)
        size += len(piece)
        frame += len(fragment.samples)
    return _measured(index, first * grid.frame_ticks, parts, b"".join(pieces))


def audio_segment(frames: Sequence[bytes], plan: EncodePlan, track: AudioRendition, index: int) -> Segment:
    """One segment of the track, from its coded frames."""
    length = track.frame_samples
    start = plan.grid.audio_bounds(index, length)[0] * length
    body = write_fragment(track_id=AUDIO_TRACK_ID, sequence=index + 1, decode_time=start, sample_duration=length, samples=frames)
    head = segment_type()
    part = Fragment(len(head), len(body), len(body) - sum(map(len, frames[1:])), len(frames) * length)
    return _measured(index, start, [part], head + body)


class AudioCutter:
    """Cuts a track while it is being encoded: give it whole fragments as they are written, and take whole segments.

    `first`: the index of the first segment to make; `skip`: coded frames in front of it; `stop`: one past the last segment.
    """

    def __init__(
        self, plan: EncodePlan, track: AudioRendition, first: int = 0, skip: int = PRIMING_FRAMES, stop: int | None = None
    ) -> None:
        self._plan, self._track, self._index, self._skip = plan, track, first, skip
        self._stop = plan.grid.segment_count if stop is None else stop
        self._frames: list[bytes] = []

    def take(self, data: Data) -> Iterator[Segment]:
        """The segments that are whole now. `data`: whole fragments. Raises BadEncode and BadBoxes."""
        for fragment in read_fragments(data):
            places = check_audio_frames(fragment, self._track.frame_samples)
            self._frames += [bytes(data[offset : offset + size]) for offset, size in places]
        dropped = min(self._skip, len(self._frames))
        self._skip -= dropped
        del self._frames[:dropped]
        while self._index < self._stop:
            wanted = self._wanted()
            if len(self._frames) < wanted:
                return
            yield audio_segment(self._frames[:wanted], self._plan, self._track, self._index)
            del self._frames[:wanted]
            self._index += 1

    def finish(self) -> None:
        """Raises MissingFrames when the encoder wrote fewer frames than the title lasts."""
        if self._index < self._stop:
            raise MissingFrames(f"Audio segment {self._index} has {len(self._frames)} frames instead of {self._wanted()}.")

    def _wanted(self) -> int:
        first, end = self._plan.grid.audio_bounds(self._index, self._track.frame_samples)
        return end - first


def header_size(data: Data) -> int | None:
    """The size of the header that a file begins with; None while it is not whole."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + 8])
        at += max(8, size)
        if kind == b"moov":
            return at if at <= len(data) else None
    return None


def whole_fragments(data: Data) -> int:
    """How many bytes of `data`, which begins with a fragment and may end anywhere, are whole fragments."""
    at = whole = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + 8])
        if size < 8 or at + size > len(data):  # FFmpeg's fragments are far below the 4 GiB at which sizes are written otherwise
            break
        at += size
        whole = at if kind == b"mdat" else whole
    return whole


def _measured(index: int, decode_time: int, parts: Sequence[Fragment], data: bytes) -> Segment:
    duration = sum(part.duration_ticks for part in parts)
    return MeasuredSegment(index, len(data), hashlib.sha256(data).hexdigest(), decode_time, duration, tuple(parts)), data
