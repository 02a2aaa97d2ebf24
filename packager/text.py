"""Cues as HLS sends them: WebVTT segments on the grid of the video, their playlist, and the lines about them in the multivariant one.
Pure.

Why segments and not one file for the whole title: Apple's rules ask for target durations near 6 s in every playlist, a single
segment would make a film's EXT-X-TARGETDURATION hours, and a player that starts in the middle should not have to fetch two hours of
text first. A segment has every cue that is shown during any of its time, with the cue's own times (RFC 8216 section 3.5); players know
a cue that they have seen. Segments that nobody speaks in are there too, empty: a playlist spans the whole title (Apple rule 5.3).

A film has over a thousand such segments of a few hundred bytes. They are one object of the store, a pack, and the origin sends parts
of it: storing a track is one write, and so is deleting it. The first parts are the playlist and the whole text as one WebVTT
file, for DASH, downloads and players that read files.

X-TIMESTAMP-MAP says that 0 on the cues' clock is 0 in the media: the decode times of our segments begin there.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from catalog.track import TextPack, Track
from media.cues import Cue
from media.plan import EncodePlan

GROUP = "text"
MAX_PACK_BYTES = 24 << 20  # cues are repeated in every segment that they touch
_HEADER = "WEBVTT\n"
_TIMESTAMP_MAP = "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n"
_CHARACTERISTICS = "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound"  # Apple rule 4.5


class TooDense(ValueError):
    """So many cues are shown at once, or for so long, that segments of them would be absurdly large."""


def timestamp(ms: int) -> str:
    """A WebVTT timestamp; hours always, as some players want them."""
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def render_cue(cue: Cue) -> str:
    """With the blank line before it."""
    settings = f" {cue.settings}" if cue.settings else ""
    return f"\n{timestamp(cue.start_ms)} --> {timestamp(cue.end_ms)}{settings}\n{cue.text}\n"


def fitted(cues: Sequence[Cue], duration_ms: int) -> tuple[Cue, ...]:
    """What can be seen of the cues in a title of this length."""
    kept = (cue for cue in cues if cue.start_ms < duration_ms)
    return tuple(Cue(cue.start_ms, min(cue.end_ms, duration_ms), cue.text, cue.settings) for cue in kept)


def make_pack(cues: Sequence[Cue], plan: EncodePlan) -> tuple[TextPack, bytes]:
    """The pack of a track and its bytes; equal cues and grids give equal ones. Raises TooDense."""
    grid = plan.grid
    ends = [grid.segment_bounds(index)[1] * grid.frame_ticks for index in range(grid.segment_count)]
    ends_us = [(2 * ticks * 1_000_000 + grid.timescale) // (2 * grid.timescale) for ticks in ends]
    shown = fitted(cues, -(-ends_us[-1] // 1000))
    parts = [_playlist(ends_us, plan.target_duration_s), (_HEADER + "".join(map(render_cue, shown))).encode(), *_segments(shown, ends_us)]
    offsets = [0]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    data = b"".join(parts)
    return TextPack(hashlib.sha256(data).hexdigest()[:40], tuple(offsets)), data


def _segments(cues: Sequence[Cue], ends_us: Sequence[int]) -> list[bytes]:
    texts = [[_HEADER, _TIMESTAMP_MAP] for _ in ends_us]
    total = 0
    for cue in cues:
        first = bisect_right(ends_us, cue.start_ms * 1000)
        end = bisect_left(ends_us, cue.end_ms * 1000) + 1
        rendered = render_cue(cue)
        touched = texts[first:end]
        total += len(rendered) * 4 * len(touched)
        if total > 4 * MAX_PACK_BYTES:
            raise TooDense("The cues overlap so much that no player could be sent them.")
        for text in touched:
            text.append(rendered)
    return ["".join(text).encode() for text in texts]


def _playlist(ends_us: Sequence[int], target_s: int) -> bytes:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{target_s}", "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:VOD"]
    before_us = 0
    for index, end_us in enumerate(ends_us):
        length_us, before_us = end_us - before_us, end_us
        lines += [f"#EXTINF:{length_us // 1_000_000}.{length_us % 1_000_000:06d},", f"{index:05d}.vtt"]
    return ("\n".join([*lines, "#EXT-X-ENDLIST"]) + "\n").encode()


# -- the multivariant playlist


def shown_in_hls(tracks: Sequence[Track]) -> tuple[Track, ...]:
    """The tracks that are renditions of a stream: those with a pack, without chapters."""
    return tuple(track for track in tracks if track.pack_digest is not None and track.kind != "chapters")


def with_text(bare: str, tracks: Sequence[Track]) -> str:
    """A multivariant playlist of ours, as `packager.hls` renders it, with these tracks."""
    media = media_lines(shown_in_hls(tracks))
    if not media:
        return bare
    lines = bare.splitlines()
    place = next(index for index, line in enumerate(lines) if line.startswith("#EXT-X-STREAM-INF:"))
    lines = [f'{line},SUBTITLES="{GROUP}"' if line.startswith("#EXT-X-STREAM-INF:") else line for line in lines]
    return "\n".join([*lines[:place], *media, *lines[place:]]) + "\n"


def media_lines(tracks: Sequence[Track]) -> list[str]:
    """One EXT-X-MEDIA for each track. Names differ and one at most is the default (RFC 8216 section 4.3.4.1.1)."""
    lines: list[str] = []
    names: set[str] = set()
    default = next((track.id for track in tracks if track.default and not track.forced), None)
    for track in tracks:
        automatic = track.id == default or track.forced or track.kind == "captions" or track.language != "und"
        # LANGUAGE is there even when nobody knows it: Apple rules 4.7 and 8.10.
        attributes = ["TYPE=SUBTITLES", f'GROUP-ID="{GROUP}"', f'NAME="{_unique(track, names)}"', f'LANGUAGE="{track.language}"']
        attributes += [f"DEFAULT={_yes(track.id == default)}", f"AUTOSELECT={_yes(automatic)}", f"FORCED={_yes(track.forced)}"]
        if track.kind == "captions":
            attributes.append(f'CHARACTERISTICS="{_CHARACTERISTICS}"')
        attributes.append(f'URI="t/{track.pack_digest}/index.m3u8"')
        lines.append(f"#EXT-X-MEDIA:{','.join(attributes)}")
    return lines


def _unique(track: Track, taken: set[str]) -> str:
    """The track's name as a quoted-string can hold it, told apart from those before it."""
    words = "".join(" " if ord(sign) < 32 or ord(sign) == 127 else sign for sign in track.name.replace('"', "'"))
    base = name = " ".join(words.split()) or track.language
    for number in range(2, 1000):
        if name not in taken:
            break
        name = f"{base} ({number})"
    taken.add(name)
    return name


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


def renditions(tracks: Sequence[Track]) -> list[dict[str, str | bool | None]]:
    """What other manifests can be rendered from: the whole text of each lies at `t/{digest}/whole.vtt`."""
    return [
        {
            "id": track.id, "kind": track.kind, "language": track.language, "name": track.name, "default": track.default,
            "forced": track.forced, "digest": track.pack_digest,
        }
        for track in shown_in_hls(tracks)
    ]  # fmt: skip


def chapters(tracks: Sequence[Track]) -> str | None:
    """The digest of the chapters that a title is shown with: those marked as default, else uploaded ones, else the source's."""
    found = [track for track in tracks if track.kind == "chapters" and track.pack_digest is not None]
    found.sort(key=lambda track: (not track.default, track.origin == "source"))
    return found[0].pack_digest if found else None
