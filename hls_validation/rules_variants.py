"""Apple's checks of the multivariant playlist, V1 to V18. Rule numbers are those of revision 2025-06-26."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from hls_validation.attributes import Tag
from hls_validation.finding import Chapter, Issue, Level, NotSeen
from hls_validation.playlist import Multivariant, Variant
from hls_validation.presentation import Presentation, Rendition, Role

MUST, SHOULD = Level.MUST, Level.SHOULD
CHAPTER = Chapter()
rule = CHAPTER.rule

RATE_SLACK = 0.10  # of a declared bit rate (Apple 1.26, 1.27)
_HD_LINES = 720
_CELLULAR_BPS = 192_000
_STEREO = re.compile(r"mp4a\.40\.(2|5|29)|mp4a\.66|mp4a\.67")
_VIDEO = ("avc", "hvc", "hev", "dvh", "dva", "av01", "vp0", "vp9", "mp4v", "mjpg")
_AUDIO = ("mp4a", "ac-3", "ec-3", "ac-4", "alac", "fLaC", "Opus", "opus", "mp3")
_WELL_FORMED = re.compile(
    r"avc[13]\.[0-9A-Fa-f]{6}|(hvc1|hev1)\.[ABC]?\d+\.[0-9A-Fa-f]+\.[LH]\d+(\.[0-9A-Fa-f]{1,2}){0,6}|av01\.\d\.\d\d[MH]\.\d\d(\..*)?"
    r"|dv(h1|he|av|a1)\.\d\d\.\d\d|dav1\.\d\d\.\d\d|mp4a\.(40(\.\d+)?|[0-9A-Fa-f]{2})|ac-3|ec-3|ac-4.*|alac|fLaC|wvtt|stpp(\..+)?|mjpg"
)
_SPEECH, _SOUNDS = "public.accessibility.transcribes-spoken-dialog", "public.accessibility.describes-music-and-sound"
_DESCRIBES = "public.accessibility.describes-video"


def _where(top: Multivariant, tag: Tag) -> str:
    return f"{top.url}:{tag.line}"


def shows(variant: Variant) -> bool:
    """Whether there are pictures, by what is declared."""
    return variant.size is not None or any(codec.startswith(_VIDEO) for codec in variant.codecs)


def _range(variant: Variant) -> str:
    return variant.tag.get("VIDEO-RANGE") or "SDR"


@rule("V1", MUST, "Apple 9.1, 9.2, 9.14, 9.15", "Variants have CODECS, AVERAGE-BANDWIDTH and, with video, RESOLUTION and FRAME-RATE.")
def _attributes(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for variant in top.variants:
        needed = ["CODECS", "AVERAGE-BANDWIDTH", *(("RESOLUTION", "FRAME-RATE") if shows(variant) else ())]
        yield from (Issue(_where(top, variant.tag), f"the variant has no {key}") for key in needed if variant.tag.get(key) is None)


@rule("V2", MUST, "Apple 6.1, 6.6, 9.3, 9.4", "There are I-frame playlists, with CODECS and RESOLUTION, better several.")
def _iframes(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    if any(map(shows, top.variants)) and not top.iframes:
        yield Issue(top.url, "there is no EXT-X-I-FRAME-STREAM-INF")
    for variant in top.iframes:
        for key in ("CODECS", "RESOLUTION"):
            if variant.tag.get(key) is None:
                yield Issue(_where(top, variant.tag), f"the I-frame playlist has no {key}")
    videos = {variant.url for variant in top.variants if shows(variant)}
    if len(top.iframes) == 1 and len(videos) > 1:
        yield Issue(_where(top, top.iframes[0].tag), "there is only one I-frame playlist", SHOULD)


def _sound(look: Presentation, top: Multivariant, variant: Variant) -> Iterator[Rendition]:
    """The renditions of sound that are played with a variant, besides its own playlist."""
    for tag in top.group("AUDIO", variant.tag.get("AUDIO")):
        address = top.address(tag)
        if address is not None and address != variant.url and address in look.renditions:
            yield look.renditions[address]


def _measured(look: Presentation, top: Multivariant, variant: Variant) -> tuple[float, float] | None:
    """Peak and average of a variant with the dearest sound of its group; None when a playlist could not be read."""
    rendition = look.renditions.get(variant.url)
    if rendition is None or not rendition.playlist.ended:
        return None
    rates = [other.rates() for other in _sound(look, top, variant)]
    peak, average = rendition.rates()
    return peak + max((rate[0] for rate in rates), default=0.0), average + max((rate[1] for rate in rates), default=0.0)


@rule("V3", MUST, "Apple 9.13, RFC 8216bis 4.4.6.2", "BANDWIDTH is no less than video and the dearest sound of the group at their peaks.")
def _peaks(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for variant in (*top.variants, *top.iframes):
        declared, measured = variant.tag.number("BANDWIDTH"), _measured(look, top, variant)
        if declared and measured and measured[0] > declared * (1 + RATE_SLACK):
            yield Issue(_where(top, variant.tag), f"BANDWIDTH is {declared}, measured were {measured[0]:.0f} bit/s")


@rule("V4", MUST, "Apple 1.26, 1.27", "AVERAGE-BANDWIDTH is within 10 % of what is measured, and BANDWIDTH not more than 10 % above it.")
def _averages(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for variant in (*top.variants, *top.iframes):
        where, measured = _where(top, variant.tag), _measured(look, top, variant)
        peak, average = variant.tag.number("BANDWIDTH"), variant.tag.number("AVERAGE-BANDWIDTH")
        if measured and average and abs(measured[1] - average) > average * RATE_SLACK:
            yield Issue(where, f"AVERAGE-BANDWIDTH is {average}, measured were {measured[1]:.0f} bit/s")
        if measured and peak and measured[0] < peak * (1 - RATE_SLACK):
            yield Issue(where, f"BANDWIDTH is {peak}, but only {measured[0]:.0f} bit/s were measured")


@rule("V5", SHOULD, "Apple 1.30", "The peak is no more than twice the average.")
def _bursts(look: Presentation) -> Iterator[Issue]:
    for rendition in look.of(Role.VIDEO):
        peak, average = rendition.rates()
        if peak > 2 * average:
            yield Issue(rendition.url, f"the peak is {peak:.0f} bit/s, the average {average:.0f}")


@rule("V6", MUST, "Apple 9.16", "VIDEO-RANGE is on all video variants unless everything is SDR.")
def _ranges(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    every = [variant for variant in (*top.variants, *top.iframes) if shows(variant)]
    hdr = any(_range(variant) != "SDR" or variant.codecs[0].startswith("dv") for variant in every if variant.codecs)
    for variant in every:
        if hdr and variant.tag.get("VIDEO-RANGE") is None:
            yield Issue(_where(top, variant.tag), "the variant has no VIDEO-RANGE, and others are not SDR")


@rule("V7", MUST, "Apple 9.11, 9.12", "EXT-X-INDEPENDENT-SEGMENTS is here or in every video playlist.")
def _independent(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    if "EXT-X-INDEPENDENT-SEGMENTS" in top.tags:
        return
    for rendition in look.of(Role.VIDEO):
        if "EXT-X-INDEPENDENT-SEGMENTS" not in rendition.playlist.tags:
            yield Issue(rendition.url, "neither this playlist nor the multivariant one has EXT-X-INDEPENDENT-SEGMENTS")


@rule("V8", MUST, "Apple 8.10, 9.5 to 9.7", "Renditions have a LANGUAGE; sound has playlists of its own.")
def _renditions(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for tag in top.media:
        if tag.get("TYPE") != "VIDEO" and not tag.get("LANGUAGE"):
            yield Issue(_where(top, tag), f"“{tag.get('NAME')}” has no LANGUAGE")
    groups: dict[str, set[str | None]] = {}
    for tag in top.media:
        if tag.get("TYPE") == "AUDIO":
            groups.setdefault(tag.get("GROUP-ID") or "", set()).add(tag.get("URI"))
    for name, addresses in groups.items():
        if len(addresses) > 1 and None in addresses:
            yield Issue(top.url, f"the audio group “{name}” has several members, and one of them is in the video")
    for variant in top.variants:
        if shows(variant) and variant.tag.get("AUDIO") is None and any(codec.startswith(_AUDIO) for codec in variant.codecs):
            yield Issue(_where(top, variant.tag), "sound and pictures are in one stream", SHOULD)


@rule("V9", MUST, "Apple 2.3, 9.6, appendix", "There is stereo AAC; audio groups have the same members, and every video has every group.")
def _groups(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    heard = [variant for variant in top.variants if any(codec.startswith(_AUDIO) for codec in variant.codecs)]
    if heard and not any(_is_stereo_aac(top, variant) for variant in heard):
        yield Issue(top.url, "no variant has stereo AAC")
    members: dict[str, list[tuple[str | None, str | None]]] = {}
    for tag in top.media:
        if tag.get("TYPE") == "AUDIO":
            members.setdefault(tag.get("GROUP-ID") or "", []).append((tag.get("NAME"), tag.get("LANGUAGE")))
    names = list(members)
    for name in names[1:]:
        if sorted(map(str, members[name])) != sorted(map(str, members[names[0]])):
            yield Issue(top.url, f"the audio groups “{names[0]}” and “{name}” do not have the same members")
    used: dict[str | None, set[str]] = {}
    for variant in top.variants:
        if shows(variant):
            used.setdefault(variant.tag.get("AUDIO"), set()).add(variant.url)
    every = set().union(*used.values()) if used else set()
    for group, urls in used.items():
        if len(used) > 1 and urls != every:
            yield Issue(top.url, f"{len(every - urls)} video playlists are not offered with the audio group “{group}”", SHOULD)


def _is_stereo_aac(top: Multivariant, variant: Variant) -> bool:
    if not any(_STEREO.fullmatch(codec) for codec in variant.codecs):
        return False
    group = top.group("AUDIO", variant.tag.get("AUDIO"))
    return not group or any((tag.get("CHANNELS") or "2").split("/")[0] in {"1", "2"} for tag in group)


@rule("V10", MUST, "Apple 1.12, 1.23, 1.24", "There are SDR variants; some video is H.264, and every codec spans all bandwidths.")
def _compatible(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    videos = [variant for variant in top.variants if shows(variant) and variant.codecs]
    if videos and all(_range(variant) != "SDR" for variant in videos):
        yield Issue(top.url, "no variant is SDR")
    families: dict[str, list[Variant]] = {}
    for variant in videos:
        codec = next((codec for codec in variant.codecs if codec.startswith(_VIDEO)), "")
        families.setdefault(codec[:3], []).append(variant)
    if videos and "avc" not in families:
        yield Issue(top.url, "no variant is H.264", SHOULD)
    heights = {family: {variant.size[1] for variant in some if variant.size} for family, some in families.items()}
    lowest = min((min(found) for found in heights.values() if found), default=0)
    for family, found in heights.items():
        if found and min(found) > 2 * lowest:
            yield Issue(top.url, f"{family} begins at {min(found)} lines, others at {lowest}", SHOULD)


@rule("V11", SHOULD, "Apple 9.10", "For HD, two variants have the highest resolution.")
def _two_at_the_top(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    best = max((variant.size for variant in top.variants if variant.size), key=lambda size: size[1], default=None)
    if best is not None and best[1] >= _HD_LINES and len({variant.url for variant in top.variants if variant.size == best}) == 1:
        yield Issue(top.url, f"only one variant has {best[0]}x{best[1]}")


@rule("V12", MUST, "Apple 9.19", "SCORE is on all variants or on none.")
def _scores(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    if any(variant.tag.get("SCORE") for variant in top.variants):
        for variant in top.variants:
            if variant.tag.get("SCORE") is None:
                yield Issue(_where(top, variant.tag), "the variant has no SCORE, and others have one")


@rule("V13", SHOULD, "Apple 9.21 (iOS, over cellular networks)", "One variant has a BANDWIDTH of no more than 192 kbit/s.")
def _cellular(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    least = min((variant.tag.number("BANDWIDTH") or 0 for variant in top.variants), default=0)
    if least > _CELLULAR_BPS:
        yield Issue(top.url, f"the least BANDWIDTH is {least}")


@rule("V14", SHOULD, "Apple 9.20 (tvOS)", "No variant is sound alone, where there is video.")
def _sound_alone(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    if any(map(shows, top.variants)):
        for variant in top.variants:
            if variant.codecs and not shows(variant):
                yield Issue(_where(top, variant.tag), "the variant has no video")


def range_of(colours: tuple[int, int, int] | None) -> str:
    """VIDEO-RANGE of a transfer function (ITU-T H.273)."""
    return {16: "PQ", 18: "HLG"}.get(colours[1], "SDR") if colours is not None else "SDR"


@rule(
    "V15", MUST, "Apple’s validator -50020, -50085; RFC 8216bis 4.4.6.2", "RESOLUTION, VIDEO-RANGE and FRAME-RATE are those of the media."
)
def _as_coded(look: Presentation) -> Iterator[Issue]:
    top, judged = look.top(), False
    for variant in (*top.variants, *top.iframes):
        rendition = look.renditions.get(variant.url)
        track = rendition.track("vide") if rendition else None
        if rendition is None or track is None:
            continue
        judged, where = True, _where(top, variant.tag)
        if variant.size is not None and variant.size not in {track.coded, track.display}:
            yield Issue(where, f"RESOLUTION is {variant.tag.get('RESOLUTION')}, the pictures are {'x'.join(map(str, track.coded or ()))}")
        if _range(variant) != range_of(track.colours) and (track.colours is not None or _range(variant) != "SDR"):
            yield Issue(where, f"VIDEO-RANGE is {_range(variant)}, the pictures are {range_of(track.colours)}")
        declared, ticks = variant.tag.get("FRAME-RATE"), [part.frame_ticks for seen in rendition.seen[:1] for part in seen.fragments[:1]]
        if declared and ticks and ticks[0] and re.fullmatch(r"\d+(\.\d+)?", declared):
            rate = Fraction(track.timescale, ticks[0])
            if abs(Fraction(declared) - rate) > rate / 200:
                yield Issue(where, f"FRAME-RATE is {declared}, the pictures come at {float(rate):.3f}")
    if not judged:
        raise NotSeen("No initialization segment with video was read.")


@rule("V16", MUST, "Apple appendix, RFC 6381", "CODECS lists what the media is, and nothing else.")
def _codecs(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for variant in (*top.variants, *top.iframes):
        where = _where(top, variant.tag)
        for codec in variant.codecs:
            if not _WELL_FORMED.fullmatch(codec):
                yield Issue(where, f"“{codec}” is not in the form of RFC 6381, or not in Apple’s list")
        rendition = look.renditions.get(variant.url)
        sound = [] if variant in top.iframes else list(_sound(look, top, variant))
        found = [track.codec for part in ([rendition] if rendition else []) + sound if part.init for track in part.init.tracks]
        declared = {codec.lower() for codec in variant.codecs}
        for seen in found:
            if seen and declared and not _listed(seen, declared):
                yield Issue(where, f"CODECS is “{','.join(variant.codecs)}”, but {seen} was found")
        if rendition and rendition.init and (sound or not variant.tag.get("AUDIO")):
            yield from _superfluous(where, variant, [codec for codec in found if codec])


def _listed(codec: str, declared: set[str]) -> bool:
    """Trailing parts of av01 may be left out or added, and HEVC constraint bytes written without zeros."""
    low = codec.lower()
    return low in declared or any(other.startswith(f"{low}.") for other in declared)


def _superfluous(where: str, variant: Variant, found: Sequence[str]) -> Iterator[Issue]:
    kinds = {codec[:4] for codec in found}
    for codec in variant.codecs:
        if codec[:4] not in kinds and not codec.startswith(("wvtt", "stpp")):
            yield Issue(where, f"CODECS names {codec}, which is not there")


@rule("V17", SHOULD, "Apple 6.5", "An I-frame playlist has about its resolution’s bit rate times its frame rate, by eight.")
def _iframe_rates(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for variant in top.iframes:
        rendition, own = look.renditions.get(variant.url), variant.tag.number("AVERAGE-BANDWIDTH") or variant.tag.number("BANDWIDTH")
        same = [other.tag.number("AVERAGE-BANDWIDTH") or 0 for other in top.variants if other.size == variant.size and other.size]
        if rendition is None or own is None or not same or not rendition.playlist.duration:
            continue
        rate = Fraction(len(rendition.playlist.segments)) / rendition.playlist.duration
        wanted = float(min(same) * rate / 8)
        if own > 8 * wanted:
            yield Issue(_where(top, variant.tag), f"the I-frame playlist takes {own} bit/s; about {wanted:.0f} are usual")


@rule("V18", MUST, "Apple 2.12, 2.13, 4.4 to 4.6", "Captions and audio descriptions have their CHARACTERISTICS and AUTOSELECT=YES.")
def _characteristics(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for tag in top.media:
        marks = {mark.strip() for mark in (tag.get("CHARACTERISTICS") or "").split(",")}
        if tag.get("TYPE") == "SUBTITLES" and marks & {_SPEECH, _SOUNDS} and not {_SPEECH, _SOUNDS} <= marks:
            yield Issue(_where(top, tag), "captions need both characteristics, of speech and of sounds")
        if marks & {_SPEECH, _SOUNDS, _DESCRIBES} and tag.get("AUTOSELECT") != "YES" and tag.get("DEFAULT") != "YES":
            yield Issue(_where(top, tag), "what is there for accessibility needs AUTOSELECT=YES")
        described = re.search(r"audio description|descriptive (audio|video)|\bDVS\b", tag.get("NAME") or "", re.IGNORECASE)
        if tag.get("TYPE") == "AUDIO" and described and _DESCRIBES not in marks:
            yield Issue(_where(top, tag), f"“{tag.get('NAME')}” has no CHARACTERISTICS of an audio description")
