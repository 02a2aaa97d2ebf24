"""A strict reader of multivariant and media playlists: draft-pantos-hls-rfc8216bis, section 4. Pure.

It reads what it can and lists every breach of the grammar as a fault with the number of its rule; it raises nothing. Tags that it
does not know are passed over, as section 6.3.1 asks of clients; those of low latency are checked for their form and otherwise
ignored: the segments that they announce are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from urllib.parse import urljoin

from hls_validation.attributes import KNOWN, Fault, Tag, read_tag

_EXTINF = re.compile(r"(\d+(?:\.\d+)?)(?:,(.*))?")
_BYTERANGE = re.compile(r"(\d+)(?:@(\d+))?")
_MULTIVARIANT_TAGS = {"EXT-X-MEDIA", "EXT-X-STREAM-INF", "EXT-X-I-FRAME-STREAM-INF", "EXT-X-SESSION-DATA", "EXT-X-SESSION-KEY",
                      "EXT-X-CONTENT-STEERING"}  # fmt: skip
_MEDIA_TAGS = {"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-KEY", "EXT-X-MAP", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-GAP",
               "EXT-X-BITRATE", "EXT-X-PART", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE",
               "EXT-X-ENDLIST", "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY", "EXT-X-PART-INF", "EXT-X-SERVER-CONTROL"}  # fmt: skip
_ONCE = {"EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE", "EXT-X-ENDLIST",
         "EXT-X-PLAYLIST-TYPE", "EXT-X-I-FRAMES-ONLY", "EXT-X-INDEPENDENT-SEGMENTS", "EXT-X-START"}  # fmt: skip
_BEFORE_SEGMENTS = {"EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"}
_INTEGER_TAGS = {"EXT-X-VERSION", "EXT-X-TARGETDURATION", "EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"}

ByteRange = tuple[int, int]  # length, offset


@dataclass(frozen=True, slots=True)
class Map:
    """A Media Initialization Section."""

    url: str
    part: ByteRange | None
    key: Tag | None = None  # None also for METHOD=NONE


@dataclass(frozen=True, slots=True)
class Segment:
    url: str
    line: int  # of its address
    duration: Fraction  # EXTINF, seconds
    part: ByteRange | None
    discontinuity: bool  # one comes before it
    map: Map | None
    key: Tag | None  # None also for METHOD=NONE
    gap: bool


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    url: str
    tags: Mapping[str, str]  # of the whole playlist, by name; the value is "" where there is none
    segments: tuple[Segment, ...]
    faults: tuple[Fault, ...]
    fractional: bool = False  # an EXTINF has decimals
    keys: tuple[Tag, ...] = ()  # every EXT-X-KEY

    @property
    def target_s(self) -> int | None:
        value = self.tags.get("EXT-X-TARGETDURATION", "")
        return int(value) if value.isdecimal() else None

    @property
    def version(self) -> int:
        value = self.tags.get("EXT-X-VERSION", "1")
        return int(value) if value.isdecimal() else 1

    @property
    def ended(self) -> bool:
        return "EXT-X-ENDLIST" in self.tags

    @property
    def duration(self) -> Fraction:
        return sum((segment.duration for segment in self.segments), Fraction(0))

    @property
    def ends(self) -> tuple[Fraction, ...]:
        """When each segment ends, by EXTINF."""
        ends, now = [], Fraction(0)
        for segment in self.segments:
            now += segment.duration
            ends.append(now)
        return tuple(ends)


@dataclass(frozen=True, slots=True)
class Variant:
    """EXT-X-STREAM-INF with its address, or EXT-X-I-FRAME-STREAM-INF."""

    tag: Tag
    url: str

    @property
    def codecs(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in (self.tag.get("CODECS") or "").split(",") if part.strip())

    @property
    def size(self) -> tuple[int, int] | None:
        match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", self.tag.get("RESOLUTION") or "")
        return (int(match[1]), int(match[2])) if match else None


@dataclass(frozen=True, slots=True)
class Multivariant:
    url: str
    tags: Mapping[str, str]
    variants: tuple[Variant, ...]
    iframes: tuple[Variant, ...]
    media: tuple[Tag, ...]  # EXT-X-MEDIA
    keys: tuple[Tag, ...]
    faults: tuple[Fault, ...]

    def address(self, tag: Tag) -> str | None:
        """Of the playlist of an EXT-X-MEDIA, if it has one."""
        uri = tag.get("URI")
        return urljoin(self.url, uri) if uri else None

    def group(self, kind: str, name: str | None) -> tuple[Tag, ...]:
        return tuple(tag for tag in self.media if tag.get("TYPE") == kind and tag.get("GROUP-ID") == name)


def read_playlist(data: bytes, url: str) -> Multivariant | MediaPlaylist:
    """What lies at `url`. Never raises: a text that is no playlist has a G1 fault."""
    faults: list[Fault] = []
    if data.startswith(b"\xef\xbb\xbf"):
        faults.append(Fault("G1", 1, "the playlist begins with a byte order mark"))
        data = data[3:]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        faults.append(Fault("G1", data.count(b"\n", 0, error.start) + 1, "the playlist is not UTF-8"))
        text = data.decode("utf-8", "replace")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[0] != "#EXTM3U":
        faults.append(Fault("G1", 1, "the first line is not #EXTM3U"))
    names = {_name(line) for line in lines if line.startswith("#EXT")}
    reading = _Reading(url, faults)
    reading.read(lines)
    wrong = names & _MEDIA_TAGS if names & _MULTIVARIANT_TAGS else set()
    is_multivariant = bool(names & _MULTIVARIANT_TAGS) and "EXT-X-TARGETDURATION" not in names
    if wrong:
        faults.append(Fault("G5", 1, f"{min(wrong)} belongs in media playlists, but this one has variants or renditions"))
    if is_multivariant:
        return reading.multivariant()
    return reading.media_playlist()


def _name(line: str) -> str:
    return line[1:].partition(":")[0]


@dataclass
class _Reading:
    """The state of reading one playlist from its first line to its last."""

    url: str
    faults: list[Fault]
    tags: dict[str, str] = field(default_factory=dict)
    listed: list[Tag] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    fractional: bool = False
    _stream: Tag | None = None
    _duration: Fraction | None = None
    _range: tuple[int, int | None] | None = None
    _last: tuple[str, int] | None = None  # address and end of the range before
    _discontinuity: bool = False
    _gap: bool = False
    _map: Map | None = None
    _key: Tag | None = None

    def fault(self, rule: str, line: int, says: str) -> None:
        self.faults.append(Fault(rule, line, says))

    def read(self, lines: list[str]) -> None:
        for number, line in enumerate(lines, 1):
            if line.startswith("#EXT") and number > 1:
                self._tag(line, number)
            elif line and not line.startswith("#"):
                if line != line.strip() or any(ord(sign) < 32 or ord(sign) == 127 for sign in line):
                    self.fault("G1", number, "the line has white space at its ends or control characters")
                self._address(line.strip(), number)
        if self._stream is not None:
            self.fault("G6", self._stream.line, "EXT-X-STREAM-INF has no address on the next line")
        if self._duration is not None:
            self.fault("G6", len(lines), "the last EXTINF has no address")

    def _tag(self, line: str, number: int) -> None:
        name, _, value = line[1:].partition(":")
        if self._stream is not None:
            self.fault("G6", number, "EXT-X-STREAM-INF is not followed by an address")
            self._stream = None
        if name in _ONCE and name in self.tags:
            self.fault("G5", number, f"{name} is there twice")
        if name in KNOWN:
            tag, faults = read_tag(name, value, number)
            self.faults += faults
            self._listed(tag)
        elif name == "EXTINF":
            self._extinf(value, number)
        elif name == "EXT-X-BYTERANGE":
            match = _BYTERANGE.fullmatch(value)
            self._range = (int(match[1]), int(match[2]) if match[2] else None) if match else None
            if match is None:
                self.fault("G4", number, f"“{value[:40]}” is no byte range")
        elif name == "EXT-X-DISCONTINUITY":
            self._discontinuity = True
        elif name == "EXT-X-GAP":
            self._gap = True
        else:
            self._plain(name, value, number)

    def _plain(self, name: str, value: str, number: int) -> None:
        if name in _INTEGER_TAGS and not value.isdecimal():
            self.fault("G4", number, f"{name}:{value[:20]} is not a decimal integer")
        if name == "EXT-X-PLAYLIST-TYPE" and value not in {"VOD", "EVENT"}:
            self.fault("G4", number, f"EXT-X-PLAYLIST-TYPE is {value[:20]}, not VOD or EVENT")
        if name in _BEFORE_SEGMENTS and self.segments and name not in self.tags:
            self.fault("G5", number, f"{name} comes after the first segment")
        self.tags.setdefault(name, value)

    def _extinf(self, value: str, number: int) -> None:
        match = _EXTINF.fullmatch(value)
        if match is None:
            self.fault("G4", number, f"“{value[:40]}” is not a duration and a comma")
            self._duration = Fraction(0)
            return
        if match[2] is None:
            self.fault("G4", number, "EXTINF has no comma after its duration")
        self.fractional |= "." in match[1]
        self._duration = Fraction(match[1])

    def _listed(self, tag: Tag) -> None:
        if tag.name == "EXT-X-STREAM-INF":
            self._stream = tag
        elif tag.name == "EXT-X-MAP":
            match = _BYTERANGE.fullmatch(tag.get("BYTERANGE") or "")
            part = (int(match[1]), int(match[2] or 0)) if match else None
            self._map = Map(urljoin(self.url, tag.get("URI") or ""), part, self._key)
        elif tag.name == "EXT-X-KEY":
            self._key = None if tag.get("METHOD") == "NONE" else tag
            if self._key is not None and not tag.get("URI"):
                self.fault("G3", tag.line, "EXT-X-KEY has no URI")
            self.listed.append(tag)
        else:
            self.tags.setdefault(tag.name, "")
            self.listed.append(tag)

    def _address(self, uri: str, number: int) -> None:
        url = urljoin(self.url, uri)
        if self._stream is not None:
            self.variants.append(Variant(self._stream, url))
            self._stream = None
            return
        if self._duration is None:
            self.fault("G6", number, "an address with neither EXTINF nor EXT-X-STREAM-INF before it")
        part = self._part(url, number)
        self.segments.append(
            Segment(url, number, self._duration or Fraction(0), part, self._discontinuity, self._map, self._key, self._gap)
        )
        self._duration, self._range, self._discontinuity, self._gap = None, None, False, False

    def _part(self, url: str, number: int) -> ByteRange | None:
        if self._range is None:
            self._last = None
            return None
        length, offset = self._range
        if offset is None:
            if self._last is None or self._last[0] != url:
                self.fault("G6", number, "EXT-X-BYTERANGE has no offset, and the segment before is no range of the same resource")
            offset = self._last[1] if self._last is not None else 0
        self._last = (url, offset + length)
        return length, offset

    def multivariant(self) -> Multivariant:
        iframes = tuple(Variant(tag, urljoin(self.url, tag.get("URI") or "")) for tag in self._of("EXT-X-I-FRAME-STREAM-INF"))
        media, keys = tuple(self._of("EXT-X-MEDIA")), tuple(self._of("EXT-X-SESSION-KEY"))
        if not self.variants:
            self.fault("G6", 1, "the multivariant playlist has no variant")
        return Multivariant(self.url, self.tags, tuple(self.variants), iframes, media, keys, tuple(self.faults))

    def media_playlist(self) -> MediaPlaylist:
        if "EXT-X-TARGETDURATION" not in self.tags:
            self.fault("G3", 1, "the media playlist has no EXT-X-TARGETDURATION")
        return MediaPlaylist(self.url, self.tags, tuple(self.segments), tuple(self.faults), self.fractional, tuple(self._of("EXT-X-KEY")))

    def _of(self, name: str) -> Iterator[Tag]:
        return (tag for tag in self.listed if tag.name == name)
