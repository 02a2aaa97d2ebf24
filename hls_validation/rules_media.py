"""Apple's checks of media, M1 to M15. They look at initialization and media segments of fragmented MP4; of MPEG transport streams and of
encrypted segments only the size is known here.

Rule numbers are those of the HLS authoring specification for Apple devices, revision 2025-06-26.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from hls_validation.boxes import Track
from hls_validation.finding import Chapter, Issue, Level, NotSeen
from hls_validation.playlist import Variant
from hls_validation.presentation import Presentation, Rendition, Role
from hls_validation.rules_variants import range_of

MUST, SHOULD = Level.MUST, Level.SHOULD
CHAPTER = Chapter()
rule = CHAPTER.rule

_ALLOWED = re.compile(r"avc[13]|hvc1|hev1|dvh1|dvhe|dva1|dvav|av01|dav1|mjpg")
_RATES = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)
_SEGMENT_S = 6
_HALF_S = Fraction(1, 2)
_KEY_S = 2

# H.264 table A-1: level number, macroblocks a second, macroblocks a frame, macroblocks of the picture buffer.
_LEVELS = (
    (10, 1_485, 99, 396), (11, 3_000, 396, 900), (12, 6_000, 396, 2_376), (13, 11_880, 396, 2_376), (20, 11_880, 396, 2_376),
    (21, 19_800, 792, 4_752), (22, 20_250, 1_620, 8_100), (30, 40_500, 1_620, 8_100), (31, 108_000, 3_600, 18_000),
    (32, 216_000, 5_120, 20_480), (40, 245_760, 8_192, 32_768), (41, 245_760, 8_192, 32_768), (42, 522_240, 8_704, 34_816),
    (50, 589_824, 22_080, 110_400), (51, 983_040, 36_864, 184_320), (52, 2_073_600, 36_864, 184_320),
)  # fmt: skip


def _video(look: Presentation) -> Iterator[tuple[Rendition, Track]]:
    """Every video playlist whose initialization segment was read. Raises NotSeen when there is none."""
    found = [(rendition, track) for rendition in look.of(Role.VIDEO, Role.UNKNOWN) if (track := rendition.track("vide")) is not None]
    if not found:
        raise NotSeen("No initialization segment with video was read.")
    yield from found


def _declared(look: Presentation) -> Iterator[tuple[str, str, Variant]]:
    """Place and each codec of each variant."""
    if look.multivariant is not None:
        for variant in (*look.multivariant.variants, *look.multivariant.iframes):
            for codec in variant.codecs:
                yield f"{look.multivariant.url}:{variant.tag.line}", codec, variant


@rule("M1", MUST, "Apple 1.1", "Video is H.264, HEVC, Dolby Vision or AV1.")
def _codec(look: Presentation) -> Iterator[Issue]:
    for where, codec, _ in _declared(look):
        if re.match(r"vp0?[89]|mp4v|theora|mp2v", codec):
            yield Issue(where, f"{codec} cannot be played by Apple devices")
    for rendition in look.of(Role.VIDEO, Role.UNKNOWN):
        track = rendition.track("vide")
        if track is not None and not _ALLOWED.fullmatch(track.entry):
            yield Issue(rendition.url, f"the video is {track.entry}")


@rule("M2", MUST, "Apple 1.5, 1.39", "HEVC and AV1 are in fragmented MP4.")
def _container(look: Presentation) -> Iterator[Issue]:
    for where, codec, variant in _declared(look):
        rendition = look.renditions.get(variant.url)
        if rendition is not None and codec.startswith(("hvc", "hev", "dvh", "av01")) and any(seen.form == "ts" for seen in rendition.seen):
            yield Issue(where, f"{codec} is in an MPEG transport stream")


@rule("M3", MUST, "Apple 1.3, 1.6, 1.37", "Profiles and levels are no higher than devices play.")
def _levels(look: Presentation) -> Iterator[Issue]:
    lowest: dict[str, int] = {}
    for where, codec, _ in _declared(look):
        if match := re.fullmatch(r"avc[13]\.([0-9A-Fa-f]{2})[0-9A-Fa-f]{2}([0-9A-Fa-f]{2})", codec):
            profile, level = int(match[1], 16), int(match[2], 16)
            lowest["H.264"] = min(lowest.get("H.264", 999), level)
            if profile not in {66, 77, 88, 100} or level > 52:
                yield Issue(where, f"{codec} is above High profile, level 5.2")
        elif match := re.match(r"(?:hvc1|hev1)\.[ABC]?(\d+)\.[0-9A-Fa-f]+\.([LH])(\d+)", codec):
            level = int(match[3])
            lowest["HEVC"] = min(lowest.get("HEVC", 999), level if match[2] == "L" else 999)
            if int(match[1]) > 2 or level > 153:
                yield Issue(where, f"{codec} is above Main 10 profile, level 5.1")
        elif (match := re.match(r"av01\.\d\.(\d\d)", codec)) and int(match[1]) > 18:
            yield Issue(where, f"{codec} is above level 6.2")
    if lowest.get("H.264", 0) > 41:
        yield Issue(look.url, "no H.264 variant is at or below level 4.1", SHOULD)
    if lowest.get("HEVC", 0) > 120:
        yield Issue(look.url, "no HEVC variant is at or below Main tier, level 4.0", SHOULD)


@rule("M4", SHOULD, "Apple 1.10", "Parameter sets are in the sample description: avc1, hvc1, dvh1.")
def _entries(look: Presentation) -> Iterator[Issue]:
    for where, codec, _ in _declared(look):
        if codec.startswith(("avc3", "hev1", "dvhe")):
            yield Issue(where, f"the codec is {codec[:4]}")
    for rendition in look.of(Role.VIDEO, Role.UNKNOWN):
        track = rendition.track("vide")
        if track is not None and track.entry in {"avc3", "hev1", "dvhe"}:
            yield Issue(rendition.url, f"the sample entry is {track.entry}")


@rule("M5", SHOULD, "Apple 1.11", "The level is no higher than size and frame rate need.")
def _level_needed(look: Presentation) -> Iterator[Issue]:
    for rendition, track in _video(look):
        rate, pictures = _rate(rendition, track), track.pictures
        if not (track.codec or "").startswith("avc") or pictures is None or rate is None:
            continue
        blocks = -(-pictures.width // 16) * -(-pictures.height // 16)
        level = int((track.codec or "")[-2:], 16)
        needed = next(
            (row[0] for row in _LEVELS if blocks * rate <= row[1] and blocks <= row[2] and blocks * pictures.references <= row[3]), 52
        )
        place = {row[0]: index for index, row in enumerate(_LEVELS)}
        if level in place and place[level] > place[needed] + 1:  # one above: the bit rate may ask for it
            yield Issue(rendition.url, f"the level is {level / 10:.1f}, size and rate need {needed / 10:.1f}")


def _rate(rendition: Rendition, track: Track) -> Fraction | None:
    ticks = next((part.frame_ticks for seen in rendition.seen for part in seen.fragments if part.track == track.identity), 0)
    return Fraction(track.timescale, ticks) if ticks else None


@rule("M6", SHOULD, "Apple 1.13", "There is a key frame at least every two seconds.")
def _keys(look: Presentation) -> Iterator[Issue]:
    for rendition, track in _video(look):
        if not rendition.complete:
            continue
        times = [time for seen in rendition.seen for part in seen.fragments if part.track == track.identity for time in part.syncs]
        last = [part for seen in rendition.seen[-1:] for part in seen.fragments if part.track == track.identity]
        times += [part.decode_time + part.duration for part in last[-1:]]
        gap = max((after - before for before, after in pairwise(times)), default=0)
        if gap > Fraction(21, 10) * track.timescale:  # a group of 29.97 frames a second lasts 2.002 s
            yield Issue(rendition.url, f"there are {gap / track.timescale:.3f} s without a key frame, more than {_KEY_S}")


@rule("M7", MUST, "Apple 1.14, 1.18, 1.19", "Pictures are progressive and no more than 60 a second, at a usual rate.")
def _progressive(look: Presentation) -> Iterator[Issue]:
    for rendition, track in _video(look):
        rate = _rate(rendition, track)
        if track.pictures is not None and not track.pictures.progressive:
            yield Issue(rendition.url, "the video is coded as interlaced")
        if rate is not None and rate > Fraction(601, 10):
            yield Issue(rendition.url, f"there are {float(rate):.3f} frames a second")
        elif rate is not None and all(abs(rate - usual) > usual / 500 for usual in _RATES):
            yield Issue(rendition.url, f"{float(rate):.3f} frames a second are not a usual rate", SHOULD)


@rule("M8", SHOULD, "Apple 1.8, 1.21, 1.35", "SDR video has one colour space; HDR10 says what it was mastered on, in hvcC.")
def _colours(look: Presentation) -> Iterator[Issue]:
    first = None
    for rendition, track in _video(look):
        kind = range_of(track.colours)
        if kind == "SDR" and track.colours is not None:
            first = first or track.colours
            if track.colours != first:
                yield Issue(rendition.url, f"the colours are {track.colours}, elsewhere {first}")
        if kind == "PQ" and track.entry in {"hvc1", "hev1"} and not track.static_metadata:
            yield Issue(rendition.url, "there is no mastering display and content light level in the sample entry")


@rule("M9", SHOULD, "Apple 1.33", "All video has the same aspect ratio.")
def _aspect(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    sized = [(variant, variant.size) for variant in top.variants if variant.size and variant.size[1]]
    if sized:
        model = max(sized, key=lambda item: item[1][0])[1]
        for variant, size in sized:
            # Sizes are even, so a small rung may be a line or two from the exact ratio.
            if abs(size[0] * model[1] - size[1] * model[0]) > 2 * max(model):
                yield Issue(f"{top.url}:{variant.tag.line}", f"{size[0]}x{size[1]} is another aspect than {model[0]}x{model[1]}")


@rule("M10", MUST, "Apple 7.4", "Every video segment starts with an IDR, by its bitstream.")
def _starts(look: Presentation) -> Iterator[Issue]:
    judged = False
    for rendition in look.of(Role.VIDEO, Role.UNKNOWN, Role.IFRAMES):
        for seen in rendition.seen:
            judged |= seen.idr is not None
            if seen.idr is False:
                yield Issue(f"{rendition.url}:{rendition.playlist.segments[seen.index].line}", "the segment does not start with an IDR")
    if not judged:
        raise NotSeen("No video segment of fragmented MP4 was read.")


@rule("M11", MUST, "Apple 7.3", "Decode times go on where the segment before ended, for every track.")
def _continuous(look: Presentation) -> Iterator[Issue]:
    judged = False
    for rendition in look.timed:
        ends: dict[int, int] = {}
        expected = 0
        for seen in rendition.seen:
            segment = rendition.playlist.segments[seen.index]
            if segment.discontinuity or seen.index != expected or not seen.fragments:  # behind a gap nothing can be said
                ends = {}
            expected = seen.index + 1
            for part in seen.fragments:
                judged = True
                if part.decode_time != ends.get(part.track, part.decode_time):
                    off = part.decode_time - ends[part.track]
                    yield Issue(f"{rendition.url}:{segment.line}", f"the decode time is {off:+} ticks from the end of what is before")
                ends[part.track] = part.decode_time + part.duration
    if not judged:
        raise NotSeen("No segment of fragmented MP4 was read.")


@rule("M12", MUST, "Apple 7.5 to 7.7", "Segments last about six seconds, and no more than half a second over the target.")
def _lengths(look: Presentation) -> Iterator[Issue]:
    for rendition in look.timed:
        target = rendition.playlist.target_s
        if target is None:
            continue
        for segment, _, _, length in rendition.lengths():
            if length > target + _HALF_S:
                yield Issue(f"{rendition.url}:{segment.line}", f"the segment lasts {float(length):.3f} s, the target is {target} s")
        if target != _SEGMENT_S and rendition.playlist.duration > _SEGMENT_S:
            yield Issue(rendition.url, f"the target duration is {target} s, not {_SEGMENT_S}", SHOULD)


@rule("M13", MUST, "Apple 2.17, 2.24", "A segment has one audio stream; HE-AAC says so explicitly.")
def _one_stream(look: Presentation) -> Iterator[Issue]:
    declared = {codec for _, codec, _ in _declared(look)}
    for rendition in look.timed:
        heard = [track for track in rendition.init.tracks if track.handler == "soun"] if rendition.init else []
        if len(heard) > 1:
            yield Issue(rendition.url, f"there are {len(heard)} audio streams")
        if {"mp4a.40.5", "mp4a.40.29"} & declared and "mp4a.40.2" not in declared:
            for track in heard:
                if track.entry == "mp4a" and not track.explicit_sbr:
                    yield Issue(rendition.url, "CODECS says HE-AAC, and the audio configuration does not")


@rule("M14", SHOULD, "Apple 2.18 to 2.23", "Sound says how loud it is (a ludt box), unless everything is at one level.")
def _loudness(look: Presentation) -> Iterator[Issue]:
    judged = False
    for rendition in look.of(Role.AUDIO):
        track = rendition.track("soun")
        judged |= track is not None
        if track is not None and not track.loudness and track.entry == "mp4a":
            yield Issue(rendition.url, "there is no loudness box")
    if not judged:
        raise NotSeen("No initialization segment with sound alone was read.")


@rule("M15", MUST, "Apple 6.10", "I-frame segments include the moof of their picture.")
def _with_moof(look: Presentation) -> Iterator[Issue]:
    for rendition in look.of(Role.IFRAMES):
        for seen in rendition.seen:
            if seen.form == "fmp4" and not seen.starts_with_moof:
                where = f"{rendition.url}:{rendition.playlist.segments[seen.index].line}"
                yield Issue(where, "there is no moof in front of the picture")
                break


@rule(
    "M16",
    MUST,
    "ISO/IEC 14496-12 8.6.6, 23000-19 7.5.13",
    "Pictures and sound begin together: priming is edited away, and nothing begins late.",
)
def _beginnings(look: Presentation) -> Iterator[Issue]:
    starts = []
    for rendition in look.timed:
        track = rendition.main()
        first = next((seen for seen in rendition.seen if seen.index == 0), None)
        part = next((part for part in first.fragments if track and part.track == track.identity), None) if first else None
        if track is not None and part is not None:
            starts.append((rendition, Fraction(part.composition[0] - track.edit_start, track.timescale)))
    pictures = next((start for rendition, start in starts if rendition.role is not Role.AUDIO), None)
    if pictures is None:
        raise NotSeen("No first segment of fragmented MP4 with video was read.")
    for rendition, start in starts:
        if abs(start - pictures) > Fraction(1, 20):
            yield Issue(rendition.url, f"it begins {float(start - pictures):+.3f} s from the pictures")
