"""What an encoder wrote, compared with what was planned. Pure.

FFmpeg can exit 0 having written less than asked, so nothing counts until it has been read back: the headers are the plan's own,
every group of pictures has its frames, begins with an IDR picture (AV1: a key frame) by its bitstream and contains no other,
every frame lasts one grid frame, and the display times are exactly the grid's.

Sources: Apple HLS authoring rules 1.13, 7.3, 7.4; ISO/IEC 14496-15 5.3.3.2 (samples are NAL units behind four length bytes).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kit.errors import StepFailed
from media import av1, eac3, hevc
from media.codecs import EAC3, NAL_IDR, avc1_of_configuration, nal_types
from media.grid import AUDIO_RATE_HZ
from media.isobmff import (
    AUDIO_HEADER,
    BadBoxes,
    Data,
    FragmentBoxes,
    colours,
    configuration,
    read_fragments,
    sample_entry,
    split_init,
    timescale,
    with_edit,
)  # fmt: skip
from media.plan import EncodePlan
from media.rendition import AudioRendition, VideoCodec, VideoRange, VideoRendition

Stored = Callable[[bytes], bytes]
"""Turns an init segment into the form in which it is stored."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What is known of a codec in a file. `reorder_frames`: how many frames later than its decoding the first picture is shown at most."""

    entry: str
    configuration: str
    codecs: Callable[[bytes], str]
    reorder_frames: int
    begins: Callable[[memoryview], bool]  # the sample is a picture at which decoding can begin
    interrupts: Callable[[memoryview], bool]  # there is such a picture, or one that pretends to be one, in the sample


def _is_idr(sample: memoryview) -> bool:
    return NAL_IDR in nal_types(sample)


def _is_hevc_idr(sample: memoryview) -> bool:
    found = [kind for kind in hevc.nal_types(sample) if kind < 32]  # the slices: all of one picture, so all of one kind
    return bool(found) and all(kind in hevc.IDR_TYPES for kind in found)


def _has_hevc_irap(sample: memoryview) -> bool:
    return any(kind in hevc.IRAP_TYPES for kind in hevc.nal_types(sample))


CODINGS: Mapping[VideoCodec, Coding] = {
    # x264 with B-frames and without a pyramid shows a picture at most one frame after the next one is decoded, x265 with one two. AV1
    # has hidden frames instead, which are in the sample of the picture that is shown next.
    "h264": Coding("avc1", "avcC", avc1_of_configuration, 1, _is_idr, _is_idr),
    "hevc": Coding("hvc1", "hvcC", hevc.hvc1_of_configuration, 2, _is_hevc_idr, _has_hevc_irap),
    "av1": Coding("av01", "av1C", av1.av01_of_configuration, 0, av1.is_key, av1.has_key),
}
RANGES: Mapping[tuple[int, int, int] | None, VideoRange] = {(1, 1, 1): "SDR", (9, 16, 9): "PQ", (9, 18, 9): "HLG"}  # ITU-T H.273


class BadEncode(StepFailed):
    """The encoder's output is not what was planned."""

    code = "verify_failed"


class MissingFrames(BadEncode):
    """The output is sound but short: the decoder did not give every picture the source promised."""

    code = "missing_frames"


def planned_fragments(plan: EncodePlan, index: int) -> tuple[int, ...]:
    """The number of frames of each group of pictures of one segment."""
    first, end = plan.grid.segment_bounds(index)
    gop = plan.grid.gop_frames
    return tuple(min(gop, end - at) for at in range(first, end, gop))


def check_video_init(data: bytes, rung: VideoRendition, plan: EncodePlan) -> bytes:
    """The init segment of the rung, from the one in `data` if that announces what the plan says. Raises BadEncode."""
    try:
        init, _ = split_init(data)
        delay_ticks = reorder_ticks(plan, rung)
        presented = with_edit(init, delay_ticks) if delay_ticks else init
        coding = CODINGS[rung.codec]
        codecs, ticks = coding.codecs(configuration(init, coding.entry, coding.configuration)), timescale(init)
        entry, said = sample_entry(init), RANGES.get(colours(init))
    except (BadBoxes, ValueError) as error:
        raise BadEncode(f"The header of {rung.name} cannot be read: {error}.") from error
    at = entry.body + 24  # width and height of a VisualSampleEntry, ISO/IEC 14496-12 12.1.3
    size = (int.from_bytes(init[at : at + 2]), int.from_bytes(init[at + 2 : at + 4]))
    if (codecs, ticks, size) != (rung.codecs, plan.grid.timescale, (rung.width, rung.height)):
        raise BadEncode(f"The header of {rung.name} says {codecs}, {size[0]}x{size[1]} at {ticks} ticks per second, not what was planned.")
    if said != rung.video_range:
        raise BadEncode(f"The header of {rung.name} announces the colours {colours(init)}, which are not those of {rung.video_range}.")
    return presented


def reorder_ticks(plan: EncodePlan, rung: VideoRendition) -> int:
    """How much later than its decoding the first picture of every group is shown; the edit list takes it back."""
    return CODINGS[rung.codec].reorder_frames * plan.grid.frame_ticks


def check_audio_init(data: bytes, track: AudioRendition) -> bytes:
    """The init segment in `data`, if it is that of 48 kHz AAC, or of E-AC-3 as `media.eac3` knows it. Raises BadEncode."""
    try:
        init, _ = split_init(data)
        if (timescale(init), sample_entry(init).kind) != (AUDIO_RATE_HZ, track.codecs.partition(".")[0]):
            raise BadEncode(f"The header of {track.name} is not that of {track.codecs} at 48 kHz.")
        if track.codecs == EAC3 and configuration(init, EAC3, "dec3", AUDIO_HEADER) != eac3.configuration(track.bitrate_bps):
            raise BadEncode(f"The header of {track.name} announces another kind of E-AC-3 than was planned.")
    except BadBoxes as error:
        raise BadEncode(f"The header of {track.name} cannot be read: {error}.") from error
    return init


def check_same_init(data: Data, name: str, init_sha256: str, edit_ticks: int = 0, *, stored: Stored = bytes) -> int:
    """Where the media begins, if the header in front of it is the plan's (which presents from `edit_ticks` on, and of which the
    form that is `stored` was promised). Raises BadEncode."""
    try:
        init, media = split_init(data)
        init = with_edit(init, edit_ticks) if edit_ticks else init
    except BadBoxes as error:
        raise BadEncode(f"The output of {name} has no header: {error}.") from error
    if hashlib.sha256(stored(init)).hexdigest() != init_sha256:
        raise BadEncode(f"The header of {name} differs from the one that players were promised.", code="init_mismatch")
    return media


def check_video(
    data: bytes, plan: EncodePlan, rung: VideoRendition, index: int, *, init_sha256: str, stored: Stored = bytes
) -> tuple[FragmentBoxes, ...]:
    """The fragments of one segment of one rung. Raises MissingFrames or BadEncode."""
    where = f"segment {index} of {rung.name}"
    try:
        if next(read_fragments(data, split_init(data)[1]), None) is None:  # an encoder that was given nothing has no true header either
            raise MissingFrames(f"There are no frames in {where}.")
        media = check_same_init(data, rung.name, init_sha256, reorder_ticks(plan, rung), stored=stored)
        fragments = tuple(read_fragments(data, media))
        frames, planned = tuple(len(fragment.samples) for fragment in fragments), planned_fragments(plan, index)
        if sum(frames) != sum(planned):
            raise MissingFrames(f"There are {sum(frames)} frames instead of {sum(planned)} in {where}.")
        if frames != planned:
            raise BadEncode(f"The keyframes are not on the grid in {where}: {frames[:5]} frames each.")
        for fragment in fragments:
            _check_group(data, fragment, plan.grid.frame_ticks, CODINGS[rung.codec], where)
    except (BadBoxes, ValueError) as error:
        raise BadEncode(f"The output of {where} cannot be read: {error}.") from error
    return fragments


def _check_group(data: bytes, fragment: FragmentBoxes, frame_ticks: int, coding: Coding, where: str) -> None:
    view = memoryview(data)
    for index, sample in enumerate(fragment.samples):
        picture = view[sample.offset : sample.offset + sample.size]
        is_right = coding.begins(picture) if index == 0 else not coding.interrupts(picture)
        if sample.sync != (index == 0) or not is_right:
            raise BadEncode(f"A group of pictures in {where} does not consist of one IDR picture or key frame and others.")
        if sample.duration != frame_ticks:
            raise BadEncode(f"A frame in {where} lasts {sample.duration} ticks instead of {frame_ticks}.")
    shown = sorted(index * frame_ticks + sample.composition_offset for index, sample in enumerate(fragment.samples))
    if shown != [index * frame_ticks for index in range(len(shown))]:
        raise BadEncode(f"The display times of a group of pictures in {where} are not the grid's.")


def check_audio_frames(fragment: FragmentBoxes, frame_samples: int) -> Sequence[tuple[int, int]]:
    """Offset and size of each coded frame of one fragment. Raises BadEncode."""
    if any(sample.duration != frame_samples for sample in fragment.samples):
        raise BadEncode(f"An audio frame does not last {frame_samples} samples.")
    return [(sample.offset, sample.size) for sample in fragment.samples]
