"""Cuts an encoder's output into the media segments that are stored, and measures them. Pure.

A stored segment is a `styp` box and its fragments. Decode times and sequence numbers are written here from the grid, so a
segment's bytes depend only on its place in the title and on its coded pictures, and not on which run of FFmpeg made it.

Video is stored with composition offsets that are never negative, and its init segment takes the constant delay back with one edit (the
"cmfc" way). Readers agree on that; with negative offsets and no edit those built on FFmpeg show every picture a frame too late.

AAC encoders put one frame of priming in front. It is left out, so that decode time 0 is the first sample of the title without
an edit list, which players of fragmented MP4 mostly ignore. The first 21 ms fade in because of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice

from media.grid import AAC_FRAME_SAMPLES
from media.isobmff import Data, FragmentBoxes, moved, read_fragments, segment_type, write_fragment
from media.plan import Chunk, EncodePlan
from media.segments import Fragment, MeasuredSegment
from transcode.verify import MissingFrames, check_audio_frames, reorder_ticks

Segment = tuple[MeasuredSegment, bytes]

AUDIO_TRACK_ID = 1  # the only track that FFmpeg writes into the file
PRIMING_FRAMES = 1


def video_segments(data: bytes, fragments: Sequence[FragmentBoxes], plan: EncodePlan, chunk: Chunk) -> Iterator[Segment]:
    """The segments of a chunk of one rung, from fragments that `transcode.verify` has passed."""
    grid, left = plan.grid, iter(fragments)
    for index in range(chunk.first_segment, chunk.end_segment):
        first, end = grid.segment_bounds(index)
        parts, pieces, frame = [], [segment_type()], first
        size = len(pieces[0])
        while frame < end:
            fragment = next(left)
            number, time = frame // grid.gop_frames + 1, frame * grid.frame_ticks
            piece = moved(data, fragment, sequence=number, decode_time=time, composition_delay=reorder_ticks(plan))
            keyframe_size = fragment.keyframe_size + len(piece) - fragment.size
            parts.append(Fragment(size, len(piece), keyframe_size, fragment.duration))
            pieces.append(piece)
            size += len(piece)
            frame += len(fragment.samples)
        yield _measured(index, first * grid.frame_ticks, parts, b"".join(pieces))


def audio_segments(data: Data, media: int, plan: EncodePlan) -> Iterator[Segment]:
    """The segments of the whole track. Raises MissingFrames when the encoder wrote fewer frames than the title lasts.

    Reads fragment by fragment, as a long track is hundreds of megabytes.
    """
    written = (frame for fragment in read_fragments(data, media) for frame in check_audio_frames(fragment))
    frames = islice(written, PRIMING_FRAMES, None)
    for index in range(plan.grid.segment_count):
        first, end = plan.grid.audio_bounds(index)
        coded = [bytes(data[offset : offset + size]) for offset, size in islice(frames, end - first)]
        if len(coded) != end - first:
            raise MissingFrames(f"Audio segment {index} has {len(coded)} frames instead of {end - first}.")
        start, samples = first * AAC_FRAME_SAMPLES, len(coded) * AAC_FRAME_SAMPLES
        body = write_fragment(
            track_id=AUDIO_TRACK_ID, sequence=index + 1, decode_time=start, sample_duration=AAC_FRAME_SAMPLES, samples=coded
        )
        head = segment_type()
        part = Fragment(len(head), len(body), len(body) - sum(map(len, coded[1:])), samples)
        yield _measured(index, start, [part], head + body)


def _measured(index: int, decode_time: int, parts: Sequence[Fragment], data: bytes) -> Segment:
    duration = sum(part.duration_ticks for part in parts)
    return MeasuredSegment(index, len(data), hashlib.sha256(data).hexdigest(), decode_time, duration, tuple(parts)), data
