"""The sound of a presentation as groups of renditions, and the lines that announce them. Pure.

A group holds one rendition for each track of the title, all in one form: stereo, or surround in one codec. Every group of a playlist has
the same members (RFC 8216 section 4.3.4.1.1), so a track that has no surround is in that group as stereo. A player
chooses a group with the variant, by codec and number of channels, and in it the language.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from media.ids import PlanDigest
from packager.presentation import AudioTrack

MAIN_GROUP = "audio"


@dataclass(frozen=True, slots=True)
class AudioGroup:
    """One of the ways in which a title can be heard."""

    name: str  # GROUP-ID
    members: tuple[AudioTrack, ...]

    @property
    def codecs(self) -> tuple[str, ...]:
        """Of all members, each once."""
        return tuple(dict.fromkeys(track.spec.codecs for track in self.members))


def groups(tracks: Sequence[AudioTrack]) -> tuple[AudioGroup, ...]:
    """The main group first, then the others in the order of the plan. None where there is no sound."""
    names = dict.fromkeys(track.spec.group for track in tracks)
    main = [track for track in tracks if track.spec.group == MAIN_GROUP] or list(tracks)
    return tuple(AudioGroup(name, tuple(_form(track, name, tracks) for track in main)) for name in names)


def _form(track: AudioTrack, group: str, tracks: Iterable[AudioTrack]) -> AudioTrack:
    """The same track of the source in the form of `group`, or as it is."""
    same = (other for other in tracks if other.spec.group == group and other.spec.source_index == track.spec.source_index)
    return next(same, track)


def media_lines(group: AudioGroup, plan: PlanDigest) -> list[str]:
    """EXT-X-MEDIA of every member."""
    return [_media(group.name, track, plan) for track in group.members]


def _media(group: str, track: AudioTrack, plan: PlanDigest) -> str:
    spec = track.spec
    attributes = [
        "TYPE=AUDIO",
        f'GROUP-ID="{group}"',
        f'NAME="{quotable(spec.label) or "Audio"}"',
        f'LANGUAGE="{quotable(spec.language) or "und"}"',
        f"DEFAULT={_yes(spec.default)}",
        f"AUTOSELECT={_yes(spec.autoselect)}",
        *([f'CHARACTERISTICS="{",".join(spec.characteristics)}"'] if spec.characteristics else []),
        f'CHANNELS="{spec.channels}"',
        f'URI="{plan}/{spec.name}/index.m3u8"',
    ]
    return f"#EXT-X-MEDIA:{','.join(attributes)}"


def _yes(value: bool) -> str:
    return "YES" if value else "NO"


def quotable(words: str) -> str:
    """`words` as a quoted-string can hold them: no quotation mark and no control character (RFC 8216 section 4.2)."""
    return " ".join("".join(" " if ord(char) < 32 or ord(char) == 127 else char for char in words.replace('"', "'")).split())
