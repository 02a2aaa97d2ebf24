"""A whole presentation, read: the multivariant playlist, every media playlist it names, and the chosen segments.

Of a segment only what the rules ask for is kept, never its bytes. What cannot be read is kept as a sentence in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from urllib.parse import urljoin, urlsplit

from hls_validation.boxes import BadBoxes, Fragment, Init, Track, read_fragments, read_init, starts_with_idr
from hls_validation.fetch import MAX_PLAYLIST_BYTES, MAX_SEGMENT_BYTES, Answer, Fetch, NotFetched
from hls_validation.finding import NotSeen
from hls_validation.playlist import MediaPlaylist, Multivariant, Segment, read_playlist

AT_ONCE = 8
_MOST_KEY_BYTES = 4096
_VIDEO_CODECS = ("avc", "hvc", "hev", "dvh", "dva", "av01", "vp0", "vp9", "mp4v", "mjpg")
_HANDLERS = {"vide": "video", "soun": "audio"}


class Role(StrEnum):
    VIDEO = "video"
    AUDIO = "audio"
    SUBTITLES = "subtitles"
    IFRAMES = "iframes"
    UNKNOWN = "unknown"  # a media playlist that was given by itself


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in one media segment."""

    index: int
    size_bytes: int = 0
    form: str = "unknown"  # fmp4, ts, text, encrypted, unknown
    redirects: int = 0
    starts_with_moof: bool = False
    fragments: tuple[Fragment, ...] = ()
    idr: bool | None = None  # the first picture is one
    webvtt: bool = False  # of text: begins with WEBVTT
    timestamp_map: bool = False
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Rendition:
    """One media playlist."""

    url: str
    role: Role
    playlist: MediaPlaylist
    answer: Answer
    inits: Mapping[str, Init]  # by the address of the map
    init_redirects: int
    seen: tuple[Seen, ...]  # in order; not all segments, perhaps
    problems: tuple[str, ...] = ()
    keys: Mapping[str, int | str] = field(default_factory=dict)  # bytes of each key by its address, or why it could not be read

    @property
    def complete(self) -> bool:
        """Every segment was read."""
        return len(self.seen) == len(self.playlist.segments) and not any(seen.problem for seen in self.seen)

    @property
    def init(self) -> Init | None:
        return next(iter(self.inits.values()), None)

    def init_of(self, segment: Segment) -> Init | None:
        return self.inits.get(_map_name(segment))

    def track(self, handler: str = "vide") -> Track | None:
        return next((track for track in self.init.tracks if track.handler == handler), None) if self.init else None

    def main(self) -> Track | None:
        """The track that this playlist is listed for."""
        return self.track("soun" if self.role is Role.AUDIO else "vide") or (
            self.init.tracks[0] if self.init and self.init.tracks else None
        )

    def lengths(self) -> Iterator[tuple[Segment, Seen, Fraction, Fraction]]:
        """Segments of fragmented MP4 with start and length of the main track in seconds, as measured."""
        track = self.main()
        for seen in self.seen:
            parts = [part for part in seen.fragments if track is not None and part.track == track.identity]
            if track is not None and parts:
                start = Fraction(parts[0].decode_time, track.timescale)
                yield self.playlist.segments[seen.index], seen, start, Fraction(sum(part.duration for part in parts), track.timescale)

    def rates(self) -> tuple[float, float]:
        """Peak and average in bits per second (RFC 8216, 4.1). Raises NotSeen unless everything was read."""
        if not self.complete or not self.seen:
            raise NotSeen("Bit rates are measured only when all segments are read.")
        sizes = [8 * seen.size_bytes for seen in self.seen]
        durations = [segment.duration for segment in self.playlist.segments]
        whole = sum(durations, Fraction(0)) or Fraction(1)
        target = self.playlist.target_s or 1
        return max(_peak(sizes, durations, target), default=float(sum(sizes) / whole)), float(sum(sizes) / whole)


def _peak(sizes: Sequence[int], durations: Sequence[Fraction], target_s: int) -> Iterator[float]:
    """Bit rates of every contiguous run that lasts between half and one and a half target durations."""
    for first in range(len(sizes)):
        bits, length = 0, Fraction(0)
        for size, duration in zip(sizes[first:], durations[first:], strict=True):
            bits, length = bits + size, length + duration
            if 2 * length > 3 * target_s:
                break
            if 2 * length >= target_s:
                yield float(bits / length)


@dataclass(frozen=True, slots=True)
class Presentation:
    url: str
    answer: Answer
    multivariant: Multivariant | None  # None: a media playlist was given
    renditions: Mapping[str, Rendition]  # by the address in the playlist; those that could be read
    unread: Mapping[str, str]  # addresses of playlists that could not be, with the reason

    def of(self, *roles: Role) -> tuple[Rendition, ...]:
        return tuple(rendition for rendition in self.renditions.values() if rendition.role in roles)

    def top(self) -> Multivariant:
        """The multivariant playlist. Raises NotSeen when a media playlist was given."""
        if self.multivariant is None:
            raise NotSeen("There is no multivariant playlist.")
        return self.multivariant

    @property
    def timed(self) -> tuple[Rendition, ...]:
        """Sound and pictures."""
        return self.of(Role.VIDEO, Role.AUDIO, Role.UNKNOWN)


def load(url: str, fetch: Fetch, *, segments: int | None) -> Presentation:
    """Reads the presentation at `url`, with the first `segments` of each playlist (None: all). Raises NotFetched when it is not there."""
    answer = fetch(url, None, MAX_PLAYLIST_BYTES)
    if not answer.body[:64].lstrip(b"\xef\xbb\xbf").startswith(b"#EXT"):
        kind = (answer.headers or {}).get("content-type", "")
        raise NotFetched(f"{url} is not a playlist: it does not begin with #EXTM3U{f' (it is {kind})' if kind else ''}")
    top = read_playlist(answer.body, answer.url)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        if isinstance(top, MediaPlaylist):
            only = Rendition(answer.url, Role.UNKNOWN, top, answer, {}, 0, ())
            return Presentation(answer.url, answer, None, {answer.url: _filled(only, fetch, pool, segments)}, {})
        roles = _roles(top)
        renditions: dict[str, Rendition] = {}
        unread: dict[str, str] = {}
        for (address, role), got in zip(roles.items(), pool.map(lambda place: _try(fetch, place), roles), strict=True):
            playlist = read_playlist(got.body, got.url) if isinstance(got, Answer) else None
            if isinstance(got, str):
                unread[address] = got
            elif isinstance(playlist, MediaPlaylist):
                renditions[address] = Rendition(address, role, playlist, got, {}, 0, ())
            else:
                unread[address] = f"{address} is a multivariant playlist where a media playlist belongs"
        filled = {address: _filled(rendition, fetch, pool, segments) for address, rendition in renditions.items()}
    return Presentation(answer.url, answer, top, filled, unread)


def _roles(top: Multivariant) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for tag in top.media:
        address = top.address(tag)
        kind = {"AUDIO": Role.AUDIO, "VIDEO": Role.VIDEO, "SUBTITLES": Role.SUBTITLES}.get(tag.get("TYPE") or "")
        if address is not None and kind is not None:
            roles.setdefault(address, kind)
    for variant in top.variants:
        pictures = variant.size is not None or any(codec.startswith(_VIDEO_CODECS) for codec in variant.codecs) or not variant.codecs
        roles.setdefault(variant.url, Role.VIDEO if pictures else Role.AUDIO)
    for variant in top.iframes:
        if variant.tag.get("URI"):
            roles.setdefault(variant.url, Role.IFRAMES)
    return roles


def _try(fetch: Fetch, url: str) -> Answer | str:
    try:
        return fetch(url, None, MAX_PLAYLIST_BYTES)
    except NotFetched as error:
        return str(error)


def _map_name(segment: Segment) -> str:
    return f"{segment.map.url} {segment.map.part}" if segment.map is not None else ""


def _filled(rendition: Rendition, fetch: Fetch, pool: ThreadPoolExecutor, most: int | None) -> Rendition:
    """With init and media segments."""
    chosen = list(enumerate(rendition.playlist.segments))[:most]
    problems: list[str] = []
    inits: dict[str, Init] = {}
    redirects = 0
    for segment in {_map_name(segment): segment for _, segment in chosen if segment.map is not None}.values():
        try:
            assert segment.map is not None
            if segment.map.key is not None and segment.map.key.get("METHOD") == "AES-128":
                continue  # nothing in it can be read
            got = fetch(segment.map.url, segment.map.part, MAX_SEGMENT_BYTES)
            redirects = max(redirects, got.redirects)
            inits[_map_name(segment)] = read_init(got.body)
        except NotFetched as error:
            problems.append(str(error))
        except BadBoxes as error:
            problems.append(f"{segment.map.url if segment.map else ''}: {error}")
    partial = rendition.role is Role.IFRAMES

    def look(place: tuple[int, Segment]) -> Seen:
        return _look(fetch, place[0], place[1], inits.get(_map_name(place[1])), partial=partial)

    seen = tuple(pool.map(look, _unless_gap(chosen)))
    keys = {address: _key_size(fetch, address) for address in _key_addresses(rendition.url, (segment for _, segment in chosen))}
    return replace(rendition, inits=inits, init_redirects=redirects, seen=seen, problems=tuple(problems), keys=keys)


def _key_addresses(base: str, chosen: Iterable[Segment]) -> list[str]:
    """Of keys that are fetched as they are: KEYFORMAT "identity", which is also what is meant when there is none."""
    tags = [segment.key for segment in chosen if segment.key is not None and (segment.key.get("KEYFORMAT") or "identity") == "identity"]
    found = dict.fromkeys(urljoin(base, tag.get("URI") or "") for tag in tags)
    return [address for address in found if urlsplit(address).scheme in {"http", "https", "file"}]


def _key_size(fetch: Fetch, address: str) -> int | str:
    try:
        return len(fetch(address, None, _MOST_KEY_BYTES).body)
    except NotFetched as error:
        return str(error)


def _unless_gap(chosen: Iterable[tuple[int, Segment]]) -> list[tuple[int, Segment]]:
    return [(index, segment) for index, segment in chosen if not segment.gap]


def _look(fetch: Fetch, index: int, segment: Segment, init: Init | None, *, partial: bool) -> Seen:
    try:
        answer = fetch(segment.url, segment.part, MAX_SEGMENT_BYTES)
    except NotFetched as error:
        return Seen(index, problem=str(error))
    seen = Seen(index, len(answer.body), redirects=answer.redirects)
    if segment.part is not None and len(answer.body) != segment.part[0]:
        return replace(seen, problem=f"{segment.url} ends before its byte range does")
    if segment.key is not None and segment.key.get("METHOD") == "AES-128":
        return replace(seen, form="encrypted")
    return _read(answer.body, seen, segment, init, partial=partial)


def _read(data: bytes, seen: Seen, segment: Segment, init: Init | None, *, partial: bool) -> Seen:
    head = data.lstrip(b"\xef\xbb\xbf")[:2048]
    if head.startswith(b"WEBVTT"):
        lines = head.replace(b"\r\n", b"\n").split(b"\n\n")[0]
        return replace(seen, form="text", webvtt=True, timestamp_map=b"\nX-TIMESTAMP-MAP=" in lines)
    if data[:1] == b"\x47" and data[188:189] in {b"\x47", b""}:
        return replace(seen, form="ts")
    if init is None:
        return replace(seen, form="fmp4" if data[4:8] in {b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft"} else "unknown")
    try:
        fragments = read_fragments(data, init, partial=partial)
        if not fragments:
            raise BadBoxes("there is no moof")
        pictures = next((track for track in init.tracks if track.handler == "vide"), None)
        first = next((part for part in fragments if pictures is not None and part.track == pictures.identity), None)
        idr = starts_with_idr(pictures, first) if pictures is not None and first is not None else None
    except BadBoxes as error:
        return replace(seen, form="fmp4", problem=f"{segment.url}: {error}")
    return replace(seen, form="fmp4", starts_with_moof=_has_moof_first(data), fragments=fragments, idr=idr)


def _has_moof_first(data: bytes) -> bool:
    """Whether the samples have their `moof` in this part itself."""
    at = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] not in {b"moof", b"mdat"}:
        at += max(8, int.from_bytes(data[at : at + 4]))
    return data[at + 4 : at + 8] == b"moof"
