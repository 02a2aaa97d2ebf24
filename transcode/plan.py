"""From what a source is to the plan of its encode. Pure.

Everything is decided here, before the first frame is encoded: the frame grid, where presentation time 0 lies, the rungs, the
chunks and which process makes which rung. The digest covers all of it, so equal plans mean equal bytes.

Presentation time 0 is the first video frame, or the start of the audio when that comes clearly earlier (the first picture is then
shown from the start). The title ends with its video, or with its audio when that goes on clearly longer (the last picture then stays).
Sound without pictures begins and ends with its main track, to the AAC frame, and has no rungs and no chunks.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from fractions import Fraction
from math import ceil
from typing import Any

from catalog.asset import Profile
from kit.errors import Rejected
from media.grid import AAC_FRAME_RATE, AUDIO_RATE_HZ, SegmentGrid
from media.ids import PlanDigest
from media.info import AudioStream, MediaInfo, VideoStream
from media.plan import Chunk, EncodePlan
from media.protection import Protection
from media.rendition import AudioRendition, VideoRendition
from transcode.colour import range_of
from transcode.ladder import Light, Size, rungs
from transcode.profiles import SURROUND, encoder_bytes, named
from transcode.sound import main_track, renditions

# Raised whenever the commands of `transcode.ffmpeg` or the cutting of their output change any stored byte of a plan that says the same.
PLANNER_VERSION = 3

CLEARLY_EARLIER = Fraction(1, 10)  # seconds; a smaller lead of the audio is encoder priming, and is cut off
CLEARLY_LONGER = Fraction(1, 2)  # seconds; a smaller excess of the audio is packet rounding, and is cut off
READ_ON_S = Fraction(1)  # read beyond what is shown
NEARLY_SQUARE = Fraction(1, 100)
WORTH_WAITING_S = Fraction(3)  # of decoding that is saved when the upper rungs of the first segment come a segment later
POSTER_WIDTH = 1280
# FFmpeg keeps the encoder of every segment of a run until it ends (`profiles.encoder_bytes`). The bound leaves a run below 2.5 GiB.
CHUNK_MEMORY_BYTES = 2_100_000_000


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What an operator or uploader chooses."""

    chunk_s: float = 24.0
    profile: Profile = "default"
    lowest_first: bool = False  # the lowest rung is made to the end before the others are begun


def make_plan(info: MediaInfo, source_digest: str, options: PlanOptions, encoder: str) -> EncodePlan:
    """The plan. `encoder` names the FFmpeg build. Raises ValueError when `info` has neither video nor sound (the probe refuses those)."""
    video, heard = info.video, main_track(info.audio)
    sound = renditions(info.audio, SURROUND[named(options.profile, "h264")], alone=video is None)
    if video is None:
        return _sound_plan(heard, sound, source_digest, encoder)
    origin = _origin(video, heard)
    grid = SegmentGrid(video.frame_rate, max(1, round((_end(video, heard) - origin) * video.frame_rate)))
    light = Light(range_of(video), video.mastering_display, video.content_light)
    ladder = rungs(_display_size(video), video.frame_rate, options.profile, light)
    keyframes = tuple(time - origin for time in video.keyframes)
    plan = EncodePlan(
        digest=PlanDigest(""),
        source_digest=source_digest,
        encoder=encoder,
        grid=grid,
        origin=origin,
        video=ladder,
        audio=sound,
        chunks=tuple(_chunks(grid, options.chunk_s, _most_segments(ladder), keyframes)),
        groups=_groups(ladder, lowest_first=options.lowest_first),
    )
    return _with_digest(plan)


def _sound_plan(heard: AudioStream | None, sound: tuple[AudioRendition, ...], source_digest: str, encoder: str) -> EncodePlan:
    """Of sound without pictures. The last AAC frame may go on into silence; nothing is cut off."""
    if heard is None:
        raise ValueError("a plan needs video or sound")
    return _with_digest(
        EncodePlan(
            digest=PlanDigest(""),
            source_digest=source_digest,
            encoder=encoder,
            grid=SegmentGrid(AAC_FRAME_RATE, max(1, ceil((heard.end - heard.start) * AAC_FRAME_RATE))),
            origin=heard.start,
            video=(),
            audio=sound,
            chunks=(),
            groups=(),
        )
    )


def with_gains(plan: EncodePlan, gains_db: Mapping[str, float]) -> EncodePlan:
    """The same plan with renditions of sound made louder or quieter, by their names."""
    return _with_digest(replace(plan, audio=tuple(replace(track, gain_db=gains_db.get(track.name, 0.0)) for track in plan.audio)))


def with_protection(plan: EncodePlan, protection: Protection | None) -> EncodePlan:
    """The same plan for a title that is encrypted so. The id of its key is its own, so no other title has the same plan.

    Raises Rejected for what cannot be encrypted so.
    """
    if protection is not None and protection.scheme == "cbcs" and any(rung.codec == "av1" for rung in plan.video):
        raise Rejected("AV1 cannot be encrypted by cbcs here: choose another profile, or aes-128.", code="encryption_unsupported")
    return plan if protection is None else _with_digest(replace(plan, protection=protection))


def _display_size(video: VideoStream) -> Size:
    """The size in square pixels. Pixels that are nearly square are an encoder's rounding (854x480 called 16:9), not a wish to stretch."""
    if abs(video.pixel_aspect - 1) > NEARLY_SQUARE:
        return Size(video.width, video.height)
    turned = video.rotation in (90, 270)
    return Size(video.coded_height, video.coded_width) if turned else Size(video.coded_width, video.coded_height)


def _origin(video: VideoStream, sound: AudioStream | None) -> Fraction:
    leads = sound is not None and sound.start < video.start - CLEARLY_EARLIER
    return sound.start if sound is not None and leads else video.start


def _end(video: VideoStream, sound: AudioStream | None) -> Fraction:
    outlasts = sound is not None and sound.end > video.end + CLEARLY_LONGER
    return sound.end if sound is not None and outlasts else video.end


def _groups(ladder: tuple[VideoRendition, ...], *, lowest_first: bool) -> tuple[tuple[str, ...], ...]:
    """All rungs of one codec from one decode of each chunk, or the lowest H.264 rung alone and first.

    The second decode costs 8 to 13 % of the CPU of the whole ladder for 1080p sources of 4 to 6 Mbit/s (`make bench-transcode`), and
    more for higher bitrates. What it would buy, a title that can be watched from any place early, costs nothing until somebody
    goes there (docs/decisions/0009-order.md).
    """
    names = tuple(rung.name for rung in ladder if rung.codec == "h264")
    first = (names[:1], names[1:]) if lowest_first and len(names) > 1 else (names,)
    # The others follow in their own time: beside their encoders a second decode is little.
    others = (tuple(rung.name for rung in ladder if rung.codec == codec) for codec in ("hevc", "av1"))
    return (*first, *(group for group in others if group))


def _most_segments(ladder: tuple[VideoRendition, ...]) -> int:
    """How many segments of all H.264 rungs one FFmpeg run may hold in memory. Chunks of other codecs may take several runs (`runs`)."""
    return max(1, CHUNK_MEMORY_BYTES // sum(encoder_bytes(rung) for rung in ladder if rung.codec == "h264"))


def runs(plan: EncodePlan, wanted: Mapping[str, Sequence[int]]) -> Iterator[dict[str, Sequence[int]]]:
    """These segments in parts, each of which one FFmpeg run may hold in memory: rungs that fit together, some segments at a time."""
    left = list(wanted)
    while left:
        names = [left.pop()]
        held = encoder_bytes(plan.rendition(names[0]))
        while left and held + encoder_bytes(plan.rendition(left[-1])) <= CHUNK_MEMORY_BYTES:
            held += encoder_bytes(plan.rendition(left[-1]))
            names.append(left.pop())
        most = max(1, CHUNK_MEMORY_BYTES // held)
        indexes = sorted({index for name in names for index in wanted[name]})
        for at in range(0, len(indexes), most):
            part = indexes[at : at + most]
            some = {name: [index for index in wanted[name] if index in part] for name in wanted if name in names}
            yield {name: these for name, these in some.items() if these}


def _chunks(grid: SegmentGrid, chunk_s: float, most: int, keyframes: tuple[Fraction, ...]) -> Iterator[Chunk]:
    """The first chunk is one segment, so that every rung can be watched soon, or two where that saves decoding `WORTH_WAITING_S` twice;
    the others last about `chunk_s`.

    A chunk may be a quarter longer or shorter than asked for, to begin where little has to be decoded first: every process
    decodes from the source keyframe before its first frame. What would be left behind the last chunk joins it. None has more than
    `most` segments.
    """
    wanted = min(most, max(1, round(chunk_s / float(grid.segment_frames / grid.frame_rate))))
    first, index, slack = 0, 0, wanted // 4
    while first < grid.segment_count:
        left = grid.segment_count - first
        if first == 0:
            saved = _lead_in(grid, 1, keyframes) - _lead_in(grid, 2, keyframes) if left > 2 and wanted > 2 else 0
            length = 2 if saved >= WORTH_WAITING_S else 1
        elif left <= min(most, wanted + wanted // 2):
            length = left
        else:
            lengths = sorted(range(wanted - slack, min(most, wanted + slack) + 1), key=lambda length: abs(length - wanted))
            length = min(lengths, key=lambda length: _lead_in(grid, first + length, keyframes))
        yield Chunk(index, first, first + length)
        first, index = first + length, index + 1


def _lead_in(grid: SegmentGrid, segment: int, keyframes: tuple[Fraction, ...]) -> Fraction:
    """Seconds that must be decoded before the first frame of `segment`."""
    start = grid.segment_bounds(segment)[0] / grid.frame_rate
    return start - max((time for time in keyframes if time <= start), default=Fraction(0))


def frames_of(plan: EncodePlan, wanted: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    """The first grid frame of these segments, and one past their last."""
    indexes = [index for of_rung in wanted.values() for index in of_rung]
    return plan.grid.segment_bounds(min(indexes))[0], plan.grid.segment_bounds(max(indexes))[1]


def lead_in_keyframe(plan: EncodePlan, video: VideoStream, frame: int, rewind: Fraction = Fraction(0)) -> Fraction | None:
    """The source time of the keyframe from which to decode in order to show grid frame `frame`, at least `rewind` seconds earlier
    than needed; None for the start of the file.
    """
    # A deinterlacer looks at the pictures around each one, so it needs some that are not shown.
    margin = 4 if video.interlaced else 0
    start = plan.origin + (frame - margin) / plan.grid.frame_rate - rewind
    before = bisect_right(video.keyframes, start)
    keyframe = video.keyframes[before - 1] if before else None
    return None if keyframe is None or keyframe <= video.start else keyframe


@dataclass(frozen=True, slots=True)
class Needs:
    """The stretches of the source that a piece of work reads: from one source time to another, seconds."""

    video: tuple[tuple[Fraction, Fraction], ...] = ()
    audio: tuple[int, Fraction, Fraction] | None = None  # the track of the source, and from when to when


def video_needs(plan: EncodePlan, video: VideoStream, wanted: Mapping[str, Sequence[int]], rewind: Fraction | None) -> Needs | None:
    """What the encoding of these segments reads, when it begins `rewind` seconds earlier than it should have to. None: everything."""
    if rewind is None:
        return None
    first, end = frames_of(plan, wanted)
    keyframe = lead_in_keyframe(plan, video, first, rewind)
    # A little more than is shown: a picture is only known to be the last before an instant when the next one has been seen.
    until = plan.origin + end / plan.grid.frame_rate + READ_ON_S
    return Needs(video=((video.start if keyframe is None else keyframe, until),))


def picture_needs(times: Sequence[Fraction]) -> Needs:
    """What showing the pictures at these times, which are keyframes, reads."""
    return Needs(video=tuple((time, time) for time in times))


def audio_needs(plan: EncodePlan, track: AudioRendition, video: VideoStream | None, first: int, end: int) -> Needs | None:
    """What the encoding of the coded frames [first, end) of `track` reads. FFmpeg begins to read at a keyframe of the video; without video
    nobody knows where, and everything is read (None)."""
    if video is None:
        return None
    frame = Fraction(track.frame_samples, AUDIO_RATE_HZ)
    start = plan.origin + first * frame
    keyframe = max((time for time in video.keyframes if time <= start), default=min(video.start, start))
    return Needs(audio=(track.source_index, keyframe, plan.origin + end * frame + READ_ON_S))


def poster_size(plan: EncodePlan) -> tuple[int, int]:
    """Width and height of the poster of a video: the top rung's shape, at most 1280 wide and even."""
    top = plan.video[-1]
    width = min(POSTER_WIDTH, top.width)
    return width, max(2, 2 * round(Fraction(top.height * width, top.width) / 2))


def tail_frames(plan: EncodePlan, video: VideoStream) -> int:
    """How many grid frames at the end may repeat the last picture: those past the end of the video, and half a second in
    which containers are wrong about their own length. A source that ends earlier than that is damaged, and must be noticed.
    """
    rate = plan.grid.frame_rate
    shown = int((video.end - plan.origin) * rate)
    return max(0, plan.grid.frames - shown) + max(1, int(rate / 2))


def _said(rung: VideoRendition | AudioRendition) -> dict[str, Any]:
    """The fields of a rendition, but for later ones that have their default: what was planned before they existed keeps its digest."""
    later = {item.name: item.default for item in fields(rung) if item.default is not MISSING}
    return {name: value for name, value in asdict(rung).items() if name not in later or value != later[name]}


def _with_digest(plan: EncodePlan) -> EncodePlan:
    facts: dict[str, Any] = {"planner": PLANNER_VERSION} | {key: value for key, value in asdict(plan).items() if key != "digest"}
    if plan.protection is None:  # as it was before titles could be encrypted
        del facts["protection"]
    facts["video"] = [_said(rung) for rung in plan.video]
    heard = [_said(track) for track in plan.audio]
    facts["audio"] = heard if len(heard) > 1 else heard[0] if heard else None  # as it was when there could be only one
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return replace(plan, digest=PlanDigest(digest))
