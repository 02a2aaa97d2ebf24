"""The DASH manifest over the very segments that the HLS playlists name: ISO/IEC 23009-1, the "isoff-live" profile with CMAF tracks.

Like the multivariant playlist it follows from the plan, is complete before anything is encoded, and changes in its rates once. Times are
exact: each rendition keeps its own timescale, and a SegmentTimeline says every segment's start and length in ticks of it. Every address
is relative to the manifest, so a path prefix carries over.

A manifest is kept in pieces: what the plan decides, text tracks (which come and go), and the sheets of the storyboard, which are made
after everything else. The origin joins them (`origin.manifest`).

Pure: no storage, no database. It has one Period.

Sources: ISO/IEC 23009-1 (elements, `SegmentTimeline`, roles of `urn:mpeg:dash:role:2011`), ISO/IEC 23000-19 (CMAF),
ISO/IEC 23091 (code points of colours), DASH-IF guidelines for interoperability 4.3 (section 6.2.6: tiled thumbnails).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from typing import Any, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from media import eac3, pictures
from media.codecs import EAC3
from media.plan import EncodePlan
from media.rendition import AudioRendition
from packager.bandwidth import track_rates
from packager.presentation import AudioTrack, Presentation, Span, Track, VideoTrack
from packager.sound import quotable

Piece = Literal["head", "text", "thumbnails", "tail"]
PROFILES = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"
_ROLES = "urn:mpeg:dash:role:2011"
_CHANNELS = "urn:mpeg:mpegB:cicp:ChannelConfiguration"
_CHANNEL_CODES = {1: 1, 2: 2, 6: 6, 8: 12}  # ISO/IEC 23091-3: mono, stereo, 5.1, 7.1
_DOLBY_CHANNELS = "tag:dolby.com,2014:dash:audio_channel_configuration:2011"
_CENC = ' xmlns:cenc="urn:mpeg:cenc:2013"'
_COLOURS: Mapping[str, tuple[int, int, int]] = {"SDR": (1, 1, 1), "PQ": (9, 16, 9), "HLG": (9, 18, 9)}
_DESCRIBES_VIDEO = "public.accessibility.describes-video"
_THUMBNAILS = "http://dashif.org/guidelines/thumbnail_tile"
_MP4_PROTECTION, _CLEAR_KEY = "urn:mpeg:dash:mp4protection:2011", "urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"
_FIRST_TEXT, _THUMBNAIL_SET = 1000, 2000  # ids of adaptation sets: text tracks come and go, and nothing else is renumbered
_TILE_BITS_PER_PIXEL = Fraction(3, 2)  # of a JPEG as the storyboard's: only players that count bytes look at it
_TEXT_BPS = 1000


def render(presentation: Presentation, plan: EncodePlan) -> dict[Piece, str]:
    """The pieces of the manifest, without text tracks. `presentation` must have a rendition."""
    sets = [*_video_sets(presentation, plan), *_audio_sets(presentation, plan)]
    for number, made in enumerate(sets, 1):
        made.set("id", str(number))
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"{"" if plan.protection is None else _CENC} profiles="{PROFILES}" type="static" '
        f'mediaPresentationDuration="{_duration(presentation.duration)}" minBufferTime="PT{presentation.target_duration_s}S">\n'
        f'  <Period id="0" start="PT0S" duration="{_duration(presentation.duration)}">\n'
    )
    return {"head": head + _written(sets), "text": "", "thumbnails": _written(_thumbnails(plan)), "tail": "  </Period>\n</MPD>\n"}


def text_piece(tracks: Sequence[Mapping[str, Any]]) -> str:
    """The text tracks (`packager.text.renditions`): each one WebVTT file, with times of the presentation."""
    sets = []
    for number, track in enumerate(tracks):  # in the order of the schema: properties, label, accessibility, roles, addresses
        made = Element("AdaptationSet", id=str(_FIRST_TEXT + number), contentType="text", mimeType="text/vtt", lang=str(track["language"]))
        roles = {"captions": "caption", "descriptions": "description"}.get(str(track["kind"]), "subtitle")
        SubElement(made, "Label").text = _label(str(track["name"])) or str(track["language"])
        _role(made, "forced-subtitle" if track["forced"] else roles)
        if track["default"] and not track["forced"]:
            _role(made, "main")
        representation = SubElement(made, "Representation", id=f"text-{number}", bandwidth=str(_TEXT_BPS))
        SubElement(representation, "BaseURL").text = f"t/{track['digest']}/whole.vtt"
        sets.append(made)
    return _written(sets)


def _protection(made: Element, plan: EncodePlan) -> None:
    """ISO/IEC 23001-7 section 11: the scheme and the id of the key, and that W3C ClearKey is a way to have it (DASH-IF)."""
    if plan.protection is not None:
        scheme = SubElement(made, "ContentProtection", schemeIdUri=_MP4_PROTECTION, value=plan.protection.scheme)
        scheme.set("cenc:default_KID", plan.protection.uuid)
        SubElement(made, "ContentProtection", schemeIdUri=_CLEAR_KEY, value="ClearKey1.0")


def _video_sets(presentation: Presentation, plan: EncodePlan) -> Iterable[Element]:
    """One for each codec and range: what a player may switch between without an interruption. H.264 is first, which everything plays."""

    def kind(track: VideoTrack) -> tuple[bool, str, str]:
        return track.spec.codec != "h264", track.spec.codec, track.spec.video_range

    for (_, _, video_range), members in groupby(sorted(presentation.video, key=kind), kind):
        tracks = list(members)
        made = Element("AdaptationSet", contentType="video", mimeType="video/mp4", segmentAlignment="true", startWithSAP="1")
        made.set("maxWidth", str(max(track.spec.width for track in tracks)))
        made.set("maxHeight", str(max(track.spec.height for track in tracks)))
        made.set("maxFrameRate", _rate(tracks[0].spec.frame_rate))
        _protection(made, plan)
        _colours(made, video_range)
        _role(made, "main")
        made.append(_template(tracks[0].timescale, tracks[0].spans, plan))  # all rungs lie on one grid
        for track in tracks:
            size = {"width": str(track.spec.width), "height": str(track.spec.height)}
            facts = {**size, "frameRate": _rate(track.spec.frame_rate), "sar": "1:1"}
            made.append(_representation(track, presentation.target_duration_s, facts))
        yield made


def _audio_sets(presentation: Presentation, plan: EncodePlan) -> Iterable[Element]:
    """One for each track in as many channels, with all of its rates: what a player may switch between by itself."""
    forms: dict[AudioRendition, list[AudioTrack]] = {}
    for track in presentation.audio:
        alike = replace(track.spec, name="", group="", bitrate_bps=0, gain_db=0.0)
        forms.setdefault(alike, []).append(track)
    return [_audio_set(tracks, presentation, plan) for tracks in forms.values()]


def _audio_set(tracks: Sequence[AudioTrack], presentation: Presentation, plan: EncodePlan) -> Element:
    track, spec = tracks[0], tracks[0].spec
    made = Element("AdaptationSet", contentType="audio", mimeType="audio/mp4", lang=quotable(spec.language) or "und")
    made.set("segmentAlignment", "true")
    made.set("startWithSAP", "1")
    _channels(made, spec)
    _protection(made, plan)
    SubElement(made, "Label").text = _label(spec.label) or "Audio"
    if _DESCRIBES_VIDEO in spec.characteristics:
        SubElement(made, "Accessibility", schemeIdUri="urn:tva:metadata:cs:AudioPurposeCS:2007", value="1")
    _role(made, _audio_role(spec))
    made.append(_template(track.timescale, track.spans, plan))
    for one in tracks:
        made.append(_representation(one, presentation.target_duration_s, {"audioSamplingRate": str(one.spec.sample_rate_hz)}))
    return made


def _channels(made: Element, spec: AudioRendition) -> None:
    """By the code that all know, and of E-AC-3 by Dolby's own as well, which says where each channel is heard from (DASH-IF 4.3)."""
    code = _CHANNEL_CODES.get(spec.channels, spec.channels)
    SubElement(made, "AudioChannelConfiguration", schemeIdUri=_CHANNELS, value=str(code))
    if spec.codecs == EAC3:
        SubElement(made, "AudioChannelConfiguration", schemeIdUri=_DOLBY_CHANNELS, value=eac3.PLACES)


def _audio_role(spec: AudioRendition) -> str:
    if _DESCRIBES_VIDEO in spec.characteristics:
        return "description"
    if not spec.autoselect:
        return "commentary"
    return "main" if spec.default else "alternate"


def _representation(track: Track, target_s: int, facts: Mapping[str, str]) -> Element:
    """`bandwidth` is the peak: with `minBufferTime` of a target duration in hand, a line of that rate never leaves a player waiting."""
    peak_bps = track_rates(track, target_s).peak_bps
    return Element("Representation", {"id": track.spec.name, "codecs": track.spec.codecs, "bandwidth": str(peak_bps), **facts})


def _template(timescale: int, spans: Sequence[Span], plan: EncodePlan) -> Element:
    base = f"{plan.digest}/$RepresentationID$"
    made = Element("SegmentTemplate", timescale=str(timescale), startNumber="0")
    made.set("initialization", f"{base}/init.mp4")
    made.set("media", f"{base}/$Number%05d$.m4s")
    timeline = SubElement(made, "SegmentTimeline")
    for number, (length, run) in enumerate(groupby(end - start for start, end in spans)):
        repeats = sum(1 for _ in run) - 1
        entry = SubElement(timeline, "S", {"t": str(spans[0][0])} if number == 0 else {})
        entry.set("d", str(length))
        if repeats:
            entry.set("r", str(repeats))
    return made


def _thumbnails(plan: EncodePlan) -> list[Element]:
    """The sheets of the storyboard. None where there is nothing to make one of."""
    try:
        board = pictures.storyboard(plan)
    except ValueError:
        return []
    columns, rows = board.columns, board.rows(len(board.sheets[0]))
    step = board.gops[1] - board.gops[0] if len(board.gops) > 1 else 1
    sheet_ticks = columns * rows * step * plan.grid.gop_frames * plan.grid.frame_ticks
    width, height = columns * board.tile[0], rows * board.tile[1]
    made = Element("AdaptationSet", id=str(_THUMBNAIL_SET), contentType="image", mimeType="image/jpeg")
    template = SubElement(made, "SegmentTemplate", timescale=str(plan.grid.timescale), duration=str(sheet_ticks), startNumber="0")
    template.set("media", f"{plan.digest}/storyboard-$Number%03d$.jpg")
    bandwidth = max(1, int(width * height * _TILE_BITS_PER_PIXEL * plan.grid.timescale / sheet_ticks))
    facts = {"id": "thumbnails", "bandwidth": str(bandwidth), "width": str(width), "height": str(height)}
    representation = SubElement(made, "Representation", facts)
    SubElement(representation, "EssentialProperty", schemeIdUri=_THUMBNAILS, value=f"{columns}x{rows}")
    return [made]


def _colours(made: Element, video_range: str) -> None:
    """HDR is essential: a player that does not know what it means must not choose it."""
    name = "SupplementalProperty" if video_range == "SDR" else "EssentialProperty"
    kinds = ("ColourPrimaries", "TransferCharacteristics", "MatrixCoefficients")
    for kind, code in zip(kinds, _COLOURS[video_range], strict=True):
        SubElement(made, name, schemeIdUri=f"urn:mpeg:mpegB:cicp:{kind}", value=str(code))


def _role(made: Element, value: str) -> None:
    SubElement(made, "Role", schemeIdUri=_ROLES, value=value)


def _label(words: str) -> str:
    """As XML 1.0 (section 2.2) can hold it."""
    return quotable("".join(sign for sign in words if sign not in "\ufffe\uffff" and not "\ud800" <= sign <= "\udfff"))


def _rate(rate: Fraction) -> str:
    return str(rate.numerator) if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"


def _duration(seconds: Fraction) -> str:
    """To the microsecond, never shorter than it is."""
    whole_s, us = divmod(-(-seconds.numerator * 1_000_000 // seconds.denominator), 1_000_000)
    return f"PT{whole_s}.{us:06d}S"


def _written(sets: Iterable[Element]) -> str:
    text = ""
    for made in sets:
        indent(made, "  ", 2)
        text += f"    {tostring(made, encoding='unicode').rstrip()}\n"
    return text
