"""Rules of single playlists and of their delivery: the grammar (G, F, D, K), and Apple's of media playlists (P1 to P12).

Apple's rule numbers are those of the HLS authoring specification for Apple devices, revision 2025-06-26.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from hls_validation.attributes import Fault
from hls_validation.finding import Chapter, Check, Issue, Level, NotSeen
from hls_validation.presentation import Presentation, Rendition, Role

MUST, SHOULD = Level.MUST, Level.SHOULD
CHAPTER = Chapter()
rule = CHAPTER.rule

_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*|[xXiI](-[A-Za-z0-9]{1,8})+")  # RFC 5646, without its finer points
PLAYLIST_TYPES = {"application/vnd.apple.mpegurl", "audio/mpegurl", "application/x-mpegurl", "audio/x-mpegurl"}
_TEXT_SLACK = Fraction(1, 2)  # seconds by which subtitles may be shorter than the title


def _faults(look: Presentation) -> Iterator[tuple[str, Fault]]:
    if look.multivariant is not None:
        yield from ((look.multivariant.url, fault) for fault in look.multivariant.faults)
    for rendition in look.renditions.values():
        yield from ((rendition.url, fault) for fault in rendition.playlist.faults)


def _grammar(identity: str) -> Check:
    def check(look: Presentation) -> Iterator[Issue]:
        for url, fault in _faults(look):
            if fault.rule == identity:
                yield Issue(f"{url}:{fault.line}", fault.says)

    return check


for _identity, _clause, _says in (
    ("G1", "4.1", "A playlist is UTF-8 without a byte order mark and begins with #EXTM3U."),
    ("G2", "4.2", "Attribute lists are NAME=value with commas between, each name once."),
    ("G3", "4.4", "Tags and attributes that must be there are there."),
    ("G4", "4.2", "Values are of the type that their tag or attribute asks for."),
    ("G5", "4.1, 4.4", "A tag that may be there once is there once, and tags are in the kind of playlist that they belong in."),
    ("G6", "4.4.4.1, 4.4.6.2", "Every segment and every variant has its address, and every address its tag."),
):
    rule(_identity, MUST, f"RFC 8216bis {_clause}", _says)(_grammar(_identity))


@rule("G7", MUST, "RFC 8216bis 4.4.6.2", "Every group that a variant names is there.")
def _groups(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for variant in top.variants:
        for kind in ("AUDIO", "VIDEO", "SUBTITLES", "CLOSED-CAPTIONS"):
            name = variant.tag.get(kind)
            if name is not None and name != "NONE" and not top.group(kind, name):
                yield Issue(f"{top.url}:{variant.tag.line}", f"the {kind} group “{name}” does not exist")


@rule("G8", MUST, "RFC 8216bis 4.4.6.1", "Members of a group have different names, one default at most, which is selected by itself.")
def _members(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    names: set[tuple[str | None, ...]] = set()
    defaults: set[tuple[str | None, ...]] = set()
    for tag in top.media:
        where, group = f"{top.url}:{tag.line}", (tag.get("TYPE"), tag.get("GROUP-ID"))
        if (*group, tag.get("NAME")) in names:
            yield Issue(where, f"the group “{group[1]}” has two members named “{tag.get('NAME')}”")
        names.add((*group, tag.get("NAME")))
        if tag.get("DEFAULT") == "YES":
            if group in defaults:
                yield Issue(where, f"the group “{group[1]}” has two defaults")
            defaults.add(group)
            if tag.get("AUTOSELECT") == "NO":
                yield Issue(where, "a default must not have AUTOSELECT=NO")


@rule("G9", MUST, "RFC 8216bis 4.4.6.1", "An EXT-X-MEDIA has the attributes of its type, and no others.")
def _typed(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for tag in top.media:
        where, kind = f"{top.url}:{tag.line}", tag.get("TYPE")
        if kind == "SUBTITLES" and not tag.get("URI"):
            yield Issue(where, "subtitles have no URI")
        if kind == "CLOSED-CAPTIONS" and tag.get("URI"):
            yield Issue(where, "closed captions are in the video, and must not have a URI")
        if kind == "CLOSED-CAPTIONS" and not re.fullmatch(r"CC[1-4]|SERVICE([1-9]|[1-5]\d|6[0-3])", tag.get("INSTREAM-ID") or ""):
            yield Issue(where, "closed captions need an INSTREAM-ID of CC1 to CC4 or SERVICE1 to SERVICE63")
        if kind not in {"CLOSED-CAPTIONS", None} and tag.get("INSTREAM-ID"):
            yield Issue(where, "INSTREAM-ID is for closed captions only")
        if kind != "SUBTITLES" and tag.get("FORCED"):
            yield Issue(where, "FORCED is for subtitles only")


@rule("G10", MUST, "RFC 8216bis 4.4.6.1, RFC 5646", "LANGUAGE is a language tag.")
def _languages(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    for tag in top.media:
        for key in ("LANGUAGE", "ASSOC-LANGUAGE"):
            value = tag.get(key)
            if value is not None and not _TAG.fullmatch(value):
                yield Issue(f"{top.url}:{tag.line}", f"{key}=“{value}” is not a language tag")


@rule("G11", MUST, "RFC 8216bis 4.4.6.2", "Variants have CLOSED-CAPTIONS=NONE all or none.")
def _captions(look: Presentation) -> Iterator[Issue]:
    top = look.top()
    without = [variant for variant in top.variants if variant.tag.get("CLOSED-CAPTIONS") == "NONE"]
    if without and len(without) < len(top.variants):
        other = next(variant for variant in top.variants if variant.tag.get("CLOSED-CAPTIONS") != "NONE")
        yield Issue(f"{top.url}:{other.tag.line}", "this variant does not say CLOSED-CAPTIONS=NONE, and another one does")


@rule("F1", MUST, "RFC 8216bis 6.2", "Every playlist, initialization section and segment can be read.")
def _readable(look: Presentation) -> Iterator[Issue]:
    yield from (Issue(address, reason) for address, reason in look.unread.items())
    for rendition in look.renditions.values():
        yield from (Issue(rendition.url, problem) for problem in rendition.problems)
        for seen in rendition.seen:
            if seen.problem is not None:
                yield Issue(f"{rendition.url}:{rendition.playlist.segments[seen.index].line}", seen.problem)


def _playlist_answers(look: Presentation) -> Iterator[tuple[str, dict[str, str]]]:
    for url, answer in [(look.url, look.answer), *((rendition.url, rendition.answer) for rendition in look.renditions.values())]:
        if answer.headers is not None:
            yield url, dict(answer.headers)


def _over_http(look: Presentation) -> None:
    if look.answer.headers is None:
        raise NotSeen("The presentation was read from files.")


@rule("D1", MUST, "Apple 10.1", "Playlists are delivered with gzip encoding.")
def _gzip(look: Presentation) -> Iterator[Issue]:
    _over_http(look)
    for url, headers in _playlist_answers(look):
        if headers.get("content-encoding", "").lower() not in {"gzip", "x-gzip"}:
            yield Issue(url, "the playlist is not delivered with gzip encoding")


@rule("D2", SHOULD, "Apple 10.4", "Playlists have a media type of playlists.")
def _media_type(look: Presentation) -> Iterator[Issue]:
    _over_http(look)
    for url, headers in _playlist_answers(look):
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in PLAYLIST_TYPES:
            yield Issue(url, f"the playlist's media type is “{kind}”")


@rule("D3", SHOULD, "Apple 11.1, 11.2", "Playlists are delivered over TLS.")
def _tls(look: Presentation) -> Iterator[Issue]:
    _over_http(look)
    for url, _ in _playlist_answers(look):
        if not url.startswith("https:"):
            yield Issue(url, "the playlist is not delivered over TLS")


@rule("K1", MUST, "Apple 13.11", "Nothing is encrypted with SAMPLE-AES-CTR.")
def _counter_mode(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        for segment in rendition.playlist.segments:
            if segment.key is not None and segment.key.get("METHOD") == "SAMPLE-AES-CTR":
                yield Issue(f"{rendition.url}:{segment.key.line}", "METHOD is SAMPLE-AES-CTR")
                break


@rule("K2", MUST, "Apple 13.7", "Video under common encryption has the pattern 1:9.")
def _pattern(look: Presentation) -> Iterator[Issue]:
    for rendition in look.of(Role.VIDEO, Role.UNKNOWN):
        track = rendition.track("vide")
        if track is not None and track.pattern is not None and track.pattern != (1, 9):
            yield Issue(rendition.url, f"the pattern is {track.pattern[0]}:{track.pattern[1]}")


# -- Apple's checks of media playlists


def _frame_s(look: Presentation) -> Fraction:
    """The shortest frame of any video, or a usual one."""
    found = [
        Fraction(part.frame_ticks, track.timescale)
        for rendition in look.of(Role.VIDEO, Role.UNKNOWN)
        if (track := rendition.track("vide")) is not None
        for seen in rendition.seen
        for part in seen.fragments
        if part.track == track.identity and part.frame_ticks
    ]
    return min(found, default=Fraction(1, 24))


@rule("P1", MUST, "Apple 8.1", "EXTINF sums of any run of segments are within one video frame of the truth.")
def _durations(look: Presentation) -> Iterator[Issue]:
    frame, measured = _frame_s(look), False
    for rendition in look.timed:
        off = low = high = Fraction(0)
        for segment, _, _, length in rendition.lengths():
            measured = True
            off += segment.duration - length
            low, high = min(low, off), max(high, off)
            if high - low > frame:
                yield Issue(f"{rendition.url}:{segment.line}", f"EXTINF and media differ by {float(high - low):.3f} s up to here")
                break
    if not measured:
        raise NotSeen("No segment of fragmented MP4 was read.")


@rule("P2", MUST, "Apple 8.2", "All audio and video playlists have the same target duration.")
def _targets(look: Presentation) -> Iterator[Issue]:
    targets = {rendition.playlist.target_s for rendition in look.timed}
    first = next((rendition.playlist.target_s for rendition in look.timed), None)
    for rendition in look.timed:
        if len(targets) > 1 and rendition.playlist.target_s != first:
            yield Issue(rendition.url, f"the target duration is {rendition.playlist.target_s} s, elsewhere {first} s")


@rule("P3", MUST, "Apple 8.3, 8.7", "All audio and video playlists that have ended cover the same time.")
def _coverage(look: Presentation) -> Iterator[Issue]:
    ended = [rendition for rendition in look.timed if rendition.playlist.ended]
    longest = max((rendition.playlist.duration for rendition in ended), default=Fraction(0))
    slack = max(_frame_s(look), Fraction(1, 20))  # an audio frame is about as long
    for rendition in ended:
        if longest - rendition.playlist.duration > slack:
            yield Issue(rendition.url, f"the playlist lasts {float(rendition.playlist.duration):.3f} s, another {float(longest):.3f} s")


@rule("P4", MUST, "Apple 8.6, RFC 8216bis 4.4.3.5", "Playlists of static content say that they are: PLAYLIST-TYPE VOD, and ENDLIST.")
def _static(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        kind = rendition.playlist.tags.get("EXT-X-PLAYLIST-TYPE")
        if rendition.playlist.ended and kind is None:
            yield Issue(rendition.url, "there is EXT-X-ENDLIST, but no EXT-X-PLAYLIST-TYPE")
        if kind == "VOD" and not rendition.playlist.ended:
            yield Issue(rendition.url, "the playlist is VOD, but has no EXT-X-ENDLIST")


@rule("P5", MUST, "Apple 8.20", "Segments of fragmented MP4 have an EXT-X-MAP.")
def _maps(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        forms = {seen.index: seen.form for seen in rendition.seen}
        for index, segment in enumerate(rendition.playlist.segments):
            path = segment.url.partition("?")[0].lower()
            if segment.map is None and (forms.get(index) == "fmp4" or path.endswith((".m4s", ".mp4", ".cmfv", ".cmfa"))):
                yield Issue(f"{rendition.url}:{segment.line}", "a segment of fragmented MP4 has no EXT-X-MAP before it")
                break


@rule("P6", SHOULD, "Apple 8.22", "Segments of all audio and video begin at the same times.")
def _boundaries(look: Presentation) -> Iterator[Issue]:
    ended = [rendition for rendition in look.timed if rendition.playlist.ended]
    video = [rendition for rendition in ended if rendition.role is not Role.AUDIO]
    for rendition in ended:
        model = (video or ended)[0].playlist.ends
        slack = Fraction(1, 20) if rendition.role is Role.AUDIO else _frame_s(look) / 2
        ends = rendition.playlist.ends
        if len(ends) != len(model):
            yield Issue(rendition.url, f"there are {len(ends)} segments, elsewhere {len(model)}")
            continue
        for index, (here, there) in enumerate(zip(ends[:-1], model[:-1], strict=True)):
            if abs(here - there) > slack:
                line = rendition.playlist.segments[index].line
                yield Issue(f"{rendition.url}:{line}", f"the segment ends at {float(here):.3f} s, elsewhere at {float(there):.3f} s")
                break


@rule("P7", MUST, "RFC 8216bis 4.4.3.1", "No EXTINF, rounded, is longer than the target duration.")
def _target(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        target = rendition.playlist.target_s
        for segment in rendition.playlist.segments:
            if target is not None and int(segment.duration + Fraction(1, 2)) > target:
                yield Issue(f"{rendition.url}:{segment.line}", f"EXTINF is {float(segment.duration):.3f} s, the target {target} s")


@rule("P8", MUST, "Apple 8.13 to 8.15", "Breaks are marked by EXT-X-DISCONTINUITY, at the same times everywhere.")
def _breaks(look: Presentation) -> Iterator[Issue]:
    marks = {rendition.url: _marks(rendition) for rendition in look.timed if rendition.playlist.ended}
    model = next(iter(marks.values()), ())
    for url, times in marks.items():
        if len(times) != len(model) or any(abs(here - there) > Fraction(1, 10) for here, there in zip(times, model, strict=True)):
            yield Issue(url, "discontinuities are not where other playlists have them")
    for rendition in look.of(Role.VIDEO, Role.UNKNOWN):
        rates = [(segment, seen.fragments[0].frame_ticks) for segment, seen, _, _ in rendition.lengths() if seen.fragments[0].count > 1]
        for (_, before), (segment, after) in pairwise(rates):
            if not segment.discontinuity and abs(before - after) * 50 > before:  # unlike a rounded duration, a new rate is 2 % off
                yield Issue(f"{rendition.url}:{segment.line}", "the frame rate changes without a discontinuity")


def _marks(rendition: Rendition) -> tuple[Fraction, ...]:
    starts = (Fraction(0), *rendition.playlist.ends)
    return tuple(start for start, segment in zip(starts, rendition.playlist.segments, strict=False) if segment.discontinuity)


@rule("P9", MUST, "Apple 5.3, 5.5", "Subtitles cover the whole title; every WebVTT segment has an X-TIMESTAMP-MAP.")
def _subtitles(look: Presentation) -> Iterator[Issue]:
    longest = max((rendition.playlist.duration for rendition in look.timed if rendition.playlist.ended), default=Fraction(0))
    for rendition in look.of(Role.SUBTITLES):
        if rendition.playlist.ended and longest - rendition.playlist.duration > _TEXT_SLACK:
            yield Issue(rendition.url, f"the text ends at {float(rendition.playlist.duration):.3f} s, the title at {float(longest):.3f} s")
        for seen in rendition.seen:
            where = f"{rendition.url}:{rendition.playlist.segments[seen.index].line}"
            if seen.problem is None and seen.form == "unknown":
                yield Issue(where, "the segment is not WebVTT: it does not begin with WEBVTT")
            elif seen.form == "text" and not seen.timestamp_map:
                yield Issue(where, "the segment has no X-TIMESTAMP-MAP in its header")


@rule("P10", MUST, "Apple 6.8", "I-frame playlists have EXT-X-I-FRAMES-ONLY.")
def _only_iframes(look: Presentation) -> Iterator[Issue]:
    for rendition in look.of(Role.IFRAMES):
        if "EXT-X-I-FRAMES-ONLY" not in rendition.playlist.tags:
            yield Issue(rendition.url, "there is no EXT-X-I-FRAMES-ONLY")


@rule("P11", MUST, "RFC 8216bis 8", "EXT-X-VERSION is as high as the tags that are used ask for.")
def _versions(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        playlist = rendition.playlist
        only = "EXT-X-I-FRAMES-ONLY" in playlist.tags
        needs = [
            (3, "decimals in EXTINF", playlist.fractional),
            (4, "EXT-X-BYTERANGE", any(segment.part is not None for segment in playlist.segments)),
            (4, "EXT-X-I-FRAMES-ONLY", only),
            (5 if only else 6, "EXT-X-MAP", any(segment.map is not None for segment in playlist.segments)),
            (5, "SAMPLE-AES", any((segment.key.get("METHOD") or "").startswith("SAMPLE") for segment in playlist.segments if segment.key)),
            (2, "an IV", any(segment.key.get("IV") for segment in playlist.segments if segment.key)),
            (5, "KEYFORMAT", any(segment.key.get("KEYFORMAT") for segment in playlist.segments if segment.key)),
        ]
        for version, what, used in needs:
            if used and playlist.version < version:
                yield Issue(rendition.url, f"EXT-X-VERSION is {playlist.version}, but {what} asks for {version}")


@rule("P12", MUST, "Apple 8.18", "Media is not redirected.")
def _redirects(look: Presentation) -> Iterator[Issue]:
    for rendition in look.renditions.values():
        if rendition.init_redirects:
            yield Issue(rendition.url, "an initialization section is redirected")
        for seen in rendition.seen:
            if seen.redirects:
                yield Issue(f"{rendition.url}:{rendition.playlist.segments[seen.index].line}", "the segment is redirected")
                break
